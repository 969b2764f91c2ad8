//! From words to orders.

use std::time::Duration;

use legacy_protocols::command::{Divert, Key, Keys, Programme, Switch};
use legacy_protocols::event::Faults;
use legacy_protocols::number::{Node, Number, Party};
use legacy_protocols::priority::{Priority, Scale};

use super::condition::condition;
use super::{Condition, LineHand, Order, ScriptError};
use crate::site::{Act, ContactState, Hinge, Keeps, Site, What};

type Read<T> = Result<T, ScriptError>;

const WITHIN: Duration = Duration::from_secs(10);
const LONGEST_WAIT: u32 = 3600;

/// None for an empty line and for a comment (`#`).
pub fn parse(line: &str, site: &Site) -> Read<Option<Order>> {
    let mut words = Words::new(line, site);
    let Some(order) = words.maybe() else {
        return Ok(None);
    };
    let order = match order {
        "status" => Order::Status,
        "help" => Order::Help,
        "quit" => Order::Quit,
        "line" => Order::Line {
            line: words.line()?,
            what: words.choose(
                "cut, heal, freeze or thaw",
                &[
                    ("cut", LineHand::Cut),
                    ("heal", LineHand::Heal),
                    ("freeze", LineHand::Freeze),
                    ("thaw", LineHand::Thaw),
                ],
            )?,
        },
        "keep" => Order::Keep(words.choose(
            "nothing, alarms or everything",
            &[
                ("nothing", Keeps::Nothing),
                ("alarms", Keeps::Alarms),
                ("everything", Keeps::Everything),
            ],
        )?),
        "play" => {
            let station = words.station()?;
            let file = words.need("a file")?.into();
            Order::Play { station, file }
        }
        "record" => {
            let station = words.station()?;
            let file = words.need("a file, or off")?;
            let file = (file != "off").then(|| file.into());
            Order::Record { station, file }
        }
        "wait" => {
            let (wanted, within) = waited(words)?;
            return Ok(Some(Order::Wait { wanted, within }));
        }
        other => Order::Act(act(other, &mut words)?),
    };
    words.end()?;
    Ok(Some(order))
}

fn waited(mut words: Words<'_>) -> Read<(Condition, Duration)> {
    let mut within = WITHIN;
    let count = words.left.len();
    if count >= 2 && words.left[count - 2] == "within" {
        let seconds = words.left[count - 1];
        let seconds: u32 = seconds
            .parse()
            .map_err(|_| wrong(seconds, "a number of seconds"))?;
        within = Duration::from_secs(u64::from(seconds.min(LONGEST_WAIT)));
        words.left.truncate(count - 2);
    }
    Ok((condition(&mut words)?, within))
}

