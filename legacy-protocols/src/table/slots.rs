//! The places of neutral words that fields fill: which an event needs, which a command offers.
//!
//! Numbers of states are those of the open link profile, so that one list serves both.

use std::collections::BTreeMap;

use crate::command::{
    CallRef, CallSetup, Cause, Command, GroupRef, Key, Keys, OutputAction, OutputCommand,
    Programme, RequestRef, Switch,
};
use crate::coverage::{CommandKind, EventKind};
use crate::event::{
    CallConnected, CallProgress, CallRequest, Door, Event, Faults, Progress, StationState, TalkMode,
};
use crate::number::{Node, Number, Party};
use crate::pairs::Calls;
use crate::priority::{Priority, Scale};
use crate::text::Text;

macro_rules! slots {
    ($($slot:ident $name:literal),+ $(,)?) => {
        /// What a field is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Slot { $($slot),+ }

        impl Slot {
            pub const ALL: &[Self] = &[$(Self::$slot),+];

            /// The name in manifests.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$slot => $name),+ }
            }

            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|slot| slot.name() == name)
            }
        }
    };
}

slots!(
    Ignored "ignored",
    Node "node",
    Station "station",
    To "to",
    Priority "priority",
    Text "text",
    State "state",
    Faults "faults",
    Cause "cause",
    Request "request",
    Call "call",
    Group "group",
    Output "output",
    Input "input",
    Level "level",
    PulseMs "pulse_ms",
    Key "key",
    Keys "keys",
    Programme "programme",
    Recording "recording",
);

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Number,
    Integer,
    Text,
    Anything,
}

impl Slot {
    pub(super) const fn holds(self) -> Holds {
        match self {
            Self::Ignored => Holds::Anything,
            Self::Station | Self::To => Holds::Number,
            Self::Text | Self::Keys => Holds::Text,
            Self::Node
            | Self::Priority
            | Self::State
            | Self::Faults
            | Self::Cause
            | Self::Request
            | Self::Call
            | Self::Group
            | Self::Output
            | Self::Input
            | Self::Level
            | Self::PulseMs
            | Self::Key
            | Self::Programme
            | Self::Recording => Holds::Integer,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(Number),
    Integer(u32),
    Text(String),
}

/// What the fields of one telegram have said, or shall say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Values(BTreeMap<Slot, Value>);

impl Values {
    pub(super) fn put(&mut self, slot: Slot, value: Value) {
        if slot != Slot::Ignored {
            self.0.insert(slot, value);
        }
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Value> {
        self.0.get(&slot)
    }

    fn integer(&self, slot: Slot) -> Option<u32> {
        match self.get(slot)? {
            Value::Integer(value) => Some(*value),
            Value::Number(_) | Value::Text(_) => None,
        }
    }

    fn small<T: TryFrom<u32>>(&self, slot: Slot) -> Option<T> {
        T::try_from(self.integer(slot)?).ok()
    }

    fn text(&self, slot: Slot) -> Option<&str> {
        match self.get(slot)? {
            Value::Text(text) => Some(text),
            Value::Integer(_) | Value::Number(_) => None,
        }
    }

    fn number(&self, slot: Slot) -> Option<Number> {
        match self.get(slot)? {
            Value::Number(number) => Some(*number),
            Value::Integer(_) | Value::Text(_) => None,
        }
    }

    fn switch(&self, slot: Slot) -> Option<Switch> {
        match self.integer(slot)? {
            0 => Some(Switch::Off),
            1 => Some(Switch::On),
            _ => None,
        }
    }
}

/// What events need; None for those that no table can tell.
pub(super) const fn needed_by_event(kind: EventKind) -> Option<&'static [Slot]> {
    Some(match kind {
        EventKind::StationState => &[Slot::Station, Slot::State],
        EventKind::StationFaults => &[Slot::Station, Slot::Faults],
        EventKind::RequestNew
        | EventKind::RequestCancelled
        | EventKind::RequestClosed
        | EventKind::CallProgress
        | EventKind::CallConnected
        | EventKind::CallReleased => &[Slot::Station],
        EventKind::OutputState => &[Slot::Station, Slot::Output, Slot::Level],
        EventKind::InputState => &[Slot::Station, Slot::Input, Slot::Level],
        EventKind::DoorState => &[Slot::Station, Slot::State],
        EventKind::LineTested | EventKind::RequestUpdated | EventKind::Opaque => return None,
    })
}

/// What a command that is asked of us needs; None for those that no table can ask.
pub(super) const fn needed_by_command(kind: CommandKind) -> Option<&'static [Slot]> {
    match kind {
        CommandKind::TalkKey => Some(&[Slot::Station, Slot::Key]),
        CommandKind::Keys => Some(&[Slot::Station, Slot::Keys]),
        CommandKind::CallSetup => Some(&[Slot::Station, Slot::To]),
        _ => None,
    }
}

/// What a command of ours offers to fields; None for those that no table can express.
pub(super) const fn offered_by(kind: CommandKind) -> Option<&'static [Slot]> {
    Some(match kind {
        CommandKind::CallSetup => &[Slot::Node, Slot::Station, Slot::To, Slot::Priority],
        CommandKind::CallRelease => &[Slot::Node, Slot::Station, Slot::To, Slot::Cause],
        CommandKind::TalkKey => &[Slot::Node, Slot::Station, Slot::Key],
        CommandKind::Keys => &[Slot::Node, Slot::Station, Slot::Keys],
        CommandKind::GroupStart => &[Slot::Node, Slot::Station, Slot::Group, Slot::Priority],
        CommandKind::GroupStop => &[Slot::Node, Slot::Station, Slot::Group],
        CommandKind::RequestWithdraw => &[Slot::Request],
        CommandKind::RequestClaim => &[Slot::Node, Slot::Station, Slot::Request],
        CommandKind::OutputSet => &[Slot::Node, Slot::Station, Slot::Output, Slot::Level],
        CommandKind::DoorOpen => &[Slot::Node, Slot::Station, Slot::Output, Slot::PulseMs],
        CommandKind::ShowText => &[Slot::Node, Slot::Station, Slot::Text],
        CommandKind::Programme => &[Slot::Node, Slot::Station, Slot::Programme],
        CommandKind::Announce => &[Slot::Node, Slot::Station, Slot::Recording, Slot::Priority],
        CommandKind::SetPrivacy => &[Slot::Node, Slot::Station, Slot::Level],
        CommandKind::LineTest => &[Slot::Node, Slot::Station],
        CommandKind::Hold
        | CommandKind::Retrieve
        | CommandKind::Transfer
        | CommandKind::SetTalkMode
        | CommandKind::ConferenceJoin
        | CommandKind::ConferenceLeave
        | CommandKind::ConferenceTalk
        | CommandKind::RequestFile
        | CommandKind::Divert
        | CommandKind::Snapshot => return None,
    })
}

