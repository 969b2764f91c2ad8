//! Each server against the table that a gateway speaks with it, and against anything.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{McIpServer, OpenWebNetServer};
use crate::command::{
    Authority, CallRef, CallSetup, Cause, Command, OutputAction, OutputCommand, OutputId, Purpose,
    RequestRef, Switch, Verdict,
};
use crate::event::{CallConnected, CallProgress, CallRequest, Door, Event, Progress, TalkMode};
use crate::number::{Node, Number, Party};
use crate::port::{self, Input, Output, Port, Protocol, Reference};
use crate::priority::Priority;
use crate::table::presets::{OpenWebNet, mcip_ascii, openwebnet};
use crate::table::{Manifest, Outputs, Session};

const SITE: Node = Node(1);
const GATEWAY: Node = Node(2);

fn party(node: Node, number: &str) -> Party {
    let number = Number::new(number).unwrap();
    Party { node, number }
}

/// A server and a gateway's port, joined by a cable.
struct Line {
    server: Port,
    gateway: Port,
    now: Instant,
    asked: Vec<Output>,
    heard: Vec<Event>,
    done: Vec<Verdict>,
}

impl Line {
    fn new(server: Protocol, manifest: Manifest) -> Self {
        let now = Instant::now();
        let manifest = Manifest {
            limits: crate::table::Limits {
                node: SITE,
                ..manifest.limits
            },
            ..manifest
        };
        let table = Protocol::Table(Box::new(Session::new(manifest).unwrap()));
        let port = |protocol| Port::new(port::Config::default(), protocol, 1, now);
        let mut line = Self {
            server: port(server),
            gateway: port(table),
            now,
            asked: Vec::new(),
            heard: Vec::new(),
            done: Vec::new(),
        };
        line.server.handle(Input::Opened, now);
        line.gateway.handle(Input::Opened, now);
        line.carry();
        line
    }

