//! Firmware versions: four numbers, compared as numbers. `03.02.01.65` is `3.2.1.65`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Firmware([u16; 4]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a firmware version is four numbers of at most five digits, such as 03.02.01.65")]
pub struct NotFirmware;

impl Firmware {
    pub const fn new(fields: [u16; 4]) -> Self {
        Self(fields)
    }
}

impl FromStr for Firmware {
    type Err = NotFirmware;

    fn from_str(text: &str) -> Result<Self, NotFirmware> {
        let mut fields = [0; 4];
        let mut parts = text.split('.');
        for field in &mut fields {
            let part = parts.next().ok_or(NotFirmware)?;
            // `parse` would also take a sign.
            if part.len() > 5 || !part.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(NotFirmware);
            }
            *field = part.parse().map_err(|_out_of_range| NotFirmware)?;
        }
        match parts.next() {
            None => Ok(Self(fields)),
            Some(_more) => Err(NotFirmware),
        }
    }
}

impl TryFrom<String> for Firmware {
    type Error = NotFirmware;

    fn try_from(text: String) -> Result<Self, NotFirmware> {
        text.parse()
    }
}

impl From<Firmware> for String {
    fn from(firmware: Firmware) -> Self {
        firmware.to_string()
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a:02}.{b:02}.{c:02}.{d:02}")
    }
}

impl fmt::Debug for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn d5_versions_are_compared_as_numbers() {
        let order = [
            "03.02.01.65",
            "3.2.1.100",
            "03.08.01.14",
            "4.06.01.21",
            "10.0.0.0",
        ];
        let read: Vec<Firmware> = order.iter().map(|text| text.parse().unwrap()).collect();
        assert!(read.is_sorted_by(|a, b| a < b));
        assert_eq!("3.2.1.65".parse::<Firmware>(), "03.02.01.65".parse());
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1..2.3",
            "1.2.3.+4",
            "1.2.3.65536",
            "v1.2.3.4",
        ] {
            assert_eq!(text.parse::<Firmware>(), Err(NotFirmware), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_version_reads_back(fields: [u16; 4]) {
            let firmware = Firmware::new(fields);
            prop_assert_eq!(firmware.to_string().parse(), Ok(firmware));
        }
    }
}
