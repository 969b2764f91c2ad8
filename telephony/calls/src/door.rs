//! Opening doors (C4): permission, at most once per id, validity, two phases.
//!
//! A pulse implies one permitted command, and each command id leads to at most one pulse and to
//! exactly one record. First the pulse is sent; only when a contact or the station says so has the
//! door "opened", else it is "sent, not confirmed". Nothing is kept for later: what cannot be done
//! now is denied.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::{
    Address, Authority, CallId, CommandId, Door, DoorDenial, DoorId, DoorRecord, DoorResult,
    Feedback, InCallRight, LegId, Station, StationId,
};

use crate::engine::Engine;
use crate::input::{DoorReply, OpenDoor};
use crate::leg::Who;
use crate::output::{DoorStage, Event, Output, PulseDoor};
use crate::timer::Timer;

/// Commands remembered at once. Beyond it new ones are denied; an old id is never forgotten early.
const MAX_COMMANDS: usize = 4_096;
/// How long an id is remembered after its validity has passed.
const REMEMBERED: Duration = Duration::from_secs(60);
/// The least distance between two pulses of one door.
const LEAST_DISTANCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Doors {
    commands: BTreeMap<CommandId, Stage>,
    /// Until when a door is being opened. Entries go when looked at after that.
    busy: BTreeMap<DoorId, Instant>,
}

#[derive(Debug)]
enum Stage {
    Sent(Box<Sent>),
    Concluded,
}

#[derive(Debug)]
struct Sent {
    door: DoorId,
    station: StationId,
    authority: Authority,
    call: Option<CallId>,
    asked: Instant,
    feedback: Feedback,
}

impl Doors {
    pub(crate) fn forget(&mut self, command: CommandId) {
        self.commands.remove(&command);
    }

    pub(crate) fn remembered(&self) -> usize {
        self.commands.len()
    }

    fn is_busy(&mut self, door: DoorId, now: Instant) -> bool {
        self.busy.retain(|_, until| *until > now);
        self.busy.contains_key(&door)
    }
}

impl Engine {
    /// Opens a door, or says why not. Either way exactly one `DoorRecord` tells of the command; only
    /// a repeated id has been told before.
    pub fn open_door(&mut self, command: OpenDoor, now: Instant) -> Result<(), DoorDenial> {
        self.enter(now);
        let result = self.execute(command);
        self.leave();
        result
    }

    pub(crate) fn execute(&mut self, command: OpenDoor) -> Result<(), DoorDenial> {
        if self.doors.commands.contains_key(&command.id) {
            self.counters.doors_repeated += 1;
            return Err(DoorDenial::Repeated);
        }
        match self.permit(command) {
            Ok((pulse, sent)) => {
                self.send_pulse(pulse, sent);
                Ok(())
            }
            Err(denial) => {
                self.deny(command, denial);
                Err(denial)
            }
        }
    }

    fn permit(&mut self, command: OpenDoor) -> Result<(PulseDoor, Sent), DoorDenial> {
        self.check_validity(command)?;
        if self.doors.commands.len() >= MAX_COMMANDS {
            return Err(DoorDenial::Overload);
        }
        let directory = self.directory.clone();
        let (station, door) = directory
            .door(command.door)
            .ok_or(DoorDenial::UnknownDoor)?;
        let call = self.check_right(command.authority, station, door)?;
        if self.doors.is_busy(door.id, self.now) {
            return Err(DoorDenial::Busy);
        }
        let leg = self.answered_leg_at(station.id, call);
        let pulse = PulseDoor {
            command: command.id,
            door: door.id,
            station: station.id,
            output: door.output.clone(),
            pulse: door.pulse.duration(),
            leg,
            valid_until: command.valid_until,
        };
        let sent = Sent {
            door: door.id,
            station: station.id,
            authority: command.authority,
            call,
            asked: self.now,
            feedback: door.feedback,
        };
        Ok((pulse, sent))
    }

