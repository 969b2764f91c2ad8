//! Doors behind a line, and ours for those behind it.
//!
//! Whether a door may be opened the call engine has decided before anything gets here; for doors of
//! ours it decides when the other end asks. "Opened" is said only when a contact or the station says
//! so, live and not in a picture. What was asked when the line broke is "sent, not confirmed", never
//! asked again.

use std::collections::BTreeMap;
use std::time::Instant;

use calls::{DoorReply, DoorStage, Input, OpenDoor, PulseDoor};
use legacy_protocols::command::{
    Answer, Cause, Command, OutputAction, OutputCommand, OutputId, Purpose, Verdict,
};
use legacy_protocols::event::{Door as DoorState, Event, Origin, Provenance};
use legacy_protocols::number::Party;
use legacy_protocols::text::Text;
use model::{
    Authority, CommandId, DoorDenial, DoorId, DoorOutput, DoorResult, Feedback, NodeId, Station,
};

use super::{Errand, LineId};
use crate::state::Exchange;

/// Door commands in flight over all lines at most; the engine remembers no more either.
const MOST: usize = 4096;

/// What is on its way to doors of other servers, and from them to ours.
#[derive(Debug)]
pub(super) struct Doors {
    /// Ids of outputs are never used again: they begin with the number of this start.
    next: u64,
    ours: BTreeMap<OutputId, Sent>,
    /// Commands of theirs that the engine carries out.
    theirs: BTreeMap<CommandId, Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    line: LineId,
    command: CommandId,
    station: Party,
    output: u16,
    /// The input with the door's contact.
    contact: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    line: LineId,
    id: OutputId,
    station: Party,
    output: u16,
}

impl Doors {
    pub(super) fn new(start_count: u32) -> Self {
        Self {
            next: (u64::from(start_count) & 0xff_ffff) << 40,
            ours: BTreeMap::new(),
            theirs: BTreeMap::new(),
        }
    }

    pub(super) fn id(&mut self) -> OutputId {
        self.next = self.next.wrapping_add(1);
        OutputId(self.next)
    }

    /// The commands that are on their way to what these hold for.
    fn waiting(&self, fits: impl Fn(&Sent) -> bool) -> Vec<CommandId> {
        let fitting = self.ours.values().filter(|sent| fits(sent));
        fitting.map(|sent| sent.command).collect()
    }
}

impl Exchange {
    /// The engine has permitted a pulse at a station behind a node.
    pub(crate) fn pulse_behind(
        &mut self,
        pulse: &PulseDoor,
        (node, output): (NodeId, u8),
        now: Instant,
    ) {
        let sent = self.send_pulse(pulse, (node, output), now);
        if !sent {
            self.counters.doors_without_a_way += 1;
            self.door_says(pulse.command, DoorReply::Failed, now);
        }
    }

    fn send_pulse(
        &mut self,
        pulse: &PulseDoor,
        (node, output): (NodeId, u8),
        now: Instant,
    ) -> bool {
        let Some(line) = self.lines.towards(node) else {
            return false;
        };
        let Some(station) = self.party_behind(line, pulse.station) else {
            return false;
        };
        let authority = self
            .lines
            .get(line)
            .map(|line| line.config.authority.clone());
        let authority = authority.filter(|authority| !authority.is_missing());
        let (Some(authority), true) = (authority, self.lines.doors.ours.len() < MOST) else {
            return false;
        };
        let id = self.lines.doors.id();
        let command = Command::DoorOpen(OutputCommand {
            id,
            station,
            output: output.into(),
            action: OutputAction::Pulse(pulse.pulse),
            authority,
            valid_until: pulse.valid_until,
        });
        let sent = Sent {
            line,
            command: pulse.command,
            station,
            output: output.into(),
            contact: self.contact_of(pulse.door),
        };
        self.lines.doors.ours.insert(id, sent);
        self.command_line(line, command, Errand::Door(id), now);
        true
    }

    fn contact_of(&self, door: DoorId) -> Option<u16> {
        match self.directory.door(door)?.1.feedback {
            Feedback::Contact { input } => Some(input.into()),
            Feedback::None | Feedback::Station => None,
        }
    }

