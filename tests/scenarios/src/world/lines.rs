//! The lines of a world: what goes over them, and what their other ends do.

use std::net::SocketAddr;
use std::time::Duration;

use exchange::{
    Config, Driver, Input, LineCommand, LineConfig, LineEvent, LineId, LineSound, Numbering, Server,
};
use legacy_protocols::command::{Answer, Authority, Command, Purpose};
use legacy_protocols::event::Event;
use legacy_protocols::isdn;
use legacy_protocols::isdn::link::Side;
use legacy_protocols::isdn::session::{self, Dialect};
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port::{self, AskId, LinkState, Reference};
use model::NodeId;

use super::World;
use crate::old_server::{HERE, OldServer, THERE};
use crate::site::Site;

/// The node that is at the end of the line of this name.
pub fn line_to(node: &str) -> LineConfig {
    let session = open_link::Config::tcp(Role::Gateway, HERE, THERE, "gateway");
    let server = Server::new(NodeId::from_key(node), THERE);
    let driver = Driver::Versicle(session);
    LineConfig {
        sound: LineSound::Rtp,
        authority: Authority::new(b"gateway").expect("it is short"),
        ..LineConfig::new(node, driver, server, Numbering::new(HERE))
    }
}

/// The same over ISDN: a primary rate line, whose channels end in the shell of the gateway.
pub fn isdn_to(node: &str) -> LineConfig {
    let line = session::Config::primary_rate(Side::User, Dialect::Dss1);
    let config = isdn::port::Config {
        line,
        own: HERE,
        other: THERE,
        whole_number: None,
        seed: 0,
    };
    LineConfig {
        sound: LineSound::Channels,
        driver: Driver::Isdn(Box::new(config)),
        ..line_to(node)
    }
}

/// Where the shell takes the sound of a channel.
pub fn channel(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 30_000 + 2 * u16::from(number)))
}

impl World {
    /// One line to an older server that tells this picture; it is up.
    pub fn with_line(site: &Site, numbers: &[&str], line: LineConfig, picture: Vec<Event>) -> Self {
        let mut world = Self::with_lines(site, 1, vec![line], |_| {});
        world.old(0).picture = picture;
        world.add_phones(numbers);
        world.wait(Duration::from_secs(1));
        world
    }

    /// Their other ends are there, and nothing has happened yet.
    pub fn with_lines(
        site: &Site,
        seed: u64,
        lines: Vec<LineConfig>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let drivers: Vec<Driver> = lines.iter().map(|line| line.driver.clone()).collect();
        let mut world = Self::with(site, seed, |config| {
            config.lines = lines;
            change(config);
        });
        for (line, driver) in (0..).map(LineId).zip(&drivers) {
            let server = OldServer::facing(driver, line, world.random.draw(), world.now);
            world.old_servers.push(server);
        }
        world.post();
        world
    }

    /// The shell has opened the channels of a line.
    pub fn open_channels(&mut self, nth: usize) {
        let timeslots = (1..=15).chain(17..=31);
        let channels = timeslots.map(|number| (number, channel(number))).collect();
        let event = LineEvent::Channels(channels);
        let line = self.old(nth).line;
        self.tell(Input::Line { line, event });
    }

    pub fn old(&mut self, nth: usize) -> &mut OldServer {
        &mut self.old_servers[nth]
    }

    #[track_caller]
    pub fn expect_up(&mut self, nth: usize) {
        assert!(matches!(self.old(nth).link(), LinkState::Up(_)));
        let ours = self.gateway.state().lines()[nth].link;
        assert!(matches!(ours, LinkState::Up(_)), "{ours:?}");
    }

    pub fn old_tells(&mut self, nth: usize, event: Event) {
        let now = self.now;
        self.old(nth).give(port::Input::Tell(event), now);
    }

    pub fn old_asks(&mut self, nth: usize, command: Command) -> Reference {
        let now = self.now;
        self.old(nth).ask(command, Purpose::Live, now)
    }

    pub fn old_answers(&mut self, nth: usize, ask: AskId, answer: Answer) {
        let now = self.now;
        self.old(nth).give(port::Input::Answer { ask, answer }, now);
    }

    pub fn cut_line(&mut self, nth: usize) {
        let now = self.now;
        self.old(nth).cut(now);
        self.lines_move();
        self.post();
    }

    /// It is opened again when its pause is over.
    pub fn mend_line(&mut self, nth: usize) {
        self.old(nth).mend();
    }

    /// The gateway's process is dead: its connections are too.
    pub(super) fn lines_die(&mut self) {
        for server in &mut self.old_servers {
            server.closed(self.now);
        }
    }

    pub(super) fn lines_move(&mut self) {
        let now = self.now;
        for nth in 0..self.old_servers.len() {
            self.old_servers[nth].handle_timeout(now);
            while let Some(event) = self.old_servers[nth].arrives(now) {
                let line = self.old_servers[nth].line;
                if self.gateway.is_up() {
                    self.gateway.tell(Input::Line { line, event }, now);
                    self.carry_lines();
                }
            }
        }
    }

    /// Does for the lines what the gateway wants done.
    pub(super) fn carry_lines(&mut self) {
        let now = self.now;
        while let Some((line, command)) = self.gateway.line_commands.pop_front() {
            let servers = &mut self.old_servers;
            let Some(server) = servers.iter_mut().find(|server| server.line == line) else {
                continue;
            };
            match command {
                LineCommand::Open => server.opened(now),
                LineCommand::Send(bytes) => server.sent(bytes, now),
                LineCommand::Close { .. } => server.closed(now),
                LineCommand::Join { channel, ours } => {
                    let before = server.channels.insert(channel, ours);
                    assert_eq!(before, None, "channel {channel} is joined already");
                }
                LineCommand::Leave { channel } => {
                    let before = server.channels.remove(&channel);
                    assert!(before.is_some(), "channel {channel} was not joined");
                }
            }
        }
    }
}
