//! The table of what can be ordered, read from the data that is compiled in.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

const DATA: &str = include_str!("../../data/subscriptions.csv");
const HEADER: &str = "sku,covers,unit,included,rule";

/// Declares the order numbers once: variant and word.
macro_rules! skus {
    ($($(#[$meta:meta])* $variant:ident = $word:literal,)*) => {
        /// An order number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Sku {
            $($(#[$meta])* #[serde(rename = $word)] $variant,)*
        }

        impl Sku {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

skus! {
    CallService = "E-CC-CTF",
    DeviceManagement = "E-CC-ADM-CTF",
    SingleSignOn = "E-CC-SSO-STN",
    Bridge = "L-SYM-BRIDGE",
    Assistant30 = "E-CIVYTI30-CTF",
    AssistantFlex = "E-CIVYFLEX-CTF",
    Volume1K = "E-CIVY1K-CPF",
    Volume10K = "E-CIVY10K-CPF",
    AssistantDevice365 = "E-CIVY365-CTF",
    AssistantDevice6K = "E-CIVY6K-CTF",
    InsightsUser = "E-CIVYINS-CTF",
    KnowledgeApi = "E-CIVYKAPI-CTF",
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be ordered under this number; the list of offers has those that there are")]
pub struct UnknownSku;

impl FromStr for Sku {
    type Err = UnknownSku;

    fn from_str(word: &str) -> Result<Self, UnknownSku> {
        Self::ALL
            .iter()
            .copied()
            .find(|sku| sku.word() == word)
            .ok_or(UnknownSku)
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub sku: Sku,
    pub covers: String,
    pub unit: String,
    /// What comes with it, if anything.
    pub included: String,
    pub rule: String,
}

/// Where the compiled data is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the subscriptions is not `{HEADER}`")]
struct BadLine {
    line: usize,
}

/// What this program was built with, in the order of the table.
pub fn offers() -> &'static [Offer] {
    static COMPILED: LazyLock<Vec<Offer>> =
        LazyLock::new(|| read(DATA).expect("the data is part of the program and a test reads it"));
    &COMPILED
}

impl Sku {
    #[must_use]
    pub fn offer(self) -> &'static Offer {
        offers()
            .iter()
            .find(|offer| offer.sku == self)
            .expect("a test finds every number in the table")
    }

    /// What it covers in a few words: the text before the first colon.
    #[must_use]
    pub fn title(self) -> &'static str {
        let covers = self.offer().covers.as_str();
        covers.split_once(':').map_or(covers, |(title, _)| title)
    }
}

fn read(data: &str) -> Result<Vec<Offer>, BadLine> {
    let mut lines = data.lines().enumerate();
    if lines.next().map(|(_, header)| header) != Some(HEADER) {
        return Err(BadLine { line: 1 });
    }
    lines
        .map(|(index, line)| read_line(line).ok_or(BadLine { line: index + 1 }))
        .collect()
}

fn read_line(line: &str) -> Option<Offer> {
    let fields = fields(line)?;
    let [sku, covers, unit, included, rule] = fields.as_slice() else {
        return None;
    };
    Some(Offer {
        sku: sku.parse().ok()?,
        covers: covers.clone(),
        unit: unit.clone(),
        included: included.clone(),
        rule: rule.clone(),
    })
}

/// The fields of a line, of which some stand in quotes (RFC 4180 2.5).
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let after = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (field, after) = quoted.split_once('"')?;
                fields.push(field.to_owned());
                after
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                fields.push(rest[..end].to_owned());
                &rest[end..]
            }
        };
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(fields),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn n1_the_compiled_table_has_every_order_number_once() {
        let read = read(DATA).unwrap();
        let in_table: BTreeSet<Sku> = read.iter().map(|offer| offer.sku).collect();
        let known: BTreeSet<Sku> = Sku::ALL.iter().copied().collect();
        assert_eq!(in_table, known);
        assert_eq!(read.len(), Sku::ALL.len());
        assert!(read.iter().all(|offer| !offer.covers.is_empty()));
    }

    #[test]
    fn n1_rows_read_as_the_sheet_prints_them() {
        let management = Sku::DeviceManagement.offer();
        assert_eq!(management.covers, "active device management");
        assert_eq!(management.unit, "year, per device");
        assert_eq!(management.included, "");
        assert!(management.rule.starts_with("cloud devices, managed"));
        assert_eq!(Sku::CallService.title(), "call service");
        assert_eq!(Sku::SingleSignOn.offer().included, "1 identity server");
    }

    #[test]
    fn a_broken_table_names_its_line() {
        for line in [
            "E-CC-CTF,a,b,c",
            "E-CC-XXX,a,b,c,d",
            "E-CC-CTF,\"a,b,c,d",
            "E-CC-CTF,\"a\"x,b,c,d",
        ] {
            let data = format!("{HEADER}\n{line}\n");
            assert_eq!(read(&data), Err(BadLine { line: 2 }), "{line}");
        }
        assert_eq!(read("sku"), Err(BadLine { line: 1 }));
    }
}
