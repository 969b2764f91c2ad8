//! Passwords: what they must be, and hashing them.
//!
//! argon2id with the parameters that OWASP asks for; each hash takes 19 MiB and tens of
//! milliseconds, so only a few run at once, off the threads that serve, and a crowd is turned
//! away. An account that does not exist costs the same time as one that does. Invariant: a
//! password is never written and never logged.

use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::api::{Code, Finding, Problem};

/// So many hashes run at once.
const AT_ONCE: usize = 4;
/// So many may wait for their turn; more are turned away.
const WAITING: usize = 64;

pub(crate) const SHORTEST: usize = 12;
pub(crate) const LONGEST: usize = 256;

/// Judged when there is no password to judge: a hash of nothing that anybody knows, with the
/// parameters of all others.
static NOBODYS: LazyLock<String> =
    LazyLock::new(|| hash_now(super::secret::Secret::new().text()).unwrap_or_default());

/// Hashes and verifies; a clone shares the same turn.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    crowd: Arc<Semaphore>,
}

/// What came of a password that somebody showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    /// Right, and the stored hash is of older parameters: store this one.
    RightRehash(String),
    Wrong,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            crowd: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
        }
    }

    /// The hash of a new password.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Problem> {
        let password = Zeroizing::new(password.to_owned());
        self.in_turn(move || hash_now(&password)).await?
    }

    /// Whether it is the password of the stored hash. Takes the same time where there is none.
    pub(crate) async fn verify(
        &self,
        password: &str,
        stored: Option<String>,
    ) -> Result<Verdict, Problem> {
        let password = Zeroizing::new(password.to_owned());
        self.in_turn(move || verify_now(&password, stored.as_deref()))
            .await?
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _place = self.crowd.try_acquire().map_err(|_full| busy())?;
        let _turn = self.turns.acquire().await.map_err(|_closed| busy())?;
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "hashing a password did not finish");
            fault()
        })
    }
}

/// Whether a new password will do (NIST SP 800-63B 3.1.1: length counts, composition does not).
pub(crate) fn judge_new(pointer: &str, password: &str, mail: &str) -> Result<(), Finding> {
    let length = password.chars().count();
    let lower = password.to_lowercase();
    let local_part = mail.split('@').next().unwrap_or_default().to_lowercase();
    let distinct: std::collections::BTreeSet<char> = lower.chars().collect();
    if length < SHORTEST {
        Err(Finding::new(
            pointer,
            "too_short",
            format!("Take at least {SHORTEST} characters; a few words are a good password."),
        ))
    } else if password.len() > LONGEST {
        Err(Finding::new(
            pointer,
            "too_long",
            format!("Take at most {LONGEST} octets."),
        ))
    } else if lower == mail.to_lowercase() || (local_part.len() > 3 && lower.contains(&local_part))
    {
        Err(Finding::new(
            pointer,
            "contains_mail",
            "Take one that does not contain your mail address.",
        ))
    } else if distinct.len() < 5 {
        Err(Finding::new(
            pointer,
            "too_simple",
            "Take one with more than a few different characters.",
        ))
    } else {
        Ok(())
    }
}

fn hash_now(password: &str) -> Result<String, Problem> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| {
        tracing::error!(%error, "a password could not be hashed");
        fault()
    })
}

fn verify_now(password: &str, stored: Option<&str>) -> Result<Verdict, Problem> {
    let judged = stored.unwrap_or(&NOBODYS);
    let hash = PasswordHash::new(judged).map_err(|error| {
        tracing::error!(%error, "a stored password hash cannot be read");
        fault()
    })?;
    let right = Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok();
    if !right || stored.is_none() {
        return Ok(Verdict::Wrong);
    }
    if is_current(&hash) {
        Ok(Verdict::Right)
    } else {
        Ok(Verdict::RightRehash(hash_now(password)?))
    }
}

/// Whether the hash was made as a new one would be.
fn is_current(hash: &PasswordHash) -> bool {
    let now = Argon2::default();
    let asked = now.params();
    hash.algorithm == argon2::Algorithm::default().ident()
        && argon2::Params::try_from(hash).is_ok_and(|params| {
            params.m_cost() == asked.m_cost()
                && params.t_cost() == asked.t_cost()
                && params.p_cost() == asked.p_cost()
        })
}

fn busy() -> Problem {
    Problem::new(
        Code::Unavailable,
        "Too many people sign in at this moment. Try again in a few seconds.",
    )
    .retry_after(3)
}

fn fault() -> Problem {
    Problem::new(
        Code::Fault,
        "The core could not finish this. Its log says why.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_nobody_has_none() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse battery").await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let verdict = async |shown, stored| passwords.verify(shown, stored).await.unwrap();
        assert_eq!(
            verdict("correct horse battery", Some(hash.clone())).await,
            Verdict::Right
        );
        assert_eq!(
            verdict("correct horse batterx", Some(hash)).await,
            Verdict::Wrong
        );
        assert_eq!(verdict("anything at all", None).await, Verdict::Wrong);
        assert_eq!(verdict("", None).await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn a_hash_of_weaker_parameters_is_made_anew_at_the_next_login() {
        let weaker = argon2::Params::new(8 * 1024, 1, 1, None).unwrap();
        let weaker = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, weaker);
        let old = weaker.hash_password(b"correct horse battery").unwrap();
        let verdict = Passwords::new()
            .verify("correct horse battery", Some(old.to_string()))
            .await
            .unwrap();
        let Verdict::RightRehash(new) = verdict else {
            panic!("{verdict:?}");
        };
        assert!(new.contains("m=19456,t=2,p=1"), "{new}");
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away() {
        let passwords = Passwords::new();
        let crowd = passwords.crowd.clone();
        let _all = crowd.try_acquire_many((AT_ONCE + WAITING) as u32).unwrap();
        let refused = passwords.hash("correct horse battery").await.unwrap_err();
        assert_eq!(refused.code, Code::Unavailable);
    }

    #[test]
    fn a_new_password_is_long_and_not_the_mail_address() {
        let judge = |password| {
            judge_new("/password", password, "Anna.Example@example.com").map_err(|f| f.code)
        };
        assert_eq!(judge("a few words more"), Ok(()));
        assert_eq!(judge("short"), Err("too_short".to_owned()));
        assert_eq!(judge("aaaaaaaaaaaaaaaa"), Err("too_simple".to_owned()));
        assert_eq!(judge("xANNA.example1234"), Err("contains_mail".to_owned()));
        assert_eq!(judge(&"words ".repeat(50)), Err("too_long".to_owned()));
    }
}
