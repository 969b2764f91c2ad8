//! RTCP compounds: read in one walk, written anew (RFC 3550 6, RFC 4585 6).
//!
//! The walk is tolerant (unknown packets, reduced-size compounds) but exact in
//! lengths. The writer knows only what we send: one report with at most one
//! block, our CNAME, feedback. Does not translate; see [`crate::translate`].
//!
//! Invariant: a [`Compound`] exists only if each length in it fits, so that
//! walking it cannot fail.

use crate::rtp::Malformed;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

const CNAME: u8 = 1;

/// Feedback kinds (RFC 4585 6.2.1, 6.3.1; RFC 5104 4.3.1).
pub const NACK: u8 = 1;
pub const PLI: u8 = 1;
pub const FIR: u8 = 4;

/// RFC 3550 6.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    pub ssrc: u32,
    pub fraction_lost: u8,
    pub lost: i32,
    pub highest: u32,
    pub jitter: u32,
    pub last_report: u32,
    /// In 65536ths of a second.
    pub delay: u32,
}

impl ReportBlock {
    const LEN: usize = 24;

    fn parse(octets: &[u8; Self::LEN]) -> ReportBlock {
        let lost = i32::from_be_bytes([octets[5], octets[6], octets[7], 0]) >> 8;
        ReportBlock {
            ssrc: word(octets, 0),
            fraction_lost: octets[4],
            lost,
            highest: word(octets, 2),
            jitter: word(octets, 3),
            last_report: word(octets, 4),
            delay: word(octets, 5),
        }
    }
}

/// What a sender says about its own stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    pub ntp: u64,
    pub timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

impl SenderInfo {
    /// The bits that a receiver gives back in its reports.
    pub fn ntp_middle(&self) -> u32 {
        (self.ntp >> 16) as u32
    }
}

/// Feedback is about the transport or about the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedbackKind {
    Transport,
    Payload,
}

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'p> {
    Report {
        ssrc: u32,
        sender: Option<SenderInfo>,
        blocks: Blocks<'p>,
    },
    Feedback {
        kind: FeedbackKind,
        format: u8,
        sender: u32,
        media: u32,
        /// Feedback control information.
        control: &'p [u8],
    },
    SourceDescription,
    Bye,
    /// Known to somebody else, or too short for its own type.
    Other(u8),
}

/// The report blocks of one report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks<'p>(&'p [u8]);

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(ReportBlock::parse(block))
    }
}

/// A datagram whose packet lengths add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compound<'p>(&'p [u8]);

impl<'p> Compound<'p> {
    pub fn parse(datagram: &'p [u8]) -> Result<Compound<'p>, Malformed> {
        let mut rest = datagram;
        if rest.is_empty() {
            return Err(Malformed::Empty);
        }
        while !rest.is_empty() {
            rest = split(rest)?.1;
        }
        Ok(Compound(datagram))
    }

    pub fn packets(&self) -> impl Iterator<Item = Packet<'p>> + use<'p> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (packet, after) = split(rest).ok()?;
            rest = after;
            Some(read(packet))
        })
    }
}

/// Cuts the first packet off. RFC 3550 6.4.1: the length counts 32-bit words
/// after the first.
fn split(datagram: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let head = datagram.first_chunk::<4>().ok_or(Malformed::Rtcp)?;
    if head[0] >> 6 != 2 {
        return Err(Malformed::NotRtp);
    }
    let length = (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1) * 4;
    datagram.split_at_checked(length).ok_or(Malformed::Rtcp)
}

