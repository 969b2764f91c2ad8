//! Our own reports to a leg that hears something we encode or itself, or is heard by being decoded.
//!
//! Where packets are passed on, the two ends report to each other and [`crate::translate`] carries
//! that over. Where we stand between them as a mixer does, nobody but us can say what was sent and
//! what came: this says when, and writes it (RFC 3550 6.2 to 6.4). Legs between which packets are
//! only relayed get none of it.
//!
//! There are always two members, we and the peer, so the interval is the minimum whatever the
//! bandwidth, and reconsideration (6.3.3) would find nothing changed.
//!
//! Invariant: a goodbye is said only where something was said before.

use std::time::{Duration, Instant};

use crate::codec::AudioCodec;
use crate::guard::Outlet;
use crate::leg::Leg;
use crate::relay::Sink;
use crate::rtcp::{Compound, Packet, ReportBlock, SenderInfo, Writer};
use crate::rtp::Kind;
use crate::seed::Seed;
use crate::session::{Session, slots};
use crate::source::Source;

/// RFC 3550 6.2: the shortest mean interval.
const MINIMUM: Duration = Duration::from_secs(5);

/// RFC 3550 6.3.1: divides the interval, because its randomness makes it longer than meant.
const COMPENSATION: f64 = std::f64::consts::E - 1.5;

/// Who reports what to one leg, and when.
#[derive(Debug)]
pub(crate) struct Reporting {
    seed: Seed,
    /// Our clock where the peer's partner has none; any other would do.
    since: Instant,
    next: Option<Instant>,
    /// Packets sent by the last report but one, and by the last (RFC 3550 6.4: a sender has sent
    /// since the last but one).
    sent: [u64; 2],
    heard: Received,
    /// Something was reported, so that a goodbye is understood.
    said: bool,
}

/// The wall clock of a peer, as its last report told it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerClock {
    ssrc: u32,
    info: SenderInfo,
    at: Instant,
}

/// What had come by the last report.
#[derive(Debug, Clone, Copy, Default)]
struct Received {
    /// Another stream counts anew, even under the same SSRC.
    epoch: u32,
    expected: u64,
    received: u64,
}

