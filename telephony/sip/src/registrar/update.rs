//! Changing bindings: by REGISTER, by time, by a closed connection, by the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::access::{Refusal, Role, malformed};
use super::answer::contact_headers;
use super::binding::{Binding, View, Way};
use super::edit::Edit;
use super::output::{DownCause, Event, Restored, Store, StoreToken, StoredBinding, UpCause};
use super::request::{self, Change, Fault, Wish};
use super::stations::Presence;
use super::{Answer, Held, Output, Registrar};
use crate::flow::{ConnectionId, Flow};
use crate::message::{HeaderName, Request, StatusCode};

impl Registrar {
    pub(super) fn try_register(
        &mut self,
        request: &Request,
        flow: &Flow,
        now: Instant,
    ) -> Result<StoreToken, Refusal> {
        let Ok(to) = request.headers.to() else {
            self.limit_unproven(flow, now)?;
            self.counters.malformed += 1;
            return Err(malformed("To is malformed").into());
        };
        let Some(user) = self.address_of_record(&to.uri) else {
            self.limit_unproven(flow, now)?;
            self.counters.unknown_domain += 1;
            return Err(Answer::new(StatusCode::NOT_FOUND).into());
        };
        let slot = self.identify(request, &user, Role::Server, flow, now)?;
        // RFC 3261 10.3 (2), after the password so that strangers learn nothing.
        if let Some(tags) = request::unsupported(request) {
            self.counters.unknown_extension += 1;
            let answer = Answer::new(StatusCode::BAD_EXTENSION).with(HeaderName::Unsupported, tags);
            return Err(answer.into());
        }
        let Some(station) = self.stations.get(slot) else {
            return Err(Refusal::Silence);
        };
        if !station.transports.contains(flow.transport) {
            self.counters.transport_refused += 1;
            return Err(Answer::new(StatusCode::FORBIDDEN).into());
        }
        let max = station.max_contacts;
        let wish = Wish::read(request, flow, &self.settings.expiry, max)
            .map_err(|fault| self.refuse(fault))?;
        self.carry_out(slot, &wish, flow, now)
    }

    fn carry_out(
        &mut self,
        slot: u32,
        wish: &Wish,
        flow: &Flow,
        now: Instant,
    ) -> Result<StoreToken, Refusal> {
        let Some(station) = self.stations.get(slot) else {
            return Err(Refusal::Silence);
        };
        let second = self.second(now);
        let edit = Edit::new(station.bindings(), wish, flow, second);
        let Ok(changed) = edit.carry_out(usize::from(station.max_contacts)) else {
            self.counters.out_of_order += 1;
            // RFC 3261 10.3 (7): the update is aborted and the request fails.
            return Err(Answer::new(StatusCode::SERVER_INTERNAL_ERROR).into());
        };
        if changed.removed + changed.written == 0 {
            self.counters.queries += 1;
            let answer = self.success(&changed.bindings, wish, second);
            return Err(answer.into());
        }
        if self.held.len() >= self.settings.pending_max {
            self.counters.store_busy += 1;
            return Err(Answer::busy(Duration::from_secs(5)).into());
        }
        self.counters.registered += changed.written as u64;
        self.counters.unregistered += changed.removed as u64;
        self.counters.replaced += changed.replaced as u64;
        let answer = self.success(&changed.bindings, wish, second);
        Ok(self.commit(slot, changed.bindings, answer))
    }

    /// Sets the bindings, orders the store to write them, and keeps the answer until it did.
    fn commit(&mut self, slot: u32, bindings: Vec<Binding>, answer: Answer) -> StoreToken {
        let before = self.stations.set_bindings(slot, bindings);
        let token = self.order_store(slot);
        if let Some(station) = self.stations.get(slot) {
            let aor = station.user.clone();
            let held = Held {
                aor,
                before,
                answer,
            };
            self.held.insert(token, held);
        }
        token
    }

    /// RFC 3261 10.3 (8).
    fn success(&self, bindings: &[Binding], wish: &Wish, second: u32) -> Answer {
        let mut answer = Answer::new(StatusCode::OK);
        answer.headers.extend(contact_headers(bindings, second));
        // RFC 3327 5.3: only for stations that understand it.
        if wish.wants_path && !wish.path.is_empty() {
            answer = answer.with(HeaderName::Path, wish.path.clone());
        }
        let outbound = match &wish.change {
            Change::Set(contacts) => contacts.iter().any(|contact| contact.reg_id.is_some()),
            Change::Query | Change::RemoveAll => false,
        };
        if outbound {
            // RFC 5626 6.
            answer = answer.with(HeaderName::Require, "outbound");
            if let Some(timer) = self.settings.flow_timer {
                answer = answer.with(HeaderName::FlowTimer, timer.as_secs().to_string());
            }
        }
        answer.with(HeaderName::Supported, "path, outbound")
    }

    fn refuse(&mut self, fault: Fault) -> Refusal {
        let (counter, answer) = match fault {
            Fault::Malformed(why) => (&mut self.counters.malformed, malformed(why)),
            Fault::TooBrief { min } => {
                let answer = Answer::new(StatusCode::INTERVAL_TOO_BRIEF)
                    .with(HeaderName::MinExpires, min.to_string());
                (&mut self.counters.too_brief, answer)
            }
            Fault::TooManyContacts => {
                let answer = Answer::new(StatusCode::FORBIDDEN);
                (&mut self.counters.too_many_contacts, answer)
            }
            Fault::NoOutbound => {
                let answer = Answer::new(StatusCode::FIRST_HOP_LACKS_OUTBOUND_SUPPORT);
                (&mut self.counters.outbound_refused, answer)
            }
        };
        *counter += 1;
        answer.into()
    }

