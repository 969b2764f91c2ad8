//! Streams whose keys are ours: SDES between us and the peer of one leg (RFC 4568).
//!
//! The other functions of offer and answer see a leg's description without its protection
//! ([`Security::unprotected`]), so each leg agrees on keys of its own, or on none. A [`Keyring`]
//! writes our lines and reads theirs. It makes no randomness: its secret is handed in.
//! Invariant: where [`Security::Required`] stands, no stream is agreed on without keys.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::crypto::{Crypto, Key, Suite};
use super::description::Description;
use super::stream::{Profile, Stream};

/// What a leg asks of its peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Plain RTP only; keys offered beside it are not taken up.
    Off,
    /// Secure where the peer can: plain streams are offered with keys, as Linphone, Snom and pjsua
    /// do it, and who answers without keys is spoken to in the clear.
    #[default]
    BestEffort,
    /// Plain streams are refused.
    Required,
}

/// Why a description cannot be agreed on. Its writer is at fault, or our settings ask too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecurityError {
    #[error("media line {0} is plain RTP where SRTP is required; write RTP/SAVP and a=crypto")]
    Plain(usize),
    #[error("media line {0} is SRTP, which is switched off for this leg")]
    Secure(usize),
    #[error("media line {0} has no a=crypto line that can be used; see the suites supported")]
    NoSuite(usize),
    #[error("media line {0} of the answer takes up none of the a=crypto lines offered")]
    NotOffered(usize),
}

/// The keys of one stream, one for each direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub suite: Suite,
    /// What we send is protected by this one.
    pub ours: Key,
    /// And what we receive by this one.
    pub theirs: Key,
}

/// The keys of what we send on one leg. The same stream and suite have the same key, so an offer
/// that is made again changes nothing.
#[derive(Clone)]
pub struct Keyring {
    secret: Zeroizing<[u8; 32]>,
}

/// What becomes of a stream that was offered.
enum Choice<'o> {
    Plain,
    Protected(&'o Crypto, Key),
    Refused(SecurityError),
}

impl Security {
    /// What was offered, as if it were plain: what cannot be agreed on is refused.
    pub fn unprotected(self, offered: &Description) -> Result<Description, SecurityError> {
        let mut refusal = None;
        let streams = offered.streams.iter().zip(1..).map(|(stream, number)| {
            match self.choose(stream, number) {
                Choice::Plain | Choice::Protected(..) => plain(stream),
                Choice::Refused(why) => {
                    refusal = refusal.or(Some(why));
                    plain(&stream.refused())
                }
            }
        });
        let streams: Vec<Stream> = streams.collect();
        match refusal {
            Some(why) if streams.iter().all(|stream| stream.rtp.is_none()) => Err(why),
            Some(_) | None => Ok(Description { streams }),
        }
    }

    /// Whether an offered stream would be answered with keys.
    pub fn takes_keys_of(self, offered: &Stream) -> bool {
        matches!(self.choose(offered, 0), Choice::Protected(..))
    }

    fn choose(self, stream: &Stream, number: usize) -> Choice<'_> {
        if stream.rtp.is_none() || !stream.profile.is_rtp() {
            return Choice::Plain;
        }
        let secure = stream.profile.is_secure();
        match (self, best(&stream.crypto)) {
            (Self::Off, _) if secure => Choice::Refused(SecurityError::Secure(number)),
            (Self::BestEffort | Self::Required, Some((line, key))) => Choice::Protected(line, key),
            (_, None) if secure => Choice::Refused(SecurityError::NoSuite(number)),
            (Self::Required, None) if !stream.crypto.is_empty() => {
                Choice::Refused(SecurityError::NoSuite(number))
            }
            (Self::Required, None) => Choice::Refused(SecurityError::Plain(number)),
            (Self::Off | Self::BestEffort, _) => Choice::Plain,
        }
    }
}

/// Makes a keyring for each leg from one secret.
pub struct KeySource {
    secret: Zeroizing<[u8; 32]>,
    made: u64,
}

impl KeySource {
    /// `secret` comes from a source of randomness fit for keys and serves no other purpose: no
    /// keyring is made twice from it, and none tells anything about another.
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret: Zeroizing::new(secret),
            made: 0,
        }
    }

    pub fn keyring(&mut self) -> Keyring {
        let secret = Sha256::new()
            .chain_update(self.secret.as_slice())
            .chain_update(self.made.to_be_bytes());
        self.made += 1;
        Keyring::new(secret.finalize().into())
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySource(..)")
    }
}

