//! The checking side: challenges, and what is right or wrong with an answer to one.
//!
//! Two steps, so that cheap checks and limits fit between them: [`Server::proof`] asks whether the
//! nonce is one this sender was given, [`Server::verify`] whether it knows the password.
//! It deliberately holds no accounts and counts no failures. Invariant: an unknown user, a wrong
//! password and an algorithm the account may not use cost the same work and look the same.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::nonce::{NonceId, Nonces};
use super::{Algorithm, Credentials, Ha1Set, Hash, Malformed, Protection};
use crate::message::{Host, Uri};

/// The realm of a challenge: text that needs no escape between quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm(Box<str>);

/// A configured realm that cannot stand between quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a realm is 1 to 128 printable characters without `\"` and `\\`")]
pub struct RealmError;

impl Realm {
    pub fn new(text: &str) -> Result<Self, RealmError> {
        let plain = |c: char| !c.is_control() && c != '"' && c != '\\';
        match (1..=128).contains(&text.len()) && text.chars().all(plain) {
            true => Ok(Self(text.into())),
            false => Err(RealmError),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Issues challenges and checks answers.
#[derive(Debug)]
pub struct Server {
    realm: Realm,
    nonces: Nonces,
    /// Stands in for the hash of an account that does not exist.
    decoy: Hash,
}

/// Why a request is challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// No credentials, or wrong ones.
    New,
    /// The nonce cannot be used any more; the station answers again without asking its user.
    Stale,
}

/// A nonce that was given to the sender's address and may still be used: the address is no forgery.
#[derive(Clone, Copy, Debug)]
pub struct Proof(NonceId);

/// Why credentials are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no such user, a wrong password, or an algorithm this account may not use")]
    Wrong,
    #[error("a nonce count used before")]
    Replayed,
    #[error("credentials made for another URI than that of the request")]
    OtherUri,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Server {
    /// `key` must come from a random source: who knows it can make nonces.
    pub fn new(
        realm: Realm,
        key: &[u8; 32],
        lifetime: Duration,
        replay_capacity: usize,
        now: Instant,
    ) -> Self {
        Self {
            realm,
            nonces: Nonces::new(key, lifetime, replay_capacity, now),
            decoy: Algorithm::Sha256.hash(&[b"decoy", key]),
        }
    }

    pub fn realm(&self) -> &str {
        self.realm.as_str()
    }

    /// The value of `WWW-Authenticate`. One algorithm, because old stations refuse a challenge
    /// beside which they find one that they do not know.
    pub fn challenge(
        &mut self,
        to: IpAddr,
        algorithm: Algorithm,
        staleness: Staleness,
        now: Instant,
    ) -> String {
        let nonce = self.nonces.issue(to, now);
        let stale = match staleness {
            Staleness::New => "",
            Staleness::Stale => ", stale=true",
        };
        let (realm, algorithm) = (self.realm.as_str(), algorithm.name());
        format!(
            r#"Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}, qop="auth"{stale}"#
        )
    }

    /// A number that always comes with the same user, and that nobody else can tell.
    pub(crate) fn decoy_of(&self, user: &str) -> u64 {
        let hash = Algorithm::Sha256.hash(&[self.decoy.as_bytes(), user.as_bytes()]);
        let bytes = hash.as_bytes().iter().take(8);
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Whether the nonce is one that address may use now. `None` calls for a challenge with
    /// [`Staleness::Stale`], and says nothing about the password.
    pub fn proof(
        &self,
        credentials: &Credentials<'_>,
        from: IpAddr,
        now: Instant,
    ) -> Option<Proof> {
        if credentials.realm != self.realm.as_str() {
            return None;
        }
        self.nonces.current(credentials.nonce, from, now).map(Proof)
    }

    /// Whether the sender knows the password behind `ha1`; `None` when there is no such account.
    pub fn verify(
        &mut self,
        proof: Proof,
        credentials: &Credentials<'_>,
        ha1: Option<&Ha1Set>,
        method: &str,
        request_uri: &Uri,
        now: Instant,
    ) -> Result<(), Refusal> {
        if !covers(credentials.uri, request_uri) {
            return Err(Refusal::OtherUri);
        }
        let (protection, count) = protection(credentials)?;
        let algorithm = credentials.algorithm().ok_or(Refusal::Wrong)?;
        let known = ha1.and_then(|set| set.get(algorithm));
        let expected = super::response(
            algorithm,
            &known.unwrap_or(self.decoy.cut_for(algorithm)),
            credentials.nonce,
            protection,
            method,
            credentials.uri,
        );
        let given = Hash::from_hex(credentials.response, algorithm).ok_or(Refusal::Wrong)?;
        let right = bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
        // RFC 3261 22.4 wants answers without qop understood; they come from old stations only,
        // and without a count such a nonce serves once.
        let legacy = protection == Protection::None && algorithm != Algorithm::Md5;
        if !right || known.is_none() || legacy {
            return Err(Refusal::Wrong);
        }
        match self.nonces.first_use(proof.0, count, now) {
            true => Ok(()),
            false => Err(Refusal::Replayed),
        }
    }
}

/// Only `auth` was offered.
fn protection<'a>(credentials: &Credentials<'a>) -> Result<(Protection<'a>, u32), Refusal> {
    let Some(qop) = credentials.qop else {
        return Ok((Protection::None, 1));
    };
    let counted = (
        credentials.cnonce,
        credentials.nc,
        credentials.nonce_count(),
    );
    match counted {
        (Some(cnonce), Some(nc), Some(count)) if qop.eq_ignore_ascii_case("auth") => {
            Ok((Protection::Auth { cnonce, nc }, count))
        }
        _ => Err(Malformed::Value("qop").into()),
    }
}

/// RFC 7616 3.4.6: the URIs must mean the same resource. URI parameters are passed over, because
/// stations write the one with `transport` and the other without; the target is what counts.
fn covers(written: &str, request_uri: &Uri) -> bool {
    if written == request_uri.as_str() {
        return true;
    }
    let Ok(written) = Uri::parse(written.as_bytes()) else {
        return false;
    };
    let same_host = match (written.host(), request_uri.host()) {
        (Some(a), Some(b)) => Host::equivalent(a, b),
        _ => return false, // other schemes compare as text only
    };
    same_host
        && written.scheme() == request_uri.scheme()
        && written.port() == request_uri.port()
        && written.user_unescaped() == request_uri.user_unescaped()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::Md5Use;
    use super::super::client::{Answerer, Asked, Identity};
    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
    const URI: &str = "sip:antiphon.example";

    struct Fixture {
        server: Server,
        account: Ha1Set,
        now: Instant,
    }

    impl Fixture {
        fn new(md5: Md5Use) -> Self {
            let now = Instant::now();
            let realm = Realm::new("site").unwrap();
            Self {
                server: Server::new(realm, &[1; 32], Duration::from_secs(60), 16, now),
                account: Ha1Set::from_password("101", "site", "secret", md5),
                now,
            }
        }

        fn answerer(&mut self, algorithm: Algorithm) -> Answerer {
            let value = self
                .server
                .challenge(HERE, algorithm, Staleness::New, self.now);
            Answerer::choose([value.as_bytes()]).unwrap()
        }

        fn check(&mut self, authorization: &str, request_uri: &str) -> Option<Result<(), Refusal>> {
            let credentials = Credentials::parse(authorization.as_bytes()).unwrap();
            let proof = self.server.proof(&credentials, HERE, self.now)?;
            let uri = request_uri.parse().unwrap();
            Some(self.server.verify(
                proof,
                &credentials,
                Some(&self.account),
                "REGISTER",
                &uri,
                self.now,
            ))
        }
    }

    fn answer(answerer: &mut Answerer, password: &str, uri: &str) -> String {
        let asked = Asked {
            method: "REGISTER",
            uri,
            body: b"",
        };
        answerer
            .authorization(&Identity::new("101", password), asked, "c0ffee")
            .unwrap()
    }

    #[test]
    fn the_right_password_is_accepted_once_for_each_count() {
        let mut fixture = Fixture::new(Md5Use::Refused);
        let mut answerer = fixture.answerer(Algorithm::Sha256);
        let first = answer(&mut answerer, "secret", URI);
        assert_eq!(fixture.check(&first, URI), Some(Ok(())));
        assert_eq!(fixture.check(&first, URI), Some(Err(Refusal::Replayed)));
        let second = answer(&mut answerer, "secret", URI);
        assert_eq!(fixture.check(&second, URI), Some(Ok(())));
        let wrong = answer(&mut answerer, "Secret", URI);
        assert_eq!(fixture.check(&wrong, URI), Some(Err(Refusal::Wrong)));
        fixture.now += Duration::from_secs(61);
        let late = answer(&mut answerer, "secret", URI);
        assert_eq!(fixture.check(&late, URI), None);
    }

    #[test]
    fn md5_serves_only_accounts_that_allow_it() {
        for (account, md5) in [
            (Md5Use::Refused, Err(Refusal::Wrong)),
            (Md5Use::Allowed, Ok(())),
        ] {
            let mut fixture = Fixture::new(account);
            let strong = answer(&mut fixture.answerer(Algorithm::Sha256), "secret", URI);
            let weak = answer(&mut fixture.answerer(Algorithm::Md5), "secret", URI);
            assert_eq!(fixture.check(&weak, URI), Some(md5));
            assert_eq!(fixture.check(&strong, URI), Some(Ok(())));
        }
    }

    #[test]
    fn the_hash_covers_the_uri_as_written_and_the_uri_must_mean_the_request() {
        let accepted = [
            ("sip:Antiphon.Example", URI),
            ("sip:antiphon.example;transport=tls", URI),
            (URI, "sip:antiphon.example;transport=tls;transport=tls"),
            ("sip:%61@antiphon.example", "sip:a@antiphon.example"),
            ("sip:[fe80::1]", "sip:[FE80:0::1]"),
        ];
        let refused = [
            ("sip:other.example", URI),
            ("sips:antiphon.example", URI),
            ("sip:antiphon.example:5070", URI),
            ("sip:a@antiphon.example", URI),
            ("tel:101", URI),
            ("antiphon.example", URI),
        ];
        for (written, request) in accepted {
            let mut fixture = Fixture::new(Md5Use::Refused);
            let mut answerer = fixture.answerer(Algorithm::Sha256);
            let value = answer(&mut answerer, "secret", written);
            assert_eq!(
                fixture.check(&value, request),
                Some(Ok(())),
                "{written} {request}"
            );
        }
        for (written, request) in refused {
            let mut fixture = Fixture::new(Md5Use::Refused);
            let mut answerer = fixture.answerer(Algorithm::Sha256);
            let value = answer(&mut answerer, "secret", written);
            assert_eq!(
                fixture.check(&value, request),
                Some(Err(Refusal::OtherUri)),
                "{written} {request}"
            );
        }
    }

    #[test]
    fn an_answer_without_qop_is_for_old_stations_and_serves_once() {
        let mut fixture = Fixture::new(Md5Use::Allowed);
        let mut legacy = |algorithm| {
            let server = &mut fixture.server;
            let value = server.challenge(HERE, algorithm, Staleness::New, fixture.now);
            let value = value.replace(", qop=\"auth\"", "");
            Answerer::choose([value.as_bytes()]).unwrap()
        };
        let (mut md5, mut sha) = (legacy(Algorithm::Md5), legacy(Algorithm::Sha256));
        let value = answer(&mut md5, "secret", URI);
        assert!(!value.contains("qop"));
        assert_eq!(fixture.check(&value, URI), Some(Ok(())));
        assert_eq!(fixture.check(&value, URI), Some(Err(Refusal::Replayed)));
        let value = answer(&mut sha, "secret", URI);
        assert_eq!(fixture.check(&value, URI), Some(Err(Refusal::Wrong)));
    }

    #[test]
    fn protection_that_was_not_offered_is_malformed() {
        let mut fixture = Fixture::new(Md5Use::Refused);
        let mut answerer = fixture.answerer(Algorithm::Sha256);
        let value = answer(&mut answerer, "secret", URI).replace("qop=auth", "qop=auth-int");
        let refusal = Refusal::Malformed(Malformed::Value("qop"));
        assert_eq!(fixture.check(&value, URI), Some(Err(refusal)));
    }

    #[test]
    fn a_realm_needs_no_escapes() {
        assert!(Realm::new("Haus 7, Eingang").is_ok());
        for text in ["", "a\"b", "a\\b", "a\nb"] {
            assert_eq!(Realm::new(text), Err(RealmError));
        }
    }
}
