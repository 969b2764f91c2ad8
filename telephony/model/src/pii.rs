//! `Pii<T>`: a value about a person that does not get into logs by accident.
//!
//! Debug and Display print a placeholder; whoever really needs the value says so: `reveal()`.

use std::fmt;

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: to show it to a user with the right to see it, or to put it on the wire.
    pub fn reveal(&self) -> &T {
        &self.0
    }

    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Pii<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_display_shows_the_value() {
        let name = Pii::new("Maria Gruber".to_owned());
        assert_eq!(
            format!("{name} {name:?} {:#?}", Some(&name))
                .matches("Gruber")
                .count(),
            0
        );
        assert_eq!(name.reveal(), "Maria Gruber");
    }
}
