//! How many times faster than real time each codec is, on one core, beside
//! ffmpeg on the same sound if it is here.
//!
//! `cargo bench -p media --bench codec`. Judges nothing; counts CPU time, so
//! other work on the machine disturbs little.

#![expect(clippy::print_stdout, reason = "a bench says its figures")]

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use media::SampleRate;
use media::codec::opus::{MAX_PACKET, Redundancy, Settings};
use media::codec::{AudioCodec, Decoder, Encoder};

/// Longer for what is faster, so that starting ffmpeg does not count.
const SECONDS: usize = 600;
const OPUS_SECONDS: usize = 30;

fn main() {
    let sound = sound(SampleRate::Hz16000, SECONDS);
    for codec in [AudioCodec::Pcma, AudioCodec::Pcmu, AudioCodec::G722] {
        ours(&format!("{codec:?}"), codec, &Settings::default(), &sound);
    }
    ffmpeg(&sound);
    for rate in SampleRate::ALL {
        let sound = self::sound(rate, OPUS_SECONDS);
        for (name, redundancy) in [
            ("", Redundancy::Off),
            (", redundant", Redundancy::AgainstLoss { percent: 5 }),
        ] {
            let settings = Settings {
                rate,
                redundancy,
                ..Settings::default()
            };
            let name = format!("Opus at {} Hz{name}", rate.hz());
            ours(&name, AudioCodec::Opus, &settings, &sound);
        }
    }
}

/// The best of three runs each way.
fn ours(name: &str, codec: AudioCodec, settings: &Settings, sound: &[i16]) {
    let mut best = [f64::INFINITY; 2];
    let mut seconds = 0.0;
    for _ in 0..3 {
        let mut encoder = Encoder::new(codec, settings).expect("the settings are good");
        let mut decoder = Decoder::new(codec, settings.rate).expect("there is memory");
        let frame = encoder.rate().frame();
        seconds = sound.len() as f64 / f64::from(encoder.rate().hz());

        let mut payloads = vec![[0; MAX_PACKET]; sound.len() / frame];
        let mut lengths = vec![0; payloads.len()];
        let start = cpu_time();
        for ((pcm, payload), length) in sound.chunks(frame).zip(&mut payloads).zip(&mut lengths) {
            *length = encoder.encode(pcm, payload).expect("the frame is good");
        }
        best[0] = best[0].min((cpu_time() - start).as_secs_f64());

        let mut pcm = [0; 960];
        let start = cpu_time();
        for (payload, length) in payloads.iter().zip(lengths) {
            let decoded = decoder.decode(&payload[..length], &mut pcm);
            black_box(decoded.expect("the payload is ours"));
        }
        best[1] = best[1].min((cpu_time() - start).as_secs_f64());
    }
    say(name, best, seconds);
}

fn say(name: &str, [encoding, decoding]: [f64; 2], seconds: f64) {
    let [encode, decode] = [encoding, decoding].map(|spent| seconds / spent);
    println!("{name:<32} encode {encode:>8.0}x   decode {decode:>8.0}x");
}

/// G.722 by ffmpeg, less what it takes to copy the same sound.
fn ffmpeg(sound: &[i16]) {
    let folder = std::env::temp_dir().join(format!("codec-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder for temporary files");
    let [pcm, g722] = ["sound.pcm", "sound.g722"].map(|name| folder.join(name));
    let octets: Vec<u8> = sound
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    std::fs::write(&pcm, octets).expect("room for temporary files");
    let raw: &[&str] = &["-f", "s16le", "-ar", "16000"];
    let null = Path::new("/dev/null");
    let runs = [
        (raw, &pcm, "s16le", null),
        (raw, &pcm, "g722", &g722),
        (&["-f", "g722"], &g722, "s16le", null),
    ];
    let spent = runs.map(|(options, from, to, output)| {
        let once = || time_of_ffmpeg(options, from, to, output);
        (0..3).filter_map(|_| once()).min()
    });
    std::fs::remove_dir_all(&folder).expect("our own folder");
    let [Some(copying), Some(encoding), Some(decoding)] = spent else {
        println!("no ffmpeg here to compare with");
        return;
    };
    let net = [encoding, decoding].map(|spent| spent.saturating_sub(copying).as_secs_f64());
    say("G722 by ffmpeg", net, SECONDS as f64);
}

fn time_of_ffmpeg(options: &[&str], from: &Path, to: &str, output: &Path) -> Option<Duration> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-threads", "1"]);
    command.args(options).arg("-i").arg(from);
    command.args(["-ac", "1", "-f", to]).arg(output);
    let before = children_time();
    let status = command.stdout(Stdio::null()).status().ok()?;
    status.success().then(|| children_time() - before)
}

/// User time of ended children, in the hundredths of a second that Linux tells.
fn children_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux tells");
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks = fields
        .split_whitespace()
        .nth(13)
        .and_then(|ticks| ticks.parse().ok());
    Duration::from_millis(10 * ticks.unwrap_or(0))
}

/// What this thread has spent so far.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let spent = text.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(spent.expect("the first number is nanoseconds"))
}

/// Something like speech: a gliding voice of twelve harmonics in syllables.
fn sound(rate: SampleRate, seconds: usize) -> Vec<i16> {
    let hz = f64::from(rate.hz());
    let mut phase = 0.0;
    let mut voice: Vec<i16> = Vec::new();
    for n in 0..10 * rate.hz() {
        let time = f64::from(n) / hz;
        phase += (130.0 + 30.0 * (time * 2.0).sin()) / hz;
        let harmonics = (1..=12).map(f64::from);
        let sum: f64 = harmonics
            .map(|k| (k * phase * std::f64::consts::TAU).sin() / k)
            .sum();
        let syllable = (time * 9.0).sin().max(0.0);
        voice.push((sum * syllable * 6000.0) as i16);
    }
    voice
        .into_iter()
        .cycle()
        .take(seconds * rate.hz() as usize)
        .collect()
}