/// How neutral words are made of values.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) node: Node,
    /// What comes names the servers of stations; else calls are named by numbers alone.
    pub(super) nodes_told: bool,
    pub(super) priorities: Scale,
    pub(super) calls: Calls,
}

impl Words {
    /// None where a value makes no sense there.
    pub(super) fn event(&mut self, kind: EventKind, values: &Values) -> Option<Event> {
        let station = self.party(values, Slot::Station)?;
        let to = self.party(values, Slot::To);
        Some(match kind {
            EventKind::StationState => Event::StationState {
                station,
                state: station_state(values)?,
            },
            EventKind::StationFaults => Event::StationFaults {
                station,
                faults: Faults(values.small(Slot::Faults)?),
            },
            EventKind::RequestNew => Event::RequestNew(CallRequest {
                request: request_of(station, values),
                from: station,
                to,
                priority: self.priority(values)?,
                text: values.text(Slot::Text).map(Text::clip),
            }),
            EventKind::RequestCancelled => Event::RequestCancelled {
                request: request_of(station, values),
            },
            EventKind::RequestClosed => Event::RequestClosed {
                request: request_of(station, values),
                cause: cause(values)?,
                by: to,
            },
            EventKind::CallProgress => Event::CallProgress(CallProgress {
                call: self.call(station, to, values),
                progress: Progress::Ringing,
                from: Some(station),
                to,
                priority: Some(self.priority(values)?),
                sound: None,
            }),
            EventKind::CallConnected => Event::CallConnected(CallConnected {
                call: self.call(station, to, values),
                from: Some(station),
                to,
                mode: None,
                sound: None,
            }),
            EventKind::CallReleased => {
                let call = self.call(station, to, values);
                self.calls.forget(call);
                let cause = cause(values)?;
                Event::CallReleased { call, cause }
            }
            EventKind::OutputState => Event::OutputState {
                station,
                output: values.small(Slot::Output)?,
                state: values.switch(Slot::Level)?,
            },
            EventKind::InputState => Event::InputState {
                station,
                input: values.small(Slot::Input)?,
                state: values.switch(Slot::Level)?,
            },
            EventKind::DoorState => Event::DoorState {
                station,
                output: values.small(Slot::Output).unwrap_or(1),
                state: door(values)?,
                command: None,
            },
            EventKind::LineTested | EventKind::RequestUpdated | EventKind::Opaque => return None,
        })
    }

