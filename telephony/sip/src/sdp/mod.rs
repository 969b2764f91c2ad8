//! Session descriptions (RFC 8866), and offer and answer (RFC 3264) for a gateway that anchors media.
//!
//! `sdp-types` reads the lines; here they become what a relay needs: streams with addresses,
//! formats and directions. Tolerant in what devices send, but what is written is written anew:
//! our own origin, our addresses, no ICE, no DTLS, nothing that only made sense end to end.
//! It chooses no codec by taste, moves no packet and knows no call. Invariant: an answer has as
//! many streams as its offer, in the same order (RFC 3264 6).

mod description;
mod format;
mod offer_answer;

pub use description::{Description, DescriptionError, Direction, Kind, Profile, Stream};
pub use format::{Codec, Format, WIDEBAND_FIRST};
pub use offer_answer::{
    Local, LocalStream, Origin, agreed_formats, answer_to, fresh_offer, offer_from, payload_map,
};
