//! What is wrong with how a leg sounds, why most likely, and what to do about it.
//!
//! Looks at the figures of one leg and names the one thing that hurts most. Invariant: a leg that
//! sounds well has no diagnosis, and one of which too little was heard to judge has none either.

use std::time::Duration;

use model::{LegAudio, Mos};

/// Below, some are dissatisfied (G.107 Annex B: R of 70).
const POOR: Mos = Mos::from_hundredths(360);
/// Two seconds of audio; of less nothing can be said.
const ENOUGH: u64 = 100;
/// From here on loss is heard, whatever conceals it.
const LOSS_PERCENT: u64 = 3;
/// A device's own buffer seldom holds more.
const JITTER: Duration = Duration::from_millis(50);
/// There and back; people begin to talk at the same time.
const SLOW: Duration = Duration::from_millis(400);
/// A voice that is hardly there, in tenths of dBov.
const FAINT: i16 = -450;

/// The causes, the worse first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The device was sent audio and sent none.
    NothingHeard,
    LossFromDevice,
    LateFromDevice,
    LossTowardsDevice,
    JitterTowardsDevice,
    LongWay,
    Faint,
}

impl Cause {
    pub(crate) const ALL: [Self; 7] = [
        Self::NothingHeard,
        Self::LossFromDevice,
        Self::LateFromDevice,
        Self::LossTowardsDevice,
        Self::JitterTowardsDevice,
        Self::LongWay,
        Self::Faint,
    ];

    /// Name of the figure and in the log. Never changed once released.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NothingHeard => "nothing_heard",
            Self::LossFromDevice => "loss_from_device",
            Self::LateFromDevice => "late_from_device",
            Self::LossTowardsDevice => "loss_towards_device",
            Self::JitterTowardsDevice => "jitter_towards_device",
            Self::LongWay => "long_way",
            Self::Faint => "faint",
        }
    }

    /// In a few words, for a table.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::NothingHeard => "sends nothing",
            Self::LossFromDevice => "its packets are lost",
            Self::LateFromDevice => "its packets come too late",
            Self::LossTowardsDevice => "packets to it are lost",
            Self::JitterTowardsDevice => "packets reach it unevenly",
            Self::LongWay => "the way is long",
            Self::Faint => "its voice is faint",
        }
    }

    pub(crate) const fn remedy(self) -> &'static str {
        match self {
            Self::NothingHeard => {
                "look for a firewall or address translation between it and the gateway, which must \
                 let the media ports through, and whether its microphone is on"
            }
            Self::LossFromDevice | Self::LossTowardsDevice => {
                "look at the network between it and the gateway: cable, duplex, radio cover, a \
                 link that is full; EF marking (DSCP 46) must be honoured on the way"
            }
            Self::LateFromDevice | Self::JitterTowardsDevice => {
                "look for a link that is full at times, or radio, on its way to the gateway; EF \
                 marking (DSCP 46) must be honoured there"
            }
            Self::LongWay => "look at the way to it: VPN, radio or satellite links, full queues",
            Self::Faint => "raise its microphone, or look whether something covers it",
        }
    }
}

/// What is wrong with a leg, if anything is.
pub(crate) fn diagnose(audio: &LegAudio) -> Option<Cause> {
    let (received, sent) = (&audio.received, &audio.sent);
    if received.packets == 0 {
        return (sent.packets > ENOUGH).then_some(Cause::NothingHeard);
    }
    let all = received.packets + received.lost;
    if all < ENOUGH {
        return None;
    }
    let late = received.decoded.map_or(0, |decoded| decoded.late);
    let far = sent.far.filter(|_| sent.packets >= ENOUGH);
    let much = |part: u64, of: u64| part * 100 >= of * LOSS_PERCENT;
    let poor = |mos: Option<Mos>| mos.is_some_and(|mos| mos < POOR);
    let far_lost = far.map_or(0, |far| far.lost);
    let level = received.decoded.and_then(|decoded| decoded.level);
    let found = [
        (Cause::LossFromDevice, much(received.lost, all)),
        (Cause::LateFromDevice, much(late, all)),
        (
            Cause::LossTowardsDevice,
            much(far_lost, sent.packets) && far_lost > received.lost,
        ),
        (
            Cause::JitterTowardsDevice,
            far.is_some_and(|far| far.jitter > JITTER),
        ),
        (Cause::LateFromDevice, received.jitter > JITTER),
        (
            Cause::LongWay,
            audio.round_trip.is_some_and(|time| time > SLOW),
        ),
        // A score below what its causes explain one by one: the greatest share of it.
        (
            Cause::LossFromDevice,
            poor(received.mos) && received.lost > 0 && received.lost >= late,
        ),
        (Cause::LateFromDevice, poor(received.mos)),
        (Cause::LossTowardsDevice, poor(far.and_then(|far| far.mos))),
        (
            Cause::Faint,
            level.is_some_and(|level| level.tenths() < FAINT),
        ),
    ];
    found
        .iter()
        .find(|(_, holds)| *holds)
        .map(|(cause, _)| *cause)
}