impl Keyring {
    /// `secret` comes from a source of randomness fit for keys, and is that of one leg only.
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret: Zeroizing::new(secret),
        }
    }

    /// Writes our keys into an offer of plain streams, a line per suite, the first the best.
    pub fn protect_offer(&self, offer: &mut Description, security: Security, suites: &[Suite]) {
        for (stream, index) in offer.streams.iter_mut().zip(0..) {
            if stream.rtp.is_none() || !stream.profile.is_rtp() || security == Security::Off {
                continue;
            }
            if security == Security::Required {
                stream.profile = stream.profile.secure();
            }
            let lines = suites.iter().zip(1..);
            let lines = lines.filter_map(|(suite, tag)| self.line(index, tag, suite));
            stream.crypto = lines.collect();
        }
    }

    /// Writes into our answer, made for the offer without its protection, which lines we take up.
    /// Tells the keys of each stream.
    pub fn protect_answer(
        &self,
        offered: &Description,
        answer: &mut Description,
        security: Security,
    ) -> Vec<Option<Agreed>> {
        let streams = answer.streams.iter_mut().zip(&offered.streams).zip(0..);
        let agreed = streams.map(|((stream, offered), index)| {
            stream.profile = offered.profile.clone();
            stream.crypto.clear();
            stream.rtp?;
            let Choice::Protected(line, theirs) = security.choose(offered, index + 1) else {
                return None;
            };
            // RFC 4568 5.1.2: the tag and suite of the line that is taken up, with our key.
            let ours = self.line(index, line.tag(), line.suite())?;
            let agreed = Agreed {
                suite: line.suite().clone(),
                ours: ours.key()?,
                theirs,
            };
            stream.crypto.push(ours);
            Some(agreed)
        });
        agreed.collect()
    }

    /// The keys that an answer to our offer agrees to.
    pub fn read_answer(
        &self,
        ours: &Description,
        answer: &Description,
        security: Security,
    ) -> Result<Vec<Option<Agreed>>, SecurityError> {
        let streams = ours.streams.iter().zip(&answer.streams).zip(1..);
        let agreed = streams.map(|((ours, theirs), number)| {
            if ours.rtp.is_none() || theirs.rtp.is_none() || !theirs.profile.is_rtp() {
                return Ok(None);
            }
            match theirs.crypto.first() {
                // Nobody who was offered no keys can take one up.
                None if theirs.profile.is_secure() => Err(SecurityError::NoSuite(number)),
                None if security == Security::Required => Err(SecurityError::Plain(number)),
                None => Ok(None),
                Some(_) if security == Security::Off && !theirs.profile.is_secure() => Ok(None),
                Some(chosen) => taken_up(ours, chosen)
                    .ok_or(SecurityError::NotOffered(number))
                    .map(Some),
            }
        });
        agreed.collect()
    }

    fn line(&self, stream: usize, tag: u32, suite: &Suite) -> Option<Crypto> {
        let mut keying = Zeroizing::new([0; 64]);
        let keying = keying.get_mut(..suite.key_len()?)?;
        for (part, count) in keying.chunks_mut(32).zip(0u8..) {
            let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_slice()).ok()?;
            mac.update(b"SDES");
            mac.update(&(stream as u64).to_be_bytes());
            mac.update(suite.name().as_bytes());
            mac.update(&[count]);
            part.copy_from_slice(&mac.finalize().into_bytes()[..part.len()]);
        }
        Crypto::new(tag, suite.clone(), keying)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(..)")
    }
}

fn taken_up(ours: &Stream, chosen: &Crypto) -> Option<Agreed> {
    let line = ours.crypto.iter().find(|line| chosen.accepts(line))?;
    Some(Agreed {
        suite: chosen.suite().clone(),
        ours: line.key()?,
        theirs: chosen.key()?,
    })
}

/// The line of the suite that we like best, with its key, among those that can be used.
fn best(lines: &[Crypto]) -> Option<(&Crypto, Key)> {
    Suite::PREFERRED.iter().find_map(|suite| {
        let of_suite = lines.iter().filter(|line| line.suite() == suite);
        of_suite
            .into_iter()
            .find_map(|line| Some((line, line.key()?)))
    })
}

fn plain(stream: &Stream) -> Stream {
    Stream {
        profile: stream.profile.plain(),
        crypto: Vec::new(),
        ..stream.clone()
    }
}

impl Profile {
    fn secure(&self) -> Self {
        match self {
            Self::Avp | Self::Savp => Self::Savp,
            Self::Avpf | Self::Savpf => Self::Savpf,
            Self::Other(name) => Self::Other(name.clone()),
        }
    }

    fn plain(&self) -> Self {
        match self {
            Self::Avp | Self::Savp => Self::Avp,
            Self::Avpf | Self::Savpf => Self::Avpf,
            Self::Other(name) => Self::Other(name.clone()),
        }
    }
}
