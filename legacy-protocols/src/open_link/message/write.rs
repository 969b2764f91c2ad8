//! From neutral words to fields.

use std::time::Duration;

use super::{Body, Ends, Hello, Meaning, Pulse, types};
use crate::command::{
    Answer, CallSetup, Command, Divert, GroupRef, Key, OutputAction, OutputCommand, Programme,
    Verdict,
};
use crate::event::{
    CallConnected, CallProgress, CallRequest, Door, Event, LineTest, Progress, StationState,
    TalkMode, Talker,
};
use crate::number::{Node, Party};
use crate::open_link::field::{Fields, kind, sound};
use crate::open_link::pdu::{Flags, MOST_HOPS, Pdu};
use crate::priority::{Priority, Scale};
use crate::sound::SoundEnd;

/// The message without its reference. None where the profile has no words for it.
pub fn express(body: &Body, ends: Ends<'_>) -> Option<Pdu> {
    let mut draft = Draft {
        pdu: Pdu {
            flags: Flags::NONE,
            hops: MOST_HOPS,
            kind: 0,
            source: ends.own,
            destination: ends.other,
            reference: 0,
            fields: Fields::default(),
        },
        ends,
    };
    match body {
        Meaning::Hello(hello) => draft.hello(types::HELLO, hello),
        Meaning::HelloAnswer(hello) => {
            draft.pdu.flags = Flags::ANSWER;
            draft.hello(types::HELLO_ANSWER, hello);
        }
        Meaning::KeepAlive(pulse) => {
            draft.pdu.kind = types::KEEP_ALIVE;
            draft.pulse(*pulse);
        }
        Meaning::Command(command) => {
            draft.pdu.flags = Flags::ANSWER_WANTED;
            draft.command(command);
        }
        Meaning::Event(event) => draft.pdu.kind = draft.event(event)?,
        Meaning::Item(event) => {
            let of = draft.event(event)?;
            draft.fields().put_u8(kind::ITEM_OF, of);
            draft.pdu.kind = types::SNAPSHOT_ITEM;
            draft.pdu.flags = Flags::ANSWER.with(Flags::SNAPSHOT);
        }
        Meaning::ItemsEnd(count) => {
            draft.pdu.kind = types::SNAPSHOT_END;
            draft.pdu.flags = Flags::ANSWER.with(Flags::SNAPSHOT);
            draft.fields().put_u16(kind::COUNT, *count);
        }
        Meaning::Result(answer) => {
            draft.pdu.kind = types::RESULT;
            draft.pdu.flags = Flags::ANSWER;
            draft.answer(answer);
        }
    }
    Some(draft.pdu)
}

struct Draft<'a> {
    pdu: Pdu,
    ends: Ends<'a>,
}