impl Reporting {
    fn new(mut seed: Seed, bandwidth: Option<AudioCodec>, now: Instant) -> Reporting {
        let first = interval(&mut seed, minimum(bandwidth) / 2);
        Reporting {
            seed,
            since: now,
            next: Some(now + first),
            sent: [0; 2],
            heard: Received::default(),
            said: false,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    fn block(
        &mut self,
        source: &Source,
        peer: Option<PeerClock>,
        now: Instant,
    ) -> Option<ReportBlock> {
        let ssrc = source.ssrc()?;
        let stream = source.stream_figures()?;
        let epoch = source.epoch();
        let before = match self.heard.epoch == epoch {
            true => self.heard,
            false => Received::default(),
        };
        let expected = stream.expected.saturating_sub(before.expected);
        let received = stream.received.saturating_sub(before.received);
        if received == 0 {
            // RFC 3550 6.4: only about those who were heard since the last report.
            return None;
        }
        self.heard = Received {
            epoch,
            expected: stream.expected,
            received: stream.received,
        };
        let lost = expected.saturating_sub(received);
        let told = peer.filter(|peer| peer.ssrc == ssrc);
        Some(ReportBlock {
            ssrc,
            // RFC 3550 A.3; all of it would be 256.
            fraction_lost: u8::try_from(lost * 256 / expected.max(1)).unwrap_or(u8::MAX),
            lost: i32::try_from(stream.expected.saturating_sub(stream.received))
                .unwrap_or(i32::MAX),
            highest: stream.highest as u32,
            jitter: stream.jitter,
            last_report: told.map_or(0, |told| told.info.ntp_middle()),
            delay: told.map_or(0, |told| {
                let since = now.saturating_duration_since(told.at);
                (ntp(since) >> 16) as u32
            }),
        })
    }
}

impl Leg {
    /// From now on we report to this leg, if we do not yet.
    pub(crate) fn begin_to_report(&mut self, now: Instant) {
        let voice = self.formats.voice().map(|(_, codec)| codec);
        match &mut self.reporting {
            None => {
                let seed = Seed::new(u64::from(self.out.ssrc()) ^ 0x5253_4554);
                self.reporting = Some(Box::new(Reporting::new(seed, voice, now)));
            }
            Some(reporting) if reporting.next.is_none() => {
                let wait = interval(&mut reporting.seed, minimum(voice));
                reporting.next = Some(now + wait);
            }
            Some(_) => {}
        }
    }

    /// What the peer says of its own stream.
    pub(crate) fn hear_clock(&mut self, compound: Compound<'_>, now: Instant) {
        for packet in compound.packets() {
            if let Packet::Report {
                ssrc,
                sender: Some(info),
                ..
            } = packet
                && self.source.ssrc() == Some(ssrc)
            {
                self.clock = Some(PeerClock {
                    ssrc,
                    info,
                    at: now,
                });
            }
        }
    }

    fn report(
        &mut self,
        speaker: Option<PeerClock>,
        cname: &[u8; 16],
        now: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) {
        let voice = self.formats.voice().map(|(_, codec)| codec);
        let Some(mut reporting) = self.reporting.take() else {
            return;
        };
        let wait = interval(&mut reporting.seed, minimum(voice));
        reporting.next = Some(now + wait);
        let sender = self.sender_info(&reporting, speaker, now);
        reporting.sent = [reporting.sent[1], self.out.packets()];
        let block = reporting.block(&self.source, self.clock, now);
        let mut writer = Writer::new();
        writer.report(self.out.ssrc(), sender, block.as_ref());
        writer.cname(self.out.ssrc(), cname);
        if self.send_report(&writer, outlet) {
            reporting.said = true;
            if let Some(info) = sender {
                self.out.reported(info.ntp_middle(), now);
            }
        }
        self.reporting = Some(reporting);
    }

    fn sender_info(
        &self,
        reporting: &Reporting,
        speaker: Option<PeerClock>,
        now: Instant,
    ) -> Option<SenderInfo> {
        if self.out.packets() == reporting.sent[0] {
            return None;
        }
        // RFC 3550 6.4.1: a picture that is relayed beside this sound runs on the speaker's clock,
        // so the sound does too.
        let ntp = match speaker {
            Some(clock) => {
                let since = now.saturating_duration_since(clock.at);
                clock.info.ntp.wrapping_add(ntp(since))
            }
            None => ntp(now.saturating_duration_since(reporting.since)),
        };
        Some(SenderInfo {
            ntp,
            timestamp: self.out.timestamp_at(now)?,
            packets: self.out.packets() as u32,
            octets: self.out.octets() as u32,
        })
    }

    fn send_report(&mut self, writer: &Writer, outlet: &mut Outlet<'_, impl Sink>) -> bool {
        let Some(way) = self.rtcp_target() else {
            return false;
        };
        match outlet.send(&mut self.guard, Kind::Rtcp, way, writer.written()) {
            Ok(()) => true,
            Err(reason) => {
                self.drops.count(reason);
                false
            }
        }
    }

    /// RFC 3550 6.3.7: with so few members at once.
    fn say_goodbye(&mut self, cname: &[u8; 16], outlet: &mut Outlet<'_, impl Sink>) {
        let reported = self.reporting.as_ref();
        if !reported.is_some_and(|reporting| reporting.said) {
            return;
        }
        let mut writer = Writer::new();
        writer.report(self.out.ssrc(), None, None);
        writer.cname(self.out.ssrc(), cname);
        writer.bye(self.out.ssrc());
        self.send_report(&writer, outlet);
    }
}

impl Session {
    /// Reports to a leg, if it is time.
    pub(crate) fn report_if_due(
        &mut self,
        slot: u8,
        now: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) {
        let Some(leg) = self.leg(slot) else { return };
        let due = leg.reporting.as_ref().and_then(|reporting| reporting.next);
        if due.is_none_or(|due| due > now) {
            return;
        }
        let ours = self.hears_us(slot) || self.is_decoded(slot) || leg.hears == Some(slot);
        let speaker = leg.hears.and_then(|speaker| self.leg(speaker)?.clock);
        let cname = self.cname();
        let Some(leg) = self.leg_mut(slot) else {
            return;
        };
        if ours {
            leg.report(speaker, &cname, now, outlet);
        } else if let Some(reporting) = &mut leg.reporting {
            reporting.next = None;
        }
    }

    pub(crate) fn say_goodbye(&mut self, slot: u8, outlet: &mut Outlet<'_, impl Sink>) {
        let cname = self.cname();
        if let Some(leg) = self.leg_mut(slot) {
            leg.say_goodbye(&cname, outlet);
        }
    }

    /// Whether what this leg hears is encoded here.
    pub(crate) fn hears_us(&self, slot: u8) -> bool {
        self.leg(slot).is_some_and(Leg::hears_our_words) || self.is_in_crowd(slot)
    }

    /// Whether somebody hears this leg only because it is decoded here.
    pub(crate) fn is_decoded(&self, slot: u8) -> bool {
        let Some(leg) = self.leg(slot) else {
            return false;
        };
        let listeners = leg.heard_by;
        let mut listeners = slots(listeners).filter_map(|listener| self.leg(listener));
        leg.is_mixed || listeners.any(Leg::hears_our_words)
    }
}

/// RFC 3550 6.2: 360 divided by the bandwidth in kbit/s, where that is less than five seconds. The
/// codecs of 64 kbit/s take 80 with their headers.
fn minimum(codec: Option<AudioCodec>) -> Duration {
    match codec {
        Some(AudioCodec::Pcma | AudioCodec::Pcmu | AudioCodec::G722) => {
            Duration::from_millis(360_000 / 80)
        }
        Some(AudioCodec::Opus) | None => MINIMUM,
    }
}

/// RFC 3550 6.3.1: between half and one and a half of what is meant, so that reports of many do
/// not fall together.
fn interval(seed: &mut Seed, meant: Duration) -> Duration {
    let part = f64::from(seed.next_u32()) / f64::from(u32::MAX);
    meant.mul_f64((0.5 + part) / COMPENSATION)
}

/// Seconds and their 2^32nds.
fn ntp(time: Duration) -> u64 {
    let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
    time.as_secs() << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_spread_around_what_is_meant() {
        let mut seed = Seed::new(1);
        let times: Vec<f64> = (0..2000)
            .map(|_| interval(&mut seed, MINIMUM).as_secs_f64())
            .collect();
        let (least, most) = (2.5 / COMPENSATION, 7.5 / COMPENSATION);
        assert!(times.iter().all(|time| (least..=most).contains(time)));
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        assert!((mean - 5.0 / COMPENSATION).abs() < 0.1, "{mean}");
    }

    #[test]
    fn time_is_told_in_seconds_and_their_parts() {
        assert_eq!(ntp(Duration::from_millis(2500)), 2 << 32 | 1 << 31);
        assert_eq!(ntp(Duration::ZERO), 0);
    }
}
