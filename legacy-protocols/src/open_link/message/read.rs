//! From fields to neutral words.

use std::time::Duration;

use super::{Ends, Hello, Meaning, MessageFault, Pulse, types};
use crate::command::{
    Answer, CallRef, CallSetup, Cause, Command, Divert, GroupRef, Key, OutputAction, OutputCommand,
    OutputId, Programme, RequestRef, Verdict,
};
use crate::event::{
    CallConnected, CallProgress, CallRequest, Door, Event, Faults, LineTest, Progress,
    StationState, TalkMode, Talker,
};
use crate::number::{Node, Party};
use crate::open_link::field::{Fields, kind, sound};
use crate::open_link::pdu::{Flags, Pdu};
use crate::priority::{Priority, Scale};
use crate::sound::SoundEnd;

type Read<T> = Result<T, MessageFault>;

pub fn understand(pdu: &Pdu, ends: Ends<'_>) -> Read<Meaning> {
    if let Some(field) = pdu.fields.not_understood() {
        return Err(MessageFault::Mandatory(field));
    }
    let reader = Reader {
        fields: &pdu.fields,
        source: pdu.source,
        destination: pdu.destination,
        ends,
    };
    match pdu.kind {
        types::HELLO => Ok(Meaning::Hello(reader.hello()?)),
        types::HELLO_ANSWER => Ok(Meaning::HelloAnswer(reader.hello()?)),
        types::KEEP_ALIVE => Ok(Meaning::KeepAlive(reader.pulse())),
        types::SNAPSHOT_ITEM => {
            let of = reader.need(kind::ITEM_OF, Fields::u8)?;
            let event = reader.event(of)?;
            event.map(Meaning::Item).ok_or(MessageFault::Unknown(of))
        }
        types::SNAPSHOT_END => Ok(Meaning::ItemsEnd(reader.need(kind::COUNT, Fields::u16)?)),
        types::RESULT => Ok(Meaning::Result(reader.answer()?)),
        _ => reader.command_or_event(pdu),
    }
}

struct Reader<'a> {
    fields: &'a Fields,
    source: Node,
    destination: Node,
    ends: Ends<'a>,
}

