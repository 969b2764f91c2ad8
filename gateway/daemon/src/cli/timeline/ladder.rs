//! The timeline as a ladder: a column for everybody the gateway speaks with, an arrow for each
//! message, and between them what the gateway made of it.
//!
//! Columns are given out as somebody first speaks, so that it can be read while it happens; when
//! there are too many, whoever was silent longest gives its column up and the heads are shown again.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::timeline::entry::{Entry, Frame, SipMessage, Way, What};

/// Columns beside the gateway's.
const COLUMNS: usize = 5;
const WIDTH: usize = 24;
/// In front of the columns: the time, without its date.
const MARGIN: usize = 17;
/// The gateway stands between the first and the second of the others.
const GATEWAY: usize = 1;

#[derive(Debug, Default)]
pub(super) struct Ladder {
    /// Names of the others, and when each spoke last, in entries.
    columns: Vec<(String, u64)>,
    date: String,
}

impl Ladder {
    pub(super) fn write(&mut self, entry: &Entry, out: &mut impl Write) -> io::Result<()> {
        let time = entry.time.to_string();
        let (date, clock) = time.split_once('T').unwrap_or(("", &time));
        if date != self.date {
            writeln!(out, "{date} (UTC)")?;
            date.clone_into(&mut self.date);
        }
        let clock = clock.trim_end_matches('Z');
        match &entry.what {
            What::Sip(message) => {
                let (other, label) = (other_end(message), label(message));
                let at = self.column(&other, entry.entry, out)?;
                self.arrow(clock, at, message.way, &label, entry, out)
            }
            What::Frame(frame) => {
                let at = self.column(&format!("line {}", frame.line), entry.entry, out)?;
                self.arrow(clock, at, frame.way, &frame_label(frame), entry, out)
            }
            What::Event(told) => self.note(clock, &told.text(), entry, out),
            What::Leg(named) => {
                let call = named
                    .call
                    .map_or(String::new(), |call| format!(" of call {call}"));
                let text = format!("leg {}{call} is dialog {}", named.leg, named.call_id);
                self.note(clock, &text, entry, out)
            }
            What::Gap(gap) => {
                let text = format!("GAP: {} entries are missing: {}", gap.missed, gap.why);
                self.note(clock, &text, entry, out)
            }
            What::Unknown => self.note(clock, "of a later version", entry, out),
        }
    }

    /// The place of somebody's column; heads are written when it is new.
    fn column(&mut self, name: &str, entry: u64, out: &mut impl Write) -> io::Result<usize> {
        if let Some(at) = self.columns.iter().position(|(known, _)| known == name) {
            self.columns[at].1 = entry;
            return Ok(place(at));
        }
        let new = (name.to_owned(), entry);
        let at = match self.columns.len() < COLUMNS {
            true => {
                self.columns.push(new);
                self.columns.len() - 1
            }
            false => {
                let silent = self.columns.iter().enumerate();
                let at = silent
                    .min_by_key(|(_, (_, spoke))| *spoke)
                    .map_or(0, |(at, _)| at);
                self.columns[at] = new;
                at
            }
        };
        let mut heads = vec![String::new(); self.columns.len() + 1];
        heads[GATEWAY.min(self.columns.len())] = "gateway".to_owned();
        for (at, (name, _)) in self.columns.iter().enumerate() {
            heads[place(at)].clone_from(name);
        }
        let heads: String = heads.iter().map(|head| format!("{head:^WIDTH$}")).collect();
        writeln!(out, "\n{:MARGIN$}{}", "", heads.trim_end())?;
        Ok(place(at))
    }

    fn arrow(
        &self,
        clock: &str,
        at: usize,
        way: Way,
        label: &str,
        entry: &Entry,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let columns = self.columns.len() + 1;
        let centre = |column: usize| column * WIDTH + WIDTH / 2;
        let mut row = vec![' '; columns * WIDTH];
        for column in 0..columns {
            row[centre(column)] = '|';
        }
        let (left, right) = (centre(at.min(GATEWAY)) + 1, centre(at.max(GATEWAY)));
        row[left..right].fill('-');
        // Towards the gateway from the left, or away from it to the right.
        if (way == Way::In) == (at < GATEWAY) {
            row[right - 1] = '>';
        } else {
            row[left] = '<';
        }
        let room = WIDTH - 5;
        let label: String = format!(" {} ", label.chars().take(room).collect::<String>());
        // Beside the gateway, so that labels of one column stand below each other.
        let start = match at < GATEWAY {
            true => right - WIDTH + 1,
            false => left,
        } + (WIDTH - 1 - label.chars().count()) / 2;
        for (index, letter) in label.chars().enumerate() {
            row[start + index] = letter;
        }
        let row: String = row.into_iter().collect();
        let mut line = format!("{clock:<MARGIN$}{row}  {}", reference(entry));
        if let What::Sip(SipMessage {
            not_sent: Some(why),
            ..
        }) = &entry.what
        {
            let _ = write!(line, "  NOT SENT: {why}");
        }
        writeln!(out, "{line}")
    }

