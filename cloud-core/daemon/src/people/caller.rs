//! Who makes a request, and what she may do: the argument of nearly every route.
//!
//! Known by the cookie of a session, or by a token that names one. The rights are those grants
//! that hold at this moment, read anew for each request, so that what is taken away is gone at
//! once. Invariant: a request that changes something and is known by a cookie comes from a page
//! of our own.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use cloud_logic::ids::{IntegrationId, SessionId, UserId};
use cloud_logic::rights::{Decision, Permission, Rights, Scope, Visible};
use model::Timestamp;

use super::sessions::{self, Session};
use super::tokens::{self, Audience, Claims, Refused};
use super::{Peer, Site, cookie, grants, integrations};
use crate::api::{Code, Problem, Standing};
use crate::core::Core;
use crate::store::audit::Actor;
use crate::store::{StoreError, Tx};

#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) who: Who,
    pub(crate) rights: Rights,
    /// The moment for which the rights were judged.
    pub(crate) now: Timestamp,
    pub(crate) peer: Peer,
    known_by: KnownBy,
}

/// What the request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KnownBy {
    Cookie,
    Token,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    User {
        id: UserId,
        session: SessionId,
        /// When she last showed a password or passkey.
        proved: Timestamp,
    },
    Integration(IntegrationId),
}

impl Caller {
    /// Whether she may: otherwise the problem to answer with. A thing of which she may not even
    /// know is one that does not exist.
    pub(crate) fn require(&self, permission: Permission, scope: &Scope) -> Result<(), Problem> {
        match self.rights.decide(permission, scope, self.now) {
            Decision::Allowed => Ok(()),
            Decision::Forbidden => Err(Problem::new(
                Code::NotAllowed,
                format!("This needs the permission {permission} here. Ask an administrator."),
            )),
            Decision::Hidden => Err(Problem::not_found()),
        }
    }

    /// The rows of a list that she sees.
    pub(crate) fn visible(&self, permission: Permission) -> Visible {
        self.rights.visible(permission, self.now)
    }

    /// What only people do.
    pub(crate) fn user(&self) -> Result<UserId, Problem> {
        match self.who {
            Who::User { id, .. } => Ok(id),
            Who::Integration(_) => Err(Problem::new(
                Code::NotAllowed,
                "Only a person can do this, an integration cannot.",
            )),
        }
    }

    /// For what must not be done by somebody who found a desk unattended: she has to have shown
    /// a password or passkey within the last minutes.
    pub(crate) fn require_fresh_proof(&self, core: &Core) -> Result<(), Problem> {
        let Who::User { proved, .. } = self.who else {
            return self.user().map(|_| ());
        };
        if self.now < proved.saturating_add(core.people.patience().proof) {
            return Ok(());
        }
        Err(Problem::new(
            Code::ProofNeeded,
            "Show your password or passkey once more (POST /api/v1/me/proof), then try again.",
        ))
    }

    /// Whether a token was shown, and not the cookie of a page.
    pub(crate) fn shows_token(&self) -> bool {
        self.known_by == KnownBy::Token
    }

    /// One request more.
    fn counted(self, core: &Core, standing: Option<&Standing>) -> Result<Self, Problem> {
        let limits = &core.tally.limits;
        limits.of_caller(&self.actor().name, standing, self.now)?;
        Ok(self)
    }

    /// As she stands in the audit log.
    pub(crate) fn actor(&self) -> Actor {
        let (name, session) = match self.who {
            Who::User { id, session, .. } => (id.to_string(), Some(session.to_string())),
            Who::Integration(id) => (id.to_string(), None),
        };
        Actor {
            name,
            address: self.peer.text(),
            session,
        }
    }
}

impl FromRequestParts<Core> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, core: &Core) -> Result<Self, Problem> {
        let Ok(peer) = Peer::from_request_parts(parts, core).await;
        // A token is sent on purpose, a cookie by itself: the token counts.
        let standing = parts.extensions.get::<Standing>().cloned();
        if let Some(token) = bearer(&parts.headers) {
            let caller = by_token(core, token?, peer).await?;
            return caller.counted(core, standing.as_ref());
        }
        let now = core.now();
        let site = core.people.site();
        let secret = cookie::read(site, &parts.headers).ok_or_else(not_signed_in)?;
        if !comes_from_us(&parts.method, &parts.headers, site) {
            return Err(foreign_origin());
        }
        let hash = secret.hash();
        let known = core.people.cookies();
        let known = known.ask(&hash, |hashes| signed_in(core, hashes)).await?;
        let (session, rights) = known
            .filter(|(session, _)| session.goes_on(core.people.patience(), now))
            .ok_or_else(not_signed_in)?;
        sessions::seen(core, &session, now).await?;
        let caller = Self {
            who: Who::of(&session),
            rights,
            now,
            peer,
            known_by: KnownBy::Cookie,
        };
        caller.counted(core, standing.as_ref())
    }
}

