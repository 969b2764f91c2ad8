//! What protects the media of one leg: keys agreed on between us and its peer (SDES, RFC 4568).
//!
//! The rest of the plan sees descriptions without their protection; here it is taken off what the
//! peer writes and put onto what we write, so that each leg has keys of its own or none. Invariant:
//! while the answer that agrees on keys is missing, the media threads are told to let nothing pass.

use model::Encryption;
use sip::flow::Transport;
use sip::sdp::{
    Agreed, Description, DescriptionError, KeySource, Keyring, Policy, ProtectionPolicy, Security,
    SecurityError, Stream, Suite,
};

use super::PlanError;

/// What is asked of a leg's peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) encryption: Encryption,
    pub(crate) signalling: Signalling,
}

/// Whether others can read the keys in our descriptions on their way to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signalling {
    Private,
    Readable,
}

impl From<Transport> for Signalling {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Tls => Self::Private,
            Transport::Udp | Transport::Tcp => Self::Readable,
        }
    }
}

impl Terms {
    /// For what we offer. Keys that anybody can read protect little, so they are not offered
    /// unasked; and they would make a datagram too long for many a network.
    fn asks(self) -> Security {
        match (self.encryption, self.signalling) {
            (Encryption::Required, _) => Security::Required,
            (Encryption::Preferred, Signalling::Private) => Security::BestEffort,
            (Encryption::Preferred, Signalling::Readable) | (Encryption::Off, _) => Security::Off,
        }
    }

    /// For what we are offered: whoever offers keys in the clear would only be refused the rest.
    fn takes(self) -> Security {
        match self.encryption {
            Encryption::Required => Security::Required,
            Encryption::Preferred => Security::BestEffort,
            Encryption::Off => Security::Off,
        }
    }

    /// RFC 3261 18.1.1: what goes by datagram stays short.
    fn suites(self) -> &'static [Suite] {
        const SHORT: [Suite; 2] = [Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80];
        match self.signalling {
            Signalling::Private => &Suite::PREFERRED,
            Signalling::Readable => &SHORT,
        }
    }
}

/// How the packets of one stream are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    Plain,
    /// Keys are to be agreed on; until then nothing passes.
    Awaited,
    Secure(Agreed),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shield {
    terms: Terms,
    keyring: Keyring,
    /// What our last offer asked.
    asked: Security,
    /// Their offer as it came, for our answer.
    offered: Option<Description>,
    /// By position of the stream.
    streams: Vec<Protection>,
}

impl Shield {
    pub(super) fn new(terms: Terms, keys: &mut KeySource) -> Self {
        Self {
            terms,
            keyring: keys.keyring(),
            asked: terms.asks(),
            offered: None,
            streams: Vec::new(),
        }
    }

    pub(super) fn of(&self, stream: usize) -> Protection {
        let known = self.streams.get(stream).cloned();
        known.unwrap_or(Protection::Awaited)
    }

    /// The suite that protects what is said, for people to see.
    pub(super) fn suite(&self) -> Option<&Suite> {
        self.streams.iter().find_map(|stream| match stream {
            Protection::Secure(agreed) => Some(&agreed.suite),
            Protection::Plain | Protection::Awaited => None,
        })
    }

    /// An offer of the peer as if it were plain, as far as it can be carried.
    pub(super) fn take_offer(&mut self, offer: Description) -> Result<Description, PlanError> {
        let takes = self.takes();
        let offer = match takes {
            Security::Off => offer,
            // RFC 4568 has no way to say "this or that": some offer the same stream twice.
            Security::BestEffort | Security::Required => only_secure_of_two(offer),
        };
        let plain = takes.unprotected(&offer)?;
        let carried = Policy::default().permit(&plain);
        if !carried.streams.iter().any(Stream::is_relayable) {
            return Err(DescriptionError::NothingAccepted.into());
        }
        if self.streams.is_empty() {
            let keyed = offer
                .streams
                .iter()
                .map(|stream| match takes.takes_keys_of(stream) {
                    true => Protection::Awaited,
                    false => Protection::Plain,
                });
            self.streams = keyed.collect();
        }
        self.offered = Some(offer);
        Ok(carried)
    }

    /// Our answer to the offer taken last, as it is written.
    pub(super) fn protect_answer(&mut self, plain: &Description) -> Description {
        let mut answer = plain.clone();
        if let Some(offered) = &self.offered {
            let agreed = self
                .keyring
                .protect_answer(offered, &mut answer, self.takes());
            self.agree(agreed);
        }
        answer
    }

    /// Our offer, as it is written. `before` is what we wrote last in this call.
    pub(super) fn protect_offer(
        &mut self,
        plain: &Description,
        before: Option<&Description>,
    ) -> Description {
        let mut offer = plain.clone();
        // What is once encrypted stays so: nobody in the middle talks a call out of it.
        self.asked = match self.is_secure() {
            true => Security::Required,
            false => self.terms.asks(),
        };
        let suites = self.terms.suites();
        self.keyring.protect_offer(&mut offer, self.asked, suites);
        if self.is_secure() {
            // Whoever spoke AVP with keys goes on with it, and SAVP with SAVP.
            let before = before.iter().flat_map(|before| &before.streams);
            for (stream, before) in offer.streams.iter_mut().zip(before) {
                stream.profile = before.profile.clone();
            }
        }
        offer
    }

    /// The answer to `ours`, as if it were plain.
    pub(super) fn read_answer(
        &mut self,
        ours: &Description,
        answer: &Description,
    ) -> Result<Description, PlanError> {
        let agreed = self.keyring.read_answer(ours, answer, self.asked)?;
        self.agree(agreed);
        Ok(Security::BestEffort.unprotected(answer)?)
    }

    fn agree(&mut self, agreed: Vec<Option<Agreed>>) {
        let stream = |agreed: Option<Agreed>| agreed.map_or(Protection::Plain, Protection::Secure);
        self.streams = agreed.into_iter().map(stream).collect();
    }

    fn takes(&self) -> Security {
        match self.is_secure() {
            true => Security::Required,
            false => self.terms.takes(),
        }
    }

    fn is_secure(&self) -> bool {
        self.suite().is_some()
    }
}

fn only_secure_of_two(offer: Description) -> Description {
    let secure = |stream: &Stream| stream.profile.is_secure() && stream.is_relayable();
    if !offer.streams.iter().any(secure) {
        return offer;
    }
    let policy = Policy {
        protection: ProtectionPolicy::PreferSecure,
        ..Policy::default()
    };
    policy.permit(&offer)
}

impl From<SecurityError> for PlanError {
    fn from(error: SecurityError) -> Self {
        Self::Security(error)
    }
}