    fn note(&self, clock: &str, text: &str, entry: &Entry, out: &mut impl Write) -> io::Result<()> {
        let columns = self.columns.len() + 1;
        let indent = match columns > GATEWAY {
            true => GATEWAY * WIDTH + WIDTH / 2,
            false => 0,
        };
        let mut rail = vec![' '; indent];
        if columns > GATEWAY {
            rail[WIDTH / 2] = '|';
        }
        let rail: String = rail.into_iter().collect();
        writeln!(out, "{clock:<MARGIN$}{rail}* {text}  {}", reference(entry))
    }
}

/// Where the column of the other number `at` stands.
fn place(at: usize) -> usize {
    match at < GATEWAY {
        true => at,
        false => at + 1,
    }
}

fn reference(entry: &Entry) -> String {
    match entry.because {
        Some(because) => format!("{} <- {because}", entry.entry),
        None => entry.entry.to_string(),
    }
}

fn other_end(message: &SipMessage) -> String {
    match message.way {
        Way::In => message.source.to_string(),
        Way::Out => message.target.to_string(),
    }
}

/// The method of a request, or the status of a response and what it answers.
fn label(message: &SipMessage) -> String {
    let text = message.octets.text.as_deref().unwrap_or_default();
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    match words.next().unwrap_or_default() {
        "SIP/2.0" => {
            let status = words.next().unwrap_or_default();
            let cseq = text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.trim().eq_ignore_ascii_case("cseq").then_some(value)
            });
            let method = cseq.and_then(|value| value.split_whitespace().nth(1));
            format!("{status} {}", method.unwrap_or_default())
        }
        "" => "no SIP".to_owned(),
        method => method.to_owned(),
    }
}

fn frame_label(frame: &Frame) -> String {
    match (&frame.octets.text, &frame.octets.hex) {
        (Some(text), _) => text.trim().to_owned(),
        (None, Some(hex)) => hex.clone(),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::entry::{Happened, Octets, Time, Transport};

    fn message(entry: u64, way: Way, other: &str, text: &str) -> Entry {
        let gateway = "192.0.2.1:5060".parse().unwrap();
        let other = other.parse().unwrap();
        let (source, target) = match way {
            Way::In => (other, gateway),
            Way::Out => (gateway, other),
        };
        Entry {
            entry,
            time: Time(1_795_279_500_000_001),
            because: (entry > 1).then(|| entry - 1),
            what: What::Sip(SipMessage {
                way,
                transport: Transport::Udp,
                source,
                target,
                call_id: None,
                not_sent: None,
                octets: Octets::new(text.as_bytes().to_vec(), Vec::new()),
            }),
        }
    }

    #[test]
    fn a_call_is_a_ladder_with_what_happened_in_between() {
        let (mut ladder, mut out) = (Ladder::default(), Vec::new());
        let started = Entry {
            what: What::Event(Happened {
                event: "call_started".to_owned(),
                call: Some(17),
                stations: vec!["102".to_owned(), "103".to_owned()],
                ..Happened::default()
            }),
            ..message(2, Way::In, "192.0.2.9:5060", "")
        };
        let ok = "SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n";
        for entry in [
            message(
                1,
                Way::In,
                "192.0.2.9:5060",
                "INVITE sip:103@house SIP/2.0\r\n",
            ),
            started,
            message(
                3,
                Way::Out,
                "192.0.2.8:5060",
                "INVITE sip:103@192.0.2.8 SIP/2.0\r\n",
            ),
            message(4, Way::In, "192.0.2.8:5060", ok),
            message(5, Way::Out, "192.0.2.9:5060", ok),
        ] {
            ladder.write(&entry, &mut out).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        let text: Vec<&str> = text.lines().map(str::trim_end).collect();
        let wanted = [
            "2026-11-21 (UTC)",
            "",
            "                      192.0.2.9:5060             gateway",
            "16:45:00.000001              |------- INVITE ------->|             1",
            "16:45:00.000001              |                       * call started, call 17, station 102, 103  2 <- 1",
            "",
            "                      192.0.2.9:5060             gateway              192.0.2.8:5060",
            "16:45:00.000001              |                       |------- INVITE ------->|             3 <- 2",
            "16:45:00.000001              |                       |<---- 200 INVITE ------|             4 <- 3",
            "16:45:00.000001              |<---- 200 INVITE ------|                       |             5 <- 4",
        ];
        assert_eq!(text, wanted);
    }

    #[test]
    fn whoever_was_silent_longest_gives_up_a_column() {
        let (mut ladder, mut out) = (Ladder::default(), Vec::new());
        for number in 1..=40_u64 {
            let other = format!("192.0.2.{}:5060", number % 7 + 1);
            let entry = message(number, Way::In, &other, "BYE sip:a SIP/2.0\r\n");
            ladder.write(&entry, &mut out).unwrap();
        }
        assert_eq!(ladder.columns.len(), COLUMNS);
    }
}
