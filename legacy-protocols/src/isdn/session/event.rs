//! What a line and its owner say to each other.

use std::time::Instant;

use thiserror::Error;

use crate::isdn::codec::{
    BearerCapability, CauseValue, Element, Message, NotificationIndicator, Number,
};
use crate::isdn::link::Tei;

use super::call::CallId;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A frame for the D channel, from its address field on, without a check sequence.
    Transmit(Vec<u8>),
    Event(Event),
    /// Nothing more to say; wake it then.
    Timeout(Option<Instant>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The link of a point-to-point line is up.
    LineUp,
    LineDown,
    /// A terminal of a bus is there (the network end), or we are one that can call.
    TerminalUp(Tei),
    TerminalGone(Tei),
    Call {
        call: CallId,
        what: CallEvent,
        /// What said so; none where silence did, or the line below.
        message: Option<Message>,
    },
    /// The peer restarted these B channels; their calls have ended.
    Restarted(Vec<u8>),
    /// Ours is done.
    RestartDone(Vec<u8>),
    /// Ours was not answered; these B channels are out of service.
    RestartFailed(Vec<u8>),
    /// Octets that are no message of Q.931, as they came.
    Unknown(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// Somebody calls; say what shall become of it.
    Incoming(IncomingCall),
    /// The number is not complete: dial more.
    MoreDigitsWanted,
    /// More of the number that somebody dials.
    Digits {
        digits: String,
        keypad: String,
        complete: bool,
    },
    /// No more digits came for a while (T302): what is there must do.
    DialingEnded,
    Proceeding {
        in_band: bool,
    },
    Alerting {
        in_band: bool,
    },
    Progress {
        in_band: bool,
    },
    /// Our call was answered; audio flows.
    Answered,
    /// Our answer was acknowledged; audio flows.
    Connected,
    Notified(NotificationIndicator),
    /// Keys or text during the call.
    Information {
        display: String,
        keypad: String,
    },
    /// A supplementary service; the message has it.
    Facility,
    /// The last event of each call.
    Ended(CauseValue),
}

/// A call that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingCall {
    /// None: nothing dialled yet.
    pub called: Option<Number>,
    pub calling: Option<Number>,
    pub bearer: BearerCapability,
    pub display: String,
    pub keypad: String,
    /// The caller says that the number is complete (never in QSIG).
    pub complete: bool,
    pub channel: u8,
}

/// A call to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    pub called: Option<Number>,
    pub calling: Option<Number>,
    pub bearer: BearerCapability,
    pub display: Option<String>,
    /// Not in QSIG, which has none.
    pub keypad: Option<String>,
    /// The number is complete, or more is dialled when asked for.
    pub complete: bool,
    /// Others, as they are: low and high layer compatibility, user-user, facility.
    pub more: Vec<Element>,
}

impl Setup {
    /// A call for speech from one number to another.
    pub fn speech(calling: Number, called: Number) -> Self {
        Self {
            called: Some(called),
            calling: Some(calling),
            bearer: BearerCapability::SPEECH_A_LAW,
            display: None,
            keypad: None,
            complete: true,
            more: Vec::new(),
        }
    }
}

/// Which B channels to restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restart {
    All,
    One(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    #[error("all B channels are in use, restarting or out of service")]
    NoChannel,
    #[error("the line is down, or has no identifier yet; wait until it is up")]
    LineDown,
    #[error("as many calls as the line may have; raise `calls`")]
    TooMany,
    #[error("the setup message is too long for a frame; leave something out")]
    TooLong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    #[error("no such call; it has ended")]
    NoSuchCall,
    #[error("not possible in the call's state")]
    NotNow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RestartError {
    #[error("another restart is under way; wait for its end")]
    UnderWay,
    #[error("the line is down")]
    LineDown,
    #[error("the line has no such B channel")]
    NoSuchChannel,
}