fn act(order: &str, words: &mut Words<'_>) -> Read<Act> {
    let what: fn(&mut Words<'_>, Party) -> Read<What> = match order {
        "press" => |words, _| Ok(What::Press(words.count_or(1, "a button")?)),
        "answer" => |_, _| Ok(What::Answer),
        "cancel" | "hangup" => |_, _| Ok(What::Cancel),
        "dial" => |words, _| Ok(What::Dial(words.party()?, words.priority()?)),
        "keys" => |words, _| {
            let keys = words.need("the keys")?;
            Keys::new(keys)
                .map(What::Keys)
                .ok_or_else(|| wrong(keys, "1 to 16 of 0-9*#A-D"))
        },
        "take" => |words, _| Ok(What::Take(words.asker()?)),
        "open" => open,
        "talk" => |words, _| {
            Ok(What::Talk(match words.switch()? {
                Switch::On => Key::Pressed,
                Switch::Off => Key::Released,
            }))
        },
        "simplex" => |words, _| Ok(What::Simplex(words.switch()?)),
        "hold" => |words, _| Ok(What::Hold(words.switch()?)),
        "transfer" => |words, _| Ok(What::Transfer(words.party()?)),
        "group" => |words, _| Ok(What::Group(words.number("a group")?, words.switch()?)),
        "conference" => |words, _| {
            Ok(What::Conference(
                words.number("a conference")?,
                words.switch()?,
            ))
        },
        "divert" => |words, _| Ok(What::Divert(divert(words)?)),
        "privacy" => |words, _| Ok(What::Privacy(words.switch()?)),
        "programme" => |words, _| Ok(What::Programme(programme(words)?)),
        "input" => |words, _| Ok(What::Input(words.number("an input")?, words.switch()?)),
        "break" => |words, _| Ok(What::Break(faults(words)?)),
        "mend" => |_, _| Ok(What::Mend),
        "contact" => |words, _| {
            let states = [
                ("works", ContactState::Works),
                ("broken", ContactState::Broken),
            ];
            let door = words.number("a door")?;
            Ok(What::Contact(
                door,
                words.choose("works or broken", &states)?,
            ))
        },
        "door" => |words, _| {
            let states = [("free", Hinge::Free), ("stuck", Hinge::Stuck)];
            let door = words.number("a door")?;
            Ok(What::Hinge(door, words.choose("free or stuck", &states)?))
        },
        "test" => |_, _| Ok(What::Test),
        other => return Err(ScriptError::NoOrder(other.to_owned())),
    };
    let station = words.station()?;
    let what = what(words, station)?;
    Ok(Act { station, what })
}

/// `open gate`, `open gate 2`, `open desk gate`, `open desk 2/101 1`.
fn open(words: &mut Words<'_>, station: Party) -> Read<What> {
    let one_of_its_own = match words.left.as_slice() {
        [] => true,
        [only] => only.len() == 1 && only.parse::<u16>().is_ok(),
        _ => false,
    };
    let of = if one_of_its_own {
        station
    } else {
        words.party()?
    };
    let door = words.count_or(1, "a door")?;
    let door = u16::try_from(door).map_err(|_| wrong(&door.to_string(), "a door"))?;
    Ok(What::Open(of, door))
}

fn divert(words: &mut Words<'_>) -> Read<Divert> {
    let kinds = [("off", 0), ("always", 1), ("busy", 2), ("noreply", 3)];
    Ok(
        match words.choose("off, always, busy or noreply", &kinds)? {
            1 => Divert::Always(words.party()?),
            2 => Divert::Busy(words.party()?),
            3 => Divert::NoReply(words.party()?),
            _ => Divert::Off,
        },
    )
}

fn programme(words: &mut Words<'_>) -> Read<Programme> {
    let word = words.need("a channel or off")?;
    match (word, word.parse()) {
        ("off" | "0", _) => Ok(Programme::Off),
        (_, Ok(channel)) => Ok(Programme::Channel(channel)),
        (_, Err(_)) => Err(wrong(word, "a channel from 1 to 255, or off")),
    }
}

fn faults(words: &mut Words<'_>) -> Read<Faults> {
    let kinds = [
        ("line", Faults::LINE_OPEN),
        ("short", Faults::LINE_SHORT),
        ("silent", Faults::NO_REPLY),
        ("microphone", Faults::MICROPHONE),
        ("speaker", Faults::SPEAKER),
        ("tamper", Faults::TAMPER),
        ("power", Faults::POWER),
    ];
    words.choose(
        "line, short, silent, microphone, speaker, tamper or power",
        &kinds,
    )
}

/// What is left of an order.
pub(super) struct Words<'a> {
    site: &'a Site,
    pub(super) left: Vec<&'a str>,
    last: &'a str,
}

impl<'a> Words<'a> {
    fn new(line: &'a str, site: &'a Site) -> Self {
        let words = line.split_whitespace();
        // `#` is a key too, so a comment stands on a line of its own.
        let left = match line.trim_start().starts_with('#') {
            true => Vec::new(),
            false => words.collect(),
        };
        Self {
            site,
            left,
            last: "",
        }
    }

