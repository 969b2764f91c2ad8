//! What the older server at the other end of the line does, in any order.
//!
//! It keeps in mind only what it needs to go on: calls it knows of, requests it has made or was
//! shown, doors it was asked to open. Invariant: no door id reaches it twice.

use std::collections::BTreeSet;
use std::time::Duration;

use legacy_protocols::command::{
    Authority, CallRef, CallSetup, Cause, Command, Divert, GroupRef, Key, Keys, OutputAction,
    OutputCommand, OutputId, Programme, RequestRef,
};
use legacy_protocols::event::{
    CallConnected, CallProgress, CallRequest, Door, Event, Faults, LineTest, Progress,
    StationState, TalkMode, Talker,
};
use legacy_protocols::number::Party;
use legacy_protocols::priority::{Priority, Scale};
use legacy_protocols::sound::{SoundCodecs, SoundEnd, SoundKeys};
use scenarios::clock::SECOND;
use scenarios::old_server::{here, there};
use scenarios::random::Random;
use scenarios::world::World;

use crate::house::DIALLED;

pub(crate) const STATIONS: [&str; 2] = ["2101", "2102"];
/// Of ours: one that is diverted, and one that hears programmes.
const DIVERTED: &str = "106";
const LISTENS: &str = "107";
const CHANNEL: Programme = Programme::Channel(3);
/// Number 530 here.
pub(crate) const GROUP: GroupRef = GroupRef(3);
pub(crate) const TOKEN: &[u8] = b"night desk";

