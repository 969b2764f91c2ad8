//! What a server says, as messages, and what it is asked, in neutral words. Pure tables.

use crate::acdp::mapping::{self, Meaning, id};
use crate::acdp::message::Message;
use crate::acdp::object::Object;
use crate::command::{CallRef, CallSetup, Command, Switch};
use crate::event::{CallRequest, TalkMode};
use crate::number::{Node, Party};
use crate::octets::Octets;
use crate::priority::{Priority, Scale};
use crate::text::Text;

/// A message without its header.
pub(super) struct Body {
    pub(super) id: u16,
    pub(super) parameters: Vec<u8>,
}

/// Seconds that a clock has run which was never set.
#[derive(Clone, Copy)]
pub(super) struct Stamp(pub(super) u64);

/// What a client asks.
pub(super) enum Asked {
    /// Its call has no name yet.
    SetUp(CallSetup),
    Disconnect(Party),
    Other(Command),
}

/// The option of a set-up for open duplex.
const OPEN_DUPLEX: u16 = 128;

impl Stamp {
    /// Year, month, day, hour, minute, second; after a month it begins again.
    fn write(self, into: &mut Vec<u8>) {
        const YEAR: u16 = 2000;
        into.extend_from_slice(&YEAR.to_be_bytes());
        let (minutes, seconds) = (self.0 / 60, self.0 % 60);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        let (days, hours) = (hours / 24 % 31, hours % 24);
        into.push(1);
        into.extend([days + 1, hours, minutes, seconds].map(|part| part as u8));
    }
}

pub(super) fn station(id: u16, station: Party) -> Option<Body> {
    let mut parameters = Vec::new();
    Object::Station(station).write(&mut parameters)?;
    Some(Body { id, parameters })
}

pub(super) fn call_status(
    stamp: Stamp,
    from: Party,
    to: Party,
    priority: Option<Priority>,
) -> Option<Body> {
    const PRIVATE: u8 = 2;
    let mut parameters = Vec::new();
    stamp.write(&mut parameters);
    Object::Station(from).write(&mut parameters)?;
    Object::Station(to).write(&mut parameters)?;
    let priority = priority.unwrap_or(Priority::NORMAL).on(Scale::FourIsAlarm);
    parameters.extend([priority.value(), PRIVATE]);
    let id = id::CALL_STATUS_BC;
    Some(Body { id, parameters })
}

/// A clock, two octets whose meaning is not public (01 04 in the published line), A and B.
pub(super) fn connection(id: u16, stamp: Stamp, from: Party, to: Party) -> Option<Body> {
    let mut parameters = Vec::new();
    stamp.write(&mut parameters);
    parameters.extend([1, 4]);
    Object::Station(from).write(&mut parameters)?;
    Object::Station(to).write(&mut parameters)?;
    Some(Body { id, parameters })
}

pub(super) fn queued(stamp: Stamp, desk: Party, tag: u16, request: &CallRequest) -> Option<Body> {
    /// Of the text in the published table.
    const COLUMNS: usize = 16;
    let mut parameters = Vec::new();
    stamp.write(&mut parameters);
    Object::Station(desk).write(&mut parameters)?;
    parameters.extend(tag.to_be_bytes());
    parameters.push(request.priority.on(Scale::AlarmFrom120).value());
    // Position, length and checksum of the queue, which nobody here counts.
    parameters.extend([0, 1, 0, 1, 0, 0]);
    Object::Null.write(&mut parameters)?;
    Object::Station(request.from).write(&mut parameters)?;
    Object::Null.write(&mut parameters)?;
    let text = request.text.as_ref().map_or("", Text::as_str);
    let latin = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'));
    parameters.extend(latin.chain(std::iter::repeat(b' ')).take(COLUMNS));
    let id = id::QUEUE_ADDED;
    Some(Body { id, parameters })
}

pub(super) fn unqueued(stamp: Stamp, desk: Party, tag: u16) -> Option<Body> {
    let mut parameters = Vec::new();
    stamp.write(&mut parameters);
    Object::Station(desk).write(&mut parameters)?;
    parameters.extend(tag.to_be_bytes());
    parameters.extend([0; 6]);
    let id = id::QUEUE_REMOVED;
    Some(Body { id, parameters })
}

pub(super) fn contact(id: u16, number: u16, state: Switch) -> Body {
    let mut parameters = number.to_be_bytes().to_vec();
    parameters.push(u8::from(state == Switch::On));
    Body { id, parameters }
}

/// None for what a server is not asked, or what does not fit.
pub(super) fn asked(message: &Message, home: Node) -> Option<Asked> {
    if message.class != Message::INTERCOM {
        return None;
    }
    let mut octets = Octets(&message.parameters);
    let mut station = || match Object::read(&mut octets).ok()? {
        Object::Station(party) => Some(party),
        Object::Digits(number) => Some(Party { node: home, number }),
        Object::Null | Object::Other(..) => None,
    };
    match message.id {
        id::CALL_SETUP => {
            let (from, to) = (station()?, station()?);
            let options = octets.u16()?;
            let priority = Priority::new(octets.u8()?, Scale::FourIsAlarm)?;
            let mode = match options & OPEN_DUPLEX {
                0 => TalkMode::VoiceSwitched,
                _ => TalkMode::OpenDuplex,
            };
            Some(Asked::SetUp(CallSetup {
                call: CallRef(0),
                from,
                to,
                priority,
                mode,
                text: None,
                sound: None,
            }))
        }
        id::DISCONNECT_STATION => station().map(Asked::Disconnect),
        id::DISPLAY_TEXT => {
            let station = station()?;
            let length = octets.u8()?;
            let shown = octets.take(usize::from(length))?;
            // Two octets choose the line of the display.
            let text: String = shown.get(2..)?.iter().map(|o| char::from(*o)).collect();
            let text = Text::clip(text.trim_end());
            Some(Asked::Other(Command::ShowText { station, text }))
        }
        other => match mapping::understand(other, &message.parameters, home)? {
            Meaning::Keys { station, keys } => Some(Asked::Other(Command::Keys { station, keys })),
            Meaning::TalkKey { station, key } => {
                Some(Asked::Other(Command::TalkKey { station, key }))
            }
            Meaning::Station(..)
            | Meaning::Call { .. }
            | Meaning::Connected { .. }
            | Meaning::Disconnected { .. }
            | Meaning::Queued { .. }
            | Meaning::Unqueued { .. }
            | Meaning::Input { .. }
            | Meaning::Output { .. }
            | Meaning::Response(_) => None,
        },
    }
}
