//! The registrar: who may register, and where each address-of-record is reached.
//!
//! RFC 3261 10.3 with Path (RFC 3327) and outbound (RFC 5626), digest (RFC 7616, RFC 8760),
//! limits for floods and for guessing. It deliberately sends nothing, resolves nothing, keeps no
//! transactions and knows no GRUU.
//!
//! How an owner drives it, after `new`, `set_accounts` and `restore`:
//!
//! - A REGISTER goes to [`Registrar::register`]. The [`Decision`] is an answer to send
//!   ([`Answer::to_response`]), or nothing at all, or a token: then the answer comes later as
//!   [`Output::Answer`] with that token.
//! - Drain [`Registrar::poll_output`] until `Timeout`. [`Output::Store`] must be written down and
//!   confirmed by [`Registrar::stored`] or [`Registrar::store_failed`]: only then the answer is
//!   released, so what a 200 says survives the process.
//! - Other requests of stations are checked by [`Registrar::authenticate`].
//! - Tell it [`Registrar::flow_closed`] for each connection that ends.
//! - [`Registrar::contacts`] says where to send a call.
//!
//! Invariants: a binding is visible until it is removed, expires or its outbound flow closes; a
//! binding whose store failed is undone; each table is bounded by the accounts or by a setting.
//!
//! Deviations, each where it is made: a lower CSeq is accepted once the earlier request can no
//! longer be on its way (a station that lost its memory must get in again); the oldest contact
//! makes room when an account is full; URI parameters are not compared in digest URIs.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::digest::Algorithm;
use crate::digest::server::Server;
use crate::flow::{Flow, ListenerId, Transport};
use crate::message::{HeaderName, Headers, NameAddr, Request, Uri};

mod access;
mod answer;
mod binding;
mod edit;
mod guard;
mod output;
mod request;
mod settings;
mod stations;
mod update;

pub use access::{Authentication, Role};
pub use answer::Answer;
pub use guard::{GuardSettings, OnBar, OnFlood, Rate};
pub use output::{
    Counters, DownCause, Event, Output, Restored, Store, StoreToken, StoredBinding, UpCause,
};
pub use settings::{Account, Domains, Expiry, NonceSettings, Settings, Transports};

use binding::{Binding, Way};
use guard::Guard;
use stations::Stations;

/// What to do with a REGISTER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Answer(Answer),
    /// The answer comes as [`Output::Answer`] once the store has confirmed.
    Held(StoreToken),
    /// Send nothing, so that a flood costs nothing.
    Silence,
}

/// A place where an address-of-record is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact<'a> {
    /// Goes into the Request-URI.
    pub uri: &'a str,
    /// Preference in thousandths, 1000 best.
    pub q: u16,
    pub reach: Reach,
    /// Comma-separated; see [`Contact::routes`].
    pub path: &'a str,
    /// `+sip.instance` without quotes, or empty.
    pub instance: &'a str,
    pub expires_in: Duration,
}

/// The way to a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Over this flow.
    Flow(Flow),
    /// Resolve the first Path URI, else the contact URI.
    Resolve {
        /// Where the REGISTER came in; its address family and network fit.
        listener: ListenerId,
    },
}

impl Contact<'_> {
    /// The Path as a route set (RFC 3327 5.3).
    pub fn routes(&self) -> Vec<NameAddr> {
        if self.path.is_empty() {
            return Vec::new();
        }
        let mut headers = Headers::new();
        headers.push(HeaderName::Path, self.path);
        headers.path().unwrap_or_default()
    }
}

/// The machine.
#[derive(Debug)]
pub struct Registrar {
    settings: Settings,
    start: Instant,
    digest: Server,
    guard: Guard,
    stations: Stations,
    held: BTreeMap<StoreToken, Held>,
    next_token: u64,
    outputs: VecDeque<Output>,
    counters: Counters,
}

/// A change that waits for its confirmation.
#[derive(Debug)]
struct Held {
    aor: Arc<str>,
    /// The bindings to go back to.
    before: Box<[Binding]>,
    answer: Answer,
}

