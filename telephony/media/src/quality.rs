//! How well a leg is heard: figures for call records, metrics and the live view.
//!
//! Only what they are called; they are put together in [`crate::measure`].

use std::time::Duration;

use crate::decoded::Decoded;
use crate::format::Codec;
use crate::srtp::Suite;

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
    /// How it is protected; `None`: not at all.
    pub suite: Option<Suite>,
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
    /// How long ago the last packet of its stream came; `None`: none yet.
    pub last_packet: Option<Duration>,
    /// Between us and the far end, by RTCP.
    pub round_trip: Option<Duration>,
    /// From its mouth to whoever hears it here, estimated once the round trip is known: half of
    /// that, the packets, the buffer.
    pub delay: Option<Duration>,
    /// Where it is, or was, decoded here.
    pub decoded: Option<Decoded>,
    /// What the peer says of what it is sent. Where that is relayed, what was lost before it came
    /// to us is lost there too.
    pub far: Option<FarReport>,
    /// The estimated score of what it sends to us, if that is audio of a known codec.
    pub mos: Option<f32>,
    /// The same of what it is sent, by its own reports.
    pub far_mos: Option<f32>,
    pub drops: Drops,
}

#[cfg(test)]
mod tests {
    use super::*;

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