    fn check_validity(&self, command: OpenDoor) -> Result<(), DoorDenial> {
        let longest = self.config.door_validity;
        if command.valid_until <= self.now {
            return Err(DoorDenial::Expired);
        }
        if command.valid_until > self.after(longest) {
            return Err(DoorDenial::ValidTooLong);
        }
        // With the full validity it was issued before we started, and may have been executed by the
        // process before us. The id of a leg cannot be older than we are.
        let from_before = self
            .started
            .checked_add(longest)
            .is_some_and(|at| command.valid_until < at);
        match command.authority {
            Authority::Station(_) | Authority::CloudUser(_) | Authority::Operator
                if from_before =>
            {
                Err(DoorDenial::FromBeforeStart)
            }
            Authority::Leg(_)
            | Authority::Station(_)
            | Authority::CloudUser(_)
            | Authority::Operator => Ok(()),
        }
    }

    /// The right to open: in a conversation with the station by the door's rule, else by a right of
    /// one's own. Tells the conversation, if there is one.
    fn check_right(
        &self,
        authority: Authority,
        station: &Station,
        door: &Door,
    ) -> Result<Option<CallId>, DoorDenial> {
        match authority {
            Authority::Operator => Ok(None),
            Authority::Leg(leg) => {
                let call = self
                    .conversation(leg, station.id)
                    .ok_or(DoorDenial::NotInCall)?;
                self.right_in_call(leg, door)
                    .then_some(Some(call))
                    .ok_or(DoorDenial::NotPermitted)
            }
            Authority::Station(id) => {
                let legs = self.stations.legs(id).iter().copied();
                let right = self
                    .directory
                    .station(id)
                    .is_some_and(|s| s.may_open.contains(&door.id));
                self.right_of_legs(legs, station, door)
                    .or(right.then_some(None))
                    .ok_or(DoorDenial::NotPermitted)
            }
            Authority::CloudUser(user) => {
                let address = Address::CloudUser(user);
                let station_legs = self.stations.legs(station.id).iter();
                let partners = station_legs.flat_map(|leg| self.partners(*leg));
                let theirs = partners.filter(|leg| {
                    matches!(self.legs.get(leg).map(|l| &l.who),
                        Some(Who::Elsewhere(party)) if party.address.as_ref() == Some(&address))
                });
                let right = door.permitted.contains(&address);
                self.right_of_legs(theirs, station, door)
                    .or(right.then_some(None))
                    .ok_or(DoorDenial::NotPermitted)
            }
        }
    }

    fn right_of_legs(
        &self,
        mut legs: impl Iterator<Item = LegId>,
        station: &Station,
        door: &Door,
    ) -> Option<Option<CallId>> {
        let call = legs.find_map(|leg| {
            let call = self.conversation(leg, station.id)?;
            self.right_in_call(leg, door).then_some(call)
        });
        call.map(Some)
    }

    /// Whether this leg is in a conversation with the station.
    pub fn talks_with(&self, leg: LegId, station: StationId) -> bool {
        self.conversation(leg, station).is_some()
    }

    /// The call in which this leg talks with the station.
    fn conversation(&self, leg: LegId, station: StationId) -> Option<CallId> {
        // A station with two legs in one conversation does not let itself in.
        if self.station_of_leg(leg) == Some(station) {
            return None;
        }
        let partners = self.partners(leg);
        let talks = partners
            .iter()
            .any(|other| self.station_of_leg(*other) == Some(station));
        if talks { self.call_of(leg) } else { None }
    }

    fn right_in_call(&self, leg: LegId, door: &Door) -> bool {
        match door.in_call {
            InCallRight::Anybody => true,
            InCallRight::Listed => {
                let party = self.party_of_leg(leg);
                party
                    .address
                    .is_some_and(|address| door.permitted.contains(&address))
            }
            InCallRight::Nobody => false,
        }
    }

    /// The station's leg in a conversation; in this one, if it is said which.
    fn answered_leg_at(&self, station: StationId, call: Option<CallId>) -> Option<LegId> {
        let answered = |leg: &&LegId| {
            self.legs
                .get(leg)
                .is_some_and(|l| l.is_answered() && call.is_none_or(|c| c == l.call))
        };
        self.stations.legs(station).iter().find(answered).copied()
    }

