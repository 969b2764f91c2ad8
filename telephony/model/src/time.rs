//! `Timestamp`: a moment on the wall clock, in milliseconds since 1970 (UTC).

use std::fmt;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// As a moment of jiff, held within what jiff can express.
    pub(crate) fn to_jiff(self) -> jiff::Timestamp {
        let bound = |t: jiff::Timestamp| t.as_millisecond();
        let ms = self
            .0
            .clamp(bound(jiff::Timestamp::MIN), bound(jiff::Timestamp::MAX));
        jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    pub(crate) fn from_jiff(moment: jiff::Timestamp) -> Self {
        Self(moment.as_millisecond())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_moment_is_out_of_range() {
        assert_eq!(
            Timestamp::from_unix_ms(0).to_string(),
            "1970-01-01T00:00:00Z"
        );
        let end = Timestamp::from_unix_ms(i64::MAX).saturating_add(Duration::MAX);
        assert_eq!(end.unix_ms(), i64::MAX);
        assert!(!end.to_string().is_empty());
        assert!(!Timestamp::from_unix_ms(i64::MIN).to_string().is_empty());
    }
}
