//! Which packets of a stream came: the index of a sequence number, and no packet twice
//! (RFC 3711 3.3.1, 3.3.2).
//!
//! Asking changes nothing, so that it can be asked before a packet is verified.

/// Packets behind the newest that are told apart.
pub(super) const WIDTH: u64 = 128;

/// Of an RTP index: 32 bits of roll-over counter over 16 of sequence number.
pub(super) const LAST_INDEX: u64 = super::RTP_LIFETIME - 1;

/// The newest index, and which of those behind it came (bit 0 is the newest).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    highest: u64,
    /// Zero: none came yet.
    seen: u128,
}

/// Why an index is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It came already.
    Twice,
    /// Too far behind to know.
    TooOld,
}

impl Window {
    pub(super) fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// The likely index of a sequence number; it may be one too many to have ([`LAST_INDEX`]).
    pub(super) fn index_of(&self, sequence: u16) -> u64 {
        if self.is_empty() {
            return u64::from(sequence);
        }
        let turn = self.highest & !0xffff;
        let same = turn | u64::from(sequence);
        let ahead = same as i64 - self.highest as i64;
        if ahead > 0x8000 {
            // In the first turn nothing is behind it: then it is a jump of the sender.
            same.checked_sub(0x1_0000).unwrap_or(same)
        } else if ahead < -0x8000 {
            same + 0x1_0000
        } else {
            same
        }
    }

    pub(super) fn check(&self, index: u64) -> Result<(), Seen> {
        if self.is_empty() || index > self.highest {
            return Ok(());
        }
        let behind = self.highest - index;
        if behind >= WIDTH {
            return Err(Seen::TooOld);
        }
        match self.seen >> behind & 1 {
            0 => Ok(()),
            _ => Err(Seen::Twice),
        }
    }

    /// The packet of this index, which was checked, is genuine.
    pub(super) fn mark(&mut self, index: u64) {
        if self.is_empty() {
            *self = Window {
                highest: index,
                seen: 1,
            };
        } else if index > self.highest {
            let step = index - self.highest;
            let moved = u32::try_from(step)
                .ok()
                .and_then(|step| self.seen.checked_shl(step));
            self.seen = moved.unwrap_or(0) | 1;
            self.highest = index;
        } else if self.highest - index < WIDTH {
            self.seen |= 1 << (self.highest - index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(highest: u64) -> Window {
        let mut window = Window::default();
        window.mark(highest);
        window
    }

    // RFC 3711 3.3.1
    #[test]
    fn the_index_is_the_nearest_one_to_the_newest() {
        let table = [
            (0x0_0005, 6, 0x0_0006),
            (0x0_0005, 4, 0x0_0004),
            (0x0_ffff, 0, 0x1_0000),
            (0x1_0000, 0xffff, 0x0_ffff),
            (0x1_7fff, 0xffff, 0x1_ffff),
            (0x1_7ffe, 0xffff, 0x0_ffff),
            (0x1_8000, 0, 0x1_0000),
            (0x1_8001, 0, 0x2_0000),
            // Nothing is before the first turn.
            (0x0_0005, 0xfff0, 0x0_fff0),
            (LAST_INDEX, 0, LAST_INDEX + 1),
        ];
        for (highest, sequence, expected) in table {
            assert_eq!(at(highest).index_of(sequence), expected, "{highest:#x}");
        }
        assert_eq!(Window::default().index_of(0xfff0), 0xfff0);
    }

    #[test]
    fn each_index_passes_once_and_none_from_behind_the_window() {
        let mut window = at(1000);
        assert_eq!(window.check(1000), Err(Seen::Twice));
        assert_eq!(window.check(1000 - 127), Ok(()));
        assert_eq!(window.check(1000 - 128), Err(Seen::TooOld));
        window.mark(1000 - 127);
        assert_eq!(window.check(1000 - 127), Err(Seen::Twice));
        window.mark(1001);
        assert_eq!(window.check(1000 - 127), Err(Seen::TooOld));
        assert_eq!(window.check(1000), Err(Seen::Twice));
        assert_eq!(window.check(999), Ok(()));
        window.mark(1001 + 128);
        assert_eq!(window.check(1002), Ok(()));
        assert_eq!(window.check(1001), Err(Seen::TooOld));
        window.mark(1 << 47);
        assert_eq!(window.check((1 << 47) - 1), Ok(()));
    }
}
