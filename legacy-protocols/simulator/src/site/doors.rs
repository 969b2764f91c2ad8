//! Doors: a relay, a leaf that follows if nothing holds it, and a contact that may feel it.
//!
//! Whether a command may drive it is decided before (`asked`, `hands`). Invariant: "opened" is told
//! only because a contact feels it; a relay that was pulsed lets go by itself.

use std::time::{Duration, Instant};

use legacy_protocols::command::{OutputAction, OutputId, Switch};
use legacy_protocols::event::{Door as Told, Event};
use legacy_protocols::number::Party;

use super::station::{ContactState, Door, Hinge, Leaf};
use super::{Site, Timer};

/// Somebody pushes the door as soon as it buzzes.
const PUSHED_AFTER: Duration = Duration::from_millis(400);
/// The closer pulls it shut.
const SHUT_AFTER: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Move {
    Pushed,
    /// The end of the pulse with this count.
    LetGo(u32),
    Shut,
}

impl Site {
    /// False: there is no such door. Doors are counted from 1.
    pub(super) fn drive(
        &mut self,
        station: Party,
        output: u16,
        action: OutputAction,
        command: Option<OutputId>,
        now: Instant,
    ) -> bool {
        let Some(index) = usize::from(output).checked_sub(1) else {
            return false;
        };
        let Some(door) = self.door(station, index) else {
            return false;
        };
        door.command = command;
        door.pulses += 1;
        let pulses = door.pulses;
        let sent = Event::DoorState {
            station,
            output,
            state: Told::Sent,
            command,
        };
        match action {
            OutputAction::Set(Switch::Off) => self.let_go(station, index, now),
            OutputAction::Set(Switch::On) => self.pull(station, index, now),
            OutputAction::Pulse(pulse) => {
                self.pull(station, index, now);
                let until = Timer::Door(station, index, Move::LetGo(pulses));
                self.timers.insert((now + pulse, until));
            }
        }
        self.tell_all(&sent, now);
        true
    }

    fn door(&mut self, station: Party, index: usize) -> Option<&mut Door> {
        self.stations.get_mut(&station)?.doors.get_mut(index)
    }

    fn pull(&mut self, station: Party, index: usize, now: Instant) {
        let Some(door) = self.door(station, index) else {
            return;
        };
        door.relay = Switch::On;
        self.relay_told(station, index, Switch::On, now);
        let pushed = Timer::Door(station, index, Move::Pushed);
        self.timers.insert((now + PUSHED_AFTER, pushed));
        let title = self.title(station);
        self.note(format!("door {} of {title} buzzes", index + 1));
    }

    fn let_go(&mut self, station: Party, index: usize, now: Instant) {
        let Some(door) = self.door(station, index) else {
            return;
        };
        let was_on = std::mem::replace(&mut door.relay, Switch::Off) == Switch::On;
        if was_on {
            self.relay_told(station, index, Switch::Off, now);
            let shut = Timer::Door(station, index, Move::Shut);
            self.timers.insert((now + SHUT_AFTER, shut));
        }
    }

    fn relay_told(&mut self, station: Party, index: usize, state: Switch, now: Instant) {
        let event = Event::OutputState {
            station,
            output: number(index),
            state,
        };
        self.tell_all(&event, now);
    }

    pub(super) fn door_moves(&mut self, station: Party, index: usize, what: Move, now: Instant) {
        let Some(door) = self.door(station, index).copied() else {
            return;
        };
        match what {
            Move::LetGo(pulses) if pulses == door.pulses => self.let_go(station, index, now),
            Move::LetGo(_) => {}
            Move::Pushed if door.relay == Switch::On => {
                self.swing(station, index, Leaf::Open, now);
            }
            Move::Shut if door.relay == Switch::Off => {
                self.swing(station, index, Leaf::Closed, now);
            }
            Move::Pushed | Move::Shut => {}
        }
    }

    fn swing(&mut self, station: Party, index: usize, leaf: Leaf, now: Instant) {
        let Some(door) = self.door(station, index) else {
            return;
        };
        if door.hinge == Hinge::Stuck || door.leaf == leaf {
            return;
        }
        door.leaf = leaf;
        let (felt, command) = (door.felt(), door.command);
        let title = self.title(station);
        self.note(match leaf {
            Leaf::Open => format!("door {} of {title} opens", index + 1),
            Leaf::Closed => format!("door {} of {title} closes", index + 1),
        });
        if let Some(leaf) = felt {
            self.tell_all(&door_event(station, index, leaf, command), now);
        }
    }

    pub(super) fn set_contact(
        &mut self,
        station: Party,
        output: u16,
        contact: ContactState,
    ) -> bool {
        let index = usize::from(output).wrapping_sub(1);
        let door = self.door(station, index);
        let fitted = door.filter(|door| door.contact != ContactState::None);
        fitted.is_some_and(|door| {
            door.contact = contact;
            true
        })
    }

    pub(super) fn set_hinge(&mut self, station: Party, output: u16, hinge: Hinge) -> bool {
        let door = self.door(station, usize::from(output).wrapping_sub(1));
        door.is_some_and(|door| {
            door.hinge = hinge;
            true
        })
    }
}

pub(super) fn door_event(
    station: Party,
    index: usize,
    leaf: Leaf,
    command: Option<OutputId>,
) -> Event {
    Event::DoorState {
        station,
        output: number(index),
        state: match leaf {
            Leaf::Open => Told::Opened,
            Leaf::Closed => Told::Closed,
        },
        command: command.filter(|_| leaf == Leaf::Open),
    }
}

/// Outputs and inputs are counted from 1 on the lines.
pub(super) fn number(index: usize) -> u16 {
    u16::try_from(index + 1).unwrap_or(u16::MAX)
}
