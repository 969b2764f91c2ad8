//! Frames to Opus packets to Ogg pages (RFC 7845).
//!
//! Invariants: granule positions count the samples at 48 kHz that are in the pages so far, the
//! encoder's look-ahead included; nothing but whole pages is given out.

use std::fmt;

use ogg::writing::{PacketWriteEndInfo, PacketWriter};

use super::{LEN, Layout, RATE};
use crate::codec::opus::{self, OpenError};
use crate::codec::{AudioCodec, Encoder};

/// What the encoder is behind, in samples at 48 kHz: 6.5 ms (RFC 7845 4.2).
const PRE_SKIP: u16 = 312;

/// 20 ms in samples at 48 kHz.
const STEP: u64 = 960;

/// RFC 7845 6: a page should hold at most a second; a cut costs no more.
const PACKETS_PER_PAGE: u8 = 50;

const VENDOR: &str = "antiphon";

/// Speech is transparent at this rate for each side.
const BITRATE: u32 = 24_000;

pub(super) struct OggOpus {
    writer: PacketWriter<'static, Vec<u8>>,
    serial: u32,
    encoders: Vec<Encoder>,
    /// Samples at 48 kHz of what was recorded.
    samples: u64,
    in_page: u8,
}

impl fmt::Debug for OggOpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OggOpus")
            .field("serial", &self.serial)
            .field("samples", &self.samples)
            .finish_non_exhaustive()
    }
}

impl OggOpus {
    pub(super) fn new(layout: Layout, serial: u32, tags: &[String]) -> Result<OggOpus, OpenError> {
        let settings = opus::Settings {
            rate: RATE,
            bitrate: BITRATE,
            ..opus::Settings::default()
        };
        let encoders = (0..layout.channels())
            .map(|_| Encoder::new(AudioCodec::Opus, &settings))
            .collect::<Result<_, _>>()?;
        let mut file = OggOpus {
            writer: PacketWriter::new(Vec::new()),
            serial,
            encoders,
            samples: 0,
            in_page: 0,
        };
        // RFC 7845 3: each header has its own page, or pages.
        file.packet(head(layout), PacketWriteEndInfo::EndPage, 0);
        file.packet(comments(tags), PacketWriteEndInfo::EndPage, 0);
        Ok(file)
    }

    /// 20 ms of as many sides as the layout has.
    pub(super) fn write(&mut self, sides: &[[i16; LEN]]) {
        let packet = self.encoded(sides);
        // RFC 7845 4: all samples that can be decoded so far, look-ahead included.
        self.samples += STEP;
        self.in_page = (self.in_page + 1) % PACKETS_PER_PAGE;
        let end = match self.in_page {
            0 => PacketWriteEndInfo::EndPage,
            _ => PacketWriteEndInfo::NormalPacket,
        };
        self.packet(packet, end, self.samples);
    }

    /// Ends the stream. What the encoder still holds back is pushed out by a frame of silence, the
    /// rest of which the position of the page cuts off again (RFC 7845 4.4).
    pub(super) fn finish(&mut self) {
        let packet = self.encoded(&[[0; LEN]; 2]);
        let last = self.samples + u64::from(PRE_SKIP);
        self.packet(packet, PacketWriteEndInfo::EndStream, last);
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }

    fn packet(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo, position: u64) {
        self.writer
            .write_packet(packet, self.serial, end, position)
            .expect("a vector takes all octets");
    }

    /// RFC 7845 5.1.1 and RFC 6716 appendix B: all streams of one time in one packet; every one but
    /// the last says how long it is.
    fn encoded(&mut self, sides: &[[i16; LEN]]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(256);
        let last = self.encoders.len().saturating_sub(1);
        for (index, (encoder, side)) in self.encoders.iter_mut().zip(sides).enumerate() {
            let mut room = [0; opus::MAX_PACKET];
            let payload = match encoder.encode(side, &mut room) {
                Ok(len) => &room[..len],
                Err(_) => &[],
            };
            let (toc, frame) = one_frame(payload);
            packet.push(toc);
            if index < last {
                push_length(&mut packet, frame.len());
            }
            packet.extend_from_slice(frame);
        }
        packet
    }
}

/// The parts of a packet of one frame (RFC 6716 3.2.2), which are all that the encoder makes of
/// 20 ms. Anything else becomes a frame that was lost: wideband, 20 ms, empty.
fn one_frame(payload: &[u8]) -> (u8, &[u8]) {
    const LOST: u8 = 9 << 3;
    match payload.split_first() {
        Some((toc, frame)) if toc & 3 == 0 => (*toc, frame),
        Some(_) | None => (LOST, &[]),
    }
}

/// RFC 6716 3.2.1.
fn push_length(packet: &mut Vec<u8>, len: usize) {
    match u8::try_from(len) {
        Ok(short @ 0..252) => packet.push(short),
        Ok(_) | Err(_) => {
            let first = 252 + (len & 3);
            packet.push(first as u8);
            packet.push(((len - first) / 4) as u8);
        }
    }
}

/// RFC 7845 5.1.
fn head(layout: Layout) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(layout.channels());
    head.extend(PRE_SKIP.to_le_bytes());
    head.extend(RATE.hz().to_le_bytes());
    // No gain.
    head.extend(0_i16.to_le_bytes());
    match layout {
        Layout::One => head.push(0),
        // Family 1, two streams, none of them coupled, the first one left.
        Layout::Both => head.extend([1, 2, 0, 0, 1]),
    }
    head
}

/// RFC 7845 5.2.
fn comments(tags: &[String]) -> Vec<u8> {
    let mut comments = b"OpusTags".to_vec();
    push_text(&mut comments, VENDOR);
    comments.extend((tags.len() as u32).to_le_bytes());
    for tag in tags {
        push_text(&mut comments, tag);
    }
    comments
}

fn push_text(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u32).to_le_bytes());
    to.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_frame_says_its_length_in_two_octets() {
        let told = |len: usize| {
            let mut packet = Vec::new();
            push_length(&mut packet, len);
            match packet[..] {
                [short] => usize::from(short),
                [first, second] => usize::from(second) * 4 + usize::from(first),
                _ => usize::MAX,
            }
        };
        for len in 0..=1275 {
            assert_eq!(told(len), len);
        }
    }

    #[test]
    fn what_is_not_one_frame_counts_as_lost() {
        assert_eq!(one_frame(&[0x48, 1, 2]), (0x48, &[1, 2][..]));
        assert_eq!(one_frame(&[0x49, 1, 2]), (0x48, &[][..]));
        assert_eq!(one_frame(&[]), (0x48, &[][..]));
    }
}
