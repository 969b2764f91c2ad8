//! What travels on lines to older servers, cut into the frames of their protocols.
//!
//! It does not judge frames: the ports do, for the gateway. What ends nowhere comes out in pieces, as
//! noise does. Invariant: what waits for its rest is bounded.

use std::sync::Arc;

use bytes::Bytes;
use gateway_core::{LineConfig, LineId};

/// Longer than any frame of ours; noise without an end comes out in pieces of this length.
const LONGEST: usize = 4_096;

/// A line of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct LineName {
    pub(crate) name: Arc<str>,
    pub(crate) protocol: &'static str,
    ends: Ends,
}

/// Where frames end in what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// At a flag, as in HDLC.
    Flag,
    /// At the end of a line of text.
    Line,
    /// The transport keeps frames, or it is not known: as it was read.
    AsRead,
}

impl LineName {
    /// In the order of the configuration, in which lines have their ids.
    pub(crate) fn all(lines: &[LineConfig]) -> Vec<Self> {
        let named = |line: &LineConfig| {
            let protocol = protocol(line);
            Self {
                name: line.name.as_str().into(),
                protocol,
                ends: match protocol {
                    OPEN_LINK => Ends::Flag,
                    ACDP => Ends::Line,
                    _ => Ends::AsRead,
                },
            }
        };
        lines.iter().map(named).collect()
    }
}

/// Names of protocols, as entries and exports have them.
pub(crate) const OPEN_LINK: &str = "versicle";
pub(crate) const ACDP: &str = "acdp";
pub(crate) const ISDN: &str = "isdn";

fn protocol(line: &LineConfig) -> &'static str {
    use gateway_core::Driver;
    match &line.driver {
        Driver::Versicle(_) => OPEN_LINK,
        Driver::Acdp(_) => ACDP,
        Driver::Isdn(..) => ISDN,
        Driver::Table(..) => "table",
        Driver::Missing { .. } => "missing",
    }
}

#[derive(Debug, Default)]
pub(super) struct Lines {
    names: Vec<LineName>,
    /// Of each line what waits for its rest.
    rests: Vec<Vec<u8>>,
}

impl Lines {
    pub(super) fn new(names: Vec<LineName>) -> Self {
        Self {
            rests: vec![Vec::new(); names.len()],
            names,
        }
    }

    pub(super) fn name(&self, line: LineId) -> Option<&LineName> {
        self.names.get(usize::from(line.0))
    }

    /// The frames that these octets complete.
    pub(super) fn take(&mut self, line: LineId, octets: &Bytes) -> Vec<Bytes> {
        let index = usize::from(line.0);
        let (Some(name), Some(rest)) = (self.names.get(index), self.rests.get_mut(index)) else {
            return Vec::new();
        };
        let is_end = |octet: u8| match name.ends {
            Ends::Flag => octet == 0x7E,
            Ends::Line => matches!(octet, b'\r' | b'\n'),
            Ends::AsRead => false,
        };
        if name.ends == Ends::AsRead {
            return vec![octets.clone()];
        }
        let mut frames = Vec::new();
        for octet in octets.iter().copied() {
            rest.push(octet);
            let only_ends = rest.iter().all(|octet| is_end(*octet));
            if (is_end(octet) && !only_ends) || rest.len() == LONGEST {
                frames.push(Bytes::from(std::mem::take(rest)));
            } else if only_ends && rest.len() > 1 {
                rest.pop();
            }
        }
        frames
    }

    /// A new transport begins with a new frame.
    pub(super) fn opened(&mut self, line: LineId) {
        if let Some(rest) = self.rests.get_mut(usize::from(line.0)) {
            rest.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(ends: Ends) -> Lines {
        Lines::new(vec![LineName {
            name: "hall".into(),
            protocol: OPEN_LINK,
            ends,
        }])
    }

    fn cut(ends: Ends, octets: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut lines = lines(ends);
        let pieces = octets.chunks(piece).map(Bytes::copy_from_slice);
        let frames = pieces.flat_map(|piece| lines.take(LineId(0), &piece));
        frames.map(|frame| frame.to_vec()).collect()
    }

    #[test]
    fn frames_come_out_whole_however_they_are_cut() {
        for piece in 1..12 {
            let flagged = cut(Ends::Flag, b"~~ab~~cd~ef~~~", piece);
            assert_eq!(flagged, [&b"~ab~"[..], b"~cd~", b"ef~"], "{piece}");
            let text = cut(Ends::Line, b"\r\n0102=03\r\n\n0405=01\r", piece);
            assert_eq!(text.len(), 2, "{piece}: {text:?}");
            assert!(text[0].ends_with(b"0102=03\r") && text[1].ends_with(b"0405=01\r"));
        }
    }

    #[test]
    fn noise_without_an_end_comes_out_in_pieces() {
        let noise = vec![b'x'; 3 * LONGEST + 5];
        assert_eq!(cut(Ends::Flag, &noise, 1_000).len(), 3);
        assert_eq!(cut(Ends::AsRead, &noise, 5_000).len(), 3);
    }
}
