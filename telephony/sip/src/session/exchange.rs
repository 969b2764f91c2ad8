//! Where an offer/answer exchange stands in one dialog (RFC 3264, RFC 6337).
//!
//! It knows who owes what and how it will travel, and holds no description. Invariant: at most
//! one exchange is open in a dialog.

use crate::transaction::TransactionId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// No description has travelled yet.
    Fresh,
    /// We have offered and wait for the answer.
    Offered(Ours),
    /// The peer has offered and our owner owes the answer.
    Asked(Theirs),
    /// The peer sent a re-INVITE without an offer: our owner owes one.
    Wanted(TransactionId),
    /// Both sides agree.
    Settled,
}

/// How our offer travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ours {
    /// In an INVITE or re-INVITE.
    Invite,
    Update,
    /// In a 2xx; the ACK answers.
    Success,
    /// In a reliable 1xx; the PRACK answers.
    Provisional,
}

/// How the peer's offer travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theirs {
    /// In an INVITE or re-INVITE.
    Invite(TransactionId),
    Update(TransactionId),
    Prack(TransactionId),
    /// In the 2xx to our INVITE; our ACK answers.
    Success,
    /// In a reliable 1xx; our PRACK answers.
    Provisional {
        rseq: u32,
    },
}

impl Exchange {
    pub(super) fn is_settled(self) -> bool {
        self == Self::Settled
    }

    /// What becomes of it when the carrier of the open offer failed: the state before.
    pub(super) fn fall_back(&mut self) {
        *self = Self::Settled;
    }
}
