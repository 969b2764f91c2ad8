//! "What happens at ...?": the way of a call at a given moment, in words (C6).
//!
//! It reads the same rules that the call engine reads. It knows the schedules, not the stations'
//! states; what depends on them is told as "if".

use std::fmt;

use crate::{
    Address, CallNumber, Condition, Destination, Directory, ForwardWhen, Station, Timestamp, limits,
};

/// The way of a call that is made at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub at: Timestamp,
    pub steps: Vec<Step>,
    /// When a schedule on the way changes next; until then the answer holds.
    pub holds_until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many conditions stand before this step.
    pub depth: u8,
    /// What must have happened for this step to come; None: it comes anyway.
    pub given: Option<ForwardWhen>,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Rings(CallNumber),
    /// The station's rule at this position (from 0) sends the call on.
    Forwards {
        station: CallNumber,
        rule: usize,
        to: Address,
    },
    RingsAll {
        group: CallNumber,
        members: usize,
    },
    WaitsAtDesk {
        desk: CallNumber,
        positions: usize,
    },
    JoinsConference(CallNumber),
    Announces {
        group_call: CallNumber,
        members: usize,
    },
    HearsItself(CallNumber),
    LeavesTo(Address),
    EndsUnknown(Address),
    EndsInLoop(Address),
}

impl Directory {
    /// What happens to a call to `to` that is made at `at`.
    pub fn explain(&self, to: &Address, at: Timestamp) -> Explanation {
        let mut walk = Walk {
            directory: self,
            at,
            steps: Vec::new(),
            way: Vec::new(),
            until: None,
        };
        walk.follow(to, None);
        Explanation {
            at,
            steps: walk.steps,
            holds_until: walk.until,
        }
    }
}

struct Walk<'a> {
    directory: &'a Directory,
    at: Timestamp,
    steps: Vec<Step>,
    /// The addresses from the start to here.
    way: Vec<Address>,
    until: Option<Timestamp>,
}

