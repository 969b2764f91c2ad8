//! What people and programs want, with an answer at once.

use std::time::Instant;

use model::{Address, Destination, EndCause, Party, Priority};

use crate::call::AfterSummons;
use crate::engine::Engine;
use crate::input::{Command, CommandError, Done};
use crate::route::{Asking, Availability};

impl Engine {
    /// Carries out a command, or says why not. What follows comes as outputs.
    pub fn command(&mut self, command: Command, now: Instant) -> Result<Done, CommandError> {
        self.enter(now);
        let result = match command {
            Command::Dial { from, to, priority } => self.dial(from, to, priority),
            Command::FileRequest(file) => self.file_request(file),
            Command::Claim { request, by } => self.claim(request, by, None),
            Command::ClaimToCall { request, by } => self.claim_to_call(request, by),
            Command::TakeNext { desk, by } => self.take_next(desk, by),
            Command::Dismiss { request, by } => self.dismiss(request, by),
            Command::Withdraw { request, why } => self.withdraw(request, why),
            Command::Play {
                to,
                playback,
                priority,
            } => self.play(to, playback, priority),
            Command::EndCall { call } => {
                if self.calls.contains_key(&call) {
                    self.end_call(call, EndCause::EndedByOperator);
                    Ok(Done::Ended)
                } else {
                    Err(CommandError::NoSuchCall)
                }
            }
            Command::EndLeg { leg } => match self.call_of(leg) {
                Some(call) => {
                    self.part(leg);
                    self.end_leg(leg, EndCause::EndedByOperator);
                    self.leg_gone(call, leg, EndCause::EndedByOperator);
                    Ok(Done::Ended)
                }
                None => Err(CommandError::NoSuchLeg),
            },
        };
        self.leave();
        result
    }

    fn dial(
        &mut self,
        from: Address,
        to: Address,
        priority: Option<Priority>,
    ) -> Result<Done, CommandError> {
        let directory = self.directory.clone();
        if directory.destination(&to).is_none() {
            return Err(CommandError::NoSuchAddress);
        }
        let (party, priority, evict) = match directory.destination(&from) {
            Some(Destination::Station(station)) => {
                let priority = priority
                    .unwrap_or(station.priority)
                    .max(station.most_urgent());
                let asking = Asking {
                    call: None,
                    caller: None,
                    priority,
                };
                let evict = match self.availability(station, asking) {
                    Availability::Free | Availability::Waits => Vec::new(),
                    Availability::Evict(legs) => legs,
                    // Who dials from the screen beside it means it, privacy or not.
                    Availability::Taken(EndCause::Privacy) => Vec::new(),
                    Availability::Taken(_) => return Err(CommandError::StationBusy),
                };
                (self.party_of_station(station.id), priority, evict)
            }
            Some(Destination::Elsewhere(address)) => {
                let party = Party {
                    address: Some(address.clone()),
                    ..Party::default()
                };
                (
                    party,
                    priority
                        .unwrap_or_default()
                        .max(Priority::MOST_URGENT_NORMAL),
                    Vec::new(),
                )
            }
            Some(
                Destination::RingGroup(_)
                | Destination::Desk(_)
                | Destination::Conference(_)
                | Destination::GroupCall(_)
                | Destination::EchoTest(_),
            ) => return Err(CommandError::NotASingleDevice),
            None => return Err(CommandError::NoSuchAddress),
        };
        match self.no_service(priority) {
            Some(EndCause::Stopping) => return Err(CommandError::Stopping),
            Some(_) => return Err(CommandError::Overload),
            None => {}
        }
        let call = self.summon(from, party, priority, to.clone(), AfterSummons::Call(to));
        self.evict(&evict, call);
        Ok(Done::Call(call))
    }
}