    /// What became of the command, as far as the line knows.
    pub(super) fn door_done(&mut self, id: OutputId, verdict: Verdict, now: Instant) {
        let Some(sent) = self.lines.doors.ours.get(&id).copied() else {
            return;
        };
        let reply = match verdict {
            // Nobody knows whether it was carried out.
            Verdict::LineLost | Verdict::NoAnswer => DoorReply::Sent,
            Verdict::Done | Verdict::Accepted | Verdict::Sent => DoorReply::Sent,
            Verdict::Busy
            | Verdict::NoSuchNumber
            | Verdict::NotAllowed
            | Verdict::AlreadyTaken
            | Verdict::Expired
            | Verdict::Unsupported
            | Verdict::Loop
            | Verdict::NodeUnreachable
            | Verdict::TestRefused
            | Verdict::RateLimited
            | Verdict::NotConnected => DoorReply::Failed,
        };
        self.door_says(sent.command, reply, now);
    }

    pub(super) fn door_state(
        &mut self,
        line: LineId,
        (station, output): (Party, u16),
        state: DoorState,
        command: Option<OutputId>,
        from: &Provenance,
        now: Instant,
    ) {
        let reply = match state {
            DoorState::Sent => DoorReply::Sent,
            DoorState::Opened => DoorReply::Opened,
            DoorState::Failed => DoorReply::Failed,
            DoorState::Closed => return,
        };
        let ours = &self.lines.doors.ours;
        let meant = match command {
            Some(id) => ours.get(&id).filter(|sent| sent.line == line),
            None => None,
        };
        let commands = match (command, meant) {
            (Some(_), meant) => meant.map(|sent| sent.command).into_iter().collect(),
            (None, _) => self
                .lines
                .doors
                .waiting(|sent| (sent.line, sent.station, sent.output) == (line, station, output)),
        };
        self.confirm(commands, reply, from, now);
    }

    /// A contact has closed: the door of a command that waits for it has opened.
    pub(super) fn contact_closed(
        &mut self,
        line: LineId,
        (station, input): (Party, u16),
        from: &Provenance,
        now: Instant,
    ) {
        let commands = self.lines.doors.waiting(|sent| {
            (sent.line, sent.station, sent.contact) == (line, station, Some(input))
        });
        self.confirm(commands, DoorReply::Opened, from, now);
    }

    /// What a picture says holds since some time, and a test means nothing.
    fn confirm(
        &mut self,
        commands: Vec<CommandId>,
        reply: DoorReply,
        from: &Provenance,
        now: Instant,
    ) {
        if from.origin == Origin::Live && from.purpose == Purpose::Live {
            for command in commands {
                self.door_says(command, reply, now);
            }
        }
    }

    fn door_says(&mut self, command: CommandId, reply: DoorReply, now: Instant) {
        self.calls.handle(Input::DoorReply { command, reply }, now);
    }

    /// A command came to its end at the engine.
    pub(super) fn door_concluded(&mut self, command: CommandId, stage: DoorStage, now: Instant) {
        let DoorStage::Concluded(result) = stage else {
            return;
        };
        self.lines
            .doors
            .ours
            .retain(|_, sent| sent.command != command);
        let Some(asked) = self.lines.doors.theirs.remove(&command) else {
            return;
        };
        let state = match result {
            DoorResult::Opened => DoorState::Opened,
            DoorResult::SentNotConfirmed => DoorState::Sent,
            DoorResult::Failed => DoorState::Failed,
            // It was answered so.
            DoorResult::Denied(_) => return,
        };
        let event = Event::DoorState {
            station: asked.station,
            output: asked.output,
            state,
            command: Some(asked.id),
        };
        self.tell_line(asked.line, event, now);
    }