fn read(packet: &[u8]) -> Packet<'_> {
    let (count, kind) = (packet[0] & 0x1f, packet[1]);
    let report = |info: usize| {
        let blocks = packet.get(8 + info..)?;
        let stated = usize::from(count) * ReportBlock::LEN;
        // Fewer than stated is read as far as it goes; profile extensions
        // after the blocks are not blocks.
        Some(Blocks(&blocks[..stated.min(blocks.len())]))
    };
    let feedback = |kind| {
        let control = packet.get(12..)?;
        Some(Packet::Feedback {
            kind,
            format: count,
            sender: word(packet, 1),
            media: word(packet, 2),
            control,
        })
    };
    let read = match kind {
        SENDER_REPORT => report(20).map(|blocks| Packet::Report {
            ssrc: word(packet, 1),
            sender: Some(SenderInfo {
                ntp: u64::from(word(packet, 2)) << 32 | u64::from(word(packet, 3)),
                timestamp: word(packet, 4),
                packets: word(packet, 5),
                octets: word(packet, 6),
            }),
            blocks,
        }),
        RECEIVER_REPORT => report(0).map(|blocks| Packet::Report {
            ssrc: word(packet, 1),
            sender: None,
            blocks,
        }),
        SOURCE_DESCRIPTION => Some(Packet::SourceDescription),
        BYE => Some(Packet::Bye),
        TRANSPORT_FEEDBACK => feedback(FeedbackKind::Transport),
        PAYLOAD_FEEDBACK => feedback(FeedbackKind::Payload),
        _ => None,
    };
    read.unwrap_or(Packet::Other(kind))
}