    /// Orders the store to write the present bindings of a station.
    fn order_store(&mut self, slot: u32) -> StoreToken {
        let token = StoreToken(self.next_token);
        self.next_token += 1;
        if let Some(station) = self.stations.get(slot) {
            let stored = station.bindings().iter().map(|binding| StoredBinding {
                expires: self.start + Duration::from_secs(binding.expires.into()),
                data: binding.data().into(),
            });
            let store = Store {
                token,
                aor: station.user.clone(),
                bindings: stored.collect(),
            };
            self.outputs.push_back(Output::Store(store));
        }
        token
    }

    pub(super) fn expire(&mut self, slot: u32, alive: Vec<Binding>) {
        let lost = self.lose(slot, alive, DownCause::Expired);
        self.counters.expired += lost as u64;
    }

    pub(super) fn lose_flow(&mut self, slot: u32, flow: &Flow) {
        let Some(station) = self.stations.get(slot) else {
            return;
        };
        let on_it = |binding: &&Binding| binding.view().flow.connection == flow.connection;
        if !station.bindings().iter().any(|binding| on_it(&binding)) {
            return;
        }
        let kept = station
            .bindings()
            .iter()
            .filter_map(|binding| match binding.view() {
                view if view.flow.connection != flow.connection => Some(binding.clone()),
                view if view.reg_id.is_some() => None,
                view => Some(without_connection(&view, binding)),
            });
        let kept: Vec<_> = kept.collect();
        let lost = self.lose(slot, kept, DownCause::FlowClosed);
        self.counters.flows_lost += lost as u64;
    }

    /// Sets fewer (or equally many, changed) bindings; tells the store and the owner what went.
    fn lose(&mut self, slot: u32, kept: Vec<Binding>, cause: DownCause) -> usize {
        let left = kept.len();
        let before = self.stations.set_bindings(slot, kept);
        let lost = before.len() - left;
        if lost > 0 {
            self.order_store(slot);
        }
        if let Some(station) = self.stations.get(slot)
            && left == 0
        {
            let aor = station.user.clone();
            self.announce(&aor, UpCause::Registered, cause);
        }
        lost
    }

    /// Tells the owner when a station came or went since it was told last. What waits for the
    /// store is told when that is done.
    pub(super) fn announce(&mut self, aor: &Arc<str>, by: UpCause, cause: DownCause) {
        let aor = aor.clone();
        let event = match self.stations.note_presence(&aor) {
            Presence::Same => return,
            Presence::Came => Event::StationUp { aor, by },
            Presence::Went => Event::StationDown { aor, cause },
        };
        self.outputs.push_back(Output::Event(event));
    }

    /// Back to what the station had before a change that could not be stored.
    pub(super) fn undo(&mut self, aor: &Arc<str>, before: Box<[Binding]>, now: Instant) {
        if let Some(slot) = self.stations.find(aor) {
            let second = self.second(now);
            let mut before = before.into_vec();
            before.retain(|binding| binding.expires > second);
            self.stations.set_bindings(slot, before);
            self.announce(aor, UpCause::Registered, DownCause::Unregistered);
        }
    }

    pub(super) fn remove_account(&mut self, slot: u32) {
        self.lose(slot, Vec::new(), DownCause::AccountRemoved);
        self.guard.forget_account(slot);
        self.stations.remove_account(slot);
    }

    pub(super) fn restore_one(
        &mut self,
        aor: &str,
        stored: StoredBinding,
        restored: &mut Restored,
        now: Instant,
    ) {
        let StoredBinding { expires, data } = stored;
        let Some(slot) = self.stations.find(aor) else {
            restored.orphaned += 1;
            return;
        };
        let second = self.second(now);
        let expires = self.second(expires);
        if expires <= second {
            restored.expired += 1;
            return;
        }
        let Some(binding) = Binding::unpack(data, expires, second) else {
            restored.unreadable += 1;
            return;
        };
        let view = binding.view();
        let binding = match view.flow.connection {
            ConnectionId::NONE => binding,
            _ if view.reg_id.is_some() => {
                restored.flows_lost += 1;
                return;
            }
            _ => without_connection(&view, &binding),
        };
        restored.bindings += 1;
        if let Some(station) = self.stations.get(slot) {
            let aor = station.user.clone();
            let bindings = station
                .bindings()
                .iter()
                .cloned()
                .chain([binding])
                .collect();
            self.stations.set_bindings(slot, bindings);
            self.announce(&aor, UpCause::Restored, DownCause::Expired);
        }
    }
}

/// The binding as it is reached once its connection is gone.
fn without_connection(view: &View<'_>, binding: &Binding) -> Binding {
    let flow = Flow {
        connection: ConnectionId::NONE,
        ..view.flow
    };
    let view = View {
        flow,
        way: Way::Resolve,
        ..view.clone()
    };
    Binding::pack(&view, binding.expires, binding.updated)
}
