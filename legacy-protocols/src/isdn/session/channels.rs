//! The B channels of a line, and who has them.

use std::collections::BTreeMap;

use crate::isdn::codec::Interface;

use super::call::CallId;
use super::config::Hunt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Free,
    By(CallId),
    /// RESTART was sent for it.
    Restarting,
    OutOfService,
}

#[derive(Debug)]
pub(super) struct Channels {
    all: BTreeMap<u8, Use>,
    hunt: Hunt,
}

impl Channels {
    pub(super) fn new(interface: Interface, hunt: Hunt) -> Self {
        Self {
            all: interface
                .channels()
                .map(|number| (number, Use::Free))
                .collect(),
            hunt,
        }
    }

    /// None: there is no such channel.
    pub(super) fn usage(&self, number: u8) -> Option<Use> {
        self.all.get(&number).copied()
    }

    pub(super) fn numbers(&self) -> Vec<u8> {
        self.all.keys().copied().collect()
    }

    pub(super) fn free(&self) -> Option<u8> {
        let mut free = self.all.iter().filter(|(_, usage)| **usage == Use::Free);
        let found = match self.hunt {
            Hunt::FromFirst => free.next(),
            Hunt::FromLast => free.next_back(),
        };
        found.map(|(number, _)| *number)
    }

    pub(super) fn set(&mut self, number: u8, usage: Use) {
        if let Some(one) = self.all.get_mut(&number) {
            *one = usage;
        }
    }

    /// Gives back what a call has; a channel that is being restarted stays so.
    pub(super) fn release(&mut self, number: u8, call: CallId) {
        if self.usage(number) == Some(Use::By(call)) {
            self.set(number, Use::Free);
        }
    }
}
