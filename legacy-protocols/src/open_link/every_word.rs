//! Every command and every event of the neutral language crosses the line unchanged (B9).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::message::{Ends, Meaning, MessageFault, Times, express, types, understand};
use super::{Flags, Pdu};
use crate::command::{
    Answer, Authority, CallRef, CallSetup, Cause, Command, Divert, GroupRef, Key, Keys,
    OutputAction, OutputCommand, OutputId, Programme, RequestRef, Switch, Verdict,
};
use crate::coverage::{CommandKind, EventKind};
use crate::event::{
    CallConnected, CallProgress, CallRequest, Door, Event, Faults, LineTest, Progress,
    StationState, TalkMode, Talker,
};
use crate::number::{Node, Number, Party};
use crate::priority::{Priority, Scale};
use crate::sound::{SoundCodec, SoundCodecs, SoundEnd, SoundKeys};
use crate::text::Text;

#[derive(Debug)]
struct Line(Instant);

impl Times for Line {
    fn ours(&self, at: Instant) -> u64 {
        at.duration_since(self.0).as_millis() as u64
    }

    fn theirs(&self, milliseconds: u64) -> Instant {
        self.0 + Duration::from_millis(milliseconds)
    }
}

/// What the other end understands of it.
fn across(meaning: &Meaning, line: &Line) -> Result<Meaning, MessageFault> {
    let ends = |own, other| Ends {
        own: Node(own),
        other: Node(other),
        times: line,
    };
    let sent = express(meaning, ends(2, 1)).expect("the profile has words for it");
    let arrived = Pdu::decode(&sent.encode()).expect("it is well formed");
    understand(&arrived, ends(1, 2))
}

fn party(node: u16, number: &str) -> Party {
    Party {
        node: Node(node),
        number: Number::new(number).unwrap(),
    }
}

fn request() -> CallRequest {
    CallRequest {
        request: RequestRef(9),
        from: party(2, "2101"),
        to: Some(party(7, "0001")),
        priority: Priority::new(3, Scale::OneIsHighest).unwrap(),
        text: Some(Text::clip("Gate East")),
    }
}

fn sound(address: &str) -> SoundEnd {
    SoundEnd {
        address: address.parse().unwrap(),
        codecs: SoundCodecs::new([SoundCodec::Pcma, SoundCodec::G722]).unwrap(),
        keys: SoundKeys::Events,
    }
}

fn output(start: Instant, action: OutputAction) -> OutputCommand {
    OutputCommand {
        id: OutputId(u64::MAX),
        station: party(4, "2101"),
        output: 300,
        action,
        authority: Authority::new(&[7; 200]).unwrap(),
        valid_until: start + Duration::from_millis(12_345),
    }
}

fn commands(start: Instant) -> Vec<Command> {
    let call = CallRef(u64::MAX);
    let (group, conference) = (GroupRef(1), GroupRef(2));
    let (own, station, priority) = (party(2, "4001"), party(1, "2101"), Priority::NORMAL);
    let divert = |divert| Command::Divert { station, divert };
    vec![
        Command::CallSetup(CallSetup {
            call,
            from: own,
            to: party(9, "12345678"),
            priority,
            mode: TalkMode::VoiceSwitched,
            text: Some(Text::clip("\u{df}")),
            sound: Some(sound("[fe80::1]:65534")),
        }),
        Command::CallRelease {
            call,
            cause: Cause::BUSY,
        },
        Command::Hold { call },
        Command::Retrieve { call },
        Command::Transfer {
            call,
            to: party(9, "1"),
        },
        Command::SetTalkMode {
            call,
            mode: TalkMode::Simplex(Talker::Nobody),
        },
        Command::TalkKey {
            station,
            key: Key::Pressed,
        },
        Command::Keys {
            station,
            keys: Keys::new("0*#ABCD").unwrap(),
        },
        Command::GroupStart {
            group,
            talker: own,
            priority,
        },
        Command::GroupStop { group, talker: own },
        Command::ConferenceJoin {
            conference,
            station,
            mode: TalkMode::ListenOnly,
        },
        Command::ConferenceLeave {
            conference,
            station,
        },
        Command::ConferenceTalk {
            conference,
            station,
            key: Key::Released,
        },
        Command::RequestFile(request()),
        Command::RequestWithdraw {
            request: RequestRef(9),
        },
        Command::RequestClaim {
            request: RequestRef(9),
            by: own,
        },
        Command::OutputSet(output(start, OutputAction::Set(Switch::Off))),
        Command::DoorOpen(output(start, OutputAction::Pulse(Duration::from_secs(60)))),
        Command::ShowText {
            station,
            text: Text::clip("Wait"),
        },
        Command::Programme {
            station,
            programme: Programme::Off,
        },
        Command::Programme {
            station,
            programme: Programme::Channel(3),
        },
        Command::Announce {
            station,
            message: 4,
            priority,
        },
        divert(Divert::Off),
        divert(Divert::Always(party(1, "2"))),
        divert(Divert::Busy(party(5, "2"))),
        divert(Divert::NoReply(party(5, "2"))),
        Command::SetPrivacy {
            station,
            privacy: Switch::On,
        },
        Command::LineTest { station },
        Command::Snapshot,
    ]
}

