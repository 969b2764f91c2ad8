//! The sound of an Ogg Opus file (RFC 7845), to be played to a leg: ours, or anybody's with one or
//! two channels.
//!
//! Two channels become one. Of several streams the first counts. A file that ends in the middle, as
//! one does that is still being written, is played as far as it goes; one that is damaged is refused
//! whole. Knows no file: it is given the octets.
//!
//! Invariant: no octets lead to more sound than was allowed.

use std::borrow::Cow;
use std::io::{Cursor, ErrorKind};
use std::time::Duration;

use ogg::{OggReadError, Packet, PacketReader};
use thiserror::Error;

use crate::codec::opus::OpenError;
use crate::codec::{AudioCodec, DecodeError, Decoder};
use crate::rate::SampleRate;

/// Positions count so many samples a second, whatever the rate of the sound (RFC 7845 4).
const CLOCK: u64 = 48_000;

/// RFC 6716 3.2.5.
const LONGEST_PACKET_MS: usize = 120;

/// Why a file cannot be played.
#[derive(Debug, Error)]
pub enum PlaybackError {
    #[error("it is no Ogg file")]
    NotOgg,
    #[error("it is an Ogg file, but its first stream is not Opus")]
    NotOpus,
    #[error("its header is of a version or form that is not known")]
    Header,
    #[error("it has {0} channels, and only one or two are played")]
    Channels(u8),
    #[error("its two streams are packed in a way that is not read")]
    Packing,
    #[error("it is damaged: {0}")]
    Damaged(OggReadError),
    #[error("it is damaged: packet {number} cannot be decoded")]
    Packet { number: u64, source: DecodeError },
    #[error("it is longer than {} s", .0.as_secs())]
    TooLong(Duration),
    #[error("it holds no sound")]
    Empty,
    #[error("no decoder")]
    Open(#[from] OpenError),
}

/// The sound of the file and its rate, if it is no longer than `longest`.
pub fn read(file: &[u8], longest: Duration) -> Result<(Vec<i16>, SampleRate), PlaybackError> {
    if !file.starts_with(b"OggS") {
        return Err(PlaybackError::NotOgg);
    }
    let mut packets = PacketReader::new(Cursor::new(file));
    let first = next(&mut packets)?.ok_or(PlaybackError::Empty)?;
    let head = Head::parse(&first.data)?;
    let mut sound = Sound::new(&head, longest)?;
    // RFC 7845 3: the second packet of the stream holds comments.
    let mut number = 0;
    while let Some(packet) = next(&mut packets)? {
        if packet.stream_serial() != first.stream_serial() {
            continue;
        }
        number += 1;
        if number == 1 {
            continue;
        }
        sound.add(&packet.data, number)?;
        if packet.last_in_stream() {
            sound.end_at(packet.absgp_page());
            break;
        }
    }
    sound.finish()
}

/// `None`: the file ends here, perhaps in the middle of a page.
fn next(packets: &mut PacketReader<Cursor<&[u8]>>) -> Result<Option<Packet>, PlaybackError> {
    match packets.read_packet() {
        Err(OggReadError::ReadError(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        read => read.map_err(PlaybackError::Damaged),
    }
}

/// RFC 7845 5.1.
#[derive(Debug)]
struct Head {
    streams: Streams,
    /// Samples of the clock at the beginning that are not sound.
    skip: u64,
    rate: SampleRate,
    /// Factor.
    gain: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Streams {
    /// Mono, or two channels that are coupled; libopus makes one of them.
    One,
    /// A channel each, see [`split`].
    Two,
}

impl Head {
    fn parse(packet: &[u8]) -> Result<Head, PlaybackError> {
        let head = packet.strip_prefix(b"OpusHead");
        let head = head.ok_or(PlaybackError::NotOpus)?;
        let &[
            version,
            channels,
            skip_0,
            skip_1,
            rate_0,
            rate_1,
            rate_2,
            rate_3,
            gain_0,
            gain_1,
            family,
            ref mapping @ ..,
        ] = head
        else {
            return Err(PlaybackError::Header);
        };
        // Versions that only add something keep the upper half nought.
        if version & 0xF0 != 0 {
            return Err(PlaybackError::Header);
        }
        if !(1..=2).contains(&channels) {
            return Err(PlaybackError::Channels(channels));
        }
        let streams = match (family, mapping) {
            (0, _) | (1, [1, ..]) => Streams::One,
            (1, [2, 0, ..]) => Streams::Two,
            _ => return Err(PlaybackError::Header),
        };
        let gain = f32::from(i16::from_le_bytes([gain_0, gain_1])) / 256.0;
        Ok(Head {
            streams,
            skip: u16::from_le_bytes([skip_0, skip_1]).into(),
            rate: rate_for(u32::from_le_bytes([rate_0, rate_1, rate_2, rate_3])),
            gain: 10_f32.powf(gain / 20.0),
        })
    }
}

/// The least that holds what was encoded; nought says nothing.
fn rate_for(hz: u32) -> SampleRate {
    match hz {
        1..=8_000 => SampleRate::Hz8000,
        8_001..=16_000 => SampleRate::Hz16000,
        0 | 16_001.. => SampleRate::Hz48000,
    }
}

/// What was decoded so far.
struct Sound {
    decoders: Vec<Decoder>,
    rate: SampleRate,
    gain: f32,
    samples: Vec<i16>,
    skip: usize,
    /// In samples, what is skipped included.
    most: usize,
    longest: Duration,
}

impl Sound {
    fn new(head: &Head, longest: Duration) -> Result<Sound, PlaybackError> {
        let count = match head.streams {
            Streams::One => 1,
            Streams::Two => 2,
        };
        let decoders = (0..count).map(|_| Decoder::new(AudioCodec::Opus, head.rate));
        let skip = samples(head.skip, head.rate);
        let longest_ms = usize::try_from(longest.as_millis()).unwrap_or(usize::MAX);
        let allowed = longest_ms.saturating_mul(head.rate.samples_in_ms(1));
        Ok(Sound {
            decoders: decoders.collect::<Result<_, _>>()?,
            rate: head.rate,
            gain: head.gain,
            samples: Vec::new(),
            skip,
            // The last packet may be cut off by the position.
            most: allowed.saturating_add(skip + head.rate.samples_in_ms(LONGEST_PACKET_MS)),
            longest,
        })
    }

    fn add(&mut self, packet: &[u8], number: u64) -> Result<(), PlaybackError> {
        let (first, second) = match self.decoders.len() {
            1 => (Cow::Borrowed(packet), [].as_slice()),
            _ => split(packet).map(|(first, second)| (Cow::Owned(first), second))?,
        };
        let parts = [&*first, second];
        let mut sides = [[0; SampleRate::Hz48000.samples_in_ms(LONGEST_PACKET_MS)]; 2];
        let mut len = 0;
        let decoded = self.decoders.iter_mut().zip(parts);
        for ((decoder, part), side) in decoded.zip(&mut sides) {
            let decoded = decoder.decode(part, side);
            let decoded = decoded.map_err(|source| PlaybackError::Packet { number, source })?;
            len = len.max(decoded);
        }
        if self.samples.len() + len > self.most {
            return Err(PlaybackError::TooLong(self.longest));
        }
        let share = self.gain / self.decoders.len() as f32;
        let [left, right] = &sides;
        let mixed = left[..len].iter().zip(right);
        // Saturates.
        let mixed =
            mixed.map(|(left, right)| ((f32::from(*left) + f32::from(*right)) * share) as i16);
        self.samples.extend(mixed);
        Ok(())
    }

    /// RFC 7845 4.4: what is behind the last position is not sound.
    fn end_at(&mut self, position: u64) {
        self.samples.truncate(samples(position, self.rate));
    }

    fn finish(mut self) -> Result<(Vec<i16>, SampleRate), PlaybackError> {
        self.samples.drain(..self.skip.min(self.samples.len()));
        if self.samples.is_empty() {
            return Err(PlaybackError::Empty);
        }
        let longest_ms = self.longest.as_millis();
        if self.samples.len() as u128 > longest_ms * self.rate.samples_in_ms(1) as u128 {
            return Err(PlaybackError::TooLong(self.longest));
        }
        Ok((self.samples, self.rate))
    }
}

fn samples(clock: u64, rate: SampleRate) -> usize {
    usize::try_from(clock / (CLOCK / u64::from(rate.hz()))).unwrap_or(usize::MAX)
}

/// The two streams of one time: the first one says how long it is (RFC 6716 appendix B). Only for
/// packets of one frame, which are what 20 ms of speech become.
fn split(packet: &[u8]) -> Result<(Vec<u8>, &[u8]), PlaybackError> {
    let (toc, len, rest) = match *packet {
        [toc, len @ 0..=251, ref rest @ ..] => (toc, usize::from(len), rest),
        // RFC 6716 3.2.1.
        [toc, low, high, ref rest @ ..] => (toc, usize::from(high) * 4 + usize::from(low), rest),
        _ => return Err(PlaybackError::Packing),
    };
    if toc & 3 != 0 || len > rest.len() {
        return Err(PlaybackError::Packing);
    }
    let (frame, second) = rest.split_at(len);
    let mut first = Vec::with_capacity(1 + len);
    first.push(toc);
    first.extend_from_slice(frame);
    Ok((first, second))
}
