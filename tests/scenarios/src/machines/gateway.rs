//! The gateway's machine, with telephones, an older server on a line, a disk and operators around it.
//!
//! All telephones are on UDP; what they send waits in a bag and is taken out in any order, twice or
//! never.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exchange::{
    Exchange, FreePort, Input, LineCommand, LineId, MediaCommand, MediaEvent, OperatorCommand,
    Output, StoreWrite, UrlReply,
};
use legacy_protocols::command::{CallRef, CallSetup, Cause, Command, Purpose};
use legacy_protocols::event::{CallConnected, Event, StationState, TalkMode};
use legacy_protocols::port;
use legacy_protocols::priority::Priority;
use legacy_protocols::sound::{SoundCodecs, SoundEnd, SoundKeys};
use model::{CommandId, Digit, LegId};
use sip::flow::{Flow, Hop, Transport};
use sip::registrar::StoreToken;

use crate::clock::NOON;
use crate::contract::{Machine, Step};
use crate::gateway::Gateway;
use crate::network::{Arrival, UDP};
use crate::old_server::{OldServer, here, there};
use crate::phone::{Act, Manner, Phone, ToSend};
use crate::random::Random;
use crate::site::{Site, door};
use crate::world::lines::line_to;

const NUMBERS: [&str; 4] = ["101", "102", "103", "199"];

/// See the module.
#[derive(Debug)]
pub struct WholeGateway {
    state: Exchange,
    address: SocketAddr,
    sites: [Site; 2],
    phones: Vec<Phone>,
    old: OldServer,
    /// On the way to the gateway, and from it.
    bag: Vec<(Flow, Bytes)>,
    mail: VecDeque<(SocketAddr, Bytes)>,
    orders: VecDeque<StoreToken>,
    legs: Vec<LegId>,
    urls: Vec<CommandId>,
    commands: u128,
    /// The first inputs of its life.
    opening: VecDeque<Input>,
    now: Instant,
}

fn site() -> Site {
    Site::of(&NUMBERS)
        .emergency_point("199", "500")
        .group("500", &["101", "102", "103"])
        .door("101", "front", Some("1"))
        .door_by_url("102", "gate", Some("2"))
        .behind("hall", "201")
        .door("201", "yard", None)
}

fn their_sound() -> SoundEnd {
    SoundEnd {
        address: ([10, 0, 2, 1], 4000).into(),
        codecs: SoundCodecs::ALL,
        keys: SoundKeys::Events,
    }
}

impl WholeGateway {
    /// The telephones live on to this moment.
    fn live(&mut self, random: &mut Random, now: Instant) {
        for phone in &mut self.phones {
            phone.handle_timeout(now);
        }
        while let Some((to, bytes)) = self.mail.pop_front() {
            let lost = random.one_in(12);
            let phone = self.phones.iter_mut().find(|phone| phone.address == to);
            if let (Some(phone), false) = (phone, lost) {
                let flow = Flow::udp(UDP, to, self.address);
                phone.arrived(Arrival::Received { flow, bytes }, now);
            }
        }
        let nth = random.below(self.phones.len());
        let phone = &mut self.phones[nth];
        match random.below(14) {
            0 if !phone.registration.is_on() => phone.register(now),
            0..=3 => {
                let to = random.pick(&["101", "102", "103", "199", "201", "500", "999"]);
                phone.act(Act::Dial(to.into()), now);
            }
            4..=6 => phone.act(Act::Answer, now),
            7 => phone.act(Act::HangUp, now),
            8 => phone.act(random.pick(&[Act::Hold, Act::Resume]), now),
            9 => phone.act(Act::Press(random.pick(&['1', '2'])), now),
            10 => phone.act(
                Act::Transfer(random.pick(&["102", "103", "500"]).into()),
                now,
            ),
            11 => phone.act(Act::Join, now),
            12 => phone.manner = random.pick(&[Manner::Rings, Manner::EarlySound]),
            _ => {}
        }
        for phone in &mut self.phones {
            for sent in phone.outbox.drain(..) {
                if let ToSend::Message(_, bytes) = sent {
                    self.bag
                        .push((Flow::udp(UDP, self.address, phone.address), bytes));
                }
            }
        }
    }

    /// The older server lives on too; its line breaks now and then.
    fn old_lives(&mut self, random: &mut Random, now: Instant) {
        self.old.handle_timeout(now);
        let call = match self.old.asked.last() {
            Some((_, Command::CallSetup(setup))) => setup.call,
            Some(_) | None => CallRef(CallRef::OF_PORT | random.below(5) as u64),
        };
        let event = match random.below(24) {
            0 => Event::CallReleased {
                call,
                cause: Cause::NORMAL,
            },
            1..=2 => Event::CallConnected(CallConnected {
                call,
                from: None,
                to: None,
                mode: None,
                sound: Some(their_sound()),
            }),
            3 => Event::StationState {
                station: there("201"),
                state: random.pick(&[StationState::Idle, StationState::InCall]),
            },
            4..=5 => {
                let setup = CallSetup {
                    call,
                    from: there("201"),
                    to: here(random.pick(&["101", "102", "500"])),
                    priority: Priority::NORMAL,
                    mode: TalkMode::OpenDuplex,
                    text: None,
                    sound: Some(their_sound()),
                };
                self.old.ask(Command::CallSetup(setup), Purpose::Live, now);
                return;
            }
            6 if random.one_in(10) => {
                self.old.cut(now);
                return;
            }
            7 => {
                self.old.mend();
                return;
            }
            _ => return,
        };
        self.old.give(port::Input::Tell(event), now);
    }

