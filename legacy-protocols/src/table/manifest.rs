//! What a table-driven protocol is, as plain data. Nothing here is checked; `validate` does.

use std::time::Duration;

use super::slots::Slot;
use crate::command::Verdict;
use crate::coverage::{CommandKind, EventKind};
use crate::number::{Filler, Node, Number};
use crate::priority::Scale;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub name: String,
    /// Frames that are sent when the line is open.
    pub greeting: Vec<Vec<u8>>,
    pub keep_alive: Option<KeepAlive>,
    pub frame: Frame,
    pub check: Check,
    pub acknowledge: Acknowledge,
    /// The first rule that fits a telegram says what it means.
    pub receive: Vec<ReceiveRule>,
    pub transmit: Vec<TransmitRule>,
    pub limits: Limits,
}

/// All octets here are those of a whole frame's contents, without delimiters and check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepAlive {
    /// Sent when nothing came for `every`.
    pub send: Option<Vec<u8>>,
    /// What the other end sends when it has nothing to say; it has no other meaning.
    pub expect: Option<Vec<u8>>,
    /// Sent for each `expect`.
    pub reply: Option<Vec<u8>>,
    pub every: Duration,
    /// After so many times of silence the line is given up.
    pub dead_after: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Empty: a frame begins where the last one ended.
    pub start: Vec<u8>,
    /// Empty: `length` tells where a frame ends.
    pub end: Vec<u8>,
    pub escape: Option<Escape>,
    pub length: Option<LengthField>,
    pub encoding: Encoding,
    /// Control characters within a frame are nothing.
    pub ignore_controls: bool,
    /// Octets on the line, without delimiters.
    pub longest: usize,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            start: Vec::new(),
            end: Vec::new(),
            escape: None,
            length: None,
            encoding: Encoding::Binary,
            ignore_controls: false,
            longest: 512,
        }
    }
}

/// After `octet` the next one stands for itself, changed by exclusive or with `flip`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escape {
    pub octet: u8,
    pub flip: u8,
    /// What has to be escaped, besides `octet`.
    pub escaped: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthField {
    pub length: Length,
    /// Octets before it.
    pub at: usize,
    /// Added to its value, this is the length of everything from the start of the frame's contents.
    pub plus: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    U8,
    U16Big,
    U16Little,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Binary,
    /// Characters stand for themselves.
    Ascii,
    /// Two hex digits an octet; blanks are nothing.
    AsciiHex,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    pub kind: CheckKind,
    pub over: CheckOver,
    pub text: CheckText,
    /// Stands between contents and check.
    pub separator: Vec<u8>,
    /// Telegrams without a check are taken. Needs a separator, to tell.
    pub optional_on_receive: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckKind {
    #[default]
    None,
    Xor,
    Sum8,
    /// The sum and this make 0.
    NegativeSum8,
    Crc16X25,
    Crc16Modbus,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckOver {
    /// The octets that are meant.
    #[default]
    Decoded,
    /// The octets on the line.
    Encoded,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckText {
    /// Of two octets the low one first.
    #[default]
    Binary,
    /// Hex digits, the high one first.
    Hex,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    #[default]
    None,
    /// Each frame is answered; the next waits for it. A command that drives an output is never sent a
    /// second time.
    PerFrame {
        ok: Vec<u8>,
        refused: Vec<u8>,
        within: Duration,
        retries: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveRule {
    /// For problems and logs.
    pub name: String,
    pub fields: Vec<Field>,
    pub meaning: Meaning,
    /// Values that stand in no field, as numbers.
    pub constants: Vec<(Slot, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Tells(EventKind),
    /// The other end asks; there is no way to answer.
    Asks(CommandKind),
    /// What became of the command that waits.
    Answers(Verdict),
    /// Known, and nothing to us.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransmitRule {
    pub name: String,
    pub command: CommandKind,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub slot: Slot,
    pub shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    Const(Vec<u8>),
    U8,
    U16Big,
    U16Little,
    /// Two digits an octet.
    Bcd {
        octets: usize,
        filler: Filler,
    },
    /// Characters `0` to `9`; without a width as many as there are.
    Digits {
        width: Option<usize>,
        pad: Pad,
    },
    /// Without a width up to what the next field, a constant, is.
    Text {
        width: Option<usize>,
    },
    /// Each of these stands for a number.
    Enum(Vec<(Vec<u8>, u32)>),
    /// All that is left; the last field.
    Rest,
}

/// What fills a field before its digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pad {
    #[default]
    None,
    F,
    Zero,
    Blank,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub outputs: Outputs,
    /// The server at the other end, as long as no field says otherwise.
    pub node: Node,
    /// From, to. Commands and events about others are refused; none means that all are allowed.
    pub numbers: Vec<(Number, Number)>,
    pub commands_per_second: u32,
    pub priorities: Scale,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            outputs: Outputs::Refused,
            node: Node(1),
            numbers: Vec::new(),
            commands_per_second: 20,
            priorities: Scale::OneIsHighest,
        }
    }
}

/// Whether this driver may drive outputs and doors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outputs {
    #[default]
    Refused,
    Enabled,
}
