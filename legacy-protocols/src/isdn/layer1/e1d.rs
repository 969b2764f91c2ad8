//! The control messages of osmo-e1d, which owns E1 interfaces: ask, open a timeslot, hear of alarms.
//!
//! A message is one packet of a Unix socket (SEQPACKET): magic and length (16 bits each, in the
//! machine's own byte order), type, interface, line, timeslot, then the payload. The answer to
//! [`Request::OpenTimeslot`] carries a file descriptor besides; opened for HDLC it gives and takes
//! one LAPD frame per packet, at most [`LONGEST_FRAME`] octets. [P: osmo-e1d's proto.h]

use thiserror::Error;

/// The longest HDLC frame, its check sequence not counted.
pub const LONGEST_FRAME: usize = 264;

const MAGIC: u16 = 0x01E1;
const LONGEST: usize = 4096;
const HEADER: usize = 8;
/// "All", or "does not apply".
const NONE: u8 = 0xFF;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeslotMode {
    Off,
    /// 64 kbit/s as they are: a B channel.
    Raw,
    /// Frames with their check sequence added and checked: a D channel.
    Hdlc,
}

impl TimeslotMode {
    fn octet(self) -> u8 {
        match self {
            Self::Off => 0x00,
            Self::Raw => 0x10,
            Self::Hdlc => 0x11,
        }
    }

