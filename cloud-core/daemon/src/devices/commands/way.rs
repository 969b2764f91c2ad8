//! The short way to a device: a command for one whose connection is at this node leaves right after
//! the commit in which it was ordered, instead of by its row and the next look at it.
//!
//! The front door is the way; this only says what is asked of it. Invariant: what leaves by it was
//! committed as sent on that very connection.

use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use cloud_logic::ids::{DeviceId, NodeId};
use cloud_logic::presence::Epoch;

use super::rows::Command;

/// A connection of a device, as its row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) node: NodeId,
    pub(crate) epoch: Epoch,
}

/// What the front door can do.
pub(crate) trait Way: Debug + Send + Sync {
    /// Takes a place on this connection; false where it is not here, or there is none.
    fn take_place(&self, device: DeviceId, held: Held) -> bool;

    /// It is not needed.
    fn give_back(&self, device: DeviceId, epoch: Epoch);

    /// Says a command in the place that was taken.
    fn say(&self, command: &Command, epoch: Epoch);
}

/// Where the front door is. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ways(Arc<RwLock<Option<Weak<dyn Way>>>>);

impl Ways {
    /// From now on this is the way. It is not held: it ends with the front door.
    pub(crate) fn open(&self, way: Weak<dyn Way>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(way);
    }

    pub(super) fn now(&self) -> Option<Arc<dyn Way>> {
        let way = self.0.read().unwrap_or_else(PoisonError::into_inner);
        way.as_ref().and_then(Weak::upgrade)
    }
}

/// Places that were taken. Those that nothing is said in are given back, whatever happens.
#[derive(Debug, Default)]
pub(super) struct Places {
    way: Option<Arc<dyn Way>>,
    taken: Vec<(DeviceId, Epoch)>,
}

impl Places {
    pub(super) fn by(way: Option<Arc<dyn Way>>) -> Self {
        Self {
            way,
            taken: Vec::new(),
        }
    }

    /// On which connection a command can leave at once, if on any.
    pub(super) fn take(&mut self, device: DeviceId, held: Option<Held>) -> Option<Epoch> {
        let held = held?;
        let taken = self.way.as_ref()?.take_place(device, held);
        taken.then(|| {
            self.taken.push((device, held.epoch));
            held.epoch
        })
    }

    /// After the commit: all that took a place leave.
    pub(super) fn say(mut self, commands: &[(Command, Option<Epoch>)]) {
        let Some(way) = self.way.take() else { return };
        for (command, epoch) in commands {
            if let Some(epoch) = epoch {
                way.say(command, *epoch);
            }
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if let Some(way) = &self.way {
            for (device, epoch) in &self.taken {
                way.give_back(*device, *epoch);
            }
        }
    }
}
