//! Everything that can happen, and the choice of what does.

use std::time::Duration;

use calls::{ClaimVerdict, Claimant, DoorReply, Home, Key, OpenDoor, Privacy, Withdrawal};
use model::{
    Authority, CloudUserId, EndCause, Faults, LegId, NodeId, Priority, RequestId, StationId,
};

use crate::support::station;

use super::World;
use super::plan::{NUMBERS, STATIONS};

const DOORS: [&str; 4] = ["front", "gate", "barrier", "nowhere"];

/// Everything that can happen.
#[derive(Clone, Debug)]
pub(super) enum Transition {
    Press {
        from: &'static str,
        to: &'static str,
        priority: Option<Priority>,
    },
    StrangerCalls {
        to: &'static str,
    },
    Rings {
        leg: LegId,
    },
    ShowsPicture {
        leg: LegId,
    },
    Answers {
        leg: LegId,
    },
    Refuses {
        leg: LegId,
        cause: EndCause,
    },
    Redirects {
        leg: LegId,
        to: &'static str,
    },
    HangsUp {
        leg: LegId,
    },
    Holds {
        leg: LegId,
    },
    Resumes {
        leg: LegId,
    },
    Key {
        leg: LegId,
        key: Key,
    },
    Types {
        leg: LegId,
        digits: &'static str,
    },
    Transfers {
        leg: LegId,
        to: &'static str,
    },
    TransfersAttended {
        leg: LegId,
        with: LegId,
    },
    TakesOver {
        station: &'static str,
        replaced: LegId,
    },
    Opens {
        door: &'static str,
        authority: Authority,
    },
    OpensAgain {
        command: OpenDoor,
    },
    DoorSays {
        reply: DoorReply,
    },
    Files {
        from: &'static str,
        desk: &'static str,
        priority: Option<Priority>,
        home: Home,
    },
    Claims {
        request: RequestId,
        by: Claimant,
    },
    TakesNext {
        desk: &'static str,
        by: Claimant,
    },
    Dismisses {
        request: RequestId,
        by: Claimant,
    },
    Withdraws {
        request: RequestId,
        why: Withdrawal,
    },
    Verdict {
        request: RequestId,
        verdict: ClaimVerdict,
    },
    Dials {
        from: &'static str,
        to: &'static str,
    },
    OperatorEndsLeg {
        leg: LegId,
    },
    Comes {
        station: StationId,
    },
    Goes {
        station: StationId,
    },
    Faults {
        station: StationId,
        faults: Faults,
    },
    Hides {
        station: StationId,
        privacy: Privacy,
    },
    Waits {
        time: Duration,
    },
    Reloads {
        version: u64,
    },
    SetsClock,
    Drains,
}

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

impl World {
    fn leg(&mut self) -> Option<LegId> {
        let mut alive: Vec<LegId> = Vec::new();
        for call in self.site.engine.calls() {
            alive.extend(call.legs.iter().map(|leg| leg.leg));
        }
        let of = if alive.is_empty() || self.random.one_in(25) {
            &self.legs
        } else {
            &alive
        };
        if of.is_empty() {
            None
        } else {
            Some(self.random.pick(of))
        }
    }

    fn priority(&mut self) -> Option<Priority> {
        match self.random.below(6) {
            0 => Some(Priority::new(5).unwrap()),
            1 => Some(Priority::new(30).unwrap()),
            2 => Some(Priority::new(150).unwrap()),
            _ => None,
        }
    }

    fn claimant(&mut self) -> Claimant {
        if self.random.one_in(5) {
            Claimant::CloudUser(CloudUserId::new(9))
        } else {
            Claimant::Station(station(
                self.random.pick(&["102", "103", "104", "105", "112"]),
            ))
        }
    }

    fn authority(&mut self) -> Option<Authority> {
        Some(match self.random.below(5) {
            0 => Authority::Operator,
            1 => Authority::CloudUser(CloudUserId::new(9)),
            2 => Authority::Station(station(self.random.pick(&STATIONS))),
            _ => Authority::Leg(self.leg()?),
        })
    }

