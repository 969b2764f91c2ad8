//! What hands do at the site: press, answer, talk, take, break, mend.
//!
//! Each act works or says why not, in words for whoever holds the site in the hand. It never does
//! half of one.

use std::time::{Duration, Instant};

use legacy_protocols::command::{
    Authority, Cause, Command, Divert, Key, Keys, OutputAction, OutputCommand, OutputId, Programme,
    Switch,
};
use legacy_protocols::event::{Event, Faults, TalkMode, Talker};
use legacy_protocols::number::Party;
use legacy_protocols::priority::Priority;
use legacy_protocols::text::Text;

use super::calls::{Call, End, Phase};
use super::doors::number;
use super::kept::Dialled;
use super::lines::Pending;
use super::plan::{StationKind, Wish};
use super::station::{Busy, CallId, ContactState, Hinge};
use super::wires::{Circuit, Member, Part, Voice};
use super::{Output, Site};

/// A hand at a station, and what it does there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub station: Party,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A call button, counted from 1.
    Press(usize),
    Answer,
    /// Hang up, refuse, leave, take a request back: whatever the station is in.
    Cancel,
    Dial(Party, Priority),
    Keys(Keys),
    /// The talk key of a conversation in which one talks.
    Talk(Key),
    /// From open duplex to simplex and back.
    Simplex(Switch),
    /// Take the request of somebody, or the most urgent one.
    Take(Option<Party>),
    /// Open this door of that station.
    Open(Party, u16),
    Hold(Switch),
    Transfer(Party),
    Group(u16, Switch),
    Conference(u16, Switch),
    Divert(Divert),
    Privacy(Switch),
    Programme(Programme),
    Input(u16, Switch),
    Break(Faults),
    Mend,
    Contact(u16, ContactState),
    Hinge(u16, Hinge),
    /// The surveillance test.
    Test,
}

/// Why a hand could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("there is no station {0:?} here")]
    NoStation(Party),
    #[error("{0} is broken and does nothing; mend it first")]
    Broken(String),
    #[error("{station} has no {what} {number}")]
    NoSuch {
        station: String,
        what: &'static str,
        number: usize,
    },
    #[error("{0} is busy")]
    Busy(String),
    #[error("nobody calls {0}")]
    NotCalled(String),
    #[error("{0} is in no call")]
    NoCall(String),
    #[error("nobody waits at {0}")]
    NothingWaits(String),
    #[error("{0} is no desk")]
    NoDesk(String),
    #[error("no line leads there, or it is down")]
    NoLine,
    #[error("the call was refused: {0}")]
    Refused(&'static str),
    #[error("group {0} does not exist or somebody talks to it")]
    NoGroup(u16),
}

const PULSE: Duration = Duration::from_secs(3);
const VALID: Duration = Duration::from_secs(10);

