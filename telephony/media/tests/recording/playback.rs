//! Recordings, ours and those of ffmpeg, as sound again; and files that are none.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use media::SampleRate;
use media::level::dbov;
use media::recording::{PlaybackError, read};
use ogg::writing::{PacketWriteEndInfo, PacketWriter};
use proptest::prelude::*;

use crate::call;

const LONGEST: Duration = Duration::from_secs(10);

fn recorded() -> Vec<u8> {
    let mut recorder = call(4);
    recorder.finish(Instant::now());
    recorder.take_written()
}

/// What ffmpeg makes of two seconds of 600 Hz.
fn by_ffmpeg(channels: &str, format: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi"])
        .args(["-i", "sine=frequency=600:duration=2:sample_rate=48000"])
        .args(["-ac", channels])
        .args(format)
        .args(["-f", "ogg", "pipe:1"])
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg is there; scripts/setup.sh test installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg: {said}");
    output.stdout
}

/// How much of the sound, by power, is a sine of this frequency.
fn share_of(samples: &[i16], rate: SampleRate, hertz: f64) -> f64 {
    let turn = std::f64::consts::TAU * hertz / f64::from(rate.hz());
    let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (sample, phase) = (f64::from(*sample), n as f64 * turn);
        re += sample * phase.cos();
        im += sample * phase.sin();
        all += sample * sample;
    }
    2.0 * (re * re + im * im) / (samples.len() as f64 * all).max(1.0)
}

#[test]
fn a_recording_of_two_sides_is_played_as_one_voice_of_the_same_length() {
    let (samples, rate) = read(&recorded(), LONGEST).expect("ours");
    assert_eq!(rate, SampleRate::Hz16000);
    assert_eq!(samples.len(), 4 * 16_000);
    let settled = &samples[16_000..48_000];
    for hertz in [600.0, 1000.0] {
        let share = share_of(settled, rate, hertz);
        assert!((0.45..0.55).contains(&share), "{hertz} Hz: {share}");
    }
    // Two sines of 10,000, each halved.
    let level = dbov(settled);
    assert!((-17.0..-15.5).contains(&level), "{level} dBov");
}

#[test]
fn what_ffmpeg_wrote_is_played_mono_or_stereo() {
    for channels in ["1", "2"] {
        let file = by_ffmpeg(channels, &["-c:a", "libopus", "-b:a", "48k"]);
        let (samples, rate) = read(&file, LONGEST).expect("Opus");
        assert_eq!(rate, SampleRate::Hz48000);
        assert_eq!(samples.len(), 2 * 48_000, "{channels} channels");
        let share = share_of(&samples[24_000..72_000], rate, 600.0);
        assert!(share > 0.97, "{channels} channels: {share}");
    }
}

#[test]
fn a_file_that_is_no_opus_says_what_it_is_not() {
    let refused = |file: &[u8]| read(file, LONGEST).expect_err("it is no Opus");
    assert!(matches!(refused(b""), PlaybackError::NotOgg));
    assert!(matches!(refused(b"RIFF1234WAVE"), PlaybackError::NotOgg));
    let flac = by_ffmpeg("1", &["-c:a", "flac"]);
    assert!(matches!(refused(&flac), PlaybackError::NotOpus));
    let surround = by_ffmpeg("6", &["-c:a", "libopus"]);
    assert!(matches!(refused(&surround), PlaybackError::Channels(6)));
    let mut head = b"OpusHead\x11\x01".to_vec();
    head.extend([0; 9]);
    assert!(matches!(refused(&file(&[&head])), PlaybackError::Header));
    assert!(matches!(
        refused(&file(&[b"OpusHead\x01"])),
        PlaybackError::Header
    ));
    let none = file(&[HEAD, b"OpusTags"]);
    assert!(matches!(refused(&none), PlaybackError::Empty));
    let bad = file(&[HEAD, b"OpusTags", &[0x4B, 0]]);
    assert!(matches!(
        refused(&bad),
        PlaybackError::Packet { number: 2, .. }
    ));
}

#[test]
fn a_file_that_is_too_long_is_refused_to_the_sample() {
    let file = recorded();
    assert!(read(&file, Duration::from_secs(4)).is_ok());
    let refused = read(&file, Duration::from_millis(3_999));
    assert!(matches!(refused, Err(PlaybackError::TooLong(_))));
}

#[test]
fn a_file_that_is_still_written_is_played_as_far_as_it_goes() {
    let file = recorded();
    let mut before = 0;
    for end in (1..file.len()).step_by(97) {
        let Ok((samples, _)) = read(&file[..end], LONGEST) else {
            assert_eq!(before, 0, "{end} octets");
            continue;
        };
        assert!(samples.len() >= before, "{end} octets");
        before = samples.len();
    }
    assert!(before >= 3 * 16_000, "{before}");
}

#[test]
fn an_octet_that_is_wrong_is_noticed() {
    let mut file = recorded();
    let middle = file.len() / 2;
    file[middle] ^= 1;
    let refused = read(&file, LONGEST);
    assert!(matches!(refused, Err(PlaybackError::Damaged(_))));
}

/// Mono, 16 kHz, nothing to skip, no gain.
const HEAD: &[u8] = b"OpusHead\x01\x01\0\0\x80\x3e\0\0\0\0\0";

fn file(packets: &[&[u8]]) -> Vec<u8> {
    let mut writer = PacketWriter::new(Vec::new());
    for (n, packet) in packets.iter().enumerate() {
        let end = match n + 1 == packets.len() {
            true => PacketWriteEndInfo::EndStream,
            false => PacketWriteEndInfo::EndPage,
        };
        let written = writer.write_packet(packet.to_vec(), 1, end, n as u64 * 960);
        written.expect("a vector takes all octets");
    }
    writer.into_inner()
}

proptest! {
    #[test]
    fn no_packets_lead_to_more_sound_than_was_allowed(
        streams in 0..3u8,
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..40),
    ) {
        let mut head = HEAD.to_vec();
        if streams > 0 {
            head[9] = 2;
            head[18] = 1;
            head.extend([streams, 2 - streams, 0, 1]);
        }
        let mut all: Vec<&[u8]> = vec![&head, b"OpusTags"];
        all.extend(packets.iter().map(Vec::as_slice));
        let longest = Duration::from_millis(500);
        if let Ok((samples, rate)) = read(&file(&all), longest) {
            prop_assert!(samples.len() <= rate.samples_in_ms(500));
        }
    }
}
