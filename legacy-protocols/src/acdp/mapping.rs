//! What messages mean in neutral words, and neutral commands as messages. Pure tables, no state.
//!
//! Layouts are those of the vendor's public message list; a parameter list that does not fit is
//! left to be journalled as opaque, never guessed.

use super::object::Object;
use crate::command::{CallSetup, Command, Key, Keys, Switch};
use crate::event::{StationState, TalkMode};
use crate::number::{Node, Number, Party};
use crate::octets::Octets;
use crate::priority::{Priority, Scale};
use crate::text::Text;

/// Message ids of the public list.
pub(super) mod id {
    pub(in crate::acdp) const CALL_SETUP: u16 = 0x08;
    pub(in crate::acdp) const CONN_REFERENCE: u16 = 0x0B;
    pub(in crate::acdp) const STATION_DOWN: u16 = 0x0C;
    pub(in crate::acdp) const STATION_BUSY: u16 = 0x0D;
    pub(in crate::acdp) const DISCONNECTED: u16 = 0x0F;
    pub(in crate::acdp) const STATION_BUSY_BC: u16 = 0x36;
    pub(in crate::acdp) const STATION_FREE_BC: u16 = 0x37;
    pub(in crate::acdp) const RESOURCE_BUSY: u16 = 0x3E;
    pub(in crate::acdp) const NO_ACCESS: u16 = 0x3F;
    pub(in crate::acdp) const CALL_STATUS_BC: u16 = 0x40;
    pub(in crate::acdp) const CONN_STATUS_BC: u16 = 0x41;
    pub(in crate::acdp) const DISCON_STATUS_BC: u16 = 0x42;
    pub(in crate::acdp) const QUEUE_ADDED: u16 = 0x4B;
    pub(in crate::acdp) const QUEUE_REMOVED: u16 = 0x4C;
    pub(in crate::acdp) const DIAL_DIGITS: u16 = 0x50;
    pub(in crate::acdp) const M_KEY: u16 = 0x54;
    pub(in crate::acdp) const M_KEY_RELEASE: u16 = 0x55;
    pub(in crate::acdp) const DISPLAY_TEXT: u16 = 0x5A;
    pub(in crate::acdp) const INPUT_CHANGED: u16 = 0x84;
    pub(in crate::acdp) const OUTPUT_CHANGED: u16 = 0x85;
    pub(in crate::acdp) const DISCONNECT_STATION: u16 = 0x8E;
}

