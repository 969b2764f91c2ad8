//! What the cloud core wants of the gateway, carried out by the main loop.
//!
//! A door is opened by the engine, with the id of the command, so that it opens once whatever repeats;
//! its end is told when its contact or station has said it. Whether the person may open it the core has
//! decided; the timeline and the door's record say that the order came from there.

use std::time::Instant;

use client::{Order, Say};
use contract::document::{Counter, Text};
use contract::down::{Command, Errand, Operation};
use contract::up::{Heartbeat, Outcome, OutcomeState};
use exchange::{Input, OperatorCommand};
use model::{CommandId, DoorResult};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::settings;
use crate::main_loop::MainLoop;
use crate::operator::Asker;
use crate::systemd;

impl MainLoop {
    pub(crate) fn ordered(&mut self, order: Order, now: Instant) {
        match order {
            Order::Apply { rev, settings } => {
                let (set, applied) = settings::apply(rev, &settings);
                if let Some(set) = set {
                    self.hands.cloud_set = set;
                }
                self.hands.link.say(Say::Applied(applied));
                self.hands.report_due = true;
            }
            Order::Do(command) => self.cloud_command(&command, now),
            Order::Heartbeat => {
                let up = i64::try_from(self.hands.about.started.elapsed().as_secs());
                let calls = self.state.calls().gauges().calls;
                let standing = self.hands.link.standing();
                let mesh = standing.is_some_and(|standing| !standing.phase.is_served_by_core());
                self.hands.link.say(Say::Heartbeat(Heartbeat {
                    up: up
                        .ok()
                        .and_then(|up| Counter::new(up).ok())
                        .unwrap_or_default(),
                    load: None,
                    calls: u16::try_from(calls).unwrap_or(u16::MAX),
                    mesh,
                }));
            }
            Order::Phase(phase) => tracing::debug!(?phase, "what the gateway may count on"),
            // The list of what is void comes with the certificates that are checked by it, the time
            // from the system; there is nothing here that looks for either.
            Order::Poked(errand @ (Errand::Update | Errand::Crl | Errand::Time | Errand::Logs)) => {
                tracing::debug!(?errand, "the core hints at something");
            }
            Order::Poked(Errand::Other) => {}
        }
    }

    fn cloud_command(&mut self, command: &Command, now: Instant) {
        tracing::info!(command = %command.cmd, op = %command.op, by = %command.by, "the core orders");
        match Operation::named(command.op.as_str()) {
            Some(Operation::OpenDoor) => self.cloud_door(command, now),
            Some(Operation::Reboot) => self.cloud_restart(command),
            Some(Operation::UploadLogs | Operation::Identify) | None => {
                self.answer(command, OutcomeState::Rejected, "unsupported");
            }
        }
    }

    fn cloud_door(&mut self, command: &Command, now: Instant) {
        let key = command.args.get("door").and_then(Value::as_str);
        let Some(door) = key.and_then(|key| self.hands.site.door(key)) else {
            return self.answer(command, OutcomeState::Rejected, "unknown-door");
        };
        let id = door_command(command.cmd.as_str());
        let open = OperatorCommand::Open(id, door);
        self.hands.timeline.operator(&open);
        let asker = self.hands.expect(Asker::Cloud {
            command: id,
            asked: command.cmd.clone(),
            by: command.by.clone(),
        });
        let input = Input::Operator {
            asker,
            command: open,
        };
        let outlet = self.flows.outlet();
        self.hands.feed(&mut self.state, outlet, input, now);
    }

    /// Started by a service manager, it ends in good order and is started again.
    fn cloud_restart(&mut self, command: &Command) {
        if !systemd::starts_us_again() {
            return self.answer(command, OutcomeState::Rejected, "unsupported");
        }
        let detail = json!({"after": "calls have ended"});
        self.hands.link.say(Say::Ended(Outcome {
            detail: Some(detail),
            ..outcome(&command.cmd, OutcomeState::Done, None)
        }));
        self.restart_asked = true;
    }

    fn answer(&mut self, command: &Command, state: OutcomeState, code: &str) {
        let ended = outcome(&command.cmd, state, Some(code));
        self.hands.link.say(Say::Ended(ended));
    }
}

pub(crate) fn outcome(command: &Text<40>, state: OutcomeState, code: Option<&str>) -> Outcome {
    Outcome {
        cmd: command.clone(),
        attempt: 1,
        state,
        code: code.and_then(|code| Text::new(code).ok()),
        detail: None,
    }
}

/// What a door's end is to the core: done is what its contact or station has confirmed.
pub(crate) fn of_door(command: &Text<40>, result: DoorResult) -> Outcome {
    match result {
        DoorResult::Opened => outcome(command, OutcomeState::Done, None),
        DoorResult::SentNotConfirmed => {
            outcome(command, OutcomeState::Failed, Some("sent-not-confirmed"))
        }
        DoorResult::Failed => outcome(command, OutcomeState::Failed, Some("not-carried-out")),
        DoorResult::Denied(why) => Outcome {
            detail: Some(json!({"why": why.to_string()})),
            ..outcome(command, OutcomeState::Rejected, Some("denied"))
        },
    }
}

/// The same command is the same door command, whenever it comes.
fn door_command(id: &str) -> CommandId {
    let hash = Sha256::digest(id.as_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    CommandId::new(u128::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_done_is_said_of_a_door_that_is_confirmed_only() {
        let command = Text::new("cm-1").unwrap();
        assert_eq!(
            of_door(&command, DoorResult::Opened).state,
            OutcomeState::Done
        );
        let sent = of_door(&command, DoorResult::SentNotConfirmed);
        assert_eq!(sent.state, OutcomeState::Failed);
        assert_eq!(sent.code.unwrap().as_str(), "sent-not-confirmed");
        assert_eq!(door_command("cm-1"), door_command("cm-1"));
        assert_ne!(door_command("cm-1"), door_command("cm-2"));
    }
}
