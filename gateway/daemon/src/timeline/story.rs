//! What of the timeline belongs to a call, a station or a line.
//!
//! A message says by itself only of which dialog it is; which leg of which call that is, other
//! entries say, and often later ones. So whoever wants the story of a call lets it learn from all
//! entries first, in two rounds, and asks then. Invariant: what it remembers is of the one thing that
//! is wanted.

use std::collections::BTreeSet;

use super::entry::{Entry, Happened, SipMessage, Time, What};

/// What somebody wants to see; nothing given is everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) since: Option<Time>,
    pub(crate) until: Option<Time>,
    pub(crate) call: Option<u64>,
    /// Its call number.
    pub(crate) station: Option<String>,
    pub(crate) line: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Story {
    wanted: Wanted,
    legs: BTreeSet<u64>,
    dialogs: BTreeSet<String>,
    commands: BTreeSet<String>,
    /// Questions to lines whose answers belong to it: the line, and the question's number there.
    questions: BTreeSet<(String, String)>,
    /// Entries that belong to it, and those that caused them.
    related: BTreeSet<u64>,
}

impl Story {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            legs: BTreeSet::new(),
            dialogs: BTreeSet::new(),
            commands: BTreeSet::new(),
            questions: BTreeSet::new(),
            related: BTreeSet::new(),
        }
    }

    /// How often it has to learn from all entries before it can be asked: that a leg is of the
    /// station may be said at its end, and which dialog it is at its beginning.
    pub(crate) fn rounds(&self) -> usize {
        match self.wanted.call.is_some() || self.wanted.station.is_some() {
            true => 2,
            false => 0,
        }
    }

    pub(crate) fn learn(&mut self, entry: &Entry) {
        match &entry.what {
            What::Leg(named) => {
                let ours = self.wanted.call.is_some() && named.call == self.wanted.call;
                if ours || self.legs.contains(&named.leg) || self.dialogs.contains(&named.call_id) {
                    self.legs.insert(named.leg);
                    self.dialogs.insert(named.call_id.clone());
                }
            }
            What::Event(told) => {
                let ours = self.wanted.call.is_some() && told.call == self.wanted.call;
                let belongs = ours
                    || told.leg.is_some_and(|leg| self.legs.contains(&leg))
                    || self.is_of_station(told);
                if belongs {
                    self.related.insert(entry.entry);
                    self.related.extend(entry.because);
                    self.legs.extend(told.leg);
                    self.commands.extend(told.command.clone());
                }
                if told.event.starts_with("line_commanded_") && self.is_related(entry) {
                    self.questions.extend(question(told));
                }
            }
            What::Sip(message) => {
                if self.names_station(message) {
                    self.dialogs.extend(message.call_id.clone());
                }
            }
            What::Frame(_) | What::Gap(_) | What::Unknown => {}
        }
    }

    pub(crate) fn tells(&self, entry: &Entry) -> bool {
        let Wanted {
            since,
            until,
            call,
            station,
            line,
        } = &self.wanted;
        let in_time = since.is_none_or(|since| entry.time >= since)
            && until.is_none_or(|until| entry.time <= until);
        let everything = call.is_none() && station.is_none() && line.is_none();
        in_time
            && match &entry.what {
                // Whatever is wanted may be among what is missing.
                What::Gap(_) => true,
                _ if everything => true,
                What::Sip(message) => {
                    let dialog = message.call_id.as_ref();
                    dialog.is_some_and(|dialog| self.dialogs.contains(dialog))
                }
                What::Leg(named) => self.legs.contains(&named.leg),
                What::Event(told) => {
                    (call.is_some() && told.call == *call)
                        || told.leg.is_some_and(|leg| self.legs.contains(&leg))
                        || told
                            .command
                            .as_ref()
                            .is_some_and(|id| self.commands.contains(id))
                        || self.is_of_station(told)
                        || (line.is_some() && told.line == *line)
                        || (told.line.is_some() && self.is_related(entry))
                        || self.answers(told)
                }
                What::Frame(frame) => {
                    line.as_ref().is_some_and(|line| frame.line == *line) || self.is_related(entry)
                }
                What::Unknown => false,
            }
    }

    /// A frame or an event of a line says not which call it is about; what it caused or what caused
    /// it does.
    fn is_related(&self, entry: &Entry) -> bool {
        let because = entry.because;
        self.related.contains(&entry.entry)
            || because.is_some_and(|because| self.related.contains(&because))
    }

    /// The answer to a question that belongs to it.
    fn answers(&self, told: &Happened) -> bool {
        told.event == "line_answered"
            && question(told).is_some_and(|question| self.questions.contains(&question))
    }

    fn is_of_station(&self, told: &Happened) -> bool {
        let wanted = self.wanted.station.as_ref();
        wanted.is_some_and(|wanted| told.stations.contains(wanted))
    }

    /// Whether a URI in the head of the message is the station's.
    fn names_station(&self, message: &SipMessage) -> bool {
        let (Some(station), Some(text)) = (&self.wanted.station, &message.octets.text) else {
            return false;
        };
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let user = format!(":{station}@");
        head.contains(&user)
    }
}