#[derive(Clone, Copy, Debug)]
pub(crate) enum OldAct {
    Cut,
    Mend,
    Calls {
        from: &'static str,
        to: &'static str,
        urgent: u8,
    },
    /// Of a call that it was asked to set up.
    Rings,
    Answers,
    Releases,
    Holds,
    Retrieves,
    Transfers(&'static str),
    Keys,
    TalkKey,
    Wishes(&'static str),
    TakesBack,
    Claims,
    OpensOurs,
    DoorMoves(Door),
    State(StationState),
    Breaks(&'static str),
    /// What it asks of stations of ours.
    Diverts(Option<&'static str>),
    Programme(Programme),
    Announces,
    TalkMode(TalkMode),
    Gathers(Party),
    Disperses(Party),
    Tested(LineTest),
}

#[derive(Debug, Default)]
pub(crate) struct OldSide {
    next: u64,
    calls: Vec<CallRef>,
    wishes: Vec<RequestRef>,
    /// Requests of ours at its desk, and who asks.
    shown: Vec<(RequestRef, Party)>,
    doors: BTreeSet<OutputId>,
    last_door: Option<OutputId>,
    /// Calls of its stations that were answered here.
    pub(crate) talks: u64,
}

impl OldAct {
    pub(crate) fn choose(random: &mut Random) -> Self {
        let station = random.pick(&STATIONS);
        match random.below(48) {
            0 => Self::Cut,
            1..=3 => Self::Mend,
            4..=8 => Self::Calls {
                from: station,
                to: random.pick(&DIALLED),
                urgent: random.pick(&[70, 70, 70, 10, 30]),
            },
            9..=10 => Self::Rings,
            11..=14 => Self::Answers,
            15..=17 => Self::Releases,
            18 => Self::Holds,
            19 => Self::Retrieves,
            20 => Self::Transfers(random.pick(&DIALLED)),
            21 => Self::Keys,
            22 => Self::TalkKey,
            23..=25 => Self::Wishes(station),
            26 => Self::TakesBack,
            27..=31 => Self::Claims,
            32 => Self::OpensOurs,
            33 => Self::DoorMoves(random.pick(&[Door::Opened, Door::Sent, Door::Failed])),
            34 => Self::State(random.pick(&[
                StationState::Idle,
                StationState::InCall,
                StationState::OutOfService,
                StationState::Unknown,
            ])),
            35 => Self::Breaks(station),
            36..=38 => Self::Diverts(random.pick(&[None, Some("104"), Some("2101"), Some("501")])),
            39..=40 => Self::Programme(random.pick(&[Programme::Off, CHANNEL, CHANNEL])),
            41..=42 => Self::Announces,
            43..=44 => Self::TalkMode(random.pick(&[
                TalkMode::OpenDuplex,
                TalkMode::ListenOnly,
                TalkMode::TalkOnly,
                TalkMode::Simplex(Talker::Caller),
            ])),
            45 => Self::Gathers(random.pick(&[there("2101"), here("101")])),
            46 => Self::Disperses(random.pick(&[there("2101"), here("101")])),
            _ => Self::Tested(random.pick(&[
                LineTest::Passed,
                LineTest::Failed(Faults::MICROPHONE),
                LineTest::Skipped,
            ])),
        }
    }
}

impl OldSide {
    fn fresh(&mut self) -> u64 {
        self.next += 1;
        CallRef::OF_PORT | self.next
    }

    pub(crate) fn act(&mut self, act: OldAct, world: &mut World, random: &mut Random) {
        self.look(world);
        let call = self.some_call(random);
        let cause = Cause(random.pick(&[16, 17, 19, 21, 31, 34]));
        match (act, call) {
            (OldAct::Cut, _) => world.cut_line(0),
            (OldAct::Mend, _) => world.mend_line(0),
            (OldAct::Calls { from, to, urgent }, _) => {
                let call = CallRef(self.fresh());
                self.calls.push(call);
                world.old_asks(0, Command::CallSetup(setup(call, from, here(to), urgent)));
            }
            (OldAct::Rings, Some(call)) => world.old_tells(0, progress(call, Progress::Ringing)),
            (OldAct::Answers, Some(call)) => world.old_tells(0, answered(call)),
            (OldAct::Releases, Some(call)) => {
                self.calls.retain(|known| *known != call);
                world.old_tells(0, Event::CallReleased { call, cause });
            }
            (OldAct::Holds, Some(call)) => drop(world.old_asks(0, Command::Hold { call })),
            (OldAct::Retrieves, Some(call)) => {
                world.old_asks(0, Command::Retrieve { call });
            }
            (OldAct::Transfers(to), Some(call)) => {
                let to = here(to);
                world.old_asks(0, Command::Transfer { call, to });
            }
            (OldAct::Keys, _) => {
                let (station, keys) = (there("2101"), Keys::new("3").expect("a key"));
                world.old_asks(0, Command::Keys { station, keys });
            }
            (OldAct::TalkKey, _) => {
                let (station, key) = (there("2101"), Key::Pressed);
                world.old_asks(0, Command::TalkKey { station, key });
            }
            (OldAct::Wishes(from), _) => {
                let request = RequestRef(self.fresh());
                self.wishes.push(request);
                world.old_tells(0, wish(request, from));
            }
            (OldAct::TakesBack, _) => {
                if let Some(request) = self.wishes.pop() {
                    world.old_tells(0, Event::RequestCancelled { request });
                }
            }
            (OldAct::Claims, _) => {
                // Who takes a request calls who asked.
                if let Some((request, asker)) = self.shown.pop() {
                    let by = there("2102");
                    world.old_asks(0, Command::RequestClaim { request, by });
                    let call = CallRef(self.fresh());
                    self.calls.push(call);
                    let setup = setup(call, "2102", asker, 70);
                    world.old_asks(0, Command::CallSetup(setup));
                }
            }
            (OldAct::OpensOurs, _) => {
                let open = open_ours(OutputId(self.fresh()), world);
                world.old_asks(0, Command::DoorOpen(open));
            }
            (OldAct::DoorMoves(state), _) => {
                let event = Event::DoorState {
                    station: there("2101"),
                    output: 1,
                    state,
                    command: self.last_door,
                };
                world.old_tells(0, event);
            }
            (OldAct::State(state), _) => {
                let station = there("2102");
                world.old_tells(0, Event::StationState { station, state });
            }
            (OldAct::Breaks(station), _) => {
                let faults = random.pick(&[Faults::NONE, Faults::NONE, Faults::LINE_OPEN]);
                let station = there(station);
                world.old_tells(0, Event::StationFaults { station, faults });
            }
            (OldAct::Diverts(to), _) => {
                let divert = to.map_or(Divert::Off, |to| Divert::Always(here(to)));
                let station = here(DIVERTED);
                world.old_asks(0, Command::Divert { station, divert });
            }
            (OldAct::Programme(programme), _) => {
                let station = here(LISTENS);
                world.old_asks(0, Command::Programme { station, programme });
            }
            (OldAct::Announces, _) => {
                let announce = Command::Announce {
                    station: here(random.pick(&[LISTENS, "104"])),
                    message: 7,
                    priority: Priority::NORMAL,
                };
                world.old_asks(0, announce);
            }
            (OldAct::TalkMode(mode), Some(call)) => {
                world.old_asks(0, Command::SetTalkMode { call, mode });
            }
            (OldAct::Gathers(talker), _) => {
                let start = Command::GroupStart {
                    group: GROUP,
                    talker,
                    priority: Priority::NORMAL,
                };
                world.old_asks(0, start);
            }
            (OldAct::Disperses(talker), _) => {
                let group = GROUP;
                world.old_asks(0, Command::GroupStop { group, talker });
            }
            (OldAct::Tested(result), _) => {
                let station = there("2101");
                world.old_tells(0, Event::LineTested { station, result });
            }
            (
                OldAct::TalkMode(_)
                | OldAct::Rings
                | OldAct::Answers
                | OldAct::Releases
                | OldAct::Holds
                | OldAct::Retrieves
                | OldAct::Transfers(_),
                None,
            ) => {}
        }
    }

    /// What it was asked since the last time. Each door once.
    pub(crate) fn look(&mut self, world: &mut World) {
        for command in world.old(0).take_asked() {
            match command {
                Command::CallSetup(setup) => self.calls.push(setup.call),
                Command::CallRelease { call, .. } => self.calls.retain(|known| *known != call),
                Command::RequestFile(request) => self.shown.push((request.request, request.from)),
                Command::DoorOpen(open) => {
                    assert!(self.doors.insert(open.id), "{:?} came twice", open.id);
                    self.last_door = Some(open.id);
                }
                _ => {}
            }
        }
        for event in world.old(0).take_told() {
            match event {
                Event::CallReleased { call, .. } => self.calls.retain(|known| *known != call),
                Event::CallConnected(_) => self.talks += 1,
                _ => {}
            }
        }
    }

    pub(crate) fn doors(&self) -> u64 {
        self.doors.len() as u64
    }

    /// It ends its calls and takes its wishes back; its line is whole.
    pub(crate) fn calm_down(&mut self, world: &mut World) {
        world.mend_line(0);
        self.look(world);
        let cause = Cause::NORMAL;
        for call in self.calls.drain(..) {
            world.old_tells(0, Event::CallReleased { call, cause });
        }
        for request in self.wishes.drain(..) {
            world.old_tells(0, Event::RequestCancelled { request });
        }
        let (station, divert) = (here(DIVERTED), Divert::Off);
        world.old_asks(0, Command::Divert { station, divert });
        let (station, programme) = (here(LISTENS), Programme::Off);
        world.old_asks(0, Command::Programme { station, programme });
        for station in STATIONS.map(there) {
            let faults = Faults::NONE;
            world.old_tells(0, Event::StationFaults { station, faults });
        }
    }

    fn some_call(&self, random: &mut Random) -> Option<CallRef> {
        (!self.calls.is_empty()).then(|| random.pick(&self.calls))
    }
}

fn setup(call: CallRef, from: &str, to: Party, urgent: u8) -> CallSetup {
    CallSetup {
        call,
        from: there(from),
        to,
        priority: Priority::new(urgent, Scale::OneIsHighest).expect("a priority"),
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: Some(sound()),
    }
}

fn sound() -> SoundEnd {
    SoundEnd {
        address: ([10, 0, 2, 1], 4000).into(),
        codecs: SoundCodecs::ALL,
        keys: SoundKeys::Events,
    }
}

fn progress(call: CallRef, progress: Progress) -> Event {
    Event::CallProgress(CallProgress {
        call,
        progress,
        from: None,
        to: None,
        priority: None,
        sound: None,
    })
}

fn answered(call: CallRef) -> Event {
    Event::CallConnected(CallConnected {
        call,
        from: None,
        to: None,
        mode: None,
        sound: Some(sound()),
    })
}

fn wish(request: RequestRef, from: &str) -> Event {
    Event::RequestNew(CallRequest {
        request,
        from: there(from),
        to: Some(here("510")),
        priority: Priority::NORMAL,
        text: None,
    })
}

fn open_ours(id: OutputId, world: &World) -> OutputCommand {
    OutputCommand {
        id,
        station: here("102"),
        output: 1,
        action: OutputAction::Pulse(Duration::from_secs(1)),
        authority: Authority::new(TOKEN).expect("it is short"),
        valid_until: world.now + 5 * SECOND,
    }
}