    fn send_pulse(&mut self, pulse: PulseDoor, sent: Sent) {
        let (command, door) = (pulse.command, pulse.door);
        let busy = self.after(pulse.pulse.max(LEAST_DISTANCE));
        self.doors.busy.insert(door, busy);
        self.remember(command, pulse.valid_until, Stage::Sent(Box::new(sent)));
        self.counters.door_pulses += 1;
        self.push(Output::PulseDoor(Box::new(pulse)));
        self.event(Event::Door {
            command,
            door,
            stage: DoorStage::Sent,
        });
        let until = self.after(self.config.door_confirm);
        self.timers.set(Timer::DoorConfirm(command), until);
    }

    fn remember(&mut self, command: CommandId, valid_until: Instant, stage: Stage) {
        self.doors.commands.insert(command, stage);
        let forget = valid_until.max(self.now).checked_add(REMEMBERED);
        let forget = forget.unwrap_or_else(|| self.after(REMEMBERED));
        self.timers.set(Timer::DoorForget(command), forget);
    }

    fn deny(&mut self, command: OpenDoor, denial: DoorDenial) {
        // What is denied is remembered too: the same id never gets a second record. A validity far
        // away is not waited for.
        let until = command
            .valid_until
            .min(self.after(self.config.door_validity));
        if denial != DoorDenial::Overload {
            self.remember(command.id, until, Stage::Concluded);
        }
        let station = self
            .directory
            .door(command.door)
            .map(|(station, _)| station.id);
        let call = match command.authority {
            Authority::Leg(leg) => self.call_of(leg),
            Authority::Station(_) | Authority::CloudUser(_) | Authority::Operator => None,
        };
        let now = self.wall();
        self.conclude(DoorRecord {
            command: command.id,
            door: command.door,
            station,
            authority: command.authority,
            call,
            asked: now,
            concluded: now,
            result: DoorResult::Denied(denial),
        });
    }

    pub(crate) fn door_reply(&mut self, command: CommandId, reply: DoorReply) {
        let feedback = match self.doors.commands.get(&command) {
            Some(Stage::Sent(sent)) => sent.feedback,
            // Too late to change the record; it already says "not confirmed".
            Some(Stage::Concluded) | None => {
                self.counters.stale_inputs += 1;
                return;
            }
        };
        match (reply, feedback) {
            (DoorReply::Opened, _) => self.door_concluded(command, DoorResult::Opened),
            (DoorReply::Failed, _) => self.door_concluded(command, DoorResult::Failed),
            // Nobody will say more.
            (DoorReply::Sent, Feedback::None) => {
                self.door_concluded(command, DoorResult::SentNotConfirmed);
            }
            (DoorReply::Sent, Feedback::Contact { .. } | Feedback::Station) => {}
        }
    }

    pub(crate) fn door_not_confirmed(&mut self, command: CommandId) {
        self.door_concluded(command, DoorResult::SentNotConfirmed);
    }

    fn door_concluded(&mut self, command: CommandId, result: DoorResult) {
        let Some(stage) = self.doors.commands.get_mut(&command) else {
            return;
        };
        let Stage::Sent(sent) = std::mem::replace(stage, Stage::Concluded) else {
            return;
        };
        self.timers.cancel(Timer::DoorConfirm(command));
        if result == DoorResult::Failed {
            self.doors.busy.remove(&sent.door);
        }
        let concluded = self.wall();
        let took = self.now.saturating_duration_since(sent.asked);
        self.conclude(DoorRecord {
            command,
            door: sent.door,
            station: Some(sent.station),
            authority: sent.authority,
            call: sent.call,
            asked: concluded.saturating_sub(took),
            concluded,
            result,
        });
    }

    fn conclude(&mut self, record: DoorRecord) {
        self.counters.door_concluded(record.result);
        let (command, door) = (record.command, record.door);
        let stage = DoorStage::Concluded(record.result);
        self.push(Output::DoorRecord(Box::new(record)));
        self.event(Event::Door {
            command,
            door,
            stage,
        });
    }
}
