//! The flow by which calls go to the core and come from it: one TLS connection that the gateway
//! opens and keeps (RFC 5626, SIP outbound), so that nothing has to be let in.
//!
//! It shows the certificate of the gateway, believes the authority of the core alone, and is kept by
//! pings; a connection on which nothing answers is closed and another one opened. What is called over
//! it the exchange decides. Invariant: at most one connection at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chance::Chance;
use client::Identity;
use exchange::Input;
use model::NodeId;
use net::flows::{Destination, Flow, Outlet, Transport};
use net::tls::ClientTls;
use switchboard::sip_flow;
use tokio::sync::mpsc;

/// The core, as a neighbour of the exchange.
pub(crate) const CORE: NodeId = NodeId::new(u64::MAX);

/// RFC 5626 3.5.1: two line ends, answered by one.
const PING: &[u8] = b"\r\n\r\n";
/// NATs forget a silent connection after minutes; a half-open one shall be noticed sooner.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Where calls are taken at the core.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    pub(crate) tls: ClientTls,
}

/// What an identity says of calls cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("{0:?} is no place for calls: host and port are wanted; claim the gateway again")]
    Address(String),
    #[error(transparent)]
    Tls(#[from] client::tls::TlsError),
}

impl Place {
    /// None: the core carries no calls.
    pub(crate) fn of(identity: &Identity) -> Result<Option<Self>, PlaceError> {
        let Some(calls) = &identity.calls else {
            return Ok(None);
        };
        let wrong = || PlaceError::Address(calls.clone());
        let (host, port) = calls.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Some(Self {
            host: host.into(),
            port: port.parse().map_err(|_| wrong())?,
            tls: ClientTls::from_config(client::tls::as_ourselves(identity)?),
        }))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Uplink {
    place: Option<Place>,
    state: State,
    /// Attempts in a row that led to no connection.
    failures: u32,
    chance: Chance,
    finds: mpsc::Sender<io::Result<Vec<SocketAddr>>>,
    found: mpsc::Receiver<io::Result<Vec<SocketAddr>>>,
    pub(crate) opened: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is nowhere to go.
    Off,
    Waiting(Instant),
    /// For the address.
    Looking,
    Opening(Flow),
    Up {
        flow: Flow,
        ping: Instant,
    },
    /// A ping was sent; without an answer until then the connection is void.
    Asked {
        flow: Flow,
        until: Instant,
    },
}

impl Uplink {
    pub(crate) fn new(seed: u64) -> Self {
        let (finds, found) = mpsc::channel(1);
        Self {
            place: None,
            state: State::Off,
            failures: 0,
            chance: Chance::new(seed),
            finds,
            found,
            opened: 0,
        }
    }

