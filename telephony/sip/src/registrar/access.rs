//! From a request to the account behind it: floods, bars, nonces, passwords, in this order, so
//! that the cheap refusals come first.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::guard::{OnBar, OnFlood, Standing};
use super::output::Event;
use super::{Answer, Output, Registrar};
use crate::digest::server::{Proof, Refusal as DigestRefusal, Staleness};
use crate::digest::{Algorithm, Credentials, Malformed};
use crate::flow::Flow;
use crate::message::{HeaderName, Request, StatusCode};

/// How a request is challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// 401 and `Authorization`: we are who the request is for.
    Server,
    /// 407 and `Proxy-Authorization`.
    Proxy,
}

/// Whether the sender of a request is who it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// It is that account.
    Granted(Arc<str>),
    Answer(Answer),
    /// Send nothing, so that a flood costs nothing.
    Silence,
}

/// The way out of a request that is not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    Answer(Answer),
    Silence,
}

impl From<Answer> for Refusal {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

pub(super) fn malformed(why: &str) -> Answer {
    Answer::new(StatusCode::BAD_REQUEST)
        .with(HeaderName::Warning, format!("399 registrar \"{why}\""))
}

pub(super) fn store_failed() -> Answer {
    Answer::new(StatusCode::SERVER_INTERNAL_ERROR).with(HeaderName::RetryAfter, "5")
}

impl Registrar {
    /// Checks the digest of any request of a station, which claims to be `user`. A REGISTER needs
    /// no call of this.
    pub fn authenticate(
        &mut self,
        request: &Request,
        user: &str,
        role: Role,
        flow: &Flow,
        now: Instant,
    ) -> Authentication {
        match self.identify(request, user, role, flow, now) {
            Ok(slot) => match self.stations.get(slot) {
                Some(station) => Authentication::Granted(station.user.clone()),
                None => Authentication::Silence,
            },
            Err(Refusal::Answer(answer)) => Authentication::Answer(answer),
            Err(Refusal::Silence) => Authentication::Silence,
        }
    }

    /// The slot of the account that sent the request, or why not.
    pub(super) fn identify(
        &mut self,
        request: &Request,
        user: &str,
        role: Role,
        flow: &Flow,
        now: Instant,
    ) -> Result<u32, Refusal> {
        let source = flow.remote.ip().to_canonical();
        let credentials = self.credentials(request, role);
        let proof = match &credentials {
            Ok(Some(credentials)) => self.digest.proof(credentials, source, now),
            Ok(None) | Err(_) => None,
        };
        self.limit(source, proof, now)?;
        let slot = self.stations.find(user);
        let station = slot.and_then(|slot| self.stations.get(slot));
        let at_home = station.is_some_and(|station| station.lives_at(flow));
        let ha1 = station.map(|station| station.ha1);
        if !at_home && let Some(wait) = self.guard.barred(source, slot, now) {
            return Err(self.bar(wait));
        }
        let credentials = credentials.map_err(|why| self.count_malformed(why))?;
        let (Some(credentials), Some(proof)) = (&credentials, proof) else {
            let staleness = match credentials {
                Some(_) => Staleness::Stale,
                None => Staleness::New,
            };
            return Err(self.challenge(user, source, role, staleness, now).into());
        };
        // The digest user must be the one the request speaks of (RFC 3261 10.3 (4)).
        let named = credentials.username() == user;
        let ha1 = ha1.filter(|_| named);
        let method = request.method.as_str();
        let verdict =
            self.digest
                .verify(proof, credentials, ha1.as_ref(), method, &request.uri, now);
        match (verdict, slot) {
            (Ok(()), Some(slot)) => Ok(slot),
            (Ok(()) | Err(DigestRefusal::Wrong), _) => {
                self.counters.wrong_credentials += 1;
                if !at_home {
                    self.note_failure(source, slot, now);
                }
                Err(self
                    .challenge(user, source, role, Staleness::New, now)
                    .into())
            }
            (Err(DigestRefusal::Replayed), _) => Err(self
                .challenge(user, source, role, Staleness::Stale, now)
                .into()),
            (Err(DigestRefusal::OtherUri), _) => {
                self.counters.malformed += 1;
                Err(malformed("the digest is for another URI").into())
            }
            (Err(DigestRefusal::Malformed(why)), _) => Err(self.count_malformed(why)),
        }
    }

