//! A stream of text cut where its frames end.
//!
//! Invariant: never holds more than the longest frame and its end.

/// The longest frame that is taken.
const LONGEST: usize = 256;

#[derive(Debug)]
pub(super) struct Frames {
    end: &'static [u8],
    octets: Vec<u8>,
    too_long: bool,
}

/// It was longer than any telegram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Frames {
    pub(super) const fn new(end: &'static [u8]) -> Self {
        Self {
            end,
            octets: Vec::new(),
            too_long: false,
        }
    }

    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.too_long = false;
    }

    /// A frame without its end, where this octet ended one.
    pub(super) fn push(&mut self, octet: u8) -> Option<Result<Vec<u8>, TooLong>> {
        self.octets.push(octet);
        if self.octets.ends_with(self.end) {
            let mut frame = std::mem::take(&mut self.octets);
            frame.truncate(frame.len() - self.end.len());
            return Some(match std::mem::take(&mut self.too_long) {
                true => Err(TooLong),
                false => Ok(frame),
            });
        }
        if self.octets.len() >= LONGEST + self.end.len() {
            self.too_long = true;
            // What may be the beginning of its end is kept.
            self.octets.drain(..=LONGEST);
        }
        None
    }
}
