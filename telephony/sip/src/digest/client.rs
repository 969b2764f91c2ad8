//! The answering side: which challenge of several, and the credentials for it.
//!
//! It keeps the nonce count of one challenge, no passwords and no policy of how often to try.
//! Invariant: a nonce is never used twice with the same count.

use std::fmt;
use std::fmt::Write as _;

use super::parse::Offered;
use super::{Algorithm, Challenge, Hash, Protection};

/// Who answers. `Debug` shows the user only.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub username: Box<str>,
    pub secret: Secret,
}

/// What the peer checks.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Password(Box<str>),
    /// H(user:realm:password) for one algorithm and realm; other challenges go unanswered.
    Ha1 {
        algorithm: Algorithm,
        realm: Box<str>,
        hash: Hash,
    },
}

impl Identity {
    pub fn new(username: &str, password: &str) -> Self {
        Self {
            username: username.into(),
            secret: Secret::Password(password.into()),
        }
    }

    fn ha1(&self, algorithm: Algorithm, realm: &str) -> Option<Hash> {
        match &self.secret {
            Secret::Password(password) => {
                Some(super::ha1(algorithm, &self.username, realm, password))
            }
            Secret::Ha1 {
                algorithm: known,
                realm: of,
                hash,
            } => (*known == algorithm && **of == *realm).then_some(*hash),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity {{ username: {:?}, .. }}", self.username)
    }
}

/// A challenge being answered, and how often it was.
#[derive(Clone, Debug)]
pub struct Answerer {
    challenge: Challenge,
    algorithm: Algorithm,
    count: u32,
}

/// What the credentials are made for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// As it stands in the request line.
    pub uri: &'a str,
    pub body: &'a [u8],
}

impl Answerer {
    /// Chooses among the values of a `WWW-Authenticate` or `Proxy-Authenticate` header the first
    /// that can be answered: servers list what they prefer first (RFC 8760 2.4).
    pub fn choose<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> Option<Self> {
        values
            .into_iter()
            .filter_map(|value| Challenge::parse(value.as_ref()).ok())
            .find_map(|challenge| {
                let algorithm = challenge.algorithm?;
                (challenge.offered != Offered::Unknown).then_some(Self {
                    challenge,
                    algorithm,
                    count: 0,
                })
            })
    }

    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Whether a further challenge may be answered with the same password: only a stale nonce
    /// makes that sensible (RFC 7616 3.3), or another realm.
    pub fn worth_answering(&self, next: &Self) -> bool {
        next.challenge.stale || next.challenge.realm != self.challenge.realm
    }

    /// The value of the `Authorization` or `Proxy-Authorization` header. `cnonce` must be fresh
    /// text without quotes. `None` when the identity holds no secret for this challenge.
    pub fn authorization(
        &mut self,
        identity: &Identity,
        asked: Asked<'_>,
        cnonce: &str,
    ) -> Option<String> {
        let Self {
            challenge,
            algorithm,
            count,
        } = self;
        let ha1 = identity.ha1(*algorithm, &challenge.realm)?;
        *count += 1;
        let nc = format!("{count:08x}");
        let protection = match challenge.offered {
            Offered::Legacy | Offered::Unknown => Protection::None,
            Offered::Auth => Protection::Auth { cnonce, nc: &nc },
            Offered::AuthInt => Protection::AuthInt {
                cnonce,
                nc: &nc,
                body: asked.body,
            },
        };
        let response = super::response(
            *algorithm,
            &ha1,
            &challenge.nonce,
            protection,
            asked.method,
            asked.uri,
        );
        Some(write_credentials(
            identity, challenge, protection, &response, asked.uri,
        ))
    }
}