    fn from_octet(octet: u8) -> Option<Self> {
        [Self::Off, Self::Raw, Self::Hdlc]
            .into_iter()
            .find(|mode| mode.octet() == octet)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Interfaces,
    Lines {
        interface: u8,
    },
    Timeslots {
        interface: u8,
        line: u8,
    },
    OpenTimeslot {
        interface: u8,
        line: u8,
        timeslot: u8,
        mode: TimeslotMode,
        /// Octets read at once, in raw mode.
        read_buffer: u16,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceInfo {
    pub interface: u8,
    pub lines: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    pub line: u8,
    /// 0x20: timeslots can be opened one by one.
    pub mode: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeslotInfo {
    pub timeslot: u8,
    /// None: a mode that is not known here.
    pub mode: Option<TimeslotMode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    LossOfSignal,
    AlarmIndication,
    RemoteAlarm,
    LossOfFrame,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Raised,
    Cleared,
}

/// What the daemon says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Interfaces(Vec<InterfaceInfo>),
    Lines(Vec<LineInfo>),
    Timeslots(Vec<TimeslotInfo>),
    /// The file descriptor comes with it.
    Opened(TimeslotInfo),
    /// The daemon could not.
    Failed(u8),
    Alarm {
        interface: u8,
        line: u8,
        alarm: Alarm,
        change: Change,
    },
    /// A message of a kind that is not used here.
    Other(u8),
}

/// Why octets are no message of the daemon's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    #[error("too short for a message of osmo-e1d")]
    TooShort,
    #[error("magic {0:#06x} is not that of osmo-e1d's protocol; is it another version?")]
    Magic(u16),
    #[error("the length in the header is not that of the message")]
    Length,
}

impl Request {
    pub fn encode(self) -> Vec<u8> {
        let (kind, place, payload) = match self {
            Self::Interfaces => (0x00, [NONE; 3], vec![]),
            Self::Lines { interface } => (0x01, [interface, NONE, NONE], vec![]),
            Self::Timeslots { interface, line } => (0x02, [interface, line, NONE], vec![]),
            Self::OpenTimeslot {
                interface,
                line,
                timeslot,
                mode,
                read_buffer,
            } => {
                let mut payload = vec![mode.octet(), 0];
                payload.extend(read_buffer.to_ne_bytes());
                (0x04, [interface, line, timeslot], payload)
            }
        };
        message(kind, place, &payload)
    }
}

impl Reply {
    pub fn decode(octets: &[u8]) -> Result<Self, ReplyError> {
        let (header, payload) = octets
            .split_first_chunk::<HEADER>()
            .ok_or(ReplyError::TooShort)?;
        let [m0, m1, l0, l1, kind, interface, line, _] = *header;
        let magic = u16::from_ne_bytes([m0, m1]);
        if magic != MAGIC {
            return Err(ReplyError::Magic(magic));
        }
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        if length != octets.len() || length > LONGEST {
            return Err(ReplyError::Length);
        }
        let alarm = |alarm| {
            let change = if kind & 1 == 0 {
                Change::Raised
            } else {
                Change::Cleared
            };
            Self::Alarm {
                interface,
                line,
                alarm,
                change,
            }
        };
        Ok(match kind {
            0x80 => Self::Interfaces(infos(payload, |&[interface, lines]: &[u8; 2]| {
                InterfaceInfo { interface, lines }
            })?),
            0x81 => Self::Lines(infos(payload, |&[line, mode, _]: &[u8; 3]| LineInfo {
                line,
                mode,
            })?),
            0x82 => Self::Timeslots(infos(payload, timeslot_info)?),
            0x84 => match infos(payload, timeslot_info)?.as_slice() {
                [one] => Self::Opened(*one),
                _ => return Err(ReplyError::Length),
            },
            0x40 | 0x41 => alarm(Alarm::LossOfSignal),
            0x42 | 0x43 => alarm(Alarm::AlarmIndication),
            0x44 | 0x45 => alarm(Alarm::RemoteAlarm),
            0x46 | 0x47 => alarm(Alarm::LossOfFrame),
            0xC0.. => Self::Failed(kind & 0x3F),
            other => Self::Other(other),
        })
    }
}

/// Id, configuration (mode, flags, read buffer), status.
fn timeslot_info(&[timeslot, mode, ..]: &[u8; 6]) -> TimeslotInfo {
    let mode = TimeslotMode::from_octet(mode);
    TimeslotInfo { timeslot, mode }
}

/// A payload that is a row of structures of one size.
fn infos<const SIZE: usize, T>(
    payload: &[u8],
    read: impl Fn(&[u8; SIZE]) -> T,
) -> Result<Vec<T>, ReplyError> {
    let (whole, rest) = payload.as_chunks();
    if !rest.is_empty() {
        return Err(ReplyError::Length);
    }
    Ok(whole.iter().map(read).collect())
}

fn message(kind: u8, place: [u8; 3], payload: &[u8]) -> Vec<u8> {
    let length = (HEADER + payload.len()) as u16;
    let mut octets = MAGIC.to_ne_bytes().to_vec();
    octets.extend(length.to_ne_bytes());
    octets.push(kind);
    octets.extend(place);
    octets.extend(payload);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_d_channel_is_opened() {
        let request = Request::OpenTimeslot {
            interface: 0,
            line: 1,
            timeslot: 16,
            mode: TimeslotMode::Hdlc,
            read_buffer: 0,
        };
        let expected = message(0x04, [0, 1, 16], &[0x11, 0, 0, 0]);
        assert_eq!(request.encode(), expected);
        assert_eq!(
            (expected.len(), expected[4..8].to_vec()),
            (12, vec![4, 0, 1, 16])
        );
        let answer = message(0x84, [0, 1, 16], &[16, 0x11, 0, 0, 0, 0xA5]);
        let opened = TimeslotInfo {
            timeslot: 16,
            mode: Some(TimeslotMode::Hdlc),
        };
        assert_eq!(Reply::decode(&answer), Ok(Reply::Opened(opened)));
    }

    #[test]
    fn questions_are_answered_in_lists_and_alarms_come_unasked() {
        assert_eq!(Request::Interfaces.encode(), message(0, [NONE; 3], &[]));
        let check = |octets: Vec<u8>, reply| assert_eq!(Reply::decode(&octets), Ok(reply));
        let interface = |interface| InterfaceInfo {
            interface,
            lines: 2,
        };
        check(
            message(0x80, [NONE; 3], &[0, 2, 1, 2]),
            Reply::Interfaces(vec![interface(0), interface(1)]),
        );
        check(
            message(0x81, [0, NONE, NONE], &[1, 0x20, 0]),
            Reply::Lines(vec![LineInfo {
                line: 1,
                mode: 0x20,
            }]),
        );
        check(message(0xC5, [NONE; 3], &[]), Reply::Failed(5));
        check(
            message(0x47, [0, 1, NONE], &[]),
            Reply::Alarm {
                interface: 0,
                line: 1,
                alarm: Alarm::LossOfFrame,
                change: Change::Cleared,
            },
        );
    }

    #[test]
    fn what_is_no_message_says_why() {
        let check = |octets: &[u8], why| assert_eq!(Reply::decode(octets), Err(why));
        check(&[0; 7], ReplyError::TooShort);
        check(&[0; 8], ReplyError::Magic(0));
        let mut long = message(0x80, [NONE; 3], &[0, 2]);
        long.push(1);
        check(&long, ReplyError::Length);
        check(&message(0x80, [NONE; 3], &[0, 2, 1]), ReplyError::Length);
        check(&message(0x84, [0; 3], &[]), ReplyError::Length);
    }

    proptest! {
        #[test]
        fn any_payload_is_read_or_refused(kind in any::<u8>(), payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Reply::decode(&message(kind, [0; 3], &payload));
            let _ = Reply::decode(&payload);
        }
    }
}