    fn maybe(&mut self) -> Option<&'a str> {
        (!self.left.is_empty()).then(|| {
            self.last = self.left.remove(0);
            self.last
        })
    }

    pub(super) fn need(&mut self, wanted: &'static str) -> Read<&'a str> {
        let after = self.last.to_owned();
        self.maybe().ok_or(ScriptError::Missing { after, wanted })
    }

    pub(super) fn end(&self) -> Read<()> {
        match self.left.first() {
            None => Ok(()),
            Some(word) => Err(ScriptError::TooMuch((*word).to_owned())),
        }
    }

    /// One of ours.
    pub(super) fn station(&mut self) -> Read<Party> {
        let word = self.need("a station")?;
        let found = self.find(word);
        let found = found.filter(|party| self.site.station(*party).is_some());
        found.ok_or_else(|| {
            let ids = self.site.stations().map(|station| station.plan.id.as_str());
            ScriptError::NoStation {
                word: word.to_owned(),
                known: ids.take(20).collect::<Vec<_>>().join(", "),
            }
        })
    }

    /// Anybody's.
    pub(super) fn party(&mut self) -> Read<Party> {
        let word = self.need("a number")?;
        self.find(word)
            .ok_or_else(|| wrong(word, "a station, a number, or node/number"))
    }

    fn find(&self, word: &str) -> Option<Party> {
        if let Some(party) = self.site.party_of(word) {
            return Some(party);
        }
        if let Some((node, number)) = word.split_once('/') {
            let node = Node(node.parse().ok()?);
            let number = Number::new(number).ok()?;
            return Some(Party { node, number });
        }
        let number = Number::new(word).ok()?;
        let nodes = self.site.nodes().iter().map(|(node, _)| *node);
        let mut homes = nodes.map(|node| Party { node, number });
        homes
            .find(|party| self.site.station(*party).is_some())
            .or_else(|| {
                let node = self.site.nodes().first()?.0;
                Some(Party { node, number })
            })
    }

    fn asker(&mut self) -> Read<Option<Party>> {
        match self.left.first() {
            None => Ok(None),
            Some(&"next") => {
                self.left.remove(0);
                Ok(None)
            }
            Some(_) => self.party().map(Some),
        }
    }

    pub(super) fn line(&mut self) -> Read<usize> {
        let word = self.need("a line")?;
        let lines = self.site.lines();
        let found = lines.iter().position(|line| line.name == word);
        found.ok_or_else(|| {
            let names = lines.iter().map(|line| line.name.as_str());
            ScriptError::NoLine {
                word: word.to_owned(),
                known: names.collect::<Vec<_>>().join(", "),
            }
        })
    }

    pub(super) fn number(&mut self, wanted: &'static str) -> Read<u16> {
        let word = self.need(wanted)?;
        word.parse().map_err(|_| wrong(word, wanted))
    }

    fn count_or(&mut self, usual: usize, wanted: &'static str) -> Read<usize> {
        match self.maybe() {
            None => Ok(usual),
            Some(word) => word.parse().map_err(|_| wrong(word, wanted)),
        }
    }

    fn priority(&mut self) -> Read<Priority> {
        let Some(word) = self.maybe() else {
            return Ok(Priority::NORMAL);
        };
        let value = word.parse().ok();
        let priority = value.and_then(|value| Priority::new(value, Scale::OneIsHighest));
        priority.ok_or_else(|| wrong(word, "a priority from 1 to 250"))
    }

    pub(super) fn switch(&mut self) -> Read<Switch> {
        self.choose("on or off", &[("on", Switch::On), ("off", Switch::Off)])
    }

    pub(super) fn choose<T: Copy>(&mut self, wanted: &'static str, of: &[(&str, T)]) -> Read<T> {
        let word = self.need(wanted)?;
        let found = of.iter().find(|(name, _)| *name == word);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| wrong(word, wanted))
    }
}

fn wrong(word: &str, wanted: &'static str) -> ScriptError {
    ScriptError::Wrong {
        word: word.to_owned(),
        wanted,
    }
}