    pub(super) fn command(&mut self, kind: CommandKind, values: &Values) -> Option<Command> {
        let station = self.party(values, Slot::Station)?;
        if kind == CommandKind::TalkKey {
            let key = match values.switch(Slot::Key)? {
                Switch::On => Key::Pressed,
                Switch::Off => Key::Released,
            };
            return Some(Command::TalkKey { station, key });
        }
        if kind == CommandKind::Keys {
            let keys = Keys::new(values.text(Slot::Keys)?)?;
            return Some(Command::Keys { station, keys });
        }
        if kind == CommandKind::CallSetup {
            let to = self.party(values, Slot::To)?;
            return Some(Command::CallSetup(CallSetup {
                call: self.call(station, Some(to), values),
                from: station,
                to,
                priority: self.priority(values)?,
                mode: TalkMode::OpenDuplex,
                text: values.text(Slot::Text).map(Text::clip),
                sound: None,
            }));
        }
        None
    }

    /// What fields can say of a command; None where it names a call that is not known.
    pub(super) fn values(&mut self, command: &Command) -> Option<Values> {
        let mut values = Values::default();
        let mut number = |slot, party: Party| {
            values.put(slot, Value::Number(party.number));
            if slot == Slot::Station {
                values.put(Slot::Node, Value::Integer(u32::from(party.node.0)));
            }
        };
        match command {
            Command::CallSetup(setup) => {
                number(Slot::Station, setup.from);
                number(Slot::To, setup.to);
                let [from, to] = [setup.from, setup.to].map(|party| self.as_told(party));
                self.calls.remember(setup.call, from, to);
                self.put_priority(&mut values, setup.priority);
            }
            Command::CallRelease { call, cause } => {
                let (from, to) = self.calls.parties(*call)?;
                number(Slot::Station, from);
                number(Slot::To, to);
                values.put(Slot::Cause, Value::Integer(u32::from(cause.0)));
            }
            Command::TalkKey { station, key } => {
                number(Slot::Station, *station);
                values.put(Slot::Key, Value::Integer(u32::from(*key == Key::Pressed)));
            }
            Command::Keys { station, keys } => {
                number(Slot::Station, *station);
                values.put(Slot::Keys, Value::Text(keys.as_str().to_owned()));
            }
            Command::GroupStart {
                group,
                talker,
                priority,
            } => {
                number(Slot::Station, *talker);
                put_group(&mut values, *group);
                self.put_priority(&mut values, *priority);
            }
            Command::GroupStop { group, talker } => {
                number(Slot::Station, *talker);
                put_group(&mut values, *group);
            }
            Command::RequestWithdraw { request } => put_request(&mut values, *request)?,
            Command::RequestClaim { request, by } => {
                number(Slot::Station, *by);
                put_request(&mut values, *request)?;
            }
            Command::OutputSet(output) | Command::DoorOpen(output) => {
                number(Slot::Station, output.station);
                put_output(&mut values, output);
            }
            Command::ShowText { station, text } => {
                number(Slot::Station, *station);
                values.put(Slot::Text, Value::Text(text.as_str().to_owned()));
            }
            Command::Programme { station, programme } => {
                number(Slot::Station, *station);
                let channel = match programme {
                    Programme::Off => 0,
                    Programme::Channel(channel) => u32::from(*channel),
                };
                values.put(Slot::Programme, Value::Integer(channel));
            }
            Command::Announce {
                station,
                message,
                priority,
            } => {
                number(Slot::Station, *station);
                values.put(Slot::Recording, Value::Integer(u32::from(*message)));
                self.put_priority(&mut values, *priority);
            }
            Command::SetPrivacy { station, privacy } => {
                number(Slot::Station, *station);
                put_switch(&mut values, *privacy);
            }
            Command::LineTest { station } => number(Slot::Station, *station),
            Command::Hold { .. }
            | Command::Retrieve { .. }
            | Command::Transfer { .. }
            | Command::SetTalkMode { .. }
            | Command::ConferenceJoin { .. }
            | Command::ConferenceLeave { .. }
            | Command::ConferenceTalk { .. }
            | Command::RequestFile(_)
            | Command::Divert { .. }
            | Command::Snapshot => return None,
        }
        Some(values)
    }