fn events() -> Vec<Event> {
    let (call, station) = (CallRef(1), party(8, "2101"));
    let state = |state| Event::StationState { station, state };
    let tested = |result| Event::LineTested { station, result };
    let door = |state, command| Event::DoorState {
        station,
        output: 2,
        state,
        command,
    };
    let progress = |progress| {
        Event::CallProgress(CallProgress {
            call,
            progress,
            from: Some(station),
            to: Some(party(1, "7")),
            priority: Some(Priority::NORMAL),
            sound: None,
        })
    };
    vec![
        state(StationState::Unknown),
        state(StationState::Idle),
        state(StationState::Ringing),
        state(StationState::Requesting),
        state(StationState::InCall),
        state(StationState::InConference(Some(GroupRef(7)))),
        state(StationState::Listening(None)),
        state(StationState::Privacy),
        state(StationState::OutOfService),
        Event::StationFaults {
            station,
            faults: Faults(0x1FF),
        },
        tested(LineTest::Passed),
        tested(LineTest::Failed(Faults::SPEAKER)),
        tested(LineTest::Skipped),
        Event::RequestNew(request()),
        Event::RequestUpdated(CallRequest {
            to: None,
            text: None,
            ..request()
        }),
        Event::RequestCancelled {
            request: RequestRef(1),
        },
        Event::RequestClosed {
            request: RequestRef(1),
            cause: Cause::NORMAL,
            by: Some(station),
        },
        Event::RequestClosed {
            request: RequestRef(1),
            cause: Cause::NORMAL,
            by: None,
        },
        progress(Progress::Trying),
        progress(Progress::Ringing),
        progress(Progress::Queued),
        progress(Progress::Held),
        Event::CallConnected(CallConnected {
            call,
            from: None,
            to: None,
            mode: None,
            sound: None,
        }),
        Event::CallConnected(CallConnected {
            call,
            from: Some(station),
            to: Some(party(1, "7")),
            mode: Some(TalkMode::TalkOnly),
            sound: Some(sound("192.0.2.9:10000")),
        }),
        Event::CallProgress(CallProgress {
            call,
            progress: Progress::Ringing,
            from: None,
            to: None,
            priority: None,
            sound: Some(sound("192.0.2.9:10002")),
        }),
        Event::CallReleased {
            call,
            cause: Cause::NO_ANSWER,
        },
        Event::OutputState {
            station,
            output: 1,
            state: Switch::On,
        },
        Event::InputState {
            station,
            input: 999,
            state: Switch::Off,
        },
        door(Door::Sent, Some(OutputId(5))),
        door(Door::Opened, None),
        door(Door::Closed, None),
        door(Door::Failed, None),
    ]
}

#[test]
fn b9_every_command_crosses_the_line() {
    let line = Line(Instant::now());
    let mut seen = BTreeSet::new();
    for command in commands(line.0) {
        seen.insert(command.kind());
        let sent = Meaning::Command(command);
        assert_eq!(across(&sent, &line).as_ref(), Ok(&sent));
    }
    assert_eq!(seen.len(), CommandKind::ALL.len(), "one of each kind");
}

#[test]
fn b9_every_event_crosses_the_line_and_fits_into_a_picture() {
    let line = Line(Instant::now());
    let mut seen = BTreeSet::from([EventKind::Opaque]);
    for event in events() {
        seen.insert(event.kind());
        for sent in [Meaning::Event(event.clone()), Meaning::Item(event)] {
            assert_eq!(across(&sent, &line).as_ref(), Ok(&sent));
        }
    }
    assert_eq!(seen.len(), EventKind::ALL.len(), "one of each kind");
    let opaque = Meaning::Event(Event::Opaque { kind: None });
    let ends = Ends {
        own: Node(1),
        other: Node(2),
        times: &line,
    };
    assert_eq!(express(&opaque, ends), None);
}

#[test]
fn every_result_crosses_the_line() {
    let line = Line(Instant::now());
    for verdict in [
        Verdict::Done,
        Verdict::Accepted,
        Verdict::Busy,
        Verdict::NoSuchNumber,
        Verdict::NotAllowed,
        Verdict::AlreadyTaken,
        Verdict::Expired,
        Verdict::Unsupported,
        Verdict::Loop,
        Verdict::NodeUnreachable,
        Verdict::TestRefused,
        Verdict::RateLimited,
    ] {
        let sent = Meaning::Result(Answer {
            verdict,
            cause: Some(Cause::REJECTED),
            text: Some(Text::clip("no")),
            by: Some(party(3, "2002")),
        });
        assert_eq!(across(&sent, &line).as_ref(), Ok(&sent));
    }
}

/// Whatever a picture holds is a fact; there is no way to write an order into it.
#[test]
fn b9_a_picture_cannot_open_a_door() {
    let line = Line(Instant::now());
    let ends = Ends {
        own: Node(1),
        other: Node(2),
        times: &line,
    };
    let door = output(line.0, OutputAction::Pulse(Duration::from_secs(1)));
    let mut pdu = express(&Meaning::Command(Command::DoorOpen(door)), ends).unwrap();
    pdu.kind = types::SNAPSHOT_ITEM;
    pdu.flags = Flags::ANSWER.with(Flags::SNAPSHOT);
    pdu.fields
        .put_u8(super::field::kind::ITEM_OF, types::DOOR_OPEN);
    assert_eq!(
        understand(&pdu, ends),
        Err(MessageFault::Unknown(types::DOOR_OPEN))
    );
}