    fn rare(&mut self, random: &mut Random) -> Input {
        let asker = random.draw();
        match random.below(9) {
            0 => {
                let site = &self.sites[random.below(2)];
                Input::DirectoryChanged(site.build(), site.accounts())
            }
            1 => {
                self.commands += 1;
                let id = CommandId::new((1 << 90) + self.commands);
                let at = door(random.pick(&["front", "gate", "yard"]));
                Input::Operator {
                    asker,
                    command: OperatorCommand::Open(id, at),
                }
            }
            2 => Input::Operator {
                asker,
                command: OperatorCommand::Calls,
            },
            3 => Input::Operator {
                asker,
                command: OperatorCommand::Stations,
            },
            4 => match self.state.calls().calls().next() {
                Some(call) => Input::Operator {
                    asker,
                    command: OperatorCommand::End(call.call),
                },
                None => Input::Operator {
                    asker,
                    command: OperatorCommand::Status,
                },
            },
            5 if !self.legs.is_empty() => {
                let leg = random.pick(&self.legs);
                let digit = Digit::from_char(random.pick(&['1', '2'])).expect("a digit");
                Input::Media(MediaEvent::Digit {
                    leg,
                    digit,
                    form: exchange::KeyForm::Event,
                })
            }
            6 if !self.legs.is_empty() && random.one_in(4) => Input::Media(MediaEvent::Silent {
                leg: random.pick(&self.legs),
            }),
            7 if !self.urls.is_empty() => {
                let reply = random.pick(&[UrlReply::Accepted, UrlReply::Refused]);
                Input::UrlAnswered {
                    command: random.pick(&self.urls),
                    reply,
                }
            }
            8 if random.one_in(40) => Input::Drain,
            _ => Input::ClockSet(NOON.saturating_add(random.up_to(Duration::from_secs(86_400)))),
        }
    }
}

impl Machine for WholeGateway {
    type Input = Input;

    fn new(seed: u64, now: Instant) -> Self {
        let mut random = Random::new(seed ^ 0x9a7e);
        let address = SocketAddr::from(([10, 0, 0, 1], 5060));
        let sites = [site(), site().without("199")];
        let mut config = Gateway::new(address, site(), random.fork()).config;
        config.lines = vec![line_to("hall")];
        let old = OldServer::facing(&config.lines[0].driver, LineId(0), random.draw(), now);
        let directory = sites[0].build();
        let accounts = sites[0].accounts();
        let state = Exchange::new(config, Arc::clone(&directory), random.seed(), now);
        let phone = |(number, nth): (&&str, u8)| {
            let own = SocketAddr::from(([10, 0, 1, nth], 5060));
            let mut phone = Phone::new(number, own, address, Transport::Udp, random.fork(), now);
            phone.register(now);
            phone
        };
        let port = |n: u16| FreePort {
            rtp: (address.ip(), 20_000 + 2 * n).into(),
            rtcp: (address.ip(), 20_001 + 2 * n).into(),
        };
        let opening = [
            Input::ClockSet(NOON),
            Input::DirectoryChanged(directory, accounts),
            Input::PortsFree((0..40).map(port).collect()),
        ];
        Self {
            state,
            address,
            phones: NUMBERS.iter().zip(1..).map(phone).collect(),
            sites,
            old,
            bag: Vec::new(),
            mail: VecDeque::new(),
            orders: VecDeque::new(),
            legs: Vec::new(),
            urls: Vec::new(),
            commands: 0,
            opening: opening.into(),
            now,
        }
    }

    fn choose(&mut self, random: &mut Random, now: Instant) -> Input {
        if let Some(input) = self.opening.pop_front() {
            return input;
        }
        self.live(random, now);
        self.old_lives(random, now);
        if let Some(event) = self.old.arrives(now) {
            return Input::Line {
                line: LineId(0),
                event,
            };
        }
        if random.one_in(2)
            && let Some(token) = self.orders.pop_front()
        {
            return match random.one_in(6) {
                true => Input::StoreFailed(token),
                false => Input::Stored(token),
            };
        }
        if !self.bag.is_empty() && !random.one_in(8) {
            let nth = random.below(self.bag.len());
            let (flow, bytes) = match random.one_in(10) {
                true => self.bag[nth].clone(),
                false => self.bag.swap_remove(nth),
            };
            return Input::Received { flow, bytes };
        }
        self.rare(random)
    }

    fn handle(&mut self, input: Input, now: Instant) {
        self.now = now;
        self.state.handle(input, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.state.handle_timeout(now);
    }

    fn poll(&mut self) -> Step {
        let output = self.state.poll_output();
        match &output {
            Output::Timeout(at) => return Step::Timeout(*at),
            Output::Transmit {
                to: Hop::Flow(Flow { remote, .. }),
                bytes,
            } => {
                self.mail.push_back((*remote, bytes.clone()));
            }
            Output::Transmit {
                to: Hop::Destination(to),
                bytes,
            } => {
                self.mail.push_back((to.addr, bytes.clone()));
            }
            Output::Store(StoreWrite::Bindings(store)) => self.orders.push_back(store.token),
            Output::Media(MediaCommand::Open { leg, .. }) => self.legs.push(*leg),
            Output::OpenUrl(request) => self.urls.push(request.command),
            Output::Line { command, .. } => match command {
                LineCommand::Open => self.old.opened(self.now),
                LineCommand::Send(bytes) => self.old.sent(bytes.clone(), self.now),
                LineCommand::Close { .. } => self.old.closed(self.now),
                LineCommand::Join { .. } | LineCommand::Leave { .. } => {}
            },
            _ => {}
        }
        Step::Said(format!("{output:?}"))
    }
}