impl Draft<'_> {
    const fn fields(&mut self) -> &mut Fields {
        &mut self.pdu.fields
    }

    fn command(&mut self, command: &Command) {
        self.pdu.kind = match command {
            Command::CallSetup(setup) => {
                self.call_setup(setup);
                types::CALL_SETUP
            }
            Command::CallRelease { call, cause } => {
                self.call(call.0);
                self.fields().put_u8(kind::CAUSE, cause.0);
                types::CALL_RELEASE
            }
            Command::Hold { call } => {
                self.call(call.0);
                types::HOLD
            }
            Command::Retrieve { call } => {
                self.call(call.0);
                types::RETRIEVE
            }
            Command::Transfer { call, to } => {
                self.call(call.0);
                self.to(*to);
                types::TRANSFER
            }
            Command::SetTalkMode { call, mode } => {
                self.call(call.0);
                self.mode(*mode);
                types::TALK_MODE
            }
            Command::TalkKey { station, key } => {
                self.station(*station);
                self.key(*key);
                types::TALK_KEY
            }
            Command::Keys { station, keys } => {
                self.station(*station);
                self.fields().put(kind::KEYS, keys.as_str().as_bytes());
                types::KEYS
            }
            Command::GroupStart {
                group,
                talker,
                priority,
            } => {
                self.group(*group);
                self.from(*talker);
                self.priority(*priority);
                types::GROUP_START
            }
            Command::GroupStop { group, talker } => {
                self.group(*group);
                self.from(*talker);
                types::GROUP_STOP
            }
            Command::ConferenceJoin {
                conference,
                station,
                mode,
            } => {
                self.group(*conference);
                self.station(*station);
                self.mode(*mode);
                types::CONFERENCE_JOIN
            }
            Command::ConferenceLeave {
                conference,
                station,
            } => {
                self.group(*conference);
                self.station(*station);
                types::CONFERENCE_LEAVE
            }
            Command::ConferenceTalk {
                conference,
                station,
                key,
            } => {
                self.group(*conference);
                self.station(*station);
                self.key(*key);
                types::CONFERENCE_TALK
            }
            Command::RequestFile(request) => {
                self.request(request);
                types::REQUEST_NEW
            }
            Command::RequestWithdraw { request } => {
                self.fields().put_u64(kind::REQUEST, request.0);
                types::REQUEST_CANCEL
            }
            Command::RequestClaim { request, by } => {
                self.fields().put_u64(kind::REQUEST, request.0);
                self.from(*by);
                types::REQUEST_CLAIM
            }
            Command::OutputSet(output) => {
                self.output(output);
                types::OUTPUT_SET
            }
            Command::DoorOpen(output) => {
                self.output(output);
                types::DOOR_OPEN
            }
            Command::ShowText { station, text } => {
                self.station(*station);
                self.fields().put(kind::TEXT, text.as_str().as_bytes());
                types::TEXT
            }
            Command::Programme { station, programme } => {
                self.station(*station);
                let channel = match programme {
                    Programme::Off => 0,
                    Programme::Channel(channel) => *channel,
                };
                self.fields().put_u8(kind::PROGRAMME, channel);
                types::PROGRAMME
            }
            Command::Announce {
                station,
                message,
                priority,
            } => {
                self.station(*station);
                self.fields().put_u8(kind::RECORDING, *message);
                self.priority(*priority);
                types::ANNOUNCE
            }
            Command::Divert { station, divert } => {
                self.station(*station);
                self.divert(*divert);
                types::DIVERT
            }
            Command::SetPrivacy { station, privacy } => {
                self.station(*station);
                self.fields().put_switch(kind::LEVEL, *privacy);
                types::PRIVACY
            }
            Command::LineTest { station } => {
                self.station(*station);
                types::LINE_TEST
            }
            Command::Snapshot => types::SNAPSHOT,
        };
    }

    fn event(&mut self, event: &Event) -> Option<u8> {
        Some(match event {
            Event::StationState { station, state } => {
                self.from(*station);
                self.station_state(*state);
                types::STATION_STATE
            }
            Event::StationFaults { station, faults } => {
                self.from(*station);
                self.fields().put_u16(kind::FAULTS, faults.0);
                types::STATION_FAULTS
            }
            Event::LineTested { station, result } => {
                self.from(*station);
                self.line_test(*result);
                types::LINE_TESTED
            }
            Event::RequestNew(request) => {
                self.request(request);
                types::REQUEST_NEW
            }
            Event::RequestUpdated(request) => {
                self.request(request);
                types::REQUEST_UPDATE
            }
            Event::RequestCancelled { request } => {
                self.fields().put_u64(kind::REQUEST, request.0);
                types::REQUEST_CANCEL
            }
            Event::RequestClosed { request, cause, by } => {
                self.fields().put_u64(kind::REQUEST, request.0);
                self.fields().put_u8(kind::CAUSE, cause.0);
                if let Some(by) = by {
                    self.from(*by);
                }
                types::REQUEST_CLOSED
            }
            Event::CallProgress(progress) => {
                self.call_progress(progress);
                types::CALL_PROGRESS
            }
            Event::CallConnected(connected) => {
                self.call_connected(connected);
                types::CALL_CONNECTED
            }
            Event::CallReleased { call, cause } => {
                self.call(call.0);
                self.fields().put_u8(kind::CAUSE, cause.0);
                types::CALL_RELEASED
            }
            Event::OutputState {
                station,
                output,
                state,
            } => {
                self.from(*station);
                self.fields().put_index(kind::OUTPUT, *output);
                self.fields().put_switch(kind::LEVEL, *state);
                types::OUTPUT_STATE
            }
            Event::InputState {
                station,
                input,
                state,
            } => {
                self.from(*station);
                self.fields().put_index(kind::INPUT, *input);
                self.fields().put_switch(kind::LEVEL, *state);
                types::INPUT_STATE
            }
            Event::DoorState {
                station,
                output,
                state,
                command,
            } => {
                self.from(*station);
                self.fields().put_index(kind::OUTPUT, *output);
                self.fields().put_u8(kind::DOOR_STATE, door(*state));
                if let Some(command) = command {
                    self.fields().put_u64(kind::COMMAND_ID, command.0);
                }
                types::DOOR_STATE
            }
            // What we did not understand ourselves we tell nobody.
            Event::Opaque { .. } => return None,
        })
    }

    /// The header's first node becomes its home.
    fn from(&mut self, party: Party) {
        self.pdu.source = party.node;
        self.fields().put_number(kind::NUMBER, party.number);
    }

    /// The header's second node becomes the home of the station that is commanded.
    fn station(&mut self, station: Party) {
        self.pdu.destination = station.node;
        self.fields().put_number(kind::NUMBER, station.number);
    }

    fn to(&mut self, party: Party) {
        self.fields().put_number(kind::TO_NUMBER, party.number);
        if party.node != self.pdu.destination {
            self.fields().put_u16(kind::TO_NODE, party.node.0);
        }
    }

    fn home(&mut self, to: Option<Party>) {
        let node = to.map(|party| party.node).filter(|node| *node != Node(0));
        self.pdu.destination = node.unwrap_or(self.ends.other);
    }

    fn call_setup(&mut self, setup: &CallSetup) {
        self.home(Some(setup.to));
        self.from(setup.from);
        self.to(setup.to);
        self.priority(setup.priority);
        self.mode(setup.mode);
        self.call(setup.call.0);
        if let Some(text) = &setup.text {
            self.fields().put(kind::TEXT, text.as_str().as_bytes());
        }
        self.sound(setup.sound);
    }

    fn request(&mut self, request: &CallRequest) {
        self.home(request.to);
        self.from(request.from);
        if let Some(to) = request.to {
            self.to(to);
        }
        self.priority(request.priority);
        self.fields().put_u64(kind::REQUEST, request.request.0);
        if let Some(text) = &request.text {
            self.fields().put(kind::TEXT, text.as_str().as_bytes());
        }
    }

    fn call_progress(&mut self, progress: &CallProgress) {
        self.parties(progress.from, progress.to);
        self.call(progress.call.0);
        let octet = match progress.progress {
            Progress::Trying => 0,
            Progress::Ringing => 1,
            Progress::Queued => 2,
            Progress::Held => 3,
            // Where sound goes before the answer, the field beside it says.
            Progress::Audible => 1,
        };
        self.fields().put_u8(kind::PROGRESS, octet);
        if let Some(priority) = progress.priority {
            self.priority(priority);
        }
        self.sound(progress.sound);
    }

    fn call_connected(&mut self, connected: &CallConnected) {
        self.parties(connected.from, connected.to);
        self.call(connected.call.0);
        if let Some(mode) = connected.mode {
            self.mode(mode);
        }
        self.sound(connected.sound);
    }

    fn sound(&mut self, sound: Option<SoundEnd>) {
        if let Some(end) = sound {
            self.fields().put(kind::SOUND, &sound::write(end));
        }
    }

    fn parties(&mut self, from: Option<Party>, to: Option<Party>) {
        self.home(to);
        if let Some(from) = from {
            self.from(from);
        }
        if let Some(to) = to {
            self.to(to);
        }
    }

    fn call(&mut self, call: u64) {
        self.fields().put_u64(kind::CALL, call);
    }

    fn group(&mut self, group: GroupRef) {
        self.fields().put_u16(kind::GROUP, group.0);
    }

    fn priority(&mut self, priority: Priority) {
        let value = priority.on(Scale::OneIsHighest).value();
        self.fields().put_u8(kind::PRIORITY, value);
    }

    fn mode(&mut self, mode: TalkMode) {
        let octet = match mode {
            TalkMode::OpenDuplex => 1,
            TalkMode::VoiceSwitched => 2,
            TalkMode::Simplex(Talker::Caller) => 3,
            TalkMode::Simplex(Talker::Called) => 4,
            TalkMode::Simplex(Talker::Nobody) => 5,
            TalkMode::ListenOnly => 6,
            TalkMode::TalkOnly => 7,
        };
        self.fields().put_u8(kind::TALK_MODE, octet);
    }

    fn key(&mut self, key: Key) {
        self.fields()
            .put_u8(kind::KEY, u8::from(key == Key::Pressed));
    }

    fn station_state(&mut self, state: StationState) {
        let (octet, group) = match state {
            StationState::Unknown => (0, None),
            StationState::Idle => (1, None),
            StationState::Ringing => (2, None),
            StationState::Requesting => (3, None),
            StationState::InCall => (4, None),
            StationState::InConference(group) => (5, group),
            StationState::Listening(group) => (6, group),
            StationState::Privacy => (7, None),
            StationState::OutOfService => (8, None),
        };
        self.fields().put_u8(kind::STATION_STATE, octet);
        if let Some(group) = group {
            self.group(group);
        }
    }

    fn line_test(&mut self, result: LineTest) {
        let octet = match result {
            LineTest::Passed => 0,
            LineTest::Failed(faults) => {
                self.fields().put_u16(kind::FAULTS, faults.0);
                1
            }
            LineTest::Skipped => 2,
        };
        self.fields().put_u8(kind::TEST_RESULT, octet);
    }

    fn output(&mut self, command: &OutputCommand) {
        self.station(command.station);
        let until = self.ends.times.ours(command.valid_until);
        let fields = self.fields();
        fields.put_index(kind::OUTPUT, command.output);
        match command.action {
            OutputAction::Pulse(pulse) => fields.put_u16(kind::PULSE, milliseconds(pulse)),
            OutputAction::Set(level) => fields.put_switch(kind::LEVEL, level),
        }
        fields.put_u64(kind::COMMAND_ID, command.id.0);
        fields.put_u64(kind::VALID_UNTIL, until);
        fields.put(kind::AUTHORITY, command.authority.as_bytes());
    }

    fn divert(&mut self, divert: Divert) {
        let (octet, to) = match divert {
            Divert::Off => (0, None),
            Divert::Always(to) => (1, Some(to)),
            Divert::Busy(to) => (2, Some(to)),
            Divert::NoReply(to) => (3, Some(to)),
        };
        self.fields().put_u8(kind::DIVERT, octet);
        if let Some(to) = to {
            self.to(to);
        }
    }

    fn hello(&mut self, of: u8, hello: &Hello) {
        self.pdu.kind = of;
        // Nobody is known by its node before this.
        self.pdu.destination = Node(0);
        let fields = self.fields();
        fields.put_u16(kind::VERSION, hello.version);
        fields.put(kind::NAME, hello.name.as_str().as_bytes());
        fields.put_u32(kind::CAPABILITIES, hello.capabilities);
        self.pulse(hello.pulse);
    }

    fn pulse(&mut self, pulse: Pulse) {
        let fields = self.fields();
        if let Some(time) = pulse.link_time {
            fields.put_u64(kind::LINK_TIME, time);
        }
        if let Some(next) = pulse.next_event {
            fields.put_u16(kind::NEXT_EVENT, next);
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let code = match answer.verdict {
            Verdict::Done => 0,
            Verdict::Accepted | Verdict::Sent => 1,
            Verdict::Busy => 2,
            Verdict::NoSuchNumber => 3,
            Verdict::NotAllowed => 4,
            Verdict::AlreadyTaken => 5,
            Verdict::Expired => 6,
            Verdict::Unsupported => 7,
            Verdict::Loop => 8,
            Verdict::NodeUnreachable
            | Verdict::NotConnected
            | Verdict::LineLost
            | Verdict::NoAnswer => 9,
            Verdict::TestRefused => 10,
            Verdict::RateLimited => 11,
        };
        if let Some(by) = answer.by {
            self.from(by);
        }
        let fields = self.fields();
        fields.put_u8(kind::RESULT, code);
        if let Some(cause) = answer.cause {
            fields.put_u8(kind::CAUSE, cause.0);
        }
        if let Some(text) = &answer.text {
            fields.put(kind::TEXT, text.as_str().as_bytes());
        }
    }
}

const fn door(state: Door) -> u8 {
    match state {
        Door::Closed => 0,
        Door::Opened => 1,
        Door::Sent => 2,
        Door::Failed => 3,
    }
}

/// Pulses are at most a minute (`safety`).
fn milliseconds(pulse: Duration) -> u16 {
    u16::try_from(pulse.as_millis()).unwrap_or(u16::MAX)
}
