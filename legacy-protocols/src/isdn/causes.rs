//! Which SIP status stands for which Q.850 cause, and back.
//!
//! Vendors disagree, so this is a table that an owner may edit; the defaults follow RFC 3398 7.2.4
//! and 8.2.6. The true cause travels besides, in a Reason header field (RFC 3326).

use std::collections::BTreeMap;

use thiserror::Error;

use super::codec::{Cause, CauseValue, Location};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseTable {
    /// Cause to status.
    statuses: BTreeMap<CauseValue, u16>,
    /// Status to cause.
    causes: BTreeMap<u16, CauseValue>,
    pub other_status: u16,
    pub other_cause: CauseValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TableError {
    #[error("{0} is no SIP status that refuses a call; give one from 400 to 699")]
    Status(u16),
    #[error("{0} is no Q.850 cause; give one from 1 to 127")]
    Cause(u8),
}

/// A call ended as usual before it was answered has no status in RFC 3398; 480 says least.
const STATUSES: [(u8, u16); 25] = [
    (1, 404),
    (2, 404),
    (3, 404),
    (16, 480),
    (17, 486),
    (18, 408),
    (19, 480),
    (20, 480),
    (22, 410),
    (26, 404),
    (27, 502),
    (28, 484),
    (29, 501),
    (31, 480),
    (34, 503),
    (38, 503),
    (41, 503),
    (42, 503),
    (44, 503),
    (47, 503),
    (55, 403),
    (57, 403),
    (58, 503),
    (65, 488),
    (79, 501),
];

const CAUSES: [(u16, u8); 13] = [
    (404, 1),
    (408, 102),
    (410, 22),
    (480, 20),
    (484, 28),
    (486, 17),
    (488, 50),
    (502, 38),
    (503, 41),
    (504, 102),
    (600, 17),
    (603, 21),
    (604, 2),
];

impl Default for CauseTable {
    fn default() -> Self {
        let mut new = Self {
            statuses: BTreeMap::new(),
            causes: BTreeMap::new(),
            other_status: 500,
            other_cause: CauseValue::INTERWORKING,
        };
        for (cause, status) in STATUSES {
            new.set_status(cause, status)
                .expect("the defaults are within the limits");
        }
        for (status, cause) in CAUSES {
            new.set_cause(status, cause)
                .expect("the defaults are within the limits");
        }
        new
    }
}

impl CauseTable {
    /// What a SIP caller is told about a call that ISDN refused.
    pub fn status(&self, cause: &Cause) -> u16 {
        if let Some(status) = self.statuses.get(&cause.value) {
            return *status;
        }
        // RFC 3398 7.2.4.1: rejected by the called user, or on the way.
        match (cause.value, cause.location) {
            (CauseValue::CALL_REJECTED, Location::User) => 603,
            (CauseValue::CALL_REJECTED, _) => 403,
            _ => self.other_status,
        }
    }

    /// What an ISDN caller is told about a call that SIP refused.
    pub fn cause(&self, status: u16) -> CauseValue {
        self.causes
            .get(&status)
            .copied()
            .unwrap_or(self.other_cause)
    }

    pub fn set_status(&mut self, cause: u8, status: u16) -> Result<(), TableError> {
        let cause = checked_cause(cause)?;
        self.statuses.insert(cause, checked_status(status)?);
        Ok(())
    }

    pub fn set_cause(&mut self, status: u16, cause: u8) -> Result<(), TableError> {
        let status = checked_status(status)?;
        self.causes.insert(status, checked_cause(cause)?);
        Ok(())
    }
}

fn checked_cause(cause: u8) -> Result<CauseValue, TableError> {
    CauseValue::new(cause)
        .filter(|_| cause > 0)
        .ok_or(TableError::Cause(cause))
}

fn checked_status(status: u16) -> Result<u16, TableError> {
    if (400..700).contains(&status) {
        Ok(status)
    } else {
        Err(TableError::Status(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(table: &CauseTable, location: Location, cause: u8) -> u16 {
        table.status(&Cause::new(location, CauseValue::new(cause).unwrap()))
    }

    #[test]
    fn the_defaults_are_those_of_the_published_tables() {
        let table = CauseTable::default();
        let check = |causes: &[u8], expected| {
            for cause in causes {
                assert_eq!(status(&table, Location::PublicLocal, *cause), expected);
            }
        };
        check(&[1, 2, 3], 404);
        check(&[17], 486);
        check(&[18], 408);
        check(&[19, 20, 31], 480);
        check(&[34, 38, 41, 42, 47, 58], 503);
        check(&[65], 488);
        check(&[21], 403);
        check(&[100, 111], 500);
        assert_eq!(status(&table, Location::User, 21), 603);
        for (status, cause) in [
            (404, 1),
            (486, 17),
            (600, 17),
            (488, 50),
            (604, 2),
            (499, 127),
        ] {
            assert_eq!(table.cause(status).number(), cause);
        }
    }

    #[test]
    fn a_line_can_be_changed_and_nonsense_is_refused() {
        let mut table = CauseTable::default();
        table.set_status(21, 486).unwrap();
        assert_eq!(status(&table, Location::User, 21), 486);
        table.set_cause(488, 65).unwrap();
        assert_eq!(table.cause(488).number(), 65);
        assert_eq!(table.set_status(17, 200), Err(TableError::Status(200)));
        assert_eq!(table.set_cause(486, 128), Err(TableError::Cause(128)));
        assert_eq!(table.set_cause(486, 0), Err(TableError::Cause(0)));
    }
}
