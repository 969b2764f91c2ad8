//! What travels on lines to older servers, cut into the frames of their protocols.
//!
//! It does not judge frames: the ports do, for the gateway. What ends nowhere comes out in pieces, as
//! noise does. Invariant: what waits for its rest is bounded.

use std::sync::Arc;

use bytes::Bytes;
use exchange::{Driver, LineConfig, LineId};
use legacy_protocols::table::{Cutter, Manifest};

/// Longer than any frame of ours; noise without an end comes out in pieces of this length.
const LONGEST: usize = 4_096;

/// A line of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct LineName {
    pub(crate) name: Arc<str>,
    pub(crate) protocol: &'static str,
    /// What a driver that is a table says of its frames.
    pub(crate) table: Option<Arc<Manifest>>,
    ends: Ends,
}

/// Where frames end in what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// At a flag, as in HDLC.
    Flag,
    /// At the end of a line of text.
    Line,
    /// Where the manifest says.
    Table,
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
                table: match &line.driver {
                    Driver::Table(manifest) => Some(Arc::clone(manifest)),
                    Driver::Versicle(_)
                    | Driver::Acdp(_)
                    | Driver::Isdn(_)
                    | Driver::Missing { .. } => None,
                },
                ends: match protocol {
                    OPEN_LINK => Ends::Flag,
                    ACDP => Ends::Line,
                    TABLE => Ends::Table,
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
pub(crate) const TABLE: &str = "table";

fn protocol(line: &LineConfig) -> &'static str {
    match &line.driver {
        Driver::Versicle(_) => OPEN_LINK,
        Driver::Acdp(_) => ACDP,
        Driver::Isdn(..) => ISDN,
        Driver::Table(..) => TABLE,
        Driver::Missing { .. } => "missing",
    }
}

#[derive(Debug, Default)]
pub(super) struct Lines {
    names: Vec<LineName>,
    /// Of each line what waits for its rest.
    rests: Vec<Rest>,
}

/// What of a frame is there.
#[derive(Debug, Default)]
struct Rest {
    octets: Vec<u8>,
    cutter: Cutter,
}

impl Lines {
    pub(super) fn new(names: Vec<LineName>) -> Self {
        Self {
            rests: names.iter().map(|_| Rest::default()).collect(),
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
            Ends::Table | Ends::AsRead => false,
        };
        if name.ends == Ends::AsRead {
            return vec![octets.clone()];
        }
        let mut frames = Vec::new();
        for octet in octets.iter().copied() {
            let whole = &mut rest.octets;
            whole.push(octet);
            let only_ends = whole.iter().all(|octet| is_end(*octet));
            let ended = match &name.table {
                Some(manifest) => rest.cutter.push(octet, manifest),
                None => is_end(octet) && !only_ends,
            };
            if ended || whole.len() == LONGEST {
                frames.push(Bytes::from(std::mem::take(whole)));
            } else if only_ends && whole.len() > 1 {
                whole.pop();
            }
        }
        frames
    }

    /// A new transport begins with a new frame.
    pub(super) fn opened(&mut self, line: LineId) {
        if let Some(rest) = self.rests.get_mut(usize::from(line.0)) {
            rest.octets.clear();
            rest.cutter.clear();
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
            table: None,
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
    fn frames_of_a_table_end_where_its_manifest_says() {
        let manifest = Manifest {
            frame: legacy_protocols::table::Frame {
                end: b"##".to_vec(),
                ..legacy_protocols::table::Frame::default()
            },
            ..Manifest::default()
        };
        let mut lines = Lines::new(vec![LineName {
            name: "hall".into(),
            protocol: TABLE,
            table: Some(Arc::new(manifest)),
            ends: Ends::Table,
        }]);
        let mut take = |octets: &'static [u8]| lines.take(LineId(0), &Bytes::from_static(octets));
        assert_eq!(take(b"*1*0##*1"), [&b"*1*0##"[..]]);
        assert_eq!(take(b"*2#"), [&b""[..]; 0]);
        assert_eq!(take(b"#*3##"), [&b"*1*2##"[..], b"*3##"]);
    }

    #[test]
    fn noise_without_an_end_comes_out_in_pieces() {
        let noise = vec![b'x'; 3 * LONGEST + 5];
        assert_eq!(cut(Ends::Flag, &noise, 1_000).len(), 3);
        assert_eq!(cut(Ends::AsRead, &noise, 5_000).len(), 3);
    }
}
