//! Timers, and the loss of connections.

use std::time::Instant;

use bytes::Bytes;

use super::{Due, Failed, Machine, Outbox, Table, TransactionId, Way};
use crate::endpoint::Output;
use crate::flow::{Destination, Flow, Hop};
use crate::message::StatusCode;
use crate::transaction::derived;
use crate::transaction::machine::{ClientTimer, ServerTimer};

/// Time, and the loss of ways.
impl Table {
    /// Serves one due transaction; `None` when none is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) -> Option<Due> {
        let id = self.deadlines.pop_due(now)?;
        let timers = self.timers;
        let Some(entry) = self.entry_mut(id) else {
            return Some(Due::Nothing);
        };
        let failed = Failed {
            id,
            user: entry.user,
        };
        let step = match &mut entry.machine {
            Machine::ClientInvite { machine, .. } => Step::of_client(machine.on_timeout(now)),
            Machine::Client { machine, .. } => Step::of_client(machine.on_timeout(&timers, now)),
            Machine::ServerInvite { machine, .. } => {
                Step::of_server(machine.on_timeout(&timers, now))
            }
            Machine::Server { machine, .. } => Step::of_server(machine.on_timeout(now)),
        };
        let hop = entry.hop.clone();
        match step {
            Step::Nothing => self.settle(id),
            Step::Send(bytes) => {
                out.push_back(Output::Transmit { to: hop, bytes });
                self.settle(id);
            }
            Step::SendTrying => {
                if let Some(response) = self.response(id, StatusCode::TRYING) {
                    self.respond(id, &response, now, out);
                }
            }
            Step::TimedOut => {
                self.settle(id);
                return Some(Due::TimedOut(failed));
            }
        }
        Some(Due::Nothing)
    }

    /// A connection is gone: what waits on it fails.
    pub(crate) fn connection_closed(&mut self, flow: &Flow) -> Vec<Failed> {
        let mut ids = self.bound_to(Way::Connection(flow.connection));
        ids.extend(self.bound_to(Way::To(flow.transport, flow.remote)));
        ids.into_iter().filter_map(|id| self.fail(id)).collect()
    }

    /// A destination could not be reached: what waits on it fails, except that a request which
    /// went over TCP for its size alone is sent over UDP after all (RFC 3261 18.1.1).
    pub(crate) fn unreachable(
        &mut self,
        destination: &Destination,
        now: Instant,
        out: &mut Outbox,
    ) -> Vec<Failed> {
        let ids = self.bound_to(Way::To(destination.transport, destination.addr));
        ids.into_iter()
            .filter_map(|id| {
                if self.fall_back(id, now, out) {
                    None
                } else {
                    self.fail(id)
                }
            })
            .collect()
    }

    fn bound_to(&self, way: Way) -> Vec<TransactionId> {
        let first = TransactionId {
            slot: 0,
            generation: 0,
        };
        let last = TransactionId {
            slot: u32::MAX,
            generation: u32::MAX,
        };
        self.bound
            .range((way, first)..=(way, last))
            .map(|(_, id)| *id)
            .collect()
    }

    fn fall_back(&mut self, id: TransactionId, now: Instant, out: &mut Outbox) -> bool {
        let timers = self.timers;
        let Some(entry) = self.entry_mut(id) else {
            return false;
        };
        let Some(fallback) = entry.fallback.take() else {
            return false;
        };
        let transport = fallback.transport;
        let old = std::mem::replace(&mut entry.hop, Hop::Destination(*fallback));
        let change = |request: &Bytes| {
            derived::over(request, old.transport().via_name(), transport.via_name())
        };
        let restarted = match &mut entry.machine {
            Machine::ClientInvite { machine, .. } => {
                machine.restart(transport, change, &timers, now)
            }
            Machine::Client { machine, .. } => machine.restart(transport, change, &timers, now),
            Machine::ServerInvite { .. } | Machine::Server { .. } => None,
        };
        let Some(bytes) = restarted else {
            entry.hop = old;
            return false;
        };
        out.push_back(Output::Transmit {
            to: entry.hop.clone(),
            bytes,
        });
        if let Some(way) = Way::of(&old) {
            self.bound.remove(&(way, id));
        }
        self.settle(id);
        true
    }

    fn fail(&mut self, id: TransactionId) -> Option<Failed> {
        let entry = self.entry_mut(id)?;
        let (pending, user) = (entry.machine.is_pending(), entry.user);
        entry.machine.abort();
        self.settle(id);
        pending.then_some(Failed { id, user })
    }
}

/// What a due machine wants.
enum Step {
    Nothing,
    Send(Bytes),
    SendTrying,
    TimedOut,
}

impl Step {
    fn of_client(timer: ClientTimer) -> Self {
        match timer {
            ClientTimer::Idle => Self::Nothing,
            ClientTimer::Repeat(bytes) => Self::Send(bytes),
            ClientTimer::TimedOut => Self::TimedOut,
        }
    }

    fn of_server(timer: ServerTimer) -> Self {
        match timer {
            ServerTimer::Idle => Self::Nothing,
            ServerTimer::Repeat(bytes) => Self::Send(bytes),
            ServerTimer::SendTrying => Self::SendTrying,
            ServerTimer::TimedOut => Self::TimedOut,
        }
    }
}