impl Reader<'_> {
    fn command_or_event(&self, pdu: &Pdu) -> Read<Meaning> {
        // The same message tells of a request, or asks to queue it here.
        let wanted = pdu.flags.has(Flags::ANSWER_WANTED);
        match pdu.kind {
            types::REQUEST_NEW if wanted => {
                return Ok(Meaning::Command(Command::RequestFile(self.request()?)));
            }
            types::REQUEST_CANCEL if wanted => {
                let request = self.request_ref()?;
                return Ok(Meaning::Command(Command::RequestWithdraw { request }));
            }
            _ => {}
        }
        if let Some(event) = self.event(pdu.kind)? {
            return Ok(Meaning::Event(event));
        }
        let command = self.command(pdu.kind)?;
        command
            .map(Meaning::Command)
            .ok_or(MessageFault::Unknown(pdu.kind))
    }

    fn event(&self, of: u8) -> Read<Option<Event>> {
        let event = match of {
            types::STATION_STATE => Event::StationState {
                station: self.from()?,
                state: self.station_state()?,
            },
            types::STATION_FAULTS => Event::StationFaults {
                station: self.from()?,
                faults: Faults(self.need(kind::FAULTS, Fields::u16)?),
            },
            types::LINE_TESTED => Event::LineTested {
                station: self.from()?,
                result: self.line_test()?,
            },
            types::REQUEST_NEW => Event::RequestNew(self.request()?),
            types::REQUEST_UPDATE => Event::RequestUpdated(self.request()?),
            types::REQUEST_CANCEL => Event::RequestCancelled {
                request: self.request_ref()?,
            },
            types::REQUEST_CLOSED => Event::RequestClosed {
                request: self.request_ref()?,
                cause: self.cause(),
                by: self.from().ok(),
            },
            types::CALL_PROGRESS => Event::CallProgress(CallProgress {
                call: self.call()?,
                progress: self.progress()?,
                from: self.from().ok(),
                to: self.to().ok(),
                priority: self.priority()?,
                sound: self.sound()?,
            }),
            types::CALL_CONNECTED => Event::CallConnected(CallConnected {
                call: self.call()?,
                from: self.from().ok(),
                to: self.to().ok(),
                mode: self.mode()?,
                sound: self.sound()?,
            }),
            types::CALL_RELEASED => Event::CallReleased {
                call: self.call()?,
                cause: self.cause(),
            },
            types::OUTPUT_STATE => Event::OutputState {
                station: self.from()?,
                output: self.need(kind::OUTPUT, Fields::index)?,
                state: self.need(kind::LEVEL, Fields::switch)?,
            },
            types::INPUT_STATE => Event::InputState {
                station: self.from()?,
                input: self.need(kind::INPUT, Fields::index)?,
                state: self.need(kind::LEVEL, Fields::switch)?,
            },
            types::DOOR_STATE => Event::DoorState {
                station: self.from()?,
                output: self.need(kind::OUTPUT, Fields::index)?,
                state: self.door()?,
                command: self.fields.u64(kind::COMMAND_ID).map(OutputId),
            },
            _ => return Ok(None),
        };
        Ok(Some(event))
    }

    fn command(&self, of: u8) -> Read<Option<Command>> {
        let command = match of {
            types::SNAPSHOT => Command::Snapshot,
            types::LINE_TEST => Command::LineTest {
                station: self.station()?,
            },
            types::REQUEST_CLAIM => Command::RequestClaim {
                request: self.request_ref()?,
                by: self.from()?,
            },
            types::CALL_SETUP => Command::CallSetup(CallSetup {
                call: self.call()?,
                from: self.from()?,
                to: self.to()?,
                priority: self.priority()?.unwrap_or(Priority::NORMAL),
                mode: self.mode()?.unwrap_or(TalkMode::OpenDuplex),
                text: self.fields.text(kind::TEXT),
                sound: self.sound()?,
            }),
            types::CALL_RELEASE => Command::CallRelease {
                call: self.call()?,
                cause: self.cause(),
            },
            types::HOLD => Command::Hold { call: self.call()? },
            types::RETRIEVE => Command::Retrieve { call: self.call()? },
            types::TRANSFER => Command::Transfer {
                call: self.call()?,
                to: self.to()?,
            },
            types::TALK_MODE => Command::SetTalkMode {
                call: self.call()?,
                mode: self.mode()?.ok_or(MessageFault::Field(kind::TALK_MODE))?,
            },
            types::TALK_KEY => Command::TalkKey {
                station: self.station()?,
                key: self.key()?,
            },
            types::KEYS => Command::Keys {
                station: self.station()?,
                keys: self.need(kind::KEYS, Fields::keys)?,
            },
            types::GROUP_START => Command::GroupStart {
                group: self.group()?,
                talker: self.from()?,
                priority: self.priority()?.unwrap_or(Priority::NORMAL),
            },
            types::GROUP_STOP => Command::GroupStop {
                group: self.group()?,
                talker: self.from()?,
            },
            types::CONFERENCE_JOIN => Command::ConferenceJoin {
                conference: self.group()?,
                station: self.station()?,
                mode: self.mode()?.unwrap_or(TalkMode::OpenDuplex),
            },
            types::CONFERENCE_LEAVE => Command::ConferenceLeave {
                conference: self.group()?,
                station: self.station()?,
            },
            types::CONFERENCE_TALK => Command::ConferenceTalk {
                conference: self.group()?,
                station: self.station()?,
                key: self.key()?,
            },
            types::OUTPUT_SET => Command::OutputSet(self.output()?),
            types::DOOR_OPEN => Command::DoorOpen(self.output()?),
            types::TEXT => Command::ShowText {
                station: self.station()?,
                text: self.need(kind::TEXT, Fields::text)?,
            },
            types::PROGRAMME => Command::Programme {
                station: self.station()?,
                programme: match self.need(kind::PROGRAMME, Fields::u8)? {
                    0 => Programme::Off,
                    channel => Programme::Channel(channel),
                },
            },
            types::ANNOUNCE => Command::Announce {
                station: self.station()?,
                message: self.need(kind::RECORDING, Fields::u8)?,
                priority: self.priority()?.unwrap_or(Priority::NORMAL),
            },
            types::DIVERT => Command::Divert {
                station: self.station()?,
                divert: self.divert()?,
            },
            types::PRIVACY => Command::SetPrivacy {
                station: self.station()?,
                privacy: self.need(kind::LEVEL, Fields::switch)?,
            },
            _ => return Ok(None),
        };
        Ok(Some(command))
    }

    fn need<T>(&self, kind: u8, get: impl Fn(&Fields, u8) -> Option<T>) -> Read<T> {
        get(self.fields, kind).ok_or(MessageFault::Field(kind))
    }

    /// The number of field 10 at home where it comes from.
    fn from(&self) -> Read<Party> {
        self.party(kind::NUMBER, kind::NUMBER_NODE, self.source)
    }

    /// The number of field 10 as the station that is commanded.
    fn station(&self) -> Read<Party> {
        self.party(kind::NUMBER, kind::NUMBER_NODE, self.destination)
    }

    fn to(&self) -> Read<Party> {
        self.party(kind::TO_NUMBER, kind::TO_NODE, self.destination)
    }

    fn party(&self, number: u8, node: u8, home: Node) -> Read<Party> {
        Ok(Party {
            node: self.fields.node(node).unwrap_or(home),
            number: self.need(number, Fields::number)?,
        })
    }

    fn call(&self) -> Read<CallRef> {
        self.need(kind::CALL, Fields::u64).map(CallRef)
    }

    fn request_ref(&self) -> Read<RequestRef> {
        self.need(kind::REQUEST, Fields::u64).map(RequestRef)
    }

    fn group(&self) -> Read<GroupRef> {
        self.need(kind::GROUP, Fields::u16).map(GroupRef)
    }

    fn request(&self) -> Read<CallRequest> {
        Ok(CallRequest {
            request: self.request_ref()?,
            from: self.from()?,
            to: self.to().ok(),
            priority: self.priority()?.unwrap_or(Priority::NORMAL),
            text: self.fields.text(kind::TEXT),
        })
    }

    fn priority(&self) -> Read<Option<Priority>> {
        let Some(value) = self.fields.u8(kind::PRIORITY) else {
            return Ok(None);
        };
        let priority = Priority::new(value, Scale::OneIsHighest);
        priority
            .map(Some)
            .ok_or(MessageFault::Field(kind::PRIORITY))
    }

    fn cause(&self) -> Cause {
        self.fields
            .u8(kind::CAUSE)
            .map_or(Cause::UNSPECIFIED, Cause)
    }

    fn hello(&self) -> Read<Hello> {
        Ok(Hello {
            version: self.need(kind::VERSION, Fields::u16)?,
            name: self.fields.text(kind::NAME).unwrap_or_default(),
            capabilities: self
                .fields
                .get(kind::CAPABILITIES)
                .and_then(|octets| octets.try_into().ok())
                .map_or(0, u32::from_be_bytes),
            pulse: self.pulse(),
        })
    }

    fn pulse(&self) -> Pulse {
        Pulse {
            link_time: self.fields.u64(kind::LINK_TIME),
            next_event: self.fields.u16(kind::NEXT_EVENT),
        }
    }

    fn mode(&self) -> Read<Option<TalkMode>> {
        let Some(octet) = self.fields.u8(kind::TALK_MODE) else {
            return Ok(None);
        };
        Ok(Some(match octet {
            1 => TalkMode::OpenDuplex,
            2 => TalkMode::VoiceSwitched,
            3 => TalkMode::Simplex(Talker::Caller),
            4 => TalkMode::Simplex(Talker::Called),
            5 => TalkMode::Simplex(Talker::Nobody),
            6 => TalkMode::ListenOnly,
            7 => TalkMode::TalkOnly,
            _ => return Err(MessageFault::Field(kind::TALK_MODE)),
        }))
    }

    /// Nothing to be heard, where there is no such field.
    fn sound(&self) -> Read<Option<SoundEnd>> {
        let Some(value) = self.fields.get(kind::SOUND) else {
            return Ok(None);
        };
        let end = sound::read(value);
        end.map(Some).ok_or(MessageFault::Field(kind::SOUND))
    }

    fn station_state(&self) -> Read<StationState> {
        let group = self.fields.u16(kind::GROUP).map(GroupRef);
        Ok(match self.need(kind::STATION_STATE, Fields::u8)? {
            0 => StationState::Unknown,
            1 => StationState::Idle,
            2 => StationState::Ringing,
            3 => StationState::Requesting,
            4 => StationState::InCall,
            5 => StationState::InConference(group),
            6 => StationState::Listening(group),
            7 => StationState::Privacy,
            8 => StationState::OutOfService,
            _ => return Err(MessageFault::Field(kind::STATION_STATE)),
        })
    }

    fn line_test(&self) -> Read<LineTest> {
        match self.need(kind::TEST_RESULT, Fields::u8)? {
            0 => Ok(LineTest::Passed),
            1 => Ok(LineTest::Failed(Faults(
                self.need(kind::FAULTS, Fields::u16)?,
            ))),
            2 => Ok(LineTest::Skipped),
            _ => Err(MessageFault::Field(kind::TEST_RESULT)),
        }
    }

    fn door(&self) -> Read<Door> {
        match self.need(kind::DOOR_STATE, Fields::u8)? {
            0 => Ok(Door::Closed),
            1 => Ok(Door::Opened),
            2 => Ok(Door::Sent),
            3 => Ok(Door::Failed),
            _ => Err(MessageFault::Field(kind::DOOR_STATE)),
        }
    }

    fn progress(&self) -> Read<Progress> {
        match self.need(kind::PROGRESS, Fields::u8)? {
            0 => Ok(Progress::Trying),
            1 => Ok(Progress::Ringing),
            2 => Ok(Progress::Queued),
            3 => Ok(Progress::Held),
            _ => Err(MessageFault::Field(kind::PROGRESS)),
        }
    }

    fn key(&self) -> Read<Key> {
        match self.need(kind::KEY, Fields::u8)? {
            0 => Ok(Key::Released),
            1 => Ok(Key::Pressed),
            _ => Err(MessageFault::Field(kind::KEY)),
        }
    }

    fn output(&self) -> Read<OutputCommand> {
        let action = match self.fields.u16(kind::PULSE) {
            Some(milliseconds) => {
                OutputAction::Pulse(Duration::from_millis(u64::from(milliseconds)))
            }
            None => OutputAction::Set(self.need(kind::LEVEL, Fields::switch)?),
        };
        let until = self.need(kind::VALID_UNTIL, Fields::u64)?;
        Ok(OutputCommand {
            id: OutputId(self.need(kind::COMMAND_ID, Fields::u64)?),
            station: self.station()?,
            output: self.need(kind::OUTPUT, Fields::index)?,
            action,
            authority: self.need(kind::AUTHORITY, Fields::authority)?,
            valid_until: self.ends.times.theirs(until),
        })
    }

    fn divert(&self) -> Read<Divert> {
        match self.need(kind::DIVERT, Fields::u8)? {
            0 => Ok(Divert::Off),
            1 => Ok(Divert::Always(self.to()?)),
            2 => Ok(Divert::Busy(self.to()?)),
            3 => Ok(Divert::NoReply(self.to()?)),
            _ => Err(MessageFault::Field(kind::DIVERT)),
        }
    }

    fn answer(&self) -> Read<Answer> {
        let verdict = match self.need(kind::RESULT, Fields::u8)? {
            0 => Verdict::Done,
            1 => Verdict::Accepted,
            2 => Verdict::Busy,
            3 => Verdict::NoSuchNumber,
            4 => Verdict::NotAllowed,
            5 => Verdict::AlreadyTaken,
            6 => Verdict::Expired,
            7 => Verdict::Unsupported,
            8 => Verdict::Loop,
            9 => Verdict::NodeUnreachable,
            10 => Verdict::TestRefused,
            11 => Verdict::RateLimited,
            _ => return Err(MessageFault::Field(kind::RESULT)),
        };
        Ok(Answer {
            verdict,
            cause: self.fields.u8(kind::CAUSE).map(Cause),
            text: self.fields.text(kind::TEXT),
            by: self.from().ok(),
        })
    }
}