impl Site {
    pub(super) fn hand(&mut self, act: &Act, now: Instant) -> Result<(), Trouble> {
        let station = act.station;
        let Some(known) = self.stations.get(&station) else {
            return Err(Trouble::NoStation(station));
        };
        let from_outside = matches!(
            act.what,
            What::Break(_) | What::Mend | What::Contact(..) | What::Hinge(..) | What::Test
        );
        if !known.works() && !from_outside {
            return Err(Trouble::Broken(known.plan.name.clone()));
        }
        match &act.what {
            What::Press(button) => self.press(station, *button, now),
            What::Answer => self.answer_call(station, now),
            What::Cancel => self.cancel_all(station, now),
            What::Dial(to, priority) => self.dial_from(station, *to, *priority, None, now),
            What::Keys(keys) => self.press_keys(station, keys, now),
            What::Talk(key) => self.talk_key(station, *key, now),
            What::Simplex(on) => self.simplex(station, *on, now),
            What::Take(from) => self.take_at(station, *from, now),
            What::Open(of, door) => self.open_from(station, *of, *door, now),
            What::Hold(on) => self.hold(station, *on, now),
            What::Transfer(to) => self.transfer(station, *to, now),
            What::Group(group, Switch::On) => {
                self.must_be_free(station)?;
                let started = self.group_start(*group, station, Priority::NORMAL, now);
                started.then_some(()).ok_or(Trouble::NoGroup(*group))
            }
            What::Group(group, Switch::Off) => {
                let stopped = self.group_stop(*group, station);
                stopped.then_some(()).ok_or(Trouble::NoGroup(*group))
            }
            What::Conference(number, Switch::On) => {
                self.must_be_free(station)?;
                let joined = self.join(*number, station);
                joined.then_some(()).ok_or(Trouble::NoGroup(*number))
            }
            What::Conference(number, Switch::Off) => {
                let left = self.leave(*number, station);
                left.then_some(()).ok_or(Trouble::NoGroup(*number))
            }
            What::Divert(divert) => {
                self.alter(station, |station| station.divert = *divert);
                Ok(())
            }
            What::Privacy(on) => {
                self.alter(station, |station| station.privacy = *on);
                Ok(())
            }
            What::Programme(programme) => {
                self.set_programme(station, *programme);
                Ok(())
            }
            What::Input(input, state) => self.set_input(station, *input, *state, now),
            What::Break(faults) => {
                self.set_faults(station, *faults, now);
                Ok(())
            }
            What::Mend => {
                self.set_faults(station, Faults::NONE, now);
                Ok(())
            }
            What::Contact(door, state) => {
                let done = self.set_contact(station, *door, *state);
                self.have(done, station, "door with a contact,", *door)
            }
            What::Hinge(door, hinge) => {
                let done = self.set_hinge(station, *door, *hinge);
                self.have(done, station, "door", *door)
            }
            What::Test => {
                self.line_test(station, now);
                Ok(())
            }
        }
    }

    fn press(&mut self, station: Party, button: usize, now: Instant) -> Result<(), Trouble> {
        let buttons = self.stations.get(&station).map(|s| &s.plan.buttons);
        let chosen = buttons
            .and_then(|all| all.get(button.checked_sub(1)?))
            .cloned();
        let Some(button) = chosen else {
            return Err(self.no_such(station, "button", button));
        };
        match button.wish {
            Wish::Call => self.dial_from(station, button.to, button.priority, button.text, now),
            Wish::Request => {
                self.file(station, button.to, button.priority, button.text, now);
                Ok(())
            }
        }
    }

    fn dial_from(
        &mut self,
        station: Party,
        to: Party,
        priority: Priority,
        text: Option<Text>,
        now: Instant,
    ) -> Result<(), Trouble> {
        self.must_be_free(station)?;
        self.show(station, "");
        self.keep_no_longer(station);
        let dialled = Dialled {
            to,
            priority,
            text: text.clone(),
        };
        match self.dial(station, to, priority, text, now) {
            Ok(_) => {
                self.dialled.insert(station, dialled);
                Ok(())
            }
            Err(Cause(38)) if self.would_keep(priority) => {
                self.keep(station, dialled, now);
                Ok(())
            }
            Err(Cause(3 | 38)) => Err(Trouble::NoLine),
            Err(cause) => {
                let why = why(cause);
                self.show(station, why);
                Err(Trouble::Refused(why))
            }
        }
    }

    fn answer_call(&mut self, station: Party, now: Instant) -> Result<(), Trouble> {
        match self.stations.get(&station).map(|known| known.busy) {
            Some(Busy::Called(call)) => {
                self.connect(call, now);
                Ok(())
            }
            _ => Err(Trouble::NotCalled(self.title(station))),
        }
    }

    fn cancel_all(&mut self, station: Party, now: Instant) -> Result<(), Trouble> {
        let busy = self.stations.get(&station).map_or(Busy::No, |s| s.busy);
        match busy {
            Busy::Called(call) => self.end_call(call, Cause::REJECTED, None, now),
            Busy::Calling(call) | Busy::Talking(call) => {
                self.end_call(call, Cause::NORMAL, None, now);
            }
            Busy::Conference(group) | Busy::Listening(group) | Busy::Announcing(group) => {
                self.leave_gathering(group.0, station);
            }
            Busy::No => {
                let kept = self.keep_no_longer(station);
                if !self.cancel(station, now) && !kept {
                    return Err(Trouble::NoCall(self.title(station)));
                }
            }
        }
        self.show(station, "");
        Ok(())
    }

