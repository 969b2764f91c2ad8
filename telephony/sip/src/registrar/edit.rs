//! The rules by which one REGISTER changes the bindings of its station (RFC 3261 10.3 (6), (7)).
//!
//! It works on a copy, so a request that fails half-way leaves nothing behind. Invariant: the
//! result holds no more bindings than the account allows.

use super::binding::{Binding, View};
use super::request::{Change, ContactWish, Wish};
use crate::flow::Flow;
use crate::message::Uri;

/// A request can be on its way so long (64 T1, RFC 3261 17.1.2.2). One with a lower CSeq that
/// comes later than that was sent later, by a station that lost its memory.
const REORDERING_SECONDS: u32 = 32;

/// A copy of a station's bindings on its way to the next state.
pub(super) struct Edit<'a> {
    entries: Vec<Entry>,
    wish: &'a Wish,
    flow: &'a Flow,
    second: u32,
    removed: usize,
}

struct Entry {
    binding: Binding,
    by: By,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Before,
    ThisRequest,
}

pub(super) struct Changed {
    pub(super) bindings: Vec<Binding>,
    pub(super) written: usize,
    pub(super) removed: usize,
    /// Of other devices, to make room.
    pub(super) replaced: usize,
}

/// The request is older than what it would change.
pub(super) struct OutOfOrder;

impl<'a> Edit<'a> {
    pub(super) fn new(bindings: &[Binding], wish: &'a Wish, flow: &'a Flow, second: u32) -> Self {
        let entry = |binding: &Binding| Entry {
            binding: binding.clone(),
            by: By::Before,
        };
        Self {
            entries: bindings
                .iter()
                .filter(|b| b.expires > second)
                .map(entry)
                .collect(),
            wish,
            flow,
            second,
            removed: 0,
        }
    }

    pub(super) fn carry_out(mut self, max: usize) -> Result<Changed, OutOfOrder> {
        match &self.wish.change {
            Change::Query => {}
            Change::RemoveAll => {
                for at in 0..self.entries.len() {
                    self.check_order(at)?;
                }
                self.removed = self.entries.len();
                self.entries.clear();
            }
            Change::Set(contacts) => {
                for contact in contacts {
                    self.set(contact)?;
                }
            }
        }
        let replaced = self.make_room(max);
        let written = self
            .entries
            .iter()
            .filter(|e| e.by == By::ThisRequest)
            .count();
        Ok(Changed {
            bindings: self
                .entries
                .into_iter()
                .map(|entry| entry.binding)
                .collect(),
            written,
            removed: self.removed,
            replaced,
        })
    }

    fn set(&mut self, contact: &ContactWish) -> Result<(), OutOfOrder> {
        let at = self
            .entries
            .iter()
            .position(|entry| same(&entry.binding.view(), contact));
        if let Some(at) = at {
            self.check_order(at)?;
        }
        match (at, contact.expires) {
            (None, 0) => {}
            (Some(at), 0) => {
                self.entries.remove(at);
                self.removed += 1;
            }
            (Some(at), _) => self.entries[at] = self.entry(contact),
            (None, _) => {
                let entry = self.entry(contact);
                self.entries.push(entry);
            }
        }
        Ok(())
    }

    fn entry(&self, contact: &ContactWish) -> Entry {
        let view = View {
            uri: contact.uri.as_str(),
            instance: &contact.instance,
            reg_id: contact.reg_id,
            q: contact.q,
            call: self.wish.call,
            cseq: self.wish.cseq,
            way: contact.way,
            flow: *self.flow,
            path: &self.wish.path,
        };
        // One more second, because the present one has begun already.
        let expires = self
            .second
            .saturating_add(contact.expires)
            .saturating_add(1);
        Entry {
            binding: Binding::pack(&view, expires, self.second),
            by: By::ThisRequest,
        }
    }

    /// RFC 3261 10.3 (7): within a Call-ID the CSeq must rise. See [`REORDERING_SECONDS`].
    fn check_order(&self, at: usize) -> Result<(), OutOfOrder> {
        let Entry { binding, by } = &self.entries[at];
        let view = binding.view();
        let recent = self.second.saturating_sub(binding.updated) <= REORDERING_SECONDS;
        let older = view.call == self.wish.call && self.wish.cseq <= view.cseq;
        match *by == By::Before && recent && older {
            true => Err(OutOfOrder),
            false => Ok(()),
        }
    }

    /// A device that comes back under another address must get in: what was refreshed longest ago
    /// makes room.
    fn make_room(&mut self, max: usize) -> usize {
        let mut replaced = 0;
        while self.entries.len() > max.max(1) {
            let before = self
                .entries
                .iter()
                .enumerate()
                .filter(|(_, e)| e.by == By::Before);
            let Some((oldest, _)) = before.min_by_key(|(_, e)| e.binding.updated) else {
                break; // a request brings no more contacts than the account allows
            };
            self.entries.remove(oldest);
            replaced += 1;
        }
        replaced
    }
}

/// Whether a contact names that binding: by instance and reg-id (RFC 5626 6), or by equal URIs
/// (RFC 3261 10.3 (7), 19.1.4).
fn same(view: &View<'_>, contact: &ContactWish) -> bool {
    match (view.reg_id, contact.reg_id) {
        (Some(a), Some(b)) => a == b && view.instance == contact.instance,
        (None, None) => same_uri(view.uri, &contact.uri),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn same_uri(stored: &str, uri: &Uri) -> bool {
    stored == uri.as_str()
        || Uri::parse(stored.as_bytes()).is_ok_and(|stored| stored.equivalent(uri))
}
