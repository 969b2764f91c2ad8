//! What holds for a whole site: its time zone and who is called when an alarm finds nobody.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::{Address, CallNumber};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The zone in which weekdays, dates and periods of the site's schedules are read.
    pub zone: TimeZone,
    /// An alarm that found nobody goes to these, one after the other and round again, until
    /// somebody answers or the caller gives up. Empty: it tries again where it wanted to go.
    pub escalation: Vec<Address>,
    /// How long each entry of the escalation list rings.
    pub escalation_ring: Duration,
    /// Whoever calls this number hears themselves. Only a dialled number and a button lead there.
    pub echo_test: Option<CallNumber>,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{name:?} is not a known time zone; write a name of the tz database, for example Europe/Vienna"
)]
pub struct ZoneError {
    name: String,
    source: jiff::Error,
}

impl Site {
    pub const DEFAULT_ESCALATION_RING: Duration = Duration::from_secs(20);

    /// A site in the zone of this name, such as "Europe/Vienna". The tz database is built in, so
    /// the answer does not depend on the machine.
    pub fn in_zone(name: &str) -> Result<Self, ZoneError> {
        match TimeZone::get(name) {
            Ok(zone) => Ok(Self {
                zone,
                ..Self::default()
            }),
            Err(source) => Err(ZoneError {
                name: name.to_owned(),
                source,
            }),
        }
    }
}

impl Default for Site {
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            escalation: Vec::new(),
            escalation_ring: Self::DEFAULT_ESCALATION_RING,
            echo_test: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_by_its_name_or_the_error_says_how_to_write_it() {
        assert!(Site::in_zone("Europe/Vienna").is_ok());
        let error = Site::in_zone("Vienna").unwrap_err();
        assert!(error.to_string().contains("Europe/Vienna"), "{error}");
    }
}