    /// From now on calls go there, or nowhere. A connection to another place is closed.
    pub(crate) fn set(&mut self, place: Option<Place>, outlet: &mut Outlet, now: Instant) {
        if let Some(flow) = self.flow() {
            outlet.close(flow.connection);
        }
        self.failures = 0;
        self.state = match &place {
            Some(_) => State::Waiting(now),
            None => State::Off,
        };
        self.place = place;
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. } | State::Asked { .. })
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(until) | State::Up { ping: until, .. } | State::Asked { until, .. } => {
                Some(until)
            }
            State::Off | State::Looking | State::Opening(_) => None,
        }
    }

    /// Does what is due; what waits for an answer comes back by [`Uplink::found`].
    pub(crate) fn turn(&mut self, outlet: &mut Outlet, now: Instant) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        match self.state {
            State::Waiting(_) => self.look(),
            State::Up { flow, .. } => {
                self.state = match outlet.send(&flow, PING) {
                    Ok(()) => State::Asked {
                        flow,
                        until: now + PONG_WITHIN,
                    },
                    // Its end is told.
                    Err(_) => State::Opening(flow),
                };
            }
            State::Asked { flow, .. } => {
                tracing::warn!("the core does not answer on the connection of calls");
                outlet.close(flow.connection);
                self.state = State::Opening(flow);
            }
            State::Off | State::Looking | State::Opening(_) => {}
        }
    }

    /// Waits for the core's addresses. Loses nothing when dropped before it is ready.
    pub(crate) async fn found(&mut self) -> io::Result<Vec<SocketAddr>> {
        match self.found.recv().await {
            Some(found) => found,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn open(
        &mut self,
        found: io::Result<Vec<SocketAddr>>,
        outlet: &mut Outlet,
        now: Instant,
    ) {
        let (State::Looking, Some(place)) = (self.state, &self.place) else {
            return;
        };
        let addresses = match found {
            Ok(addresses) => addresses,
            Err(error) => {
                tracing::warn!(host = %place.host, %error, "the core's address cannot be found");
                return self.again(now);
            }
        };
        // One after the other: a name that leads to a dead address leads to the next one too.
        let chosen = usize::try_from(self.failures).unwrap_or(0) % addresses.len().max(1);
        let Some(remote) = addresses.get(chosen) else {
            tracing::warn!(host = %place.host, "the core's name has no address");
            return self.again(now);
        };
        let to = Destination {
            transport: Transport::Tls,
            remote: *remote,
            from: None,
            server_name: Some(place.host.to_string()),
        };
        match outlet.connect_as(&to, &place.tls) {
            Ok(flow) => self.state = State::Opening(flow),
            Err(error) => {
                tracing::warn!(%error, "no connection for calls to the core can be opened");
                self.again(now);
            }
        }
    }

    /// A connection is open; if it is this one, what the exchange is told.
    pub(crate) fn opened(&mut self, flow: &Flow, now: Instant) -> Option<Input> {
        match self.state {
            State::Opening(opening) if opening.connection == flow.connection => {}
            _ => return None,
        }
        tracing::info!(remote = %flow.remote, "calls go to the core and come from it");
        self.opened += 1;
        // At once: a core that refuses our certificate says so after TLS 1.3 has told us of success.
        let (flow, ping) = (*flow, now);
        self.state = State::Up { flow, ping };
        let flow = Some(sip_flow(&flow));
        Some(Input::Neighbour { node: CORE, flow })
    }

    /// Something came: the other end lives.
    pub(crate) fn heard(&mut self, flow: &Flow, now: Instant) {
        if let Some(own) = self.flow()
            && self.is_up()
            && own.connection == flow.connection
        {
            self.failures = 0;
            let ping = now + PING_EVERY;
            self.state = State::Up { flow: own, ping };
        }
    }

    /// A connection has ended; it is opened again, later each time.
    pub(crate) fn closed(&mut self, flow: &Flow, now: Instant) {
        if self
            .flow()
            .is_some_and(|own| own.connection == flow.connection)
        {
            if self.is_up() {
                tracing::warn!("the connection of calls to the core is lost");
            }
            self.again(now);
        }
    }

    fn flow(&self) -> Option<Flow> {
        match self.state {
            State::Opening(flow) | State::Up { flow, .. } | State::Asked { flow, .. } => Some(flow),
            State::Off | State::Waiting(_) | State::Looking => None,
        }
    }

    fn again(&mut self, now: Instant) {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(6));
        let longest = doubled.min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        // RFC 5626 4.5: between half of it and all of it, so that not all come in one moment.
        let wait = longest / 2 + self.chance.wait(longest / 2);
        self.state = State::Waiting(now + wait);
    }

    /// Names are looked up beside the loop, which never waits.
    fn look(&mut self) {
        let Some(place) = &self.place else { return };
        let (host, port) = (Arc::clone(&place.host), place.port);
        let finds = self.finds.clone();
        self.state = State::Looking;
        tokio::spawn(async move {
            let found = tokio::net::lookup_host((&*host, port)).await;
            // The gateway may be stopping.
            let _ = finds.send(found.map(Iterator::collect)).await;
        });
    }
}