    fn carry(&mut self) {
        loop {
            let mut quiet = true;
            loop {
                match self.server.poll_output() {
                    Output::Send(octets) => {
                        quiet = false;
                        self.gateway.handle(Input::Received(&octets), self.now);
                    }
                    Output::Timeout(_) => break,
                    Output::Asked { ask, command, from } => {
                        self.asked.push(Output::Asked { ask, command, from });
                    }
                    _ => {}
                }
            }
            loop {
                match self.gateway.poll_output() {
                    Output::Send(octets) => {
                        quiet = false;
                        self.server.handle(Input::Received(&octets), self.now);
                    }
                    Output::Timeout(_) => break,
                    Output::Happened { event, .. } => self.heard.push(event),
                    Output::Done { answer, .. } => self.done.push(answer.verdict),
                    _ => {}
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn tell(&mut self, event: Event) {
        self.server.handle(Input::Tell(event), self.now);
        self.carry();
    }

    fn ask(&mut self, reference: u64, command: Command) {
        let reference = Reference(reference);
        let purpose = Purpose::Live;
        let input = Input::Command {
            reference,
            command,
            purpose,
        };
        self.gateway.handle(input, self.now);
        self.carry();
    }

    /// The server's owner answers what was asked last.
    fn answer(&mut self, verdict: Verdict) -> Command {
        let Some(Output::Asked { ask, command, .. }) = self.asked.pop() else {
            panic!("nothing was asked");
        };
        let (ask, answer) = (ask.unwrap(), verdict.into());
        self.server.handle(Input::Answer { ask, answer }, self.now);
        self.carry();
        command
    }
}

fn mcip() -> Line {
    let server = McIpServer::new(SITE, GATEWAY);
    Line::new(Protocol::McIpServer(Box::new(server)), mcip_ascii())
}

fn request(from: Party, to: Party) -> Event {
    Event::RequestNew(CallRequest {
        request: RequestRef(5),
        from,
        to: Some(to),
        priority: Priority::NORMAL,
        text: None,
    })
}

#[test]
fn b9_over_mcip_a_gateway_calls_a_station_hears_that_it_is_connected_and_ends_it() {
    let mut line = mcip();
    let (call, cause) = (CallRef(9), Cause::NORMAL);
    let (from, to) = (party(GATEWAY, "102"), party(SITE, "2101"));
    let setup = CallSetup {
        call,
        from,
        to,
        priority: Priority::NORMAL,
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: None,
    };
    line.ask(1, Command::CallSetup(setup));
    let Command::CallSetup(asked) = line.answer(Verdict::Accepted) else {
        panic!("a call was wanted");
    };
    assert_eq!((asked.from, asked.to), (from, to));
    assert_eq!(line.done, [Verdict::Done]);
    line.tell(Event::CallConnected(CallConnected {
        call: asked.call,
        from: None,
        to: None,
        mode: None,
        sound: None,
    }));
    // As the gateway named it.
    assert!(matches!(&line.heard[..], [Event::CallConnected(told)] if told.call == call));
    line.ask(2, Command::CallRelease { call, cause });
    let ended = line.answer(Verdict::Done);
    let call = asked.call;
    assert_eq!(ended, Command::CallRelease { call, cause });
    assert_eq!(line.done, [Verdict::Done; 2]);
}

#[test]
fn b9_over_mcip_requests_come_and_go_and_a_busy_station_is_said_to_be_busy() {
    let mut line = mcip();
    let (gate, desk) = (party(SITE, "2101"), party(SITE, "500"));
    line.tell(request(gate, party(GATEWAY, "500")));
    let Event::RequestNew(told) = &line.heard[0] else {
        panic!("{:?}", line.heard);
    };
    assert_eq!((told.from, told.to), (gate, Some(desk)));
    let name = told.request;
    let request = RequestRef(5);
    let cause = Cause::NORMAL;
    line.tell(Event::RequestClosed {
        request,
        cause,
        by: None,
    });
    assert_eq!(line.heard[1], Event::RequestCancelled { request: name });
    let setup = CallSetup {
        call: CallRef(1),
        from: party(GATEWAY, "102"),
        to: gate,
        priority: Priority::NORMAL,
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: None,
    };
    line.ask(1, Command::CallSetup(setup));
    line.answer(Verdict::Busy);
    assert_eq!(line.done, [Verdict::Busy]);
}

/// It acknowledges a sign of life, and that is no answer to the command that is underway.
#[test]
fn over_mcip_an_acknowledged_sign_of_life_answers_no_command() {
    let mut line = mcip();
    line.now += Duration::from_secs(30);
    line.gateway.handle_timeout(line.now);
    let setup = CallSetup {
        call: CallRef(1),
        from: party(GATEWAY, "102"),
        to: party(SITE, "2101"),
        priority: Priority::NORMAL,
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: None,
    };
    line.ask(1, Command::CallSetup(setup));
    assert_eq!(line.done, []);
    assert_eq!(line.gateway.line_counters().frames, 1);
    line.answer(Verdict::NotAllowed);
    assert_eq!(line.done, [Verdict::NotAllowed]);
}

fn lock(of: OpenWebNet) -> Line {
    let server = OpenWebNetServer::new(SITE);
    let manifest = openwebnet(of, Outputs::Enabled);
    Line::new(Protocol::OpenWebNetServer(Box::new(server)), manifest)
}

#[test]
fn b9_over_openwebnet_a_gateway_opens_a_lock_and_one_that_is_not_there_is_refused() {
    let mut line = lock(OpenWebNet::Commands);
    let open = |id, number, now| {
        Command::DoorOpen(OutputCommand {
            id: OutputId(id),
            station: party(SITE, number),
            output: 1,
            action: OutputAction::Pulse(Duration::from_secs(3)),
            authority: Authority::new(b"token").unwrap(),
            valid_until: now + Duration::from_secs(5),
        })
    };
    line.ask(1, open(1, "2101", line.now));
    let Command::DoorOpen(asked) = line.answer(Verdict::Done) else {
        panic!("a door was wanted");
    };
    assert_eq!((asked.station, asked.output), (party(SITE, "2101"), 1));
    line.ask(2, open(2, "9", line.now));
    line.answer(Verdict::NoSuchNumber);
    assert_eq!(line.done, [Verdict::Done, Verdict::NotAllowed]);
}

#[test]
fn b9_over_openwebnet_who_rings_and_what_a_lock_does_is_told_to_who_listens_for_events() {
    let mut line = lock(OpenWebNet::Events);
    let (gate, desk) = (party(SITE, "21"), party(SITE, "10"));
    line.tell(Event::CallProgress(CallProgress {
        call: CallRef(1),
        progress: Progress::Ringing,
        from: Some(gate),
        to: Some(desk),
        priority: None,
        sound: None,
    }));
    let told =
        matches!(&line.heard[..], [Event::RequestNew(r)] if r.from == gate && r.to == Some(desk));
    assert!(told, "{:?}", line.heard);
    for (state, door) in [(Switch::On, Door::Sent), (Switch::Off, Door::Closed)] {
        let output = 1;
        let station = gate;
        line.tell(Event::OutputState {
            station,
            output,
            state,
        });
        let command = None;
        let state = door;
        let event = Event::DoorState {
            station,
            output,
            state,
            command,
        };
        assert_eq!(line.heard.last(), Some(&event));
    }
    let mut commands = lock(OpenWebNet::Commands);
    commands.tell(request(gate, desk));
    assert_eq!(commands.heard, []);
}

proptest! {
    #[test]
    fn any_octets_are_survived_and_every_command_is_answered(
        words in proptest::collection::vec(
            prop_oneof![
                Just("*99*0##".to_owned()),
                Just("*8*19*21##".to_owned()),
                Just("Ical 1 2\r\n".to_owned()),
                Just("EndC 1 2\r\n".to_owned()),
                Just("Hello\r\n".to_owned()),
                "[ -~]{0,400}(##|\r\n)",
            ],
            0..40,
        )
    ) {
        let now = Instant::now();
        let servers = [
            Protocol::McIpServer(Box::new(McIpServer::new(SITE, GATEWAY))),
            Protocol::OpenWebNetServer(Box::new(OpenWebNetServer::new(SITE))),
        ];
        for server in servers {
            let mut server = Port::new(port::Config::default(), server, 1, now);
            server.handle(Input::Opened, now);
            let (mut asked, mut said) = (0, 0);
            for word in &words {
                server.handle(Input::Received(word.as_bytes()), now);
                loop {
                    match server.poll_output() {
                        Output::Asked { ask: Some(ask), .. } => {
                            asked += 1;
                            let answer = Verdict::Done.into();
                            server.handle(Input::Answer { ask, answer }, now);
                        }
                        Output::Send(_) => said += 1,
                        Output::Timeout(_) => break,
                        _ => {}
                    }
                }
            }
            prop_assert!(said >= asked);
        }
    }
}
