//! How well a leg is heard: figures for call records, metrics and the live view.
//!
//! The opinion score is an estimate by a simplified E-model, meant to compare
//! calls and to find bad links, not to certify a codec:
//!
//! - `R = 93.2 - Id - Ie_eff`, ITU-T G.107 with its default values.
//! - `Id = 0.024 d + 0.11 (d - 177.3) [d > 177.3]`, d in ms: half the round
//!   trip, one packet of 20 ms, and the listener's buffer, taken as twice the
//!   jitter but at least 40 ms.
//! - `Ie_eff = Ie + (95 - Ie) Ppl / (Ppl + Bpl)`, Ppl in per cent, random loss.
//!   Ie and Bpl per codec as in [`impairment`].
//! - `MOS = 1 + 0.035 R + 7e-6 R (R - 60) (100 - R)`, R between 0 and 100.
//!
//! It judges what the leg sends to us, on the narrowband scale (4.4 at best).

use std::time::Duration;

use crate::format::Codec;

/// Why a packet went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Neither RTP nor RTCP, or with lengths that run over its end.
    Malformed,
    /// From an address that this leg may not have.
    Refused,
    /// Faster than a leg may send.
    Flood,
    Duplicate,
    /// Too late, or the first after an unlikely jump of sequence numbers.
    OutOfPlace,
    /// Another SSRC while the known one still speaks.
    ForeignSsrc,
    /// A payload type that was not agreed on.
    UnknownPayload,
    /// The leg was not to send.
    NotToSend,
    /// The receiving leg has no payload type for this codec.
    NoPayloadType,
    /// The receiving leg is not to be sent to, or its address is not known yet.
    NowhereToSend,
    /// SRTP whose tag is not that of the agreed key: forged, damaged, or plain RTP.
    Forged,
    /// SRTP that came already, or is too old to know.
    Replayed,
    /// The leg is to be secure, and its keys are not agreed on yet.
    NoKeys,
    /// A key has protected as many packets as it may (RFC 3711 9.2).
    KeyExhausted,
}

impl Reason {
    pub const ALL: [Reason; 14] = [
        Reason::Malformed,
        Reason::Refused,
        Reason::Flood,
        Reason::Duplicate,
        Reason::OutOfPlace,
        Reason::ForeignSsrc,
        Reason::UnknownPayload,
        Reason::NotToSend,
        Reason::NoPayloadType,
        Reason::NowhereToSend,
        Reason::Forged,
        Reason::Replayed,
        Reason::NoKeys,
        Reason::KeyExhausted,
    ];

    /// A name fit for a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::Refused => "refused_source",
            Reason::Flood => "flood",
            Reason::Duplicate => "duplicate",
            Reason::OutOfPlace => "out_of_place",
            Reason::ForeignSsrc => "foreign_ssrc",
            Reason::UnknownPayload => "unknown_payload",
            Reason::NotToSend => "not_to_send",
            Reason::NoPayloadType => "no_payload_type",
            Reason::NowhereToSend => "nowhere_to_send",
            Reason::Forged => "srtp_authentication",
            Reason::Replayed => "srtp_replay",
            Reason::NoKeys => "srtp_no_keys",
            Reason::KeyExhausted => "srtp_key_exhausted",
        }
    }
}

/// A counter per [`Reason`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops([u64; Reason::ALL.len()]);

impl Drops {
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn count(&mut self, reason: Reason) {
        self.0[reason as usize] += 1;
    }
}

/// What the far end says about the stream that we send it (RFC 3550 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FarReport {
    /// Lost since its last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost since the stream began; copies can make it negative.
    pub lost: i32,
    pub jitter: Duration,
}

/// One leg's figures since it was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Quality {
    /// What the leg's peer speaks now; `None`: it has said nothing yet.
    pub codec: Option<Codec>,
    /// What it says is decoded here for somebody, or what it hears is encoded here.
    pub transcoded: bool,
    /// Received and in place.
    pub packets: u64,
    pub octets: u64,
    /// By sequence numbers (RFC 3550 A.3).
    pub expected: u64,
    pub lost: u64,
    pub duplicates: u64,
    pub reordered: u64,
    pub jitter: Duration,
    pub sent_packets: u64,
    pub sent_octets: u64,
    /// How long ago the last packet came; `None`: none yet.
    pub last_packet: Option<Duration>,
    /// Between us and the far end, by RTCP.
    pub round_trip: Option<Duration>,
    pub far: Option<FarReport>,
    /// Estimated for audio that was heard at all.
    pub mos: Option<f32>,
    pub drops: Drops,
}

/// (Ie, Bpl) of ITU-T G.113 for G.711 with concealment. The others have no
/// agreed narrowband figures; theirs are estimates: no impairment of their own,
/// G.722 conceals less well, Opus better.
fn impairment(codec: Codec) -> Option<(f32, f32)> {
    match codec {
        Codec::Pcmu | Codec::Pcma => Some((0.0, 25.1)),
        Codec::G722 => Some((0.0, 20.0)),
        Codec::Opus => Some((0.0, 30.0)),
        Codec::TelephoneEvent | Codec::ComfortNoise | Codec::Other(_) => None,
    }
}

/// The estimated opinion score; `None` for what is not audio of a known codec.
pub fn mos(
    codec: Codec,
    lost: u64,
    expected: u64,
    jitter: Duration,
    round_trip: Option<Duration>,
) -> Option<f32> {
    let (ie, bpl) = impairment(codec)?;
    let ms = |time: Duration| time.as_secs_f32() * 1000.0;
    let ppl = 100.0 * lost as f32 / expected.max(1) as f32;
    let delay = ms(round_trip.unwrap_or_default()) / 2.0 + 20.0 + (2.0 * ms(jitter)).max(40.0);
    let delay_impairment = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    let r = 93.2 - delay_impairment - (ie + (95.0 - ie) * ppl / (ppl + bpl));
    let r = r.clamp(0.0, 100.0);
    let score = 1.0 + 0.035 * r + 7e-6 * r * (r - 60.0) * (100.0 - r);
    // The polynomial dips below 1 for very small R.
    Some(score.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(lost: u64, jitter: u64, round_trip: u64) -> f32 {
        let ms = Duration::from_millis;
        mos(Codec::Pcma, lost, 100, ms(jitter), Some(ms(round_trip))).unwrap()
    }

    #[test]
    fn the_score_is_that_of_the_e_model() {
        // A local call; 2 % loss; a satellite; a dead line.
        let table = [
            (score(0, 1, 2), 4.37),
            (score(2, 1, 2), 4.24),
            (score(0, 5, 600), 3.35),
            (score(100, 0, 0), 1.1),
        ];
        for (found, expected) in table {
            assert!((found - expected).abs() < 0.06, "{found} not {expected}");
        }
    }

    #[test]
    fn the_score_falls_with_loss_jitter_and_delay_and_stays_on_its_scale() {
        let mut last = 5.0;
        for lost in 0..=100 {
            let now = score(lost, 0, 0);
            assert!(now <= last && (1.0..=4.5).contains(&now));
            last = now;
        }
        assert!(score(0, 100, 0) < score(0, 10, 0));
        assert!(score(0, 0, 900) < score(0, 0, 100));
        let video = mos(Codec::Other(1), 0, 1, Duration::ZERO, None);
        assert_eq!(video, None);
    }

    #[test]
    fn each_reason_has_its_counter_and_name() {
        let mut drops = Drops::default();
        for reason in Reason::ALL {
            drops.count(reason);
            assert_eq!(drops.of(reason), 1, "{}", reason.name());
        }
        assert_eq!(drops.total(), Reason::ALL.len() as u64);
    }
}