    /// The credentials for our realm; a request may carry others too (RFC 3261 22.2).
    fn credentials<'r>(
        &self,
        request: &'r Request,
        role: Role,
    ) -> Result<Option<Credentials<'r>>, Malformed> {
        let name = match role {
            Role::Server => HeaderName::Authorization,
            Role::Proxy => HeaderName::ProxyAuthorization,
        };
        let mut foreign = None;
        for value in request.headers.all(name) {
            match Credentials::parse(value) {
                Ok(credentials) if credentials.realm == self.digest.realm() => {
                    return Ok(Some(credentials));
                }
                Ok(credentials) => foreign = Some(credentials),
                Err(Malformed::Scheme) => {} // not ours to judge
                Err(why) => return Err(why),
            }
        }
        Ok(foreign)
    }

    /// Counts a request that is answered before its credentials are read.
    pub(super) fn limit_unproven(&mut self, flow: &Flow, now: Instant) -> Result<(), Refusal> {
        self.limit(flow.remote.ip().to_canonical(), None, now)
    }

    fn limit(&mut self, source: IpAddr, proof: Option<Proof>, now: Instant) -> Result<(), Refusal> {
        let standing = match proof {
            Some(_) => Standing::Proven,
            None => Standing::Unproven,
        };
        let Some(wait) = self.guard.flood(source, standing, now) else {
            return Ok(());
        };
        self.counters.flooded += 1;
        Err(match self.guard.settings().on_flood {
            OnFlood::Unavailable => Answer::busy(wait).into(),
            OnFlood::Silence => Refusal::Silence,
        })
    }

    fn bar(&mut self, wait: Duration) -> Refusal {
        self.counters.barred += 1;
        match self.guard.settings().on_bar {
            OnBar::Forbidden => Answer::new(StatusCode::FORBIDDEN)
                .with(HeaderName::RetryAfter, wait.as_secs().max(1).to_string())
                .into(),
            OnBar::Silence => Refusal::Silence,
        }
    }

    fn count_malformed(&mut self, why: Malformed) -> Refusal {
        self.counters.malformed += 1;
        malformed(&why.to_string()).into()
    }

    /// The same whether there is such a user or not: a name that no account has is asked for what
    /// some account is asked for.
    fn challenge(
        &mut self,
        user: &str,
        source: IpAddr,
        role: Role,
        staleness: Staleness,
        now: Instant,
    ) -> Answer {
        match staleness {
            Staleness::New => self.counters.challenges += 1,
            Staleness::Stale => self.counters.stale += 1,
        }
        let decoy = self.digest.decoy_of(user);
        let station = match self.stations.find(user) {
            Some(slot) => self.stations.get(slot),
            None => self.stations.any(decoy),
        };
        let algorithm = station.map_or(Algorithm::Sha256, |station| station.ha1.asked_for());
        let value = self.digest.challenge(source, algorithm, staleness, now);
        let (status, name) = match role {
            Role::Server => (StatusCode::UNAUTHORIZED, HeaderName::WwwAuthenticate),
            Role::Proxy => (
                StatusCode::PROXY_AUTHENTICATION_REQUIRED,
                HeaderName::ProxyAuthenticate,
            ),
        };
        Answer::new(status).with(name, value)
    }

    fn note_failure(&mut self, source: IpAddr, slot: Option<u32>, now: Instant) {
        let (by_source, by_account) = self.guard.failed(source, slot, now);
        if let Some(bar) = by_source {
            self.counters.sources_barred += 1;
            self.outputs.push_back(Output::Event(Event::SourceBarred {
                source,
                failures: bar.failures,
                duration: bar.duration,
            }));
        }
        let station = slot.and_then(|slot| self.stations.get(slot));
        if let (Some(bar), Some(station)) = (by_account, station) {
            self.counters.accounts_barred += 1;
            self.outputs.push_back(Output::Event(Event::AccountBarred {
                aor: station.user.clone(),
                failures: bar.failures,
                duration: bar.duration,
            }));
        }
    }
}
