//! The timeline as a capture file: every message and frame a packet, every event a comment.
//!
//! An event is a comment at the packet that caused it, else at the one before it. Two rounds over
//! the entries: the first finds the comments, the second writes. Invariant: what was masked in the
//! timeline is masked here.

mod packets;
mod pcapng;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use self::packets::Streams;
use self::pcapng::{Direction, LinkType, Packet, Pcapng};
use super::entry::{Entry, Happened, Octets, Way, What};

/// Comments at one packet; more are counted in the last.
const MOST_COMMENTS: usize = 64;

/// Finds where comments belong.
#[derive(Debug, Default)]
pub(crate) struct Comments {
    at: BTreeMap<u64, Vec<String>>,
    /// Which packet what was told for each entry that is none is a comment at.
    last_packet: Option<u64>,
    /// Before the first packet.
    early: Vec<String>,
}

impl Comments {
    pub(crate) fn learn(&mut self, entry: &Entry) {
        if is_packet(entry) {
            self.last_packet = Some(entry.entry);
            let mut comments = std::mem::take(&mut self.early);
            comments.push(numbers(entry));
            self.at.entry(entry.entry).or_default().extend(comments);
            return;
        }
        let comment = comment(entry);
        let cause = entry.because.filter(|cause| self.at.contains_key(cause));
        match cause.or(self.last_packet) {
            Some(packet) => self.add(packet, comment),
            None => self.early.push(comment),
        }
    }

    fn add(&mut self, packet: u64, comment: String) {
        let comments = self.at.entry(packet).or_default();
        match comments.len() {
            MOST_COMMENTS => comments.push("and more".to_owned()),
            length if length > MOST_COMMENTS => {}
            _ => comments.push(comment),
        }
    }
}

/// Writes entries as packets.
pub(crate) struct Export<W> {
    file: Pcapng<W>,
    interfaces: BTreeMap<(LinkType, String), u32>,
    streams: Streams,
    comments: Comments,
    pub(crate) packets: u64,
}

impl<W: Write> Export<W> {
    pub(crate) fn begin(out: W, comments: Comments) -> io::Result<Self> {
        let application = concat!("antiphon-gateway ", env!("CARGO_PKG_VERSION"));
        Ok(Self {
            file: Pcapng::begin(out, application)?,
            interfaces: BTreeMap::new(),
            streams: Streams::default(),
            comments,
            packets: 0,
        })
    }

    pub(crate) fn add(&mut self, entry: &Entry) -> io::Result<()> {
        let (way, name, link, packets) = match &entry.what {
            What::Sip(message) => {
                let octets = octets_of(&message.octets);
                let (link, packets) = packets::sip(message, &octets, &mut self.streams);
                (message.way, "sip".to_owned(), link, packets)
            }
            What::Frame(frame) => {
                let octets = octets_of(&frame.octets);
                let (link, packet) = packets::frame(frame, &octets);
                let name = format!("line {} ({})", frame.line, frame.protocol);
                (frame.way, name, link, vec![packet])
            }
            What::Leg(_) | What::Event(_) | What::Gap(_) | What::Unknown => return Ok(()),
        };
        let interface = match self.interfaces.get(&(link, name.clone())) {
            Some(interface) => *interface,
            None => {
                let description = "made of the timeline; secrets are masked";
                let interface = self.file.interface(link, &name, description)?;
                self.interfaces.insert((link, name), interface);
                interface
            }
        };
        let comments = self.comments.at.remove(&entry.entry).unwrap_or_default();
        let direction = match way {
            Way::In => Direction::Inbound,
            Way::Out => Direction::Outbound,
        };
        for (index, octets) in packets.iter().enumerate() {
            self.file.packet(&Packet {
                interface,
                microseconds: u64::try_from(entry.time.0).unwrap_or_default(),
                direction,
                octets,
                // At the first of a message in several.
                comments: if index == 0 { &comments } else { &[] },
            })?;
            self.packets += 1;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<u64> {
        self.file.finish()?;
        Ok(self.packets)
    }
}

/// A damaged entry gives an empty packet; its comments are still there.
fn octets_of(octets: &Octets) -> Vec<u8> {
    octets.bytes().unwrap_or_default()
}

fn is_packet(entry: &Entry) -> bool {
    match entry.what {
        What::Sip(_) | What::Frame(_) => true,
        What::Leg(_) | What::Event(_) | What::Gap(_) | What::Unknown => false,
    }
}

fn numbers(entry: &Entry) -> String {
    let mut text = format!("timeline entry {}", entry.entry);
    if let Some(because) = entry.because {
        let _ = write!(text, ", because of {because}");
    }
    let (octets, not_sent) = match &entry.what {
        What::Sip(message) => (Some(&message.octets), message.not_sent.as_ref()),
        What::Frame(frame) => (Some(&frame.octets), None),
        What::Leg(_) | What::Event(_) | What::Gap(_) | What::Unknown => (None, None),
    };
    if let Some(octets) = octets {
        if !octets.masked.is_empty() {
            let _ = write!(text, "; masked: {}", octets.masked.join(", "));
        }
        if let Some(whole) = octets.cut_from {
            let _ = write!(text, "; cut, it had {whole} octets");
        }
    }
    if let Some(why) = not_sent {
        let _ = write!(text, "; NOT SENT: {why}");
    }
    text
}

fn comment(entry: &Entry) -> String {
    let told = match &entry.what {
        What::Event(told) => told.text(),
        What::Leg(named) => format!("leg {} is this dialog: {}", named.leg, named.call_id),
        What::Gap(gap) => format!("GAP: {} entries are missing: {}", gap.missed, gap.why),
        What::Sip(_) | What::Frame(_) | What::Unknown => String::new(),
    };
    format!("{} [{}] {told}", entry.time, entry.entry)
}

impl Happened {
    /// An event in a line: its name, what it is about, the rest.
    pub(crate) fn text(&self) -> String {
        let mut text = self.event.replace('_', " ");
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = write!(text, ", {name} {value}");
            }
        };
        add("call", self.call.map(|call| call.to_string()));
        add("leg", self.leg.map(|leg| leg.to_string()));
        add("request", self.request.map(|request| request.to_string()));
        add("line", self.line.clone());
        add("door", self.door.clone());
        let stations = self.stations.join(", ");
        add("station", (!stations.is_empty()).then_some(stations));
        for (name, value) in &self.details {
            add(name, Some(value.clone()));
        }
        text
    }
}
