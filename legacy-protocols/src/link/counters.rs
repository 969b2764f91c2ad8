//! What a link refused, repeated or gave up; every number only grows.

/// One link's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub payloads_sent: u64,
    pub payloads_received: u64,
    /// Information frames sent once more.
    pub repeated: u64,
    /// Information frames out of sequence, dropped.
    pub out_of_sequence: u64,
    /// Rejects sent, one per gap.
    pub rejects_sent: u64,
    pub rejects_received: u64,
    /// T200 ran out: an answer did not come.
    pub answers_missed: u64,
    /// Octets that are no frame of Q.921.
    pub undecodable: u64,
    /// Frames that mean nothing in the state they found.
    pub unexpected: u64,
    /// Acknowledgements older than one that came before.
    pub stale: u64,
    /// Acknowledgements of what was never sent.
    pub false_acknowledgements: u64,
    /// Payloads over the limit, received.
    pub too_long: u64,
    /// FRMR received.
    pub frame_rejects: u64,
    /// XID and UI, which this engine does not speak.
    pub not_spoken: u64,
    /// Payloads dropped while we could not take any.
    pub dropped_busy: u64,
    /// Payloads of ours refused: queue full, too long, or no link.
    pub send_refused: u64,
    /// Payloads of ours dropped because the link went down or began anew.
    pub discarded: u64,
    /// How often the link was established, by whomever.
    pub established: u64,
    /// How often we began anew because something was wrong.
    pub recoveries: u64,
}