impl Walk<'_> {
    fn follow(&mut self, to: &Address, given: Option<ForwardWhen>) {
        if self.way.contains(to) || self.way.len() >= limits::MAX_HOPS {
            return self.step(given, What::EndsInLoop(to.clone()));
        }
        let directory = self.directory;
        self.way.push(to.clone());
        match directory.destination(to) {
            Some(Destination::Station(station)) => self.station(station, given),
            Some(Destination::RingGroup(group)) => {
                let members = group.members.len();
                self.step(
                    given,
                    What::RingsAll {
                        group: group.number,
                        members,
                    },
                );
                if let Some(then) = &group.then {
                    let after = group.ring_for;
                    self.follow(then, Some(ForwardWhen::NoAnswer { after }));
                }
            }
            Some(Destination::Desk(desk)) => {
                let positions = desk.positions.len();
                self.step(
                    given,
                    What::WaitsAtDesk {
                        desk: desk.number,
                        positions,
                    },
                );
                if let Some(escalation) = &desk.escalation {
                    let after = escalation.after;
                    self.follow(&escalation.to, Some(ForwardWhen::NoAnswer { after }));
                }
            }
            Some(Destination::Conference(room)) => {
                self.step(given, What::JoinsConference(room.number));
            }
            Some(Destination::GroupCall(call)) => {
                let members = call.members.len();
                self.step(
                    given,
                    What::Announces {
                        group_call: call.number,
                        members,
                    },
                );
            }
            Some(Destination::EchoTest(number)) => self.step(given, What::HearsItself(number)),
            Some(Destination::Elsewhere(address)) => {
                self.step(given, What::LeavesTo(address.clone()));
            }
            None => self.step(given, What::EndsUnknown(to.clone())),
        }
        self.way.pop();
    }

    fn station(&mut self, station: &Station, given: Option<ForwardWhen>) {
        let site = self.directory.site();
        for rule in &station.forwarding {
            let change = rule
                .schedule
                .as_ref()
                .and_then(|s| s.next_change(self.at, station.zone_at(site)));
            self.until = [self.until, change].into_iter().flatten().min();
        }
        let number = station.number;
        if let Some((rule, found)) = station.forwarding_rule(Condition::Arriving, self.at, site) {
            let to = found.to.clone();
            self.step(
                given,
                What::Forwards {
                    station: number,
                    rule,
                    to,
                },
            );
            return self.follow(&found.to, None);
        }
        self.step(given, What::Rings(number));
        for condition in [Condition::Busy, Condition::NoAnswer, Condition::Unreachable] {
            if let Some((_, rule)) = station.forwarding_rule(condition, self.at, site) {
                self.follow(&rule.to, Some(rule.when));
            }
        }
    }

    fn step(&mut self, given: Option<ForwardWhen>, what: What) {
        let depth = u8::try_from(self.way.len().saturating_sub(1)).unwrap_or(u8::MAX);
        self.steps.push(Step { depth, given, what });
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{}{step}", "  ".repeat(usize::from(step.depth)))?;
        }
        match self.holds_until {
            Some(until) => write!(f, "so until {until}"),
            None => write!(f, "no schedule changes this"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.given {
            None | Some(ForwardWhen::Always) => {}
            Some(ForwardWhen::Busy) => write!(f, "if busy: ")?,
            Some(ForwardWhen::NoAnswer { after }) => {
                write!(f, "if nobody answers for {} s: ", after.as_secs())?;
            }
            Some(ForwardWhen::Unreachable) => write!(f, "if it is not there: ")?,
        }
        match &self.what {
            What::Rings(number) => write!(f, "{number} rings"),
            What::Forwards { station, rule, .. } => {
                write!(f, "{station} forwards by its rule {}", rule + 1)
            }
            What::RingsAll { group, members } => {
                write!(f, "the {members} members of group {group} ring")
            }
            What::WaitsAtDesk { desk, positions } => {
                write!(
                    f,
                    "it waits at desk {desk} for one of {positions} positions"
                )
            }
            What::JoinsConference(number) => write!(f, "it joins conference {number}"),
            What::Announces {
                group_call,
                members,
            } => {
                write!(f, "group call {group_call} to {members} stations")
            }
            What::HearsItself(number) => write!(f, "echo test {number}: it hears itself"),
            What::LeavesTo(address) => write!(f, "it leaves to {address:?}"),
            What::EndsUnknown(address) => write!(f, "it ends: {address:?} does not exist"),
            What::EndsInLoop(address) => write!(f, "it ends in a circle at {address:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        DayPeriod, Desk, DeskId, ForwardingRule, Lists, Reach, RingGroup, RingGroupId, Schedule,
        SipUri, Site, StationId, StationKind, Weekdays,
    };

    fn number(text: &str) -> CallNumber {
        CallNumber::parse(text).unwrap()
    }

    /// A porter's lodge that is left at night, a reception, a desk behind them.
    fn directory() -> Directory {
        let station = |text: &str| {
            let reach = Reach::Direct(SipUri::parse("sip:x@192.0.2.1").unwrap());
            Station::new(
                StationId::from_key(text),
                number(text),
                StationKind::Generic,
                reach,
            )
        };
        let mut lists = Lists {
            site: Site::in_zone("Europe/Vienna").unwrap(),
            stations: vec![station("101"), station("102"), station("103")],
            ring_groups: vec![RingGroup::new(
                RingGroupId::new(1),
                number("500"),
                vec![number("102").into(), number("103").into()],
            )],
            desks: vec![Desk::new(
                DeskId::new(1),
                number("510"),
                vec![number("103").into()],
            )],
            ..Lists::default()
        };
        let mut at_night = ForwardingRule::new(ForwardWhen::Always, number("500").into());
        at_night.schedule = Some(Schedule {
            weekdays: Weekdays::ALL,
            dates: None,
            period: Some(DayPeriod::parse("18:00", "07:00").unwrap()),
        });
        let after = Duration::from_secs(20);
        let no_answer = ForwardingRule::new(ForwardWhen::NoAnswer { after }, number("510").into());
        let busy = ForwardingRule::new(ForwardWhen::Busy, number("102").into());
        lists.stations[0].forwarding = vec![at_night, no_answer, busy];
        lists.ring_groups[0].then = Some(number("510").into());
        Directory::build(lists).unwrap()
    }

    fn check(to: &str, at: &str, expected: &str) {
        let at = Timestamp::from_jiff(at.parse().unwrap());
        let explanation = directory().explain(&number(to).into(), at);
        assert_eq!(explanation.to_string(), expected);
    }

    #[test]
    fn by_day_the_lodge_rings_c6() {
        check(
            "101",
            "2026-01-05T12:00+01:00",
            "101 rings\n  \
             if busy: 102 rings\n  \
             if nobody answers for 20 s: it waits at desk 510 for one of 1 positions\n\
             so until 2026-01-05T17:00:00Z",
        );
    }

    #[test]
    fn by_night_the_group_does_c6() {
        check(
            "101",
            "2026-01-05T23:00+01:00",
            "101 forwards by its rule 1\n  \
             the 2 members of group 500 ring\n    \
             if nobody answers for 30 s: it waits at desk 510 for one of 1 positions\n\
             so until 2026-01-06T06:00:00Z",
        );
    }

    #[test]
    fn a_number_of_nobody_leads_nowhere() {
        check(
            "999",
            "2026-01-05T12:00+01:00",
            "it ends: Local(999) does not exist\nno schedule changes this",
        );
    }
}
