//! The one continuous stream that a receiver hears, whoever speaks.
//!
//! Rewrites SSRC, sequence number, timestamp and payload type so that early
//! media, the answered leg and a transfer's new party look like one sender.
//! Loss and reordering of the sender stay visible; only the joints vanish.
//!
//! Invariant: per sender, order and gaps are kept; across senders, sequence
//! numbers go on by one and time goes on by what has passed.

use std::time::{Duration, Instant};

use crate::quality::FarReport;
use crate::rtcp::ReportBlock;
use crate::rtp::{Header, ticks};
use crate::seed::Seed;
use crate::source::Position;

/// Forwarded sender reports that a receiver may still refer to.
const REPORTS: usize = 4;

/// Which stream of which leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) leg: u8,
    pub(crate) epoch: u32,
}

#[derive(Debug, Clone, Copy)]
struct Joint {
    origin: Origin,
    /// What came before this packet of the origin belongs to nobody's stream.
    first: i64,
    /// Outgoing minus incoming.
    sequence: i64,
    timestamp: u32,
    /// What the far end had lost when the origin began.
    lost: i32,
}

#[derive(Debug)]
pub(crate) struct Outgoing {
    ssrc: u32,
    joint: Option<Joint>,
    /// The extended number that was sent last in order.
    highest: i64,
    timestamp: u32,
    clock_rate: u32,
    /// Ticks between the last two packets.
    step: u32,
    sent: Option<Instant>,
    packets: u64,
    octets: u64,
    reports: [Option<(u32, Instant)>; REPORTS],
    next_report: usize,
    far: Option<FarReport>,
    round_trip: Option<Duration>,
}