/// Whose cookies these are, by the hashes of their secrets, and what they may do.
async fn signed_in(
    core: &Core,
    hashes: Vec<Vec<u8>>,
) -> Result<Vec<Option<(Session, Rights)>>, Problem> {
    let mut tx = core.store.read().await?;
    let sessions = sessions::of_hashes(&mut tx, &hashes).await?;
    let users: BTreeSet<_> = sessions.values().map(|it| it.user.to_string()).collect();
    let rights = grants::rights_of_all(&mut tx, users).await?;
    let found = |hash| {
        let session: &Session = sessions.get(hash)?;
        let rights = rights.get(&session.user.to_string()).cloned();
        let rights = rights.unwrap_or_else(|| Rights::new(Vec::new()));
        Some((session.clone(), rights))
    };
    Ok(hashes.iter().map(found).collect())
}

/// What she may do now, for what goes on after its request; nothing when she is signed out.
pub(crate) async fn rights_now(
    tx: &mut Tx,
    core: &Core,
    caller: &Caller,
) -> Result<Option<Rights>, Problem> {
    let holder = match caller.who {
        Who::User { id, session, .. } => {
            let patience = core.people.patience();
            let goes_on = sessions::find_by_id(tx, session, patience, core.now()).await?;
            if goes_on.is_none() {
                return Ok(None);
            }
            id.to_string()
        }
        Who::Integration(id) => id.to_string(),
    };
    Ok(Some(grants::rights_of(tx, &holder).await?))
}

impl Who {
    fn of(session: &Session) -> Self {
        Self::User {
            id: session.user,
            session: session.id,
            proved: session.proved,
        }
    }
}

/// The token that a request carries; one of another scheme is none.
fn bearer(headers: &HeaderMap) -> Option<Result<&str, Problem>> {
    let value = headers.get(header::AUTHORIZATION)?;
    // RFC 9110 11.1: the scheme's name heeds no case.
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    Some(token.ok_or_else(not_signed_in))
}

/// The one whom a token names, if her session or the integration is still there.
async fn by_token(core: &Core, token: &str, peer: Peer) -> Result<Caller, Problem> {
    let now = core.now();
    let issuer = &core.people.site().origin;
    let mut tx = core.store.read().await?;
    let claims = match tokens::verify(&mut tx, issuer, token, Audience::Api, now).await {
        Ok(claims) => claims,
        Err(Refused::Store(error)) => return Err(error.into()),
        Err(refused) => {
            tracing::debug!(
                error = &refused as &dyn std::error::Error,
                "a token was refused"
            );
            return Err(not_signed_in());
        }
    };
    let who = named(&mut tx, core, &claims, now)
        .await?
        .ok_or_else(not_signed_in)?;
    let rights = grants::rights_of(&mut tx, &claims.sub).await?;
    Ok(Caller {
        who,
        rights,
        now,
        peer,
        known_by: KnownBy::Token,
    })
}

async fn named(
    tx: &mut Tx,
    core: &Core,
    claims: &Claims,
    now: Timestamp,
) -> Result<Option<Who>, StoreError> {
    if let (Some(session), Some(user)) = (claims.sid, claims.subject::<UserId>()) {
        let found = sessions::find_by_id(tx, session, core.people.patience(), now).await?;
        let hers = found.filter(|session| session.user == user);
        return Ok(hers.as_ref().map(Who::of));
    }
    if let (Some(version), Some(id)) = (claims.ver, claims.subject::<IntegrationId>()) {
        let current = integrations::version_of(tx, id, None).await?;
        return Ok((current == Some(version)).then_some(Who::Integration(id)));
    }
    Ok(None)
}

pub(super) fn not_signed_in() -> Problem {
    Problem::new(
        Code::NotSignedIn,
        "Sign in (POST /api/v1/login), or send a valid token.",
    )
}

pub(super) fn foreign_origin() -> Problem {
    Problem::new(
        Code::ForeignOrigin,
        "Changes are taken from pages of this portal only. Programs use tokens instead of cookies.",
    )
}

/// Whether a browser says that our own page makes this request. Reading needs no such proof.
///
/// A browser sets these headers by itself; a page cannot (Fetch Metadata 2.4, RFC 6454 7.3).
pub(super) fn comes_from_us(method: &Method, headers: &HeaderMap, site: &Site) -> bool {
    if method.is_safe() {
        return true;
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    match text("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => text(header::ORIGIN.as_str()) == Some(site.origin.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn s1_a_change_comes_from_a_page_of_ours_or_not_at_all() {
        let site = Site {
            origin: "https://core.example.com".to_owned(),
            name: String::new(),
        };
        let change = |headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, HeaderValue::from_str(value).unwrap());
            }
            comes_from_us(&Method::POST, &map, &site)
        };
        assert!(change(&[("sec-fetch-site", "same-origin")]));
        assert!(change(&[("origin", "https://core.example.com")]));
        assert!(!change(&[]));
        for foreign in ["cross-site", "same-site", "none", ""] {
            assert!(!change(&[("sec-fetch-site", foreign)]), "{foreign}");
            assert!(
                !change(&[
                    ("sec-fetch-site", foreign),
                    ("origin", "https://core.example.com")
                ]),
                "{foreign} with our origin"
            );
        }
        for foreign in [
            "https://evil.example",
            "null",
            "http://core.example.com",
            "https://core.example.com.evil.example",
            "https://core.example.com:8443",
        ] {
            assert!(!change(&[("origin", foreign)]), "{foreign}");
        }
        assert!(comes_from_us(&Method::GET, &HeaderMap::new(), &site));
    }
}
