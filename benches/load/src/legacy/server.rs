//! The server's end of the line: a port of the open link profile on one TCP connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use legacy_protocols::command::{CallRef, Command, Purpose, Verdict};
use legacy_protocols::event::{Event, StationState};
use legacy_protocols::number::{Node, Number, Party};
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port::{
    Config, Input, LinkState, Opening, Output, Port, Protocol, Reference,
};
use legacy_protocols::sound::SoundEnd;

use super::house::{GATEWAY, PHONES, SERVER, STATIONS};

/// What the load wants to know.
pub(super) enum Told {
    Done(u64, Verdict),
    Connected(CallRef, Option<SoundEnd>),
}

pub(super) struct Server {
    port: Port,
    stream: TcpStream,
    /// What the connection did not take at once.
    waiting: Vec<u8>,
}

fn party(node: u16, number: usize) -> Party {
    Party {
        node: Node(node),
        number: Number::new(&number.to_string()).unwrap_or(Number::SERVER),
    }
}

pub(super) fn station(index: usize) -> Party {
    party(SERVER, STATIONS + index)
}

pub(super) fn phone(index: usize) -> Party {
    party(GATEWAY, PHONES + index)
}

impl Server {
    /// Waits for the gateway.
    pub(super) fn accept(listener: &TcpListener) -> Result<Self> {
        let (stream, _) = listener.accept().context("the gateway's connection")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let now = Instant::now();
        let config = open_link::Config::tcp(Role::Server, Node(SERVER), Node(GATEWAY), "load");
        let session = open_link::Session::new(config, now);
        let settings = Config {
            opening: Opening::Theirs,
            most_open: 4096,
            ..Config::default()
        };
        let protocol = Protocol::OpenLink(Box::new(session));
        let mut port = Port::new(settings, protocol, 1, now);
        port.handle(Input::Opened, now);
        Ok(Self {
            port,
            stream,
            waiting: Vec::new(),
        })
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.port.link(), LinkState::Up(_))
    }

    pub(super) fn tell(&mut self, event: &Event) {
        self.port.handle(Input::Tell(event.clone()), Instant::now());
    }

    pub(super) fn ask(&mut self, reference: u64, command: Command) {
        let input = Input::Command {
            reference: Reference(reference),
            command,
            purpose: Purpose::Live,
        };
        self.port.handle(input, Instant::now());
    }

    /// Sends what is to be sent, reads what came.
    pub(super) fn turn(&mut self) -> Result<Vec<Told>> {
        let mut told = Vec::new();
        self.drain(&mut told)?;
        let mut octets = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut octets) {
                Ok(0) => bail!("the gateway has closed the line"),
                Ok(count) => {
                    let input = Input::Received(&octets[..count]);
                    self.port.handle(input, Instant::now());
                    self.drain(&mut told)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("the line"),
            }
        }
        self.port.handle_timeout(Instant::now());
        self.drain(&mut told)?;
        Ok(told)
    }

    fn drain(&mut self, told: &mut Vec<Told>) -> Result<()> {
        loop {
            match self.port.poll_output() {
                Output::Send(octets) => self.waiting.extend(octets),
                Output::Done { reference, answer } => {
                    told.push(Told::Done(reference.0, answer.verdict));
                }
                Output::Happened {
                    event: Event::CallConnected(connected),
                    ..
                } => told.push(Told::Connected(connected.call, connected.sound)),
                Output::Asked {
                    ask: Some(ask),
                    command,
                    ..
                } => {
                    let verdict = match command {
                        Command::Snapshot => self.picture(ask),
                        _ => Verdict::Done,
                    };
                    let answer = verdict.into();
                    self.port
                        .handle(Input::Answer { ask, answer }, Instant::now());
                }
                Output::Close { why } => bail!("the line was given up: {why}"),
                Output::Open
                | Output::Link(_)
                | Output::Picture(_)
                | Output::Happened { .. }
                | Output::Asked { ask: None, .. } => {}
                Output::Timeout(_) => break,
            }
        }
        self.send()
    }

    /// One station stands for all; the others are told of as they change.
    fn picture(&mut self, ask: legacy_protocols::port::AskId) -> Verdict {
        let event = Event::StationState {
            station: station(0),
            state: StationState::Idle,
        };
        self.port.handle(Input::Item { ask, event }, Instant::now());
        Verdict::Done
    }

    fn send(&mut self) -> Result<()> {
        while !self.waiting.is_empty() {
            match self.stream.write(&self.waiting) {
                Ok(count) => {
                    self.waiting.drain(..count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("the line"),
            }
        }
        Ok(())
    }
}
