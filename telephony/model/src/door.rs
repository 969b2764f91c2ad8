//! Doors, the commands that open them, and what became of each command.

use std::fmt;
use std::time::Duration;

use crate::address::{TextError, check_text};
use crate::{Address, CallId, CloudUserId, CommandId, DoorId, LegId, Pii, StationId, Timestamp};

/// A door, gate or barrier at a station, opened by a pulse on an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    pub id: DoorId,
    pub name: Pii<String>,
    pub output: DoorOutput,
    pub pulse: Pulse,
    /// What the other side dials during a call to open it. No code: not by dialling.
    pub code: Option<DoorCode>,
    /// Who may open it while talking with its station.
    pub in_call: InCallRight,
    /// Who is on the list: for `InCallRight::Listed`, and for cloud users that open from the idle view.
    pub permitted: Vec<Address>,
    pub feedback: Feedback,
}

/// What to switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoorOutput {
    /// An output of the station itself, counted from 1.
    Station { output: u8 },
    /// A request to a device in the local segment.
    Url(HttpUrl),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InCallRight {
    /// Whoever the station is talking with: the usual front door.
    #[default]
    Anybody,
    /// Only those on the door's list.
    Listed,
    Nobody,
}

/// How one knows that the door really opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feedback {
    /// There is none; "sent, not confirmed" is all that can be said.
    #[default]
    None,
    /// A contact on this input of the station, counted from 1.
    Contact { input: u8 },
    /// The station itself says that it switched.
    Station,
}

/// How long the output is closed: 0.1 to 60 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pulse(Duration);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a door pulse lasts 100 to 60000 ms, not {0} ms; 3000 is usual")]
pub struct PulseError(pub u64);

/// 1 to 8 of 0-9, *, #, A-D.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DoorCode {
    digits: [Digit; DoorCode::MAX_DIGITS],
    len: u8,
}

/// One key of a telephone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digit(u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    #[error("a door code needs at least one digit; leave it out if nobody shall open by dialling")]
    Empty,
    #[error("a door code has at most 8 digits, this one has {0}")]
    TooLong(usize),
    #[error("{0:?} is not on a telephone's keys; use 0-9, *, # and A-D")]
    NotADigit(char),
}

/// An http or https URL, checked as text only.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(Box<str>);

/// By what right a door is to be opened. Who somebody is has been proved at the edge; what they may
/// do is decided by the call engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// This leg, talking with the door's station.
    Leg(LegId),
    /// This station, from its idle view or its desk.
    Station(StationId),
    CloudUser(CloudUserId),
    /// An operator of this machine, signed in at its local page or command line.
    Operator,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorResult {
    /// A contact or the station says that it opened. Nothing else may be shown as "opened".
    Opened,
    /// The pulse was sent; nobody knows more.
    SentNotConfirmed,
    /// The station or the device refused or could not be reached.
    Failed,
    Denied(DoorDenial),
}

/// Why no pulse was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoorDenial {
    #[error("no such door; choose one of the directory")]
    UnknownDoor,
    #[error("no right to open this door; have it granted in the directory")]
    NotPermitted,
    #[error(
        "the station of this door is not in a conversation with the one who asks; call it first"
    )]
    NotInCall,
    #[error("the command came after its validity; ask again")]
    Expired,
    #[error(
        "the command claims a validity of more than 10 seconds; check the clocks and ask again"
    )]
    ValidTooLong,
    #[error("the command may have been executed before this machine started; ask again")]
    FromBeforeStart,
    #[error("this command was already executed; it is never executed twice")]
    Repeated,
    #[error("the door is just being opened; wait for it")]
    Busy,
    #[error("more door commands than this machine remembers; try again in a minute")]
    Overload,
}

/// A line of the door journal: one for each command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorRecord {
    pub command: CommandId,
    pub door: DoorId,
    pub station: Option<StationId>,
    pub authority: Authority,
    pub call: Option<CallId>,
    pub asked: Timestamp,
    pub concluded: Timestamp,
    pub result: DoorResult,
}

impl Door {
    pub fn new(id: DoorId, output: DoorOutput) -> Self {
        Self {
            id,
            name: Pii::default(),
            output,
            pulse: Pulse::DEFAULT,
            code: None,
            in_call: InCallRight::default(),
            permitted: Vec::new(),
            feedback: Feedback::default(),
        }
    }
}

impl Pulse {
    pub const DEFAULT: Self = Self(Duration::from_secs(3));