impl Registrar {
    pub fn new(settings: Settings, seed: u64, now: Instant) -> Self {
        let nonces = &settings.nonces;
        let seed = seed.to_be_bytes();
        let key = Algorithm::Sha256.hash(&[b"nonce key", &nonces.secret, &seed]);
        let key = key
            .as_bytes()
            .first_chunk()
            .expect("SHA-256 makes 32 bytes");
        let realm = settings.realm.clone();
        let (lifetime, capacity) = (nonces.lifetime, nonces.replay_capacity);
        Self {
            digest: Server::new(realm, key, lifetime, capacity, now),
            guard: Guard::new(settings.guard, now),
            settings,
            start: now,
            stations: Stations::default(),
            held: BTreeMap::new(),
            next_token: 1,
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// These are all accounts from now on. Bindings of those that stay are kept.
    pub fn set_accounts(&mut self, accounts: impl IntoIterator<Item = Account>) {
        let mut kept = vec![
            false;
            self.stations
                .iter()
                .map(|(slot, _)| slot + 1)
                .max()
                .unwrap_or(0) as usize
        ];
        for account in accounts {
            let slot = self.stations.put_account(account) as usize;
            if let Some(kept) = kept.get_mut(slot) {
                *kept = true;
            }
        }
        let gone: Vec<u32> = (0u32..)
            .zip(&kept)
            .filter(|(_, kept)| !**kept)
            .map(|(slot, _)| slot)
            .collect();
        for slot in gone {
            self.remove_account(slot);
        }
    }

    /// Takes back what the store kept, before the first request and after `set_accounts`.
    /// Listener ids must still mean the same; connections are gone, so bindings that hung on one
    /// are reached by their contact address, and outbound ones are not taken back.
    pub fn restore(
        &mut self,
        bindings: impl IntoIterator<Item = (impl AsRef<str>, StoredBinding)>,
        now: Instant,
    ) -> Restored {
        let mut restored = Restored::default();
        for (aor, stored) in bindings {
            self.restore_one(aor.as_ref(), stored, &mut restored, now);
        }
        restored
    }

    /// Decides over a REGISTER.
    pub fn register(&mut self, request: &Request, flow: &Flow, now: Instant) -> Decision {
        match self.try_register(request, flow, now) {
            Ok(token) => Decision::Held(token),
            Err(access::Refusal::Answer(answer)) => Decision::Answer(answer),
            Err(access::Refusal::Silence) => Decision::Silence,
        }
    }

    /// The store has written the order down: the answer is released.
    pub fn stored(&mut self, token: StoreToken) {
        if let Some(Held { aor, answer, .. }) = self.held.remove(&token) {
            self.announce(&aor, UpCause::Registered, DownCause::Unregistered);
            self.outputs.push_back(Output::Answer { token, answer });
        }
    }

    /// The store could not write: the change is undone and the station hears 500
    /// (RFC 3261 10.3 (7)).
    pub fn store_failed(&mut self, token: StoreToken, now: Instant) {
        let Some(held) = self.held.remove(&token) else {
            return;
        };
        self.counters.store_failed += 1;
        // A later change of the same station builds on this one and was stored with it; if that
        // fails too, it goes back to where this one began.
        let later = self
            .held
            .range_mut(token..)
            .find(|(_, later)| later.aor == held.aor);
        match later {
            Some((_, later)) => later.before = held.before,
            None => self.undo(&held.aor, held.before, now),
        }
        let answer = access::store_failed();
        self.outputs.push_back(Output::Answer { token, answer });
    }

    /// A connection is gone (RFC 5626 5.3): its outbound bindings go with it, others are reached
    /// at their contact address from now on.
    pub fn flow_closed(&mut self, flow: &Flow) {
        for slot in self.stations.take_connection(flow.connection) {
            self.lose_flow(slot, flow);
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let second = self.second(now);
        while let Some((slot, alive)) = self.stations.next_due(second) {
            self.expire(slot, alive);
        }
    }

    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let second = self.stations.next_deadline();
        Output::Timeout(second.map(|s| self.start + Duration::from_secs(s.into())))
    }

    /// Where the station is reached, best first: by q, then the most recently refreshed.
    pub fn contacts(&self, aor: &str, now: Instant) -> Vec<Contact<'_>> {
        let second = self.second(now);
        let station = self
            .stations
            .find(aor)
            .and_then(|slot| self.stations.get(slot));
        let bindings = station.map_or(&[][..], |station| station.bindings());
        let mut alive: Vec<&Binding> = bindings.iter().filter(|b| b.expires > second).collect();
        alive.sort_by_key(|b| std::cmp::Reverse((b.view().q.unwrap_or(1000), b.updated)));
        alive
            .into_iter()
            .map(|binding| contact(binding, second))
            .collect()
    }

    /// The address-of-record a URI of ours names: the user part without escapes.
    pub fn address_of_record<'a>(&self, uri: &'a Uri) -> Option<Cow<'a, str>> {
        uri.user_unescaped()
            .filter(|_| self.settings.domains.include(uri))
    }

    pub fn has_account(&self, aor: &str) -> bool {
        self.stations.find(aor).is_some()
    }

    /// All stations with their contacts, in a stable order.
    pub fn stations(&self, now: Instant) -> impl Iterator<Item = (&Arc<str>, Vec<Contact<'_>>)> {
        let all = self.stations.iter();
        all.map(move |(_, station)| (&station.user, self.contacts(&station.user, now)))
    }

    pub fn account_count(&self) -> usize {
        self.stations.len()
    }

    pub fn binding_count(&self) -> usize {
        self.stations.bindings()
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Seconds since the start, cut.
    fn second(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.start).as_secs() as u32
    }
}

fn contact(binding: &Binding, second: u32) -> Contact<'_> {
    let view = binding.view();
    let resolve = Reach::Resolve {
        listener: view.flow.listener,
    };
    let reach = match view.way {
        Way::Flow => Reach::Flow(view.flow),
        Way::ContactAddress => contact_address(view.uri, &view.flow).map_or(resolve, Reach::Flow),
        Way::Resolve => resolve,
    };
    Contact {
        uri: view.uri,
        q: view.q.unwrap_or(1000),
        reach,
        path: view.path,
        instance: view.instance,
        expires_in: Duration::from_secs(binding.expires.saturating_sub(second).into()),
    }
}

/// The address in a contact URI through the socket the REGISTER came in by; the scope of a
/// link-local address is that of the sender, as both are the same host.
fn contact_address(uri: &str, flow: &Flow) -> Option<Flow> {
    let uri = Uri::parse(uri.as_bytes()).ok()?;
    let port = uri.port().unwrap_or(Transport::Udp.default_port());
    let mut remote: SocketAddr = flow.remote;
    remote.set_port(port);
    Some(Flow { remote, ..*flow })
}