/// Which question of which line this is, or answers.
fn question(told: &Happened) -> Option<(String, String)> {
    let reference = told.details.get("reference")?;
    Some((told.line.clone()?, reference.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Frame, LegNamed, Octets, Transport, Way};
    use super::*;

    fn entry(entry: u64, what: What) -> Entry {
        Entry {
            entry,
            time: Time(i64::try_from(entry).unwrap()),
            because: None,
            what,
        }
    }

    fn message(call_id: &str, text: &str) -> What {
        What::Sip(SipMessage {
            way: Way::In,
            transport: Transport::Udp,
            source: "192.0.2.1:5060".parse().unwrap(),
            target: "192.0.2.2:5060".parse().unwrap(),
            call_id: Some(call_id.to_owned()),
            not_sent: None,
            octets: Octets::new(text.as_bytes().to_vec(), Vec::new()),
        })
    }

    fn event(call: Option<u64>, leg: Option<u64>, command: Option<&str>) -> What {
        What::Event(Happened {
            event: "x".to_owned(),
            call,
            leg,
            command: command.map(str::to_owned),
            stations: vec!["102".to_owned()],
            ..Happened::default()
        })
    }

    fn told(wanted: Wanted, entries: &[Entry]) -> Vec<u64> {
        let mut story = Story::new(wanted);
        for _ in 0..story.rounds() {
            entries.iter().for_each(|entry| story.learn(entry));
        }
        let told = entries.iter().filter(|entry| story.tells(entry));
        told.map(|entry| entry.entry).collect()
    }

    #[test]
    fn frames_of_a_line_belong_to_the_call_that_they_caused_or_that_caused_them() {
        let frame = || {
            What::Frame(Frame {
                line: "hall".to_owned(),
                protocol: "versicle".to_owned(),
                way: Way::In,
                octets: Octets::default(),
            })
        };
        let because = |number, because, what| Entry {
            because: Some(because),
            ..entry(number, what)
        };
        let of_line = What::Event(Happened {
            event: "line_asks_call_setup".to_owned(),
            line: Some("hall".to_owned()),
            ..Happened::default()
        });
        let entries = [
            entry(1, frame()),
            because(2, 1, of_line.clone()),
            because(3, 1, event(Some(17), None, None)),
            entry(4, event(Some(17), None, None)),
            because(5, 4, frame()),
            entry(6, frame()),
            because(7, 6, of_line),
        ];
        let call = Wanted {
            call: Some(17),
            ..Wanted::default()
        };
        assert_eq!(told(call, &entries), [1, 2, 3, 4, 5]);
        let line = Wanted {
            line: Some("hall".to_owned()),
            ..Wanted::default()
        };
        assert_eq!(told(line, &entries), [1, 2, 5, 6, 7]);
    }

    #[test]
    fn what_a_line_answers_belongs_to_the_call_that_asked() {
        let of_line = |event: &str, line: &str, reference: u64| {
            What::Event(Happened {
                event: event.to_owned(),
                line: Some(line.to_owned()),
                details: [("reference".to_owned(), reference.to_string())].into(),
                ..Happened::default()
            })
        };
        let asked = Entry {
            because: Some(1),
            ..entry(2, of_line("line_commanded_call_setup", "hall", 5))
        };
        let entries = [
            entry(1, event(Some(17), None, None)),
            asked,
            entry(3, of_line("line_commanded_call_setup", "hall", 6)),
            entry(4, of_line("line_answered", "hall", 6)),
            entry(5, of_line("line_answered", "yard", 5)),
            entry(6, of_line("line_answered", "hall", 5)),
        ];
        let call = Wanted {
            call: Some(17),
            ..Wanted::default()
        };
        assert_eq!(told(call, &entries), [1, 2, 6]);
    }

    #[test]
    fn a_call_is_told_from_its_first_message_on() {
        let leg = |leg, call, call_id: &str| {
            What::Leg(LegNamed {
                leg,
                call,
                call_id: call_id.to_owned(),
            })
        };
        let entries = [
            entry(1, message("a", "INVITE sip:103@house SIP/2.0\r\n\r\n")),
            entry(2, leg(1, Some(17), "a")),
            entry(3, event(Some(17), None, None)),
            entry(4, leg(2, Some(17), "b")),
            entry(5, message("b", "INVITE sip:103@phone SIP/2.0\r\n\r\n")),
            entry(6, message("c", "INVITE sip:104@house SIP/2.0\r\n\r\n")),
            entry(7, event(None, Some(2), None)),
            entry(8, event(Some(17), None, Some("door-1"))),
            entry(9, event(None, None, Some("door-1"))),
            entry(10, event(Some(18), Some(9), Some("door-2"))),
        ];
        let call = Wanted {
            call: Some(17),
            ..Wanted::default()
        };
        assert_eq!(told(call, &entries), [1, 2, 3, 4, 5, 7, 8, 9]);
        let station = |number: &str| Wanted {
            station: Some(number.to_owned()),
            ..Wanted::default()
        };
        assert_eq!(told(station("104"), &entries), [6]);
        assert_eq!(told(station("10"), &entries), [0_u64; 0]);
        assert_eq!(told(station("102"), &entries), [3, 4, 5, 7, 8, 9, 10]);
        let time = Wanted {
            since: Some(Time(3)),
            until: Some(Time(4)),
            ..Wanted::default()
        };
        assert_eq!(told(time, &entries), [3, 4]);
    }
}
