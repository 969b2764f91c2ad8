//! What a line has seen. Figures only grow; each stands for something refused, lost or unknown.

/// Counted by the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounters {
    /// Whole frames that passed their check.
    pub frames: u64,
    pub bad_checksums: u64,
    /// Frames that passed their check and make no sense.
    pub malformed: u64,
    /// Frames longer than the protocol allows.
    pub oversize: u64,
    /// Bytes between frames.
    pub noise: u64,
    /// Telegrams of a kind that the protocol does not know.
    pub unknown: u64,
    /// Gaps in the numbering of events.
    pub gaps: u64,
    /// Telegrams that were not sent because the line did not take them.
    pub overflows: u64,
    /// Telegrams sent once more.
    pub repeats: u64,
}

/// Counted by the port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    pub openings: u64,
    pub losses: u64,
    pub octets_in: u64,
    pub octets_out: u64,
    pub events: u64,
    pub opaque: u64,
    pub commands: u64,
    pub asked: u64,
    /// Commands that the protocol does not cover, or that came while the line was not up.
    pub not_carried: u64,
    pub outputs_refused: u64,
    pub outputs_refused_to_them: u64,
    pub unanswered: u64,
    /// Commands that were open when the line broke.
    pub lost_with_line: u64,
    /// Answers to nothing that is open.
    pub late_answers: u64,
    /// Bytes of a connection that the port has given up.
    pub stray_octets: u64,
}