    pub fn from_millis(ms: u64) -> Result<Self, PulseError> {
        match ms {
            100..=60_000 => Ok(Self(Duration::from_millis(ms))),
            _ => Err(PulseError(ms)),
        }
    }

    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl DoorCode {
    pub const MAX_DIGITS: usize = 8;

    pub fn parse(text: &str) -> Result<Self, CodeError> {
        if text.is_empty() {
            return Err(CodeError::Empty);
        }
        let mut digits = [Digit(b'0'); Self::MAX_DIGITS];
        let mut len = 0;
        for c in text.chars() {
            let digit = Digit::from_char(c).ok_or(CodeError::NotADigit(c))?;
            if let Some(place) = digits.get_mut(len) {
                *place = digit;
            }
            len += 1;
        }
        match u8::try_from(len) {
            Ok(short) if len <= Self::MAX_DIGITS => Ok(Self { digits, len: short }),
            Ok(_) | Err(_) => Err(CodeError::TooLong(len)),
        }
    }

    pub fn digits(&self) -> &[Digit] {
        &self.digits[..usize::from(self.len)]
    }
}

impl fmt::Debug for DoorCode {
    /// A code opens a door; it does not belong into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Digit {
    pub const fn from_char(c: char) -> Option<Self> {
        match c {
            '0'..='9' | '*' | '#' | 'A'..='D' => Some(Self(c as u8)),
            'a'..='d' => Some(Self((c as u8).to_ascii_uppercase())),
            _ => None,
        }
    }

    /// RFC 4733 3.2: events 0-15 are 0-9, *, #, A-D.
    pub const fn from_event(event: u8) -> Option<Self> {
        match event {
            0..=9 => Some(Self(b'0' + event)),
            10 => Some(Self(b'*')),
            11 => Some(Self(b'#')),
            12..=15 => Some(Self(b'A' + event - 12)),
            _ => None,
        }
    }

    pub const fn to_char(self) -> char {
        self.0 as char
    }
}

impl fmt::Debug for Digit {
    /// Digits dialled in a call may be a door code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[digit]")
    }
}

impl HttpUrl {
    const MAX_BYTES: usize = 1_024;

    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_text(text, Self::MAX_BYTES, |c| {
            c.is_ascii_graphic() && !"<>\"".contains(c)
        })?;
        let rest = ["http://", "https://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(Self(text.into())),
            Some(_) | None => Err(TextError::NotAnHttpUrl),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HttpUrl {
    /// Such URLs often carry a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.split("//").next().unwrap_or_default();
        write!(f, "{scheme}//[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_lasts_between_a_tenth_of_a_second_and_a_minute() {
        assert_eq!(
            Pulse::from_millis(100).unwrap().duration(),
            Duration::from_millis(100)
        );
        assert_eq!(Pulse::from_millis(99), Err(PulseError(99)));
        assert_eq!(Pulse::from_millis(60_001), Err(PulseError(60_001)));
    }

    #[test]
    fn a_door_code_is_one_to_eight_telephone_keys() {
        let code = DoorCode::parse("*1a#").unwrap();
        let text: String = code.digits().iter().map(|d| d.to_char()).collect();
        assert_eq!(text, "*1A#");
        assert_eq!(DoorCode::parse(""), Err(CodeError::Empty));
        assert_eq!(DoorCode::parse("123456789"), Err(CodeError::TooLong(9)));
        assert_eq!(
            DoorCode::parse(&"1".repeat(300)),
            Err(CodeError::TooLong(300))
        );
        assert_eq!(DoorCode::parse("1x"), Err(CodeError::NotADigit('x')));
        assert!(!format!("{code:?}").contains('1'));
    }

    #[test]
    fn telephone_events_are_the_sixteen_keys() {
        let keys: String = (0..=16)
            .filter_map(Digit::from_event)
            .map(Digit::to_char)
            .collect();
        assert_eq!(keys, "0123456789*#ABCD");
    }

    #[test]
    fn a_door_url_is_http_and_keeps_its_password_to_itself() {
        let url = HttpUrl::parse("http://admin:secret@192.0.2.9/relay?1").unwrap();
        assert_eq!(format!("{url:?}"), "http://[redacted]");
        assert_eq!(HttpUrl::parse("ftp://x"), Err(TextError::NotAnHttpUrl));
        assert_eq!(HttpUrl::parse("http:///x"), Err(TextError::NotAnHttpUrl));
    }
}