/// A message that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Station(Party, StationState),
    Call {
        from: Party,
        to: Party,
        priority: Option<Priority>,
        mode: CallMode,
    },
    Connected {
        from: Party,
        to: Party,
    },
    Disconnected {
        from: Party,
        to: Party,
    },
    Queued {
        desk: Party,
        tag: u16,
        priority: Priority,
        from: Option<Party>,
        text: Text,
    },
    Unqueued {
        desk: Party,
        tag: u16,
    },
    Input {
        number: u16,
        state: Switch,
    },
    Output {
        number: u16,
        state: Switch,
    },
    Keys {
        station: Party,
        keys: Keys,
    },
    TalkKey {
        station: Party,
        key: Key,
    },
    /// What became of a command of ours, by its reference.
    Response(Response),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallMode {
    NoAccess,
    Open,
    Private,
    Busy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Response {
    Begun,
    StationDown,
    StationBusy,
    ResourceBusy,
    NoAccess,
    Disconnected,
}

/// None for an unknown message, or one whose parameters do not fit.
pub(super) fn understand(id: u16, parameters: &[u8], home: Node) -> Option<Meaning> {
    let mut octets = Octets(parameters);
    match id {
        id::STATION_BUSY_BC | id::STATION_FREE_BC => {
            let state = match id {
                id::STATION_BUSY_BC => StationState::InCall,
                _ => StationState::Idle,
            };
            Some(Meaning::Station(station(&mut octets, home)?, state))
        }
        id::CALL_STATUS_BC => call_status(octets, home),
        id::CONN_STATUS_BC | id::DISCON_STATUS_BC => {
            let (from, to) = connection(octets, home)?;
            Some(match id {
                id::CONN_STATUS_BC => Meaning::Connected { from, to },
                _ => Meaning::Disconnected { from, to },
            })
        }
        id::QUEUE_ADDED => queued(octets, home),
        id::QUEUE_REMOVED => {
            clock(&mut octets)?;
            let desk = station(&mut octets, home)?;
            let tag = octets.u16()?;
            Some(Meaning::Unqueued { desk, tag })
        }
        id::INPUT_CHANGED | id::OUTPUT_CHANGED => {
            let number = octets.u16()?;
            let state = match octets.u8()? {
                0 => Switch::Off,
                1 => Switch::On,
                _ => return None,
            };
            Some(match id {
                id::INPUT_CHANGED => Meaning::Input { number, state },
                _ => Meaning::Output { number, state },
            })
        }
        id::DIAL_DIGITS => {
            let station = station(&mut octets, home)?;
            let Ok(Object::Digits(digits)) = Object::read(&mut octets) else {
                return None;
            };
            let keys = Keys::new(&digits.to_string())?;
            Some(Meaning::Keys { station, keys })
        }
        id::M_KEY | id::M_KEY_RELEASE => {
            let key = match id {
                id::M_KEY => Key::Pressed,
                _ => Key::Released,
            };
            let station = station(&mut octets, home)?;
            Some(Meaning::TalkKey { station, key })
        }
        id::CONN_REFERENCE => Some(Meaning::Response(Response::Begun)),
        id::STATION_DOWN => Some(Meaning::Response(Response::StationDown)),
        id::STATION_BUSY => Some(Meaning::Response(Response::StationBusy)),
        id::RESOURCE_BUSY => Some(Meaning::Response(Response::ResourceBusy)),
        id::NO_ACCESS => Some(Meaning::Response(Response::NoAccess)),
        id::DISCONNECTED => Some(Meaning::Response(Response::Disconnected)),
        _ => None,
    }
}

fn call_status(mut octets: Octets<'_>, home: Node) -> Option<Meaning> {
    clock(&mut octets)?;
    let from = station(&mut octets, home)?;
    let to = station(&mut octets, home)?;
    let priority = Priority::new(octets.u8()?, Scale::FourIsAlarm);
    let mode = match octets.u8()? {
        0 => CallMode::NoAccess,
        1 => CallMode::Open,
        2 => CallMode::Private,
        3 => CallMode::Busy,
        _ => return None,
    };
    Some(Meaning::Call {
        from,
        to,
        priority,
        mode,
    })
}

/// Concluded from the published line of CONN_STATUS: a clock, two octets, A and B. That DISCON_STATUS
/// has the same layout is our assumption; what does not fit is opaque.
fn connection(mut octets: Octets<'_>, home: Node) -> Option<(Party, Party)> {
    clock(&mut octets)?;
    octets.take(2)?;
    let parties = (station(&mut octets, home)?, station(&mut octets, home)?);
    octets.is_empty().then_some(parties)
}

fn queued(mut octets: Octets<'_>, home: Node) -> Option<Meaning> {
    clock(&mut octets)?;
    let desk = station(&mut octets, home)?;
    let tag = octets.u16()?;
    let priority = Priority::new(octets.u8()?, Scale::AlarmFrom120)?;
    // Position, length and checksum of the queue.
    octets.take(6)?;
    let _which_message = Object::read(&mut octets).ok()?;
    let from = match Object::read(&mut octets).ok()? {
        Object::Null => None,
        Object::Station(party) => Some(party),
        Object::Digits(number) => Some(Party { node: home, number }),
        Object::Other(..) => return None,
    };
    let _extra = Object::read(&mut octets).ok()?;
    Some(Meaning::Queued {
        desk,
        tag,
        priority,
        from,
        text: Text::clip(latin1(octets.rest()).trim()),
    })
}

/// Year, month, day, hour, minute, second. The gateway has a better clock of its own.
fn clock(octets: &mut Octets<'_>) -> Option<()> {
    octets.take(7).map(|_| ())
}

fn station(octets: &mut Octets<'_>, home: Node) -> Option<Party> {
    match Object::read(octets).ok()? {
        Object::Station(party) => Some(party),
        Object::Digits(number) => Some(Party { node: home, number }),
        Object::Null | Object::Other(..) => None,
    }
}

fn latin1(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// Message id and parameters; None where this protocol cannot say it.
pub(super) fn express(command: &Command, from_of: Option<Party>) -> Option<(u16, Vec<u8>)> {
    let mut parameters = Vec::new();
    let id = match command {
        Command::CallSetup(setup) => {
            call_setup(setup, &mut parameters)?;
            id::CALL_SETUP
        }
        Command::CallRelease { .. } => {
            Object::Station(from_of?).write(&mut parameters)?;
            id::DISCONNECT_STATION
        }
        Command::Keys { station, keys } => {
            // An object of digits carries digits only.
            let digits = Number::new(keys.as_str()).ok()?;
            Object::Station(*station).write(&mut parameters)?;
            Object::Digits(digits).write(&mut parameters)?;
            id::DIAL_DIGITS
        }
        Command::TalkKey { station, key } => {
            Object::Station(*station).write(&mut parameters)?;
            match key {
                Key::Pressed => id::M_KEY,
                Key::Released => id::M_KEY_RELEASE,
            }
        }
        Command::ShowText { station, text } => {
            Object::Station(*station).write(&mut parameters)?;
            display(text, &mut parameters);
            id::DISPLAY_TEXT
        }
        Command::Hold { .. }
        | Command::Retrieve { .. }
        | Command::Transfer { .. }
        | Command::SetTalkMode { .. }
        | Command::GroupStart { .. }
        | Command::GroupStop { .. }
        | Command::ConferenceJoin { .. }
        | Command::ConferenceLeave { .. }
        | Command::ConferenceTalk { .. }
        | Command::RequestFile(_)
        | Command::RequestWithdraw { .. }
        | Command::RequestClaim { .. }
        | Command::OutputSet(_)
        | Command::DoorOpen(_)
        | Command::Programme { .. }
        | Command::Announce { .. }
        | Command::Divert { .. }
        | Command::SetPrivacy { .. }
        | Command::LineTest { .. }
        | Command::Snapshot => return None,
    };
    Some((id, parameters))
}

/// A, B, options, priority of getting A, priority towards B.
fn call_setup(setup: &CallSetup, parameters: &mut Vec<u8>) -> Option<()> {
    const RETURN_RESULT: u16 = 1;
    const OPEN_DUPLEX: u16 = 128;
    let options = match setup.mode {
        TalkMode::OpenDuplex => RETURN_RESULT | OPEN_DUPLEX,
        TalkMode::VoiceSwitched
        | TalkMode::Simplex(_)
        | TalkMode::ListenOnly
        | TalkMode::TalkOnly => RETURN_RESULT,
    };
    Object::Station(setup.from).write(parameters)?;
    Object::Station(setup.to).write(parameters)?;
    parameters.extend_from_slice(&options.to_be_bytes());
    let priority = setup.priority.on(Scale::FourIsAlarm).value();
    parameters.extend_from_slice(&[priority, priority]);
    Some(())
}

/// The first line of a display is selected by 03 11, as in the published example.
fn display(text: &Text, parameters: &mut Vec<u8>) {
    let latin = |c: char| u8::try_from(u32::from(c)).unwrap_or(b'?');
    let shown: Vec<u8> = text.as_str().chars().map(latin).collect();
    let length = shown.len() + 2;
    parameters.push(u8::try_from(length).expect("a text has at most 120 octets"));
    parameters.extend_from_slice(&[0x03, 0x11]);
    parameters.extend(shown);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(number: &str) -> Party {
        Party {
            node: Node(1),
            number: Number::new(number).unwrap(),
        }
    }

    fn octets(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(|b| *b != b' ').collect();
        let pairs = digits.chunks(2).map(|p| std::str::from_utf8(p).unwrap());
        pairs.map(|p| u8::from_str_radix(p, 16).unwrap()).collect()
    }

    #[test]
    fn a_call_request_is_read_as_the_public_table_lays_it_out() {
        let clock = "07D706070B1A2D";
        let text = "42656C6C202020202020202020202020";
        let added = format!("{clock} 32018002 1234 96 0001 0001 0000 00 32018009 00 {text}");
        assert_eq!(
            understand(id::QUEUE_ADDED, &octets(&added), Node(1)),
            Some(Meaning::Queued {
                desk: party("8002"),
                tag: 0x1234,
                priority: Priority::new(150, Scale::AlarmFrom120).unwrap(),
                from: Some(party("8009")),
                text: Text::clip("Bell"),
            })
        );
        let removed = format!("{clock} 32018002 1234 0001 0000 0000");
        assert_eq!(
            understand(id::QUEUE_REMOVED, &octets(&removed), Node(1)),
            Some(Meaning::Unqueued {
                desk: party("8002"),
                tag: 0x1234
            })
        );
    }

    #[test]
    fn dialling_is_written_as_the_published_line() {
        let keys = Command::Keys {
            station: party("107"),
            keys: Keys::new("102").unwrap(),
        };
        let (id, parameters) = express(&keys, None).unwrap();
        assert_eq!(id, 0x50);
        assert_eq!(parameters, octets("3201107F 20102F"));
        let meaning = understand(id, &parameters, Node(1));
        assert!(matches!(meaning, Some(Meaning::Keys { station, .. }) if station == party("107")));
        let star = Command::Keys {
            station: party("107"),
            keys: Keys::new("1*").unwrap(),
        };
        assert_eq!(express(&star, None), None);
    }

    #[test]
    fn a_text_is_written_as_the_published_example() {
        let show = Command::ShowText {
            station: party("101"),
            text: Text::clip("Line 1 text     "),
        };
        let (_, parameters) = express(&show, None).unwrap();
        assert_eq!(parameters[..7], octets("3201101F 12 0311"));
    }

    #[test]
    fn parameters_that_do_not_fit_are_left_opaque() {
        assert_eq!(
            understand(id::STATION_BUSY_BC, &[0x32, 0x01], Node(1)),
            None
        );
        assert_eq!(understand(id::INPUT_CHANGED, &[0, 1, 7], Node(1)), None);
        assert_eq!(understand(0x7001, &[], Node(1)), None);
    }
}
