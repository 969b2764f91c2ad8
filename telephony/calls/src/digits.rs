//! Door codes dialled during a conversation (C10, P1): digits come one by one, with pauses.
//!
//! A code opens a door of the *other* side's station. Digits that begin no code count as a wrong
//! code; too many of them on one leg and its digits open nothing any more, so that nobody can try
//! all codes in one call. Where there is no code to dial, digits are passed on to the other side.

use std::time::Instant;

use model::{Authority, CallId, Digit, DoorCode, DoorId, InCallRight, LegId};

use crate::call::State;
use crate::engine::Engine;
use crate::input::OpenDoor;
use crate::output::{Event, Output, Tone};
use crate::timer::Timer;

/// What was typed on a leg so far.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    /// The beginning of at least one code; never longer than one.
    entered: Vec<Digit>,
    wrong: u8,
}

/// What a further digit leads to.
enum Reading {
    Incomplete,
    Complete(DoorId),
    Wrong,
}

impl Typed {
    fn read(&mut self, digit: Digit, codes: &[(DoorId, DoorCode)]) -> Reading {
        self.entered.push(digit);
        let begun = !codes
            .iter()
            .any(|(_, code)| code.digits().starts_with(&self.entered));
        if begun {
            // A fresh start with this digit, as people do who have mistyped.
            self.entered.clear();
            self.entered.push(digit);
            if !codes
                .iter()
                .any(|(_, code)| code.digits().starts_with(&self.entered))
            {
                self.entered.clear();
            }
            self.wrong = self.wrong.saturating_add(1);
        }
        match codes.iter().find(|(_, code)| code.digits() == self.entered) {
            Some((door, _)) => {
                self.entered.clear();
                Reading::Complete(*door)
            }
            None if begun => Reading::Wrong,
            None => Reading::Incomplete,
        }
    }
}

impl Engine {
    pub(crate) fn digit(&mut self, leg: LegId, digit: Digit) {
        let Some(call) = self.call_of(leg) else {
            self.counters.stale_inputs += 1;
            return;
        };
        if self.partners(leg).is_empty() {
            self.counters.unfit_inputs += 1;
            return;
        }
        let codes = self.codes_for(leg);
        if codes.is_empty() {
            return self.pass_digit_on(call, leg, digit);
        }
        let (wrong_codes, pause) = (self.config.wrong_codes, self.after(self.config.inter_digit));
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        if entry.typed.wrong >= wrong_codes {
            return;
        }
        let reading = entry.typed.read(digit, &codes);
        let (waits, locked) = (
            !entry.typed.entered.is_empty(),
            entry.typed.wrong >= wrong_codes,
        );
        if waits && !locked {
            self.timers.set(Timer::Digits(leg), pause);
        } else {
            self.timers.cancel(Timer::Digits(leg));
        }
        match reading {
            Reading::Incomplete => {}
            Reading::Complete(door) => self.open_by_code(leg, door),
            Reading::Wrong => {
                self.counters.door_codes_wrong += 1;
                if locked {
                    self.event(Event::DoorCodesLocked { leg });
                }
            }
        }
    }

    fn open_by_code(&mut self, leg: LegId, door: DoorId) {
        let id = self.ids.command();
        let valid_until: Instant = self.after(self.config.door_validity);
        let authority = Authority::Leg(leg);
        let opened = self.execute(OpenDoor {
            id,
            door,
            authority,
            valid_until,
        });
        let tone = if opened.is_ok() {
            Tone::DoorSent
        } else {
            Tone::DoorRefused
        };
        self.push(Output::Tone { leg, tone });
    }

    /// Without a door on the other side the keys are meant for whoever is there.
    fn pass_digit_on(&mut self, call: CallId, leg: LegId, digit: Digit) {
        if let Some(other) = self.talking(call).and_then(|t| t.other(leg)) {
            self.push(Output::SendDigit { leg: other, digit });
        }
    }

    /// Whether keys pressed on this leg could open a door now.
    pub fn could_dial_a_code(&self, leg: LegId) -> bool {
        !self.codes_for(leg).is_empty()
    }

    /// The pause after the last digit was too long: the next one begins a new code.
    pub(crate) fn digits_paused(&mut self, leg: LegId) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.typed.entered.clear();
        }
    }

    /// The doors that this leg could open by dialling now.
    fn codes_for(&self, leg: LegId) -> Vec<(DoorId, DoorCode)> {
        let (own, partners) = (self.station_of_leg(leg), self.partners(leg));
        let stations = partners
            .iter()
            .filter_map(|other| self.station_of_leg(*other));
        let stations = stations.filter(|id| Some(*id) != own);
        let stations = stations.filter_map(|id| self.directory.station(id));
        let doors = stations.flat_map(|station| &station.doors);
        let dialled = doors.filter(|door| door.in_call != InCallRight::Nobody);
        dialled
            .filter_map(|door| Some((door.id, door.code?)))
            .collect()
    }

    /// The legs that this one is in a conversation with.
    pub(crate) fn partners(&self, leg: LegId) -> Vec<LegId> {
        let Some(call) = self.call_of(leg).and_then(|call| self.calls.get(&call)) else {
            return Vec::new();
        };
        match &call.state {
            State::Talking(talking) => talking.other(leg).into_iter().collect(),
            State::Room(room) => room.partners(leg),
            State::Summoning(_) | State::Ringing(_) | State::Queued(_) | State::Escalating(_) => {
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(codes: &[&str], dialled: &str, opened: &[u64], wrong: u8) {
        let code = |text: &&str| DoorCode::parse(text).unwrap();
        let codes: Vec<_> = (1..).map(DoorId::new).zip(codes.iter().map(code)).collect();
        let mut typed = Typed::default();
        let mut doors = Vec::new();
        for key in dialled.chars() {
            if let Reading::Complete(door) = typed.read(Digit::from_char(key).unwrap(), &codes) {
                doors.push(door.get());
            }
        }
        assert_eq!(
            (doors.as_slice(), typed.wrong),
            (opened, wrong),
            "{codes:?} {dialled}"
        );
        assert!(typed.entered.len() <= DoorCode::MAX_DIGITS);
    }

    #[test]
    fn digits_one_by_one_make_a_code() {
        check(&["1234"], "1234", &[1], 0);
        check(&["1234"], "123", &[], 0);
        check(&["1", "22"], "221", &[2, 1], 0);
        check(&["1234"], "12341234", &[1, 1], 0);
    }

    #[test]
    fn a_mistyped_code_counts_and_the_next_digit_may_begin_the_right_one() {
        check(&["1234"], "91234", &[1], 1);
        check(&["1234"], "121234", &[1], 1);
        check(&["1234"], "999", &[], 3);
        check(&["12", "5"], "15", &[2], 1);
    }
}
