//! Session descriptions (RFC 8866), and offer and answer (RFC 3264) for a gateway that anchors media.
//!
//! `sdp-types` reads the lines; here they become what a relay needs: streams with addresses,
//! formats and directions. Tolerant in what devices send, but what is written is written anew:
//! our own origin, our addresses, no ICE, no DTLS, nothing that only made sense end to end.
//! It chooses no codec by taste, moves no packet and knows no call. Invariant: an answer has as
//! many streams as its offer, in the same order (RFC 3264 6).
//!
//! The way of an offer: [`Description::parse`], [`Policy::permit`], [`offer_from`] to the callee;
//! of its answer: [`Description::parse`], [`answer_to`] to the caller. Who wants to talk without
//! an offer of the other side makes one by [`fresh_offer`].
//!
//! Secure streams (SDES) come in two ways. A leg with a [`Keyring`] agrees on keys with its peer,
//! and its descriptions go through all of the above without their protection
//! ([`Security::unprotected`]). Without one, keys belong to the two ends: they are passed on
//! untouched, payload numbers are those the far end chose, and a relay must carry their packets
//! unchanged ([`Stream::is_verbatim`]). [`Policy`] refuses secure streams, or plain ones.

mod bridge;
mod crypto;
mod description;
mod format;
mod normalise;
mod offer_answer;
mod policy;
mod secure;
mod stream;

pub use crypto::{Crypto, Key, Suite};
pub use description::{Description, DescriptionError};
pub use format::{Codec, Format, WIDEBAND_FIRST, best_common};
pub use offer_answer::{
    Local, LocalStream, Origin, agreed_formats, answer_to, audio_in, fresh_offer, offer_from,
};
pub use policy::{CodecPolicy, Policy, ProtectionPolicy, VideoPolicy};
pub use secure::{Agreed, KeySource, Keyring, Security, SecurityError};
pub use stream::{Direction, Kind, Profile, Stream};