impl Outgoing {
    pub(crate) fn new(seed: &mut Seed) -> Outgoing {
        Outgoing {
            ssrc: seed.next_u32(),
            joint: None,
            // Below 2^15, so that the first wrap is far off.
            highest: i64::from(seed.next_u32() & 0x7fff),
            timestamp: seed.next_u32(),
            clock_rate: 0,
            step: 0,
            sent: None,
            packets: 0,
            octets: 0,
            reports: [None; REPORTS],
            next_report: 0,
            far: None,
            round_trip: None,
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    pub(crate) fn octets(&self) -> u64 {
        self.octets
    }

    /// The clock of what was sent last; `None`: nothing was.
    pub(crate) fn clock_rate(&self) -> Option<u32> {
        self.sent.map(|_| self.clock_rate)
    }

    /// The time of the stream at a moment; `None`: nothing was sent yet.
    pub(crate) fn timestamp_at(&self, now: Instant) -> Option<u32> {
        let since = now.saturating_duration_since(self.sent?);
        Some(self.timestamp.wrapping_add(ticks(since, self.clock_rate)))
    }

    pub(crate) fn far(&self) -> Option<FarReport> {
        self.far
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The next packet begins anew, without a gap, even from the same sender.
    pub(crate) fn cut(&mut self) {
        self.joint = None;
    }

    /// The header under which the receiver gets this packet. `None`: it is
    /// from before the joint. The payload type is the caller's to write.
    pub(crate) fn carry(
        &mut self,
        origin: Origin,
        position: Position,
        header: &Header,
        clock_rate: u32,
        now: Instant,
    ) -> Option<Carried> {
        let known = self.joint.filter(|joint| joint.origin == origin);
        let joint = match known {
            Some(joint) if position.extended < joint.first => return None,
            Some(joint) => joint,
            None => self.join(origin, position, header, clock_rate, now),
        };
        let extended = position.extended + joint.sequence;
        let timestamp = header.timestamp.wrapping_add(joint.timestamp);
        if extended > self.highest {
            let step = timestamp.wrapping_sub(self.timestamp);
            if known.is_some() && extended == self.highest + 1 && step <= clock_rate / 5 {
                self.step = step;
            }
            self.highest = extended;
            self.timestamp = timestamp;
            self.clock_rate = clock_rate;
            self.sent = Some(now);
        }
        Some(Carried {
            header: Header {
                ssrc: self.ssrc,
                sequence: extended as u16,
                timestamp,
                ..*header
            },
            joined: known.is_none(),
        })
    }

    fn join(
        &mut self,
        origin: Origin,
        position: Position,
        header: &Header,
        clock_rate: u32,
        now: Instant,
    ) -> Joint {
        let next = match self.sent {
            None => self.timestamp,
            Some(sent) => {
                let passed = ticks(now.saturating_duration_since(sent), clock_rate);
                // At least what the last packet held: streams do not overlap.
                let held = if self.step == 0 {
                    clock_rate / 50
                } else {
                    self.step
                };
                self.timestamp.wrapping_add(passed.max(held))
            }
        };
        let joint = Joint {
            origin,
            first: position.extended,
            sequence: self.highest + 1 - position.extended,
            timestamp: next.wrapping_sub(header.timestamp),
            lost: self.far.map_or(0, |far| far.lost),
        };
        self.joint = Some(joint);
        joint
    }

    pub(crate) fn count(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }

    /// The origin's RTP time on this stream, for a sender report.
    pub(crate) fn timestamp_of(&self, origin: Origin, timestamp: u32) -> Option<u32> {
        let joint = self.joint.filter(|joint| joint.origin == origin)?;
        Some(timestamp.wrapping_add(joint.timestamp))
    }

    /// A report about this stream in the terms of the stream behind it.
    pub(crate) fn block_for(
        &self,
        origin: Origin,
        ssrc: u32,
        block: &ReportBlock,
    ) -> Option<ReportBlock> {
        let joint = self.joint.filter(|joint| joint.origin == origin)?;
        // Cycles count from zero on both sides, so 32 bits of each agree.
        let highest = block.highest.wrapping_sub(joint.sequence as u32);
        let from_before = (highest.wrapping_sub(joint.first as u32) as i32) < 0;
        if from_before {
            return None;
        }
        Some(ReportBlock {
            ssrc,
            highest,
            lost: block.lost.saturating_sub(joint.lost),
            ..*block
        })
    }

    /// A sequence number of this stream in the terms of the stream behind it.
    pub(crate) fn sequence_for(&self, origin: Origin, sequence: u16) -> Option<u16> {
        let joint = self.joint.filter(|joint| joint.origin == origin)?;
        Some(sequence.wrapping_sub(joint.sequence as u16))
    }

    /// A sender report went to the receiver, with these middle bits of its time.
    pub(crate) fn reported(&mut self, ntp_middle: u32, now: Instant) {
        self.reports[self.next_report] = Some((ntp_middle, now));
        self.next_report = (self.next_report + 1) % REPORTS;
    }

    /// The receiver reports about this stream.
    pub(crate) fn heard(&mut self, block: &ReportBlock, clock_rate: u32, now: Instant) {
        let micros = u64::from(block.jitter) * 1_000_000 / u64::from(clock_rate.max(1));
        self.far = Some(FarReport {
            fraction_lost: block.fraction_lost,
            lost: block.lost,
            jitter: Duration::from_micros(micros),
        });
        let sent = self.reports.iter().flatten();
        let sent = sent.filter(|(middle, _)| *middle == block.last_report);
        if let Some((_, at)) = sent.max_by_key(|(_, at)| *at) {
            // RFC 3550 6.4.1: arrival - last report - delay since then.
            let waited = Duration::from_secs(1).mul_f64(f64::from(block.delay) / 65536.0);
            let passed = now.saturating_duration_since(*at);
            self.round_trip = Some(passed.saturating_sub(waited));
        }
    }
}

/// A packet's new header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Carried {
    pub(crate) header: Header,
    /// The first of a new origin.
    pub(crate) joined: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Origin = Origin { leg: 0, epoch: 1 };
    const B: Origin = Origin { leg: 1, epoch: 1 };

    struct Heard {
        out: Outgoing,
        start: Instant,
    }

    impl Heard {
        fn new() -> Heard {
            Heard {
                out: Outgoing::new(&mut Seed::new(7)),
                start: Instant::now(),
            }
        }

        /// (sequence, timestamp, joined) of a packet, or nothing.
        fn carry(
            &mut self,
            ms: u64,
            origin: Origin,
            extended: i64,
            timestamp: u32,
        ) -> Option<(u16, u32, bool)> {
            let header = Header {
                sequence: extended as u16,
                timestamp,
                ssrc: 99,
                ..Header::parse(&[0x80, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap()
            };
            let position = Position {
                epoch: origin.epoch,
                extended,
            };
            let now = self.start + Duration::from_millis(ms);
            let carried = self.out.carry(origin, position, &header, 8000, now)?;
            assert_eq!(carried.header.ssrc, self.out.ssrc);
            let header = carried.header;
            Some((header.sequence, header.timestamp, carried.joined))
        }
    }

    #[test]
    fn gaps_and_order_of_one_sender_stay() {
        let mut heard = Heard::new();
        let (s, t, joined) = heard.carry(0, A, 1000, 5000).unwrap();
        assert!(joined);
        let mut expect = |extended: i64, sequence: u16| {
            let timestamp = (extended - 1000) as u32 * 160 + 5000;
            let at = (extended - 1000) as u64 * 20;
            let found = heard.carry(at, A, extended, timestamp);
            let sequence = s.wrapping_add(sequence);
            assert_eq!(found, Some((sequence, t + timestamp - 5000, false)));
        };
        expect(1001, 1);
        expect(1004, 4);
        expect(1003, 3);
        expect(1005, 5);
    }

    #[test]
    fn a_new_sender_goes_on_where_the_old_one_stopped() {
        let mut heard = Heard::new();
        heard.carry(0, A, 10, 0).unwrap();
        let (s, t, _) = heard.carry(20, A, 11, 160).unwrap();
        // 100 ms later somebody else.
        let joint = heard.carry(120, B, 60000, 777_777).unwrap();
        assert_eq!(joint, (s.wrapping_add(1), t + 800, true));
        let next = heard.carry(140, B, 60001, 777_937).unwrap();
        assert_eq!(next, (s.wrapping_add(2), t + 960, false));
        // A straggler from before the joint would repeat a number.
        assert_eq!(heard.carry(141, B, 59999, 777_617), None);
    }

    #[test]
    fn a_joint_at_once_still_leaves_room_for_the_last_packet() {
        let mut heard = Heard::new();
        heard.carry(0, A, 10, 0).unwrap();
        let (_, t, _) = heard.carry(20, A, 11, 160).unwrap();
        let (_, joint, _) = heard.carry(21, B, 5, 0).unwrap();
        assert_eq!(joint, t + 160);
    }

    #[test]
    fn a_cut_hides_what_was_not_forwarded() {
        let mut heard = Heard::new();
        let (s, _, _) = heard.carry(0, A, 10, 0).unwrap();
        heard.out.cut();
        let (next, _, joined) = heard.carry(10_000, A, 510, 80_000).unwrap();
        assert_eq!((next, joined), (s.wrapping_add(1), true));
    }

    #[test]
    fn reports_are_told_in_the_terms_of_the_sender() {
        let mut heard = Heard::new();
        let (s, t, _) = heard.carry(0, A, 70_000, 5000).unwrap();
        assert_eq!(heard.out.timestamp_of(A, 5160), Some(t + 160));
        assert_eq!(heard.out.timestamp_of(B, 5160), None);
        assert_eq!(
            heard.out.sequence_for(A, s.wrapping_add(3)),
            Some(70_003u32 as u16)
        );
        let block = ReportBlock {
            ssrc: heard.out.ssrc,
            fraction_lost: 3,
            lost: 2,
            highest: u32::from(s) + 5,
            jitter: 80,
            last_report: 0,
            delay: 0,
        };
        let told = heard.out.block_for(A, 42, &block).unwrap();
        assert_eq!((told.ssrc, told.highest, told.lost), (42, 70_005, 2));
        let before = ReportBlock {
            highest: u32::from(s) - 1,
            ..block
        };
        assert_eq!(heard.out.block_for(A, 42, &before), None);
    }

    #[test]
    fn the_round_trip_is_what_the_far_end_did_not_wait() {
        let mut heard = Heard::new();
        let start = heard.start;
        heard.out.reported(0x1234_5678, start);
        let block = ReportBlock {
            ssrc: 0,
            fraction_lost: 0,
            lost: 0,
            highest: 0,
            jitter: 80,
            last_report: 0x1234_5678,
            delay: 65536 / 2,
        };
        let at = start + Duration::from_millis(540);
        heard.out.heard(&block, 8000, at);
        assert_eq!(heard.out.round_trip(), Some(Duration::from_millis(40)));
        let jitter = heard.out.far().map(|far| far.jitter);
        assert_eq!(jitter, Some(Duration::from_millis(10)));
    }
}