    pub(super) fn choose(&mut self) -> Option<Transition> {
        use Transition as T;
        let r = &mut self.random;
        // Door stations call more than others.
        let from = if r.one_in(3) {
            r.pick(&["101", "103"])
        } else {
            r.pick(&STATIONS)
        };
        let to = r.pick(&NUMBERS);
        let any = r.pick(&STATIONS);
        let request = (!self.requests.is_empty()).then(|| {
            let recent = self.requests.len().saturating_sub(6);
            self.random.pick(&self.requests[recent..])
        });
        Some(match self.random.below(100) {
            0..=15 => T::Press {
                from,
                to,
                priority: self.priority(),
            },
            16 => T::StrangerCalls { to },
            17..=22 => T::Rings { leg: self.leg()? },
            23..=25 => T::ShowsPicture { leg: self.leg()? },
            26..=41 => T::Answers { leg: self.leg()? },
            42..=45 => T::Refuses {
                leg: self.leg()?,
                cause: self.random.pick(&EndCause::ALL),
            },
            46 => T::Redirects {
                leg: self.leg()?,
                to,
            },
            47..=53 => T::HangsUp { leg: self.leg()? },
            54..=55 => T::Holds { leg: self.leg()? },
            56..=57 => T::Resumes { leg: self.leg()? },
            58..=59 => {
                let key = self.random.pick(&[Key::Pressed, Key::Released]);
                T::Key {
                    leg: self.leg()?,
                    key,
                }
            }
            60..=64 => {
                let digits = self.random.pick(&["1", "2", "5", "9", "12", "1#", "99999"]);
                T::Types {
                    leg: self.leg()?,
                    digits,
                }
            }
            65..=67 => T::Transfers {
                leg: self.leg()?,
                to,
            },
            68 => T::TransfersAttended {
                leg: self.leg()?,
                with: self.leg()?,
            },
            69 => T::TakesOver {
                station: any,
                replaced: self.leg()?,
            },
            70..=73 => {
                if !self.commands.is_empty() && self.random.one_in(3) {
                    let command = self.random.pick(&self.commands);
                    return Some(T::OpensAgain { command });
                }
                let door = self.random.pick(&DOORS);
                T::Opens {
                    door,
                    authority: self.authority()?,
                }
            }
            74..=75 => {
                let replies = [DoorReply::Sent, DoorReply::Opened, DoorReply::Failed];
                T::DoorSays {
                    reply: self.random.pick(&replies),
                }
            }
            76 => {
                let home = self.random.pick(&[Home::Here, Home::Node(NodeId::new(4))]);
                let desk = self.random.pick(&["510", "511"]);
                T::Files {
                    from,
                    desk,
                    priority: self.priority(),
                    home,
                }
            }
            77..=79 => T::Claims {
                request: request?,
                by: self.claimant(),
            },
            80 => T::TakesNext {
                desk: self.random.pick(&["510", "511"]),
                by: self.claimant(),
            },
            81 => T::Dismisses {
                request: request?,
                by: self.claimant(),
            },
            82 => {
                let why = [Withdrawal::ByRequester, Withdrawal::TakenElsewhere];
                T::Withdraws {
                    request: request?,
                    why: self.random.pick(&why),
                }
            }
            83 => {
                let verdicts = [ClaimVerdict::Granted, ClaimVerdict::TakenElsewhere];
                T::Verdict {
                    request: request?,
                    verdict: self.random.pick(&verdicts),
                }
            }
            84 => T::Dials { from, to },
            85 if self.random.one_in(4) => T::OperatorEndsLeg { leg: self.leg()? },
            85 | 86 => T::Comes {
                station: station(any),
            },
            87 => T::Goes {
                station: station(any),
            },
            88 => {
                let faults = [
                    Faults::NONE,
                    Faults::NONE,
                    Faults::TAMPER,
                    Faults::LINE_OPEN,
                ];
                T::Faults {
                    station: station(any),
                    faults: self.random.pick(&faults),
                }
            }
            89 => {
                let privacy = self.random.pick(&[Privacy::On, Privacy::Off, Privacy::Off]);
                T::Hides {
                    station: station(any),
                    privacy,
                }
            }
            90..=97 => {
                let times = [
                    1, 10, 500, 1_100, 3_000, 11_000, 31_000, 61_000, 200_000, 600_000,
                ];
                T::Waits {
                    time: Duration::from_millis(self.random.pick(&times)),
                }
            }
            98 => T::Reloads {
                version: self.random.next() % 6,
            },
            _ if self.random.one_in(30) => T::Drains,
            _ => T::SetsClock,
        })
    }
}