    fn press_keys(&mut self, station: Party, keys: &Keys, now: Instant) -> Result<(), Trouble> {
        let (_, call) = self.talking(station)?;
        if let Some(line) = far_line(&call) {
            let command = Command::Keys {
                station: call.other(station),
                keys: keys.clone(),
            };
            self.lines[line].ask(command, Pending::Other(Some(station)), now);
        }
        Ok(())
    }

    fn talk_key(&mut self, station: Party, key: Key, now: Instant) -> Result<(), Trouble> {
        let (id, _) = self.talking(station)?;
        let talker = self.talker(id, station, key);
        self.set_mode(id, TalkMode::Simplex(talker), Teller::Us, now);
        Ok(())
    }

    fn simplex(&mut self, station: Party, on: Switch, now: Instant) -> Result<(), Trouble> {
        let (id, _) = self.talking(station)?;
        let mode = match on {
            Switch::On => TalkMode::Simplex(Talker::Called),
            Switch::Off => TalkMode::OpenDuplex,
        };
        self.set_mode(id, mode, Teller::Us, now);
        Ok(())
    }

    fn take_at(&mut self, desk: Party, from: Option<Party>, now: Instant) -> Result<(), Trouble> {
        let kind = self.stations.get(&desk).map(|known| known.plan.kind);
        if kind != Some(StationKind::Desk) {
            return Err(Trouble::NoDesk(self.title(desk)));
        }
        self.must_be_free(desk)?;
        if self.take(desk, from, now) {
            Ok(())
        } else {
            Err(Trouble::NothingWaits(self.title(desk)))
        }
    }

    fn open_from(
        &mut self,
        desk: Party,
        of: Party,
        door: u16,
        now: Instant,
    ) -> Result<(), Trouble> {
        let action = OutputAction::Pulse(PULSE);
        if self.is_ours(of) {
            let driven = self.drive(of, door, action, None, now);
            return self.have(driven, of, "door", door);
        }
        let line = self.line_to(of.node).ok_or(Trouble::NoLine)?;
        let name = format!("{}: {}", self.name, self.title(desk));
        let name = &name.as_bytes()[..name.len().min(Authority::MOST_OCTETS)];
        let command = OutputCommand {
            // Numbers of a site are its own; a second site has another node.
            id: OutputId(u64::from(desk.node.0) << 48 | self.fresh()),
            station: of,
            output: door,
            action,
            authority: Authority::new(name).unwrap_or_default(),
            valid_until: now + VALID,
        };
        self.lines[line].ask(Command::DoorOpen(command), Pending::Door { desk }, now);
        Ok(())
    }

    fn hold(&mut self, station: Party, on: Switch, now: Instant) -> Result<(), Trouble> {
        let (id, call) = self.talking(station)?;
        self.set_held(id, on);
        if let Some((line, call)) = far_call(&call) {
            let command = match on {
                Switch::On => Command::Hold { call },
                Switch::Off => Command::Retrieve { call },
            };
            self.lines[line].ask(command, Pending::Other(Some(station)), now);
        }
        Ok(())
    }

    fn transfer(&mut self, station: Party, to: Party, now: Instant) -> Result<(), Trouble> {
        let (id, call) = self.talking(station)?;
        if let Some((line, call)) = far_call(&call) {
            let command = Command::Transfer { call, to };
            self.lines[line].ask(command, Pending::Other(Some(station)), now);
            return Ok(());
        }
        let other = call.other(station);
        self.end_call(id, Cause::NORMAL, None, now);
        self.dial_from(other, to, call.priority, None, now)
    }

    fn set_input(
        &mut self,
        station: Party,
        input: u16,
        state: Switch,
        now: Instant,
    ) -> Result<(), Trouble> {
        let index = usize::from(input).wrapping_sub(1);
        let inputs = self.stations.get_mut(&station).map(|s| &mut s.inputs);
        let Some(known) = inputs.and_then(|inputs| inputs.get_mut(index)) else {
            return Err(self.no_such(station, "input", usize::from(input)));
        };
        *known = state;
        let event = Event::InputState {
            station,
            input: number(index),
            state,
        };
        self.tell_all(&event, now);
        Ok(())
    }

