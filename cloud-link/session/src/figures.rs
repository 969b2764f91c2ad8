//! What this end counts. The shell shows it as metrics.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections that were greeted and answered.
    pub settled: u64,
    pub lost: u64,
    /// Connections that were refused: certificate, name.
    pub refused: u64,
    /// Greetings without an answer in time.
    pub unanswered_hellos: u64,
    /// Records that were acknowledged.
    pub events_told: u64,
    /// Sent again, as the connection ended before they were acknowledged.
    pub events_repeated: u64,
    /// Left out for lack of room.
    pub telemetry_dropped: u64,
    pub calls_dropped: u64,
    /// Call data and telemetry that nobody fetched in their time.
    pub expired: u64,
    /// What was recorded and could not be read again.
    pub unreadable: u64,
    /// Data too large for a document: told without it.
    pub shortened: u64,
    pub reports: u64,
    /// Parts of the report too large for a document.
    pub unreportable: u64,
    pub commands: u64,
    /// Already known.
    pub commands_repeated: u64,
    /// Refused here: expired, without a clock, too many.
    pub commands_refused: u64,
    /// What the core said and nobody could read.
    pub malformed: u64,
    /// Settings that were fetched whole, as a change did not fit.
    pub fetches: u64,
}
