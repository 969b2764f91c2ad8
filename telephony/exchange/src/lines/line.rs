//! One line: its port, what is known of its other end, and what was asked over it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use legacy_protocols::command::Command;
use legacy_protocols::event::Event;
use legacy_protocols::number::{Node, Party};
use legacy_protocols::port::{self, LinkState, Port, Protocol};
use legacy_protocols::{acdp, isdn, open_link, table};
use model::{CallNumber, NodeId};

use super::config::{self, Driver, LineConfig};
use super::numbering::Server;
use super::view::LineTotals;

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) config: LineConfig,
    port: Result<Box<Port>, String>,
    deadline: Option<Instant>,
    pub(super) link: LinkState,
    /// Where the shell gives and takes the sound of each B channel.
    pub(super) channels: BTreeMap<u8, SocketAddr>,
    pub(super) totals: LineTotals,
}

impl Line {
    pub(super) fn new(config: LineConfig, seed: u64, now: Instant) -> Self {
        let port = protocol(&config.driver, seed, now);
        let port = port.map(|protocol| {
            let port = Port::new(config.port.clone(), protocol, seed, now);
            Box::new(port)
        });
        Self {
            config,
            port,
            deadline: None,
            link: LinkState::Down,
            channels: BTreeMap::new(),
            totals: LineTotals::default(),
        }
    }

    pub(super) fn port(&self) -> Option<&Port> {
        self.port.as_deref().ok()
    }

    pub(super) fn missing(&self) -> Option<&str> {
        self.port.as_ref().err().map(String::as_str)
    }

    pub(super) fn handle(&mut self, input: port::Input<'_>, now: Instant) {
        if let Ok(port) = &mut self.port {
            port.handle(input, now);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Ok(port) = &mut self.port {
            port.handle_timeout(now);
        }
    }

    pub(super) fn poll(&mut self) -> port::Output {
        let output = match &mut self.port {
            Ok(port) => port.poll_output(),
            Err(_) => port::Output::Timeout(None),
        };
        if let port::Output::Timeout(deadline) = output {
            self.deadline = deadline;
        }
        output
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Commands may be given now.
    pub(super) const fn is_up(&self) -> bool {
        matches!(self.link, LinkState::Up(_) | LinkState::Suspect)
    }

    /// Whether the other end can be told this.
    pub(super) fn can_tell(&self, event: &Event) -> bool {
        let coverage = self.port().map(Port::coverage);
        self.is_up() && coverage.is_some_and(|coverage| coverage.can_tell(event.kind()))
    }

    pub(super) fn can_command(&self, command: &Command) -> bool {
        let coverage = self.port().map(Port::coverage);
        self.is_up() && coverage.is_some_and(|coverage| coverage.can_command(command.kind()))
    }

    pub(super) fn can_test(&self) -> bool {
        let coverage = self.port().map(Port::coverage);
        coverage.is_some_and(config::tests)
    }

    pub(super) fn server_numbered(&self, number: Node) -> Option<&Server> {
        self.config.servers().find(|server| server.number == number)
    }

    /// The nodes behind this line.
    pub(super) fn nodes(&self) -> BTreeSet<NodeId> {
        self.config.servers().map(|server| server.node).collect()
    }

    pub(super) fn server(&self, node: NodeId) -> Option<&Server> {
        self.config.servers().find(|server| server.node == node)
    }

    /// A number of ours that the other end means; none for another system, and for one that cannot
    /// be ours.
    pub(super) fn our_number(&self, party: Party) -> Option<CallNumber> {
        let numbering = &self.config.numbering;
        let ours = party.node == numbering.own;
        let number = ours.then_some(party.number)?;
        numbering.prefixes.to_ours(number)
    }
}

fn protocol(driver: &Driver, seed: u64, now: Instant) -> Result<Protocol, String> {
    match driver {
        Driver::Versicle(config) => {
            let session = open_link::Session::new(config.clone(), now);
            Ok(Protocol::OpenLink(Box::new(session)))
        }
        Driver::Acdp(config) => Ok(Protocol::Acdp(Box::new(acdp::Session::new(*config)))),
        Driver::Isdn(config) => {
            let config = isdn::port::Config { seed, ..**config };
            Ok(Protocol::Isdn(Box::new(isdn::port::Session::new(config))))
        }
        Driver::Table(manifest) => match table::Session::new((**manifest).clone()) {
            Ok(session) => Ok(Protocol::Table(Box::new(session))),
            Err(problems) => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                Err(problems.join("; "))
            }
        },
        Driver::Missing { why } => Err(why.clone()),
    }
}