    /// The other end wants a door of ours opened.
    pub(super) fn door_asked(
        &mut self,
        line: LineId,
        asked: &OutputCommand,
        now: Instant,
    ) -> Answer {
        let Some((station, door)) = self.our_door(line, asked) else {
            return Verdict::NoSuchNumber.into();
        };
        let Some(authority) = self.authority_of(line, asked, &station) else {
            return because(Verdict::NotAllowed, &DoorDenial::NotPermitted);
        };
        let Some(node) = self.lines.get(line).map(|line| line.config.node.node) else {
            return Verdict::NotAllowed.into();
        };
        // The same command of the same server is the same for all time.
        let id = CommandId::new(u128::from(node.get()) << 64 | u128::from(asked.id.0));
        let open = OpenDoor {
            id,
            door,
            authority,
            valid_until: asked.valid_until,
        };
        let told = Asked {
            line,
            id: asked.id,
            station: asked.station,
            output: asked.output,
        };
        match self.calls.open_door(open, now) {
            Ok(()) => {
                self.lines.doors.theirs.insert(id, told);
                Verdict::Accepted.into()
            }
            Err(denial) => because(verdict(denial), &denial),
        }
    }

    /// The other end drives an output of a station of ours: only what is a door of the directory, by
    /// the same rules as any door, and for the door's own moment.
    pub(super) fn output_asked(
        &mut self,
        line: LineId,
        asked: &OutputCommand,
        now: Instant,
    ) -> Answer {
        match (self.our_door(line, asked), asked.action) {
            (Some(_), OutputAction::Pulse(_)) => self.door_asked(line, asked, now),
            (Some(_), OutputAction::Set(_)) => because(
                Verdict::NotAllowed,
                &"the output is a door, which opens for a moment only; ask for a pulse",
            ),
            (None, _) => because(
                Verdict::NoSuchNumber,
                &"no door of the directory is at this output, and no other output is driven",
            ),
        }
    }

    /// The door on this output of a station of ours.
    fn our_door(&self, line: LineId, asked: &OutputCommand) -> Option<(Station, DoorId)> {
        let station = self.our_station(line, asked.station)?;
        let output = usize::from(asked.output);
        let by_output = station.doors.iter().find(|door| match door.output {
            DoorOutput::Station { output: at } => usize::from(at) == output,
            DoorOutput::Url(_) => false,
        });
        // A door behind a device of its own has no output: it is known by its place.
        let by_place = || {
            let door = station.doors.get(output.checked_sub(1)?)?;
            matches!(door.output, DoorOutput::Url(_)).then_some(door)
        };
        let door = by_output.or_else(by_place)?;
        Some((station.clone(), door.id))
    }

    /// Whoever shows a token that we trust, or talks with the station over this line.
    fn authority_of(
        &self,
        line: LineId,
        asked: &OutputCommand,
        station: &Station,
    ) -> Option<Authority> {
        let config = &self.lines.get(line)?.config;
        let mut trusted = config.trusted.iter();
        if let Some(trusted) = trusted.find(|trusted| trusted.authority == asked.authority) {
            return Some(Authority::Station(trusted.station));
        }
        let talks = |leg: &model::LegId| self.calls.talks_with(*leg, station.id);
        let mut legs = self.lines.legs.of_line(line).map(|(leg, _)| leg);
        legs.find(talks).map(Authority::Leg)
    }
}

fn verdict(denial: DoorDenial) -> Verdict {
    match denial {
        DoorDenial::UnknownDoor => Verdict::NoSuchNumber,
        DoorDenial::NotPermitted | DoorDenial::NotInCall => Verdict::NotAllowed,
        DoorDenial::Expired | DoorDenial::FromBeforeStart => Verdict::Expired,
        DoorDenial::ValidTooLong => Verdict::NotAllowed,
        DoorDenial::Repeated => Verdict::AlreadyTaken,
        DoorDenial::Busy | DoorDenial::Overload => Verdict::RateLimited,
    }
}

fn because(verdict: Verdict, why: &impl ToString) -> Answer {
    Answer {
        text: Some(Text::clip(&why.to_string())),
        cause: (verdict == Verdict::NotAllowed).then_some(Cause::REJECTED),
        ..verdict.into()
    }
}
