//! What an Opus packet says of itself before it is decoded: RFC 6716 3.
//!
//! Everything that section forbids is refused here, in safe code, so libopus
//! never sees it. Frames are counted and measured, not read. Invariant: a
//! [`Packet`] lasts between 2.5 and 120 ms.

use thiserror::Error;

use crate::rate::SampleRate;

/// RFC 6716 3.4, R2.
const MAX_FRAME_OCTETS: usize = 1275;

/// Samples at 48 kHz in 120 ms: RFC 6716 3.4, R5.
const MAX_DURATION: u32 = 5760;

/// Which part of Opus made the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Linear prediction, up to wideband; the only one with redundancy against loss.
    Silk,
    Hybrid,
    /// Transform coding, for music and the shortest frames.
    Celt,
}

/// Audio bandwidth, by the highest frequency that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bandwidth {
    /// 4 kHz, as G.711.
    Narrow,
    /// 6 kHz.
    Medium,
    /// 8 kHz, as G.722.
    Wide,
    /// 12 kHz.
    SuperWide,
    /// 20 kHz.
    Full,
}

/// A well-formed packet's own description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    pub mode: Mode,
    pub bandwidth: Bandwidth,
    /// 1 or 2.
    pub channels: u8,
    /// 1 to 48.
    pub frames: u8,
    /// It also carries the frame before it, coarsely, in case that was lost.
    pub redundant: bool,
    /// Of one frame, in samples at 48 kHz.
    frame_duration: u16,
}

/// What is wrong with a packet; the sender is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PacketError {
    #[error("an Opus packet without an octet")]
    Empty,
    #[error("an Opus packet of several frames ends before their lengths do")]
    Cut,
    #[error("the frames of an Opus packet are longer than the packet")]
    TooShort,
    #[error("an Opus packet for equal frames does not divide into them")]
    Unequal,
    #[error("an Opus frame has more than {MAX_FRAME_OCTETS} octets")]
    LargeFrame,
    #[error("an Opus packet of no frame, or lasting more than 120 ms")]
    Duration,
}

impl Packet {
    pub fn parse(octets: &[u8]) -> Result<Packet, PacketError> {
        let (&toc, frames) = octets.split_first().ok_or(PacketError::Empty)?;
        let (mode, bandwidth, frame_duration) = configuration(toc >> 3);
        let layout = match toc & 3 {
            0 => Layout::equal(frames, 1)?,
            1 => Layout::equal(frames, 2)?,
            2 => Layout::two(frames)?,
            _ => Layout::many(frames)?,
        };
        if u32::from(frame_duration) * u32::from(layout.frames) > MAX_DURATION {
            return Err(PacketError::Duration);
        }
        let channels = 1 + (toc >> 2 & 1);
        Ok(Packet {
            mode,
            bandwidth,
            channels,
            frames: layout.frames,
            redundant: mode != Mode::Celt && redundant(layout.first, channels, frame_duration),
            frame_duration,
        })
    }

    /// Samples of each channel when decoded at this rate.
    pub fn samples(&self, rate: SampleRate) -> usize {
        let at_48_khz = usize::from(self.frames) * usize::from(self.frame_duration);
        at_48_khz / (48_000 / rate.hz() as usize)
    }
}

/// RFC 6716 3.1, table 2: what the five bits stand for, the duration in samples
/// at 48 kHz.
fn configuration(number: u8) -> (Mode, Bandwidth, u16) {
    let duration = |of: [u16; 4]| of[usize::from(number & 3)];
    let silk = || duration([480, 960, 1920, 2880]);
    let celt = || duration([120, 240, 480, 960]);
    let hybrid = if number & 1 == 0 { 480 } else { 960 };
    match number {
        0..4 => (Mode::Silk, Bandwidth::Narrow, silk()),
        4..8 => (Mode::Silk, Bandwidth::Medium, silk()),
        8..12 => (Mode::Silk, Bandwidth::Wide, silk()),
        12 | 13 => (Mode::Hybrid, Bandwidth::SuperWide, hybrid),
        14 | 15 => (Mode::Hybrid, Bandwidth::Full, hybrid),
        16..20 => (Mode::Celt, Bandwidth::Narrow, celt()),
        20..24 => (Mode::Celt, Bandwidth::Wide, celt()),
        24..28 => (Mode::Celt, Bandwidth::SuperWide, celt()),
        28.. => (Mode::Celt, Bandwidth::Full, celt()),
    }
}