#[cfg(test)]
mod tests {
    use model::{AudioCodec, Carried, Decoded, FarEnd, Level, Received, Sent};

    use super::*;

    fn well() -> LegAudio {
        LegAudio {
            codec: Some(AudioCodec::Pcma),
            band: None,
            carried: Carried::Relayed,
            encryption: None,
            round_trip: Some(Duration::from_millis(20)),
            silent_for: None,
            received: Received {
                packets: 1000,
                lost: 5,
                jitter: Duration::from_millis(3),
                mos: Some(Mos::from_hundredths(430)),
                ..Received::default()
            },
            sent: Sent {
                packets: 1000,
                far: Some(FarEnd {
                    lost: 5,
                    jitter: Duration::from_millis(3),
                    mos: Some(Mos::from_hundredths(430)),
                }),
            },
        }
    }

    fn with(change: impl FnOnce(&mut LegAudio)) -> Option<Cause> {
        let mut audio = well();
        change(&mut audio);
        diagnose(&audio)
    }

    fn far(lost: u64, jitter: u64) -> Option<FarEnd> {
        Some(FarEnd {
            lost,
            jitter: Duration::from_millis(jitter),
            mos: None,
        })
    }

    #[test]
    fn what_hurts_most_is_named() {
        let decoded = |late, level| {
            Some(Decoded {
                late,
                level: Some(Level::from_tenths(level)),
                ..Decoded::default()
            })
        };
        let table = [
            (with(|_| {}), None),
            (
                with(|of| of.received.packets = 0),
                Some(Cause::NothingHeard),
            ),
            (
                with(|of| of.received.lost = 50),
                Some(Cause::LossFromDevice),
            ),
            (
                with(|of| of.received.decoded = decoded(50, -260)),
                Some(Cause::LateFromDevice),
            ),
            (
                with(|of| of.sent.far = far(50, 0)),
                Some(Cause::LossTowardsDevice),
            ),
            (
                with(|of| of.sent.far = far(0, 80)),
                Some(Cause::JitterTowardsDevice),
            ),
            (
                with(|of| of.round_trip = Some(Duration::from_millis(600))),
                Some(Cause::LongWay),
            ),
            (
                with(|of| of.received.decoded = decoded(0, -500)),
                Some(Cause::Faint),
            ),
            (
                with(|of| of.received.mos = Some(Mos::from_hundredths(300))),
                Some(Cause::LossFromDevice),
            ),
        ];
        for (nth, (found, expected)) in table.into_iter().enumerate() {
            assert_eq!(found, expected, "case {nth}");
        }
    }

    #[test]
    fn loss_that_was_there_before_us_is_not_blamed_on_the_way_to_the_listener() {
        let relayed = with(|of| {
            of.received.lost = 20;
            of.sent.far = far(20, 0);
        });
        assert_eq!(relayed, None);
    }

    #[test]
    fn of_a_leg_that_hardly_spoke_nothing_is_said() {
        assert_eq!(
            with(|of| {
                of.received.packets = 40;
                of.received.lost = 20;
            }),
            None
        );
        assert_eq!(
            with(|of| {
                of.received.packets = 0;
                of.sent.packets = 50;
            }),
            None
        );
    }

    #[test]
    fn each_cause_has_a_name_of_its_own_and_a_remedy() {
        let names: std::collections::BTreeSet<_> = Cause::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), Cause::ALL.len());
        assert!(Cause::ALL.iter().all(|cause| !cause.remedy().is_empty()));
    }
}
