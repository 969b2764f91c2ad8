//! Octets of a serial device whose driver marks the ones that it received wrongly (`PARMRK`).
//!
//! FF 00 X stands for an octet that came with a wrong parity or without its stop bit, or for a break
//! (X is 0); FF FF stands for an FF that was sent. A wrong octet becomes an FF: what it was is not
//! known, and left out it could turn one telegram into another. (termios(3))

const MARK: u8 = 0xFF;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(State);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Octets,
    Marked,
    /// The octet that comes is the wrong one.
    Wrong,
}

impl Marks {
    /// Takes the marks out of `octets`; answers how many octets were wrong.
    pub(super) fn take_out(&mut self, octets: &mut Vec<u8>) -> u64 {
        let mut wrong = 0;
        octets.retain_mut(|octet| {
            let (next, kept) = match (self.0, *octet) {
                (State::Octets, MARK) => (State::Marked, false),
                (State::Octets, _) => (State::Octets, true),
                (State::Marked, 0) => (State::Wrong, false),
                // FF FF; anything else no driver says.
                (State::Marked, _) => (State::Octets, true),
                (State::Wrong, _) => {
                    wrong += 1;
                    *octet = MARK;
                    (State::Octets, true)
                }
            };
            self.0 = next;
            kept
        });
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&[u8]], expected: &[u8], wrong: u64) {
        let (mut marks, mut all, mut counted) = (Marks::default(), Vec::new(), 0);
        for piece in pieces {
            let mut octets = piece.to_vec();
            counted += marks.take_out(&mut octets);
            all.extend(octets);
        }
        assert_eq!((all.as_slice(), counted), (expected, wrong));
    }

    #[test]
    fn marks_are_taken_out_wherever_the_stream_is_cut() {
        check(&[b"plain"], b"plain", 0);
        check(&[b"a\xff\xffb"], b"a\xffb", 0);
        check(&[b"a\xff", b"\xffb"], b"a\xffb", 0);
        check(&[b"1\xff\x002x"], b"1\xffx", 1);
        check(&[b"1\xff", b"\x00", b"2x"], b"1\xffx", 1);
        check(&[b"\xff\x00\x00\xff\x00\xff"], b"\xff\xff", 2);
    }
}