/// RFC 6716 4.2.3: a SILK frame starts with a flag for the voice in each of its
/// 20 ms, then one for the redundancy; those of the middle channel come first.
fn redundant(first: &[u8], channels: u8, frame_duration: u16) -> bool {
    let Some(flags) = first.first() else {
        return false;
    };
    let parts = (frame_duration / 960).max(1);
    let middle = flags >> (7 - parts) & 1;
    let side = if channels == 2 {
        flags >> (6 - 2 * parts) & 1
    } else {
        0
    };
    middle | side != 0
}

/// How a packet divides into frames.
struct Layout<'a> {
    frames: u8,
    first: &'a [u8],
}

impl<'a> Layout<'a> {
    /// RFC 6716 3.2.2 and 3.2.3, and 3.2.5 with a constant bit rate.
    fn equal(octets: &[u8], frames: u8) -> Result<Layout<'_>, PacketError> {
        let length = octets.len() / usize::from(frames);
        if length * usize::from(frames) != octets.len() {
            return Err(PacketError::Unequal);
        }
        if length > MAX_FRAME_OCTETS {
            return Err(PacketError::LargeFrame);
        }
        Ok(Layout {
            frames,
            first: &octets[..length],
        })
    }

    /// RFC 6716 3.2.4: two frames, the length of the first is told.
    fn two(octets: &[u8]) -> Result<Layout<'_>, PacketError> {
        let (length, octets) = length(octets)?;
        let (first, last) = octets
            .split_at_checked(length)
            .ok_or(PacketError::TooShort)?;
        if last.len() > MAX_FRAME_OCTETS {
            return Err(PacketError::LargeFrame);
        }
        Ok(Layout { frames: 2, first })
    }

    /// RFC 6716 3.2.5: any number of frames, and padding behind them.
    fn many(octets: &'a [u8]) -> Result<Layout<'a>, PacketError> {
        let (&head, mut octets) = octets.split_first().ok_or(PacketError::Cut)?;
        let frames = head & 0x3f;
        if frames == 0 {
            return Err(PacketError::Duration);
        }
        if head & 0x40 != 0 {
            octets = without_padding(octets)?;
        }
        if head & 0x80 == 0 {
            return Layout::equal(octets, frames);
        }
        let mut first = None;
        let mut told = 0;
        for _ in 1..frames {
            let (length, rest) = length(octets)?;
            first = first.or(Some(length));
            told += length;
            octets = rest;
        }
        let last = octets
            .len()
            .checked_sub(told)
            .ok_or(PacketError::TooShort)?;
        if last > MAX_FRAME_OCTETS {
            return Err(PacketError::LargeFrame);
        }
        let first = &octets[..first.unwrap_or(last)];
        Ok(Layout { frames, first })
    }
}

/// RFC 6716 3.2.1: a frame's length in one or two octets, at most 1275.
fn length(octets: &[u8]) -> Result<(usize, &[u8]), PacketError> {
    match octets {
        [short @ 0..252, rest @ ..] => Ok((usize::from(*short), rest)),
        [low, high, rest @ ..] => Ok((usize::from(*low) + 4 * usize::from(*high), rest)),
        _ => Err(PacketError::Cut),
    }
}

/// Reads how much padding there is, and cuts it off the end.
fn without_padding(mut octets: &[u8]) -> Result<&[u8], PacketError> {
    let mut padding = 0;
    loop {
        let (&count, rest) = octets.split_first().ok_or(PacketError::Cut)?;
        octets = rest;
        padding += usize::from(count.min(254));
        if count < 255 {
            break;
        }
    }
    let length = octets
        .len()
        .checked_sub(padding)
        .ok_or(PacketError::TooShort)?;
    Ok(&octets[..length])
}