    /// As it will be read when the other end speaks of it.
    fn as_told(&self, party: Party) -> Party {
        let node = if self.nodes_told {
            party.node
        } else {
            self.node
        };
        Party { node, ..party }
    }

    fn party(&self, values: &Values, slot: Slot) -> Option<Party> {
        let node = values.small(Slot::Node).map_or(self.node, Node);
        let number = values.number(slot)?;
        Some(Party { node, number })
    }

    /// A line that says no urgency means a usual one.
    fn priority(&self, values: &Values) -> Option<Priority> {
        match values.get(Slot::Priority) {
            None => Some(Priority::NORMAL),
            Some(_) => Priority::new(values.small(Slot::Priority)?, self.priorities),
        }
    }

    fn put_priority(&self, values: &mut Values, priority: Priority) {
        let value = priority.on(self.priorities).value();
        values.put(Slot::Priority, Value::Integer(u32::from(value)));
    }

    /// By its own number, or by its stations.
    fn call(&mut self, from: Party, to: Option<Party>, values: &Values) -> CallRef {
        let to = to.unwrap_or(from);
        let Some(number) = values.integer(Slot::Call) else {
            return self.calls.call_of(from, to);
        };
        let call = CallRef(CallRef::OF_PORT | 1 << 62 | u64::from(number));
        self.calls.remember(call, from, to);
        call
    }
}

/// By its own number, or by the station that asks: it has one request at a time then.
fn request_of(station: Party, values: &Values) -> RequestRef {
    const BY_STATION: u64 = 1 << 62;
    let number = values.integer(Slot::Request).map_or_else(
        || {
            let digits = station.number.digits().iter();
            let packed = digits.fold(1, |packed, digit| packed * 10 + u64::from(*digit));
            BY_STATION | u64::from(station.node.0) << 40 | packed
        },
        u64::from,
    );
    RequestRef(CallRef::OF_PORT | number)
}

/// None for a request that this line has not named by a number.
fn put_request(values: &mut Values, request: RequestRef) -> Option<()> {
    let number = u32::try_from(request.0 & !CallRef::OF_PORT).ok()?;
    values.put(Slot::Request, Value::Integer(number));
    Some(())
}

fn put_group(values: &mut Values, group: GroupRef) {
    values.put(Slot::Group, Value::Integer(u32::from(group.0)));
}

fn put_switch(values: &mut Values, switch: Switch) {
    values.put(Slot::Level, Value::Integer(u32::from(switch == Switch::On)));
}

fn put_output(values: &mut Values, output: &OutputCommand) {
    values.put(Slot::Output, Value::Integer(u32::from(output.output)));
    match output.action {
        OutputAction::Pulse(pulse) => {
            let milliseconds = u32::try_from(pulse.as_millis()).unwrap_or(u32::MAX);
            values.put(Slot::PulseMs, Value::Integer(milliseconds));
        }
        OutputAction::Set(switch) => put_switch(values, switch),
    }
}

fn station_state(values: &Values) -> Option<StationState> {
    let group = values.small(Slot::Group).map(GroupRef);
    Some(match values.integer(Slot::State)? {
        0 => StationState::Unknown,
        1 => StationState::Idle,
        2 => StationState::Ringing,
        3 => StationState::Requesting,
        4 => StationState::InCall,
        5 => StationState::InConference(group),
        6 => StationState::Listening(group),
        7 => StationState::Privacy,
        8 => StationState::OutOfService,
        _ => return None,
    })
}

fn door(values: &Values) -> Option<Door> {
    match values.integer(Slot::State)? {
        0 => Some(Door::Closed),
        1 => Some(Door::Opened),
        2 => Some(Door::Sent),
        3 => Some(Door::Failed),
        _ => None,
    }
}

fn cause(values: &Values) -> Option<Cause> {
    match values.get(Slot::Cause) {
        None => Some(Cause::NORMAL),
        Some(_) => values.small(Slot::Cause).map(Cause),
    }
}
