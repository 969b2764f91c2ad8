//! Names for calls on lines that name a call by its two stations only.
//!
//! Knows as many calls as fit; the oldest is forgotten first. Invariant: both maps and the order
//! hold the same calls.

use std::collections::{BTreeMap, VecDeque};

use crate::command::CallRef;
use crate::number::Party;

/// Calls that are remembered at most.
const MOST_CALLS: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Calls {
    by_call: BTreeMap<CallRef, (Party, Party)>,
    by_parties: BTreeMap<(Party, Party), CallRef>,
    order: VecDeque<CallRef>,
    given: u64,
}

impl Calls {
    /// Its name, a new one where it has none.
    pub(crate) fn call_of(&mut self, from: Party, to: Party) -> CallRef {
        if let Some(call) = self.find(from, to) {
            return call;
        }
        self.given += 1;
        let call = CallRef(CallRef::OF_PORT | self.given);
        self.remember(call, from, to);
        call
    }

    pub(crate) fn find(&self, from: Party, to: Party) -> Option<CallRef> {
        self.by_parties.get(&(from, to)).copied()
    }

    pub(crate) fn parties(&self, call: CallRef) -> Option<(Party, Party)> {
        self.by_call.get(&call).copied()
    }

    /// The youngest call that this party is in.
    pub(crate) fn of_party(&self, party: Party) -> Option<CallRef> {
        let mut young = self.order.iter().rev();
        let is_in = |call: &&CallRef| {
            let parties = self.by_call.get(call);
            parties.is_some_and(|(from, to)| *from == party || *to == party)
        };
        young.find(is_in).copied()
    }

    pub(crate) fn remember(&mut self, call: CallRef, from: Party, to: Party) {
        self.forget(call);
        if let Some(earlier) = self.find(from, to) {
            self.forget(earlier);
        }
        if self.order.len() >= MOST_CALLS
            && let Some(oldest) = self.order.front().copied()
        {
            self.forget(oldest);
        }
        self.by_call.insert(call, (from, to));
        self.by_parties.insert((from, to), call);
        self.order.push_back(call);
    }

    pub(crate) fn forget(&mut self, call: CallRef) {
        if let Some(parties) = self.by_call.remove(&call) {
            self.by_parties.remove(&parties);
            self.order.retain(|known| *known != call);
        }
    }

    pub(crate) fn clear(&mut self) {
        let given = self.given;
        *self = Self {
            given,
            ..Self::default()
        };
    }
}