    fn set_faults(&mut self, station: Party, faults: Faults, now: Instant) {
        self.alter(station, |station| station.faults = faults);
        let event = Event::StationFaults { station, faults };
        self.tell_all(&event, now);
        let works = self.stations.get(&station).is_some_and(|s| s.works());
        if !works {
            self.make_free(station, now);
            self.cancel(station, now);
            self.keep_no_longer(station);
        }
        let call = self.stations.get(&station).and_then(|s| s.call());
        if let Some(call) = call {
            self.wire(call);
        }
    }

    pub(super) fn set_programme(&mut self, station: Party, programme: Programme) {
        self.alter(station, |known| known.programme = programme);
        // Below every call: whoever plays it listens to calls first.
        let mut members = Vec::new();
        if let Programme::Channel(channel) = programme {
            let part = Part::TALKS;
            members.push(Member {
                voice: Voice::Programme(channel),
                part,
            });
            let part = Part::HEARS;
            members.push(Member {
                voice: Voice::Station(station),
                part,
            });
        }
        let digits = station.number.digits().iter();
        let number = digits.fold(u64::from(station.node.0) + 1, |n, d| n * 10 + u64::from(*d));
        let id = PROGRAMMES + number;
        self.outputs
            .push_back(Output::Circuit(Circuit { id, members }));
    }

    pub(super) fn set_mode(&mut self, id: CallId, mode: TalkMode, teller: Teller, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.mode = mode;
        let far = far_call(call);
        self.wire(id);
        if let (Some((line, call)), Teller::Us) = (far, teller) {
            let command = Command::SetTalkMode { call, mode };
            self.lines[line].ask(command, Pending::Other(None), now);
        }
    }

    pub(super) fn set_held(&mut self, id: CallId, on: Switch) {
        let phase = match on {
            Switch::On => Phase::Held,
            Switch::Off => Phase::Connected,
        };
        self.phase(id, phase);
        self.wire(id);
    }

    pub(super) fn alter(&mut self, station: Party, how: impl FnOnce(&mut super::Station)) {
        if let Some(station) = self.change(station) {
            how(station);
        }
    }

    fn must_be_free(&self, station: Party) -> Result<(), Trouble> {
        match self.stations.get(&station).map(|s| s.busy) {
            Some(Busy::No) => Ok(()),
            _ => Err(Trouble::Busy(self.title(station))),
        }
    }

    fn talking(&self, station: Party) -> Result<(CallId, Call), Trouble> {
        if let Some(Busy::Talking(id)) = self.stations.get(&station).map(|s| s.busy)
            && let Some(call) = self.calls.get(&id)
        {
            return Ok((id, call.clone()));
        }
        Err(Trouble::NoCall(self.title(station)))
    }

    fn have(&self, done: bool, station: Party, what: &'static str, n: u16) -> Result<(), Trouble> {
        done.then_some(())
            .ok_or_else(|| self.no_such(station, what, usize::from(n)))
    }

    fn no_such(&self, station: Party, what: &'static str, number: usize) -> Trouble {
        Trouble::NoSuch {
            station: self.title(station),
            what,
            number,
        }
    }
}

/// Circuits of programmes are numbered apart from those of calls and gatherings.
const PROGRAMMES: u64 = 1 << 41;

/// Who has changed how a call is talked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Teller {
    Us,
    Line,
}

fn far_line(call: &Call) -> Option<usize> {
    far_call(call).map(|(line, _)| line)
}

fn far_call(call: &Call) -> Option<(usize, legacy_protocols::command::CallRef)> {
    [call.from, call.to].into_iter().find_map(|end| match end {
        End::Line(end) => Some((end.line, end.call)),
        End::Station(_) => None,
    })
}

const fn why(cause: Cause) -> &'static str {
    match cause.0 {
        1 => "no such number",
        17 => "busy",
        21 => "not disturbed",
        27 => "out of order",
        34 => "no free channel",
        _ => "not possible",
    }
}
