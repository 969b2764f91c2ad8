//! What the exchange counts itself; SIP and calls have counters of their own.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// INVITEs that never became a leg: unknown numbers, unusable offers, no port.
    pub calls_refused_at_the_edge: u64,
    /// INVITEs, answers and offers in a call without the encryption that is required, with one that
    /// is switched off, or with none that both sides know.
    pub encryption_refused: u64,
    /// Early answers whose description could not be used; the final one may be good.
    pub early_answers_unusable: u64,
    /// INFO requests that carry no digit.
    pub infos_ignored: u64,
    /// Keys that came a second time in another form, or in a form that the station is not to use.
    pub keys_ignored: u64,
    /// Doors that have no way to be opened from here.
    pub doors_without_a_way: u64,
    /// Watchers (SUBSCRIBE) that were refused.
    pub watchers_refused: u64,
    /// Media streams that fell silent and ended their leg.
    pub silent_legs: u64,
    /// Recorded messages that stations were called for.
    pub messages_played: u64,
    /// Times that a station was called for an audio programme.
    pub programmes_begun: u64,
    /// Messages and programmes that were asked for and are not there.
    pub playbacks_refused: u64,
    /// Words of browsers about calls that are over.
    pub web_events_ignored: u64,
    /// Drains that were cut short: a fault of ours, never seen.
    pub drains_cut_short: u64,
}
