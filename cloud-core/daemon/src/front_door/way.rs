//! The short way of commands (`devices::commands::way`): to connections that are here.

use cloud_logic::ids::DeviceId;
use cloud_logic::presence::Epoch;
use contract::topic::Down;

use super::Ground;
use super::delivery::said;
use super::figures::count;
use super::links::Order;
use super::session::{Saying, Token};
use crate::devices::commands::rows::Command;
use crate::devices::commands::way::{Held, Way};

impl Way for Ground {
    fn take_place(&self, device: DeviceId, held: Held) -> bool {
        let link = self.links.of(device).filter(|link| {
            held.node == self.node && link.epoch == held.epoch && !link.is_behind_broker()
        });
        link.is_some_and(|link| !link.is_ending() && link.hears(Down::Command) && link.take_room())
    }

    fn give_back(&self, device: DeviceId, epoch: Epoch) {
        if let Some(link) = self.links.of(device).filter(|link| link.epoch == epoch) {
            link.give_room(1);
            self.delivery.room();
        }
    }

    fn say(&self, command: &Command, epoch: Epoch) {
        // One that is gone has left a command behind that comes again, or ends as unknown.
        let link = self.links.of(command.device);
        let Some(link) = link.filter(|link| link.epoch == epoch) else {
            return;
        };
        match said(command, command.args.clone()) {
            Some(saying) => {
                count(&self.figures.commands_sent);
                let token = Token::Command(command.id);
                link.order(Order::Say(Box::<Saying>::new(saying), Some(token)));
            }
            None => self.give_back(command.device, epoch),
        }
    }
}