/// The n-th 32-bit word, zero beyond the end.
pub(crate) fn word(octets: &[u8], n: usize) -> u32 {
    let at = octets.get(n * 4..n * 4 + 4);
    at.and_then(|found| found.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

/// The longest compound we write.
pub(crate) const MAX_LEN: usize = 1400;

/// Writes one compound. What does not fit is left out as a whole.
#[derive(Debug)]
pub(crate) struct Writer {
    buffer: [u8; MAX_LEN],
    len: usize,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        Writer {
            buffer: [0; MAX_LEN],
            len: 0,
        }
    }

    pub(crate) fn written(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    pub(crate) fn report(
        &mut self,
        ssrc: u32,
        sender: Option<SenderInfo>,
        block: Option<&ReportBlock>,
    ) {
        let kind = match sender {
            Some(_) => SENDER_REPORT,
            None => RECEIVER_REPORT,
        };
        self.packet(kind, u8::from(block.is_some()), |body| {
            body.word(ssrc);
            if let Some(info) = sender {
                body.word((info.ntp >> 32) as u32);
                body.word(info.ntp as u32);
                body.word(info.timestamp);
                body.word(info.packets);
                body.word(info.octets);
            }
            if let Some(block) = block {
                body.word(block.ssrc);
                let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
                body.word(u32::from(block.fraction_lost) << 24 | lost);
                body.word(block.highest);
                body.word(block.jitter);
                body.word(block.last_report);
                body.word(block.delay);
            }
        });
    }

    pub(crate) fn cname(&mut self, ssrc: u32, cname: &[u8; 16]) {
        self.packet(SOURCE_DESCRIPTION, 1, |body| {
            body.word(ssrc);
            body.octets(&[CNAME, 16]);
            body.octets(cname);
            // RFC 3550 6.5: at least one null octet, up to the next word.
            body.octets(&[0, 0]);
        });
    }

    pub(crate) fn bye(&mut self, ssrc: u32) {
        self.packet(BYE, 1, |body| body.word(ssrc));
    }

    pub(crate) fn feedback(
        &mut self,
        kind: FeedbackKind,
        format: u8,
        sender: u32,
        media: u32,
        control: impl Iterator<Item = u32>,
    ) {
        let kind = match kind {
            FeedbackKind::Transport => TRANSPORT_FEEDBACK,
            FeedbackKind::Payload => PAYLOAD_FEEDBACK,
        };
        self.packet(kind, format, |body| {
            body.word(sender);
            body.word(media);
            control.for_each(|word| body.word(word));
        });
    }

    fn packet(&mut self, kind: u8, count: u8, fill: impl FnOnce(&mut Body<'_>)) {
        let start = self.len;
        let mut body = Body {
            buffer: &mut self.buffer,
            len: start,
            full: false,
        };
        body.octets(&[0x80 | (count & 0x1f), kind, 0, 0]);
        fill(&mut body);
        let (end, full) = (body.len, body.full);
        if full {
            return;
        }
        let words = ((end - start) / 4 - 1) as u16;
        self.buffer[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
        self.len = end;
    }
}

struct Body<'b> {
    buffer: &'b mut [u8; MAX_LEN],
    len: usize,
    full: bool,
}

impl Body<'_> {
    fn word(&mut self, word: u32) {
        self.octets(&word.to_be_bytes());
    }

    fn octets(&mut self, octets: &[u8]) {
        match self.buffer.get_mut(self.len..self.len + octets.len()) {
            Some(room) => {
                room.copy_from_slice(octets);
                self.len += octets.len();
            }
            None => self.full = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 7,
        fraction_lost: 25,
        lost: -3,
        highest: 0x0001_0203,
        jitter: 9,
        last_report: 10,
        delay: 11,
    };

    const INFO: SenderInfo = SenderInfo {
        ntp: 0x0102_0304_0506_0708,
        timestamp: 1,
        packets: 2,
        octets: 3,
    };

    #[test]
    fn what_is_written_reads_back() {
        let mut writer = Writer::new();
        writer.report(1, Some(INFO), Some(&BLOCK));
        writer.cname(1, b"0123456789abcdef");
        writer.feedback(
            FeedbackKind::Transport,
            NACK,
            1,
            2,
            [0x0005_0001].into_iter(),
        );
        let compound = Compound::parse(writer.written()).unwrap();
        let packets: Vec<_> = compound.packets().collect();
        let [report, Packet::SourceDescription, feedback] = packets[..] else {
            panic!("{packets:?}")
        };
        let Packet::Report {
            ssrc: 1,
            sender: Some(INFO),
            blocks,
        } = report
        else {
            panic!("{report:?}")
        };
        assert_eq!(blocks.collect::<Vec<_>>(), [BLOCK]);
        let expected = Packet::Feedback {
            kind: FeedbackKind::Transport,
            format: NACK,
            sender: 1,
            media: 2,
            control: &[0, 5, 0, 1],
        };
        assert_eq!(feedback, expected);
        assert_eq!(INFO.ntp_middle(), 0x0304_0506);
    }

    #[test]
    fn lengths_over_the_end_are_refused() {
        let table: &[(&[u8], Malformed)] = &[
            (&[], Malformed::Empty),
            (&[0x80, 201, 0], Malformed::Rtcp),
            (&[0x80, 201, 0, 1], Malformed::Rtcp),
            (&[0x80, 201, 0, 0, 0x80, 200, 0xff, 0xff], Malformed::Rtcp),
            (&[0x80, 201, 0, 0, 0x40, 200, 0, 0], Malformed::NotRtp),
        ];
        for (datagram, expected) in table {
            assert_eq!(Compound::parse(datagram), Err(*expected));
        }
    }

    #[test]
    fn packets_too_short_for_their_type_and_unknown_ones_are_passed_over() {
        let datagram = [
            0x81, 200, 0, 0, // a sender report of nothing
            0x80, 207, 0, 1, 1, 2, 3, 4, // extended reports
            0x80, 205, 0, 1, 1, 2, 3, 4, // feedback without a media source
            0x81, 201, 0, 1, 0, 0, 0, 9, // a report that states a block and has none
        ];
        let compound = Compound::parse(&datagram).unwrap();
        let packets: Vec<_> = compound.packets().collect();
        let last = Packet::Report {
            ssrc: 9,
            sender: None,
            blocks: Blocks(&[]),
        };
        let other = Packet::Other;
        assert_eq!(packets, [other(200), other(207), other(205), last]);
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let mut writer = Writer::new();
        writer.report(1, None, None);
        let before = writer.written().len();
        writer.feedback(FeedbackKind::Payload, FIR, 1, 2, 0..1000);
        assert_eq!(writer.written().len(), before);
        writer.feedback(FeedbackKind::Payload, PLI, 1, 2, 0..0);
        assert_eq!(writer.written().len(), before + 12);
        assert!(Compound::parse(writer.written()).is_ok());
    }
}