fn write_credentials(
    identity: &Identity,
    challenge: &Challenge,
    protection: Protection<'_>,
    response: &Hash,
    uri: &str,
) -> String {
    let Challenge { realm, nonce, .. } = challenge;
    let mut out = String::with_capacity(320);
    out.push_str("Digest username=\"");
    for c in identity.username.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    let mut add = |text: fmt::Arguments<'_>| {
        out.write_fmt(text)
            .expect("writing to a string does not fail");
    };
    add(format_args!(
        "\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{}\"",
        response.to_hex()
    ));
    if let Some(algorithm) = challenge.algorithm.filter(|_| challenge.names_algorithm) {
        add(format_args!(", algorithm={}", algorithm.name()));
    }
    match protection {
        Protection::None => {}
        // RFC 3261 22.4 (8): qop and nc are not quoted here.
        Protection::Auth { cnonce, nc } => {
            add(format_args!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\""));
        }
        Protection::AuthInt { cnonce, nc, .. } => {
            add(format_args!(", qop=auth-int, nc={nc}, cnonce=\"{cnonce}\""));
        }
    }
    if let Some(opaque) = &challenge.opaque {
        add(format_args!(", opaque=\"{opaque}\""));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Asked<'_> = Asked {
        method: "GET",
        uri: "/dir/index.html",
        body: b"",
    };

    // RFC 7616 3.9.1
    #[test]
    fn the_answer_of_the_standards_example_is_written() {
        let sha = br#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256,
            nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
        let sha: Vec<u8> = sha.iter().filter(|b| **b != b'\n').copied().collect();
        let mut answerer = Answerer::choose([sha.as_slice()]).unwrap();
        let identity = Identity::new("Mufasa", "Circle of Life");
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        assert_eq!(
            answerer.authorization(&identity, GET, cnonce).unwrap(),
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
             response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", \
             algorithm=SHA-256, qop=auth, nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        assert!(
            answerer
                .authorization(&identity, GET, cnonce)
                .unwrap()
                .contains("nc=00000002")
        );
    }

    #[test]
    fn the_first_challenge_that_can_be_answered_is_chosen() {
        let values: [&[u8]; 4] = [
            b"Basic realm=\"r\"",
            b"Digest realm=\"r\", nonce=\"a\", algorithm=SHA-512-256-sess",
            b"Digest realm=\"r\", nonce=\"b\", algorithm=SHA-256, qop=\"auth\"",
            b"Digest realm=\"r\", nonce=\"c\", algorithm=MD5, qop=\"auth\"",
        ];
        let chosen = Answerer::choose(values).unwrap();
        assert_eq!(&*chosen.challenge().nonce, "b");
        assert!(Answerer::choose([values[0]]).is_none());
    }

    #[test]
    fn a_second_challenge_is_worth_an_answer_only_when_stale() {
        let with = |text: &str| Answerer::choose([text.as_bytes()]).unwrap();
        let first = with("Digest realm=\"r\", nonce=\"a\"");
        assert!(!first.worth_answering(&with("Digest realm=\"r\", nonce=\"b\"")));
        assert!(first.worth_answering(&with("Digest realm=\"r\", nonce=\"b\", stale=true")));
        assert!(first.worth_answering(&with("Digest realm=\"proxy\", nonce=\"b\"")));
    }

    #[test]
    fn a_stored_hash_answers_for_its_realm_and_algorithm_only() {
        let hash = super::super::ha1(Algorithm::Sha256, "a", "r", "p");
        let secret = Secret::Ha1 {
            algorithm: Algorithm::Sha256,
            realm: "r".into(),
            hash,
        };
        let identity = Identity {
            username: "a".into(),
            secret,
        };
        let answer = |text: &str| {
            Answerer::choose([text.as_bytes()])
                .unwrap()
                .authorization(&identity, GET, "c")
        };
        assert!(answer("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256").is_some());
        assert!(answer("Digest realm=\"r\", nonce=\"n\", algorithm=MD5").is_none());
        assert!(answer("Digest realm=\"s\", nonce=\"n\", algorithm=SHA-256").is_none());
        assert_eq!(format!("{identity:?}"), "Identity { username: \"a\", .. }");
    }
}
