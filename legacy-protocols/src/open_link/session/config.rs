//! What one end of a line is told about itself.

use std::time::Duration;

use crate::link::{self, Addressing};
use crate::number::Node;
use crate::open_link::codec::LONGEST_PAYLOAD;
use crate::text::Text;

#[derive(Clone, Debug)]
pub struct Config {
    pub role: Role,
    /// Our number in the network of servers.
    pub own: Node,
    /// The number of the server or gateway at the other end.
    pub other: Node,
    /// Shown at the other end.
    pub name: Text,
    /// An answer of the link takes no longer: 2 s over TCP, 500 ms over a serial line.
    pub answer_within: Duration,
    /// Attempts of the link before it gives up.
    pub retries: u8,
    pub keep_alive: Duration,
    /// A picture without an item for so long is asked for again.
    pub picture_within: Duration,
    /// Messages that wait for the line at most.
    pub queue: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Establishes the link.
    Gateway,
    /// Waits for it.
    Server,
}

impl Config {
    pub fn tcp(role: Role, own: Node, other: Node, name: &str) -> Self {
        Self {
            role,
            own,
            other,
            name: Text::clip(name),
            answer_within: Duration::from_secs(2),
            retries: 3,
            keep_alive: Duration::from_secs(10),
            picture_within: Duration::from_secs(5),
            queue: 16_384,
        }
    }

    pub fn serial(role: Role, own: Node, other: Node, name: &str) -> Self {
        Self {
            answer_within: Duration::from_millis(500),
            ..Self::tcp(role, own, other, name)
        }
    }
}

pub(super) fn link_config(config: &Config) -> link::Config {
    link::Config {
        addressing: Addressing::ControlOnly,
        window: 7,
        answer_within: config.answer_within,
        retries: config.retries,
        watch_idle_after: None,
        longest_payload: LONGEST_PAYLOAD,
        queue: config.queue,
    }
}
