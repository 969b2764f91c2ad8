//! What can be written in the file of a table driver, each field documented where it is declared.
//!
//! The names are those of `legacy_protocols::table::Manifest`, so that its problems find their
//! lines. `docs/table-drivers.md` says what the parts mean together.

use std::time::Duration;

use super::values::{CommandName, EventName, NumberRange, Octets, SlotName};
use crate::config::section::{Located, section};
use crate::config::values::{Whole, words};

section! {
    /// A driver that is a table.
    pub(crate) struct DriverFile {
        /// What the driver is for; shown on every surface.
        name: Required<String> = r#""licensed-server-link""#,
        /// Frames that are sent when the line opens. Here as everywhere: contents, without
        /// delimiters and check; as text, or as "hex:7E 01".
        greeting: Defaulted<Vec<Located<Octets>>> = "[]",
        /// What is sent and expected when there is nothing to say.
        keep_alive: Perhaps<KeepAliveSection>,
        /// How frames are cut out of what comes.
        frame: Nested<FrameSection>,
        /// How it is seen that a frame is whole.
        check: Nested<CheckSection>,
        /// How frames are acknowledged.
        acknowledge: Perhaps<AcknowledgeSection>,
        /// What may be sent, and to whom.
        limits: Nested<LimitsSection>,
        /// What telegrams mean; the first rule whose fields all fit counts.
        receive: Repeated<ReceiveSection>,
        /// How commands are said.
        transmit: Repeated<TransmitSection>,
    }
}

section! {
    /// Keeping a line alive.
    pub(crate) struct KeepAliveSection {
        /// Sent when nothing came for `every`.
        send: Optional<Octets> = r#""Hello""#,
        /// What the other end sends when it has nothing to say; needs no rule.
        expect: Optional<Octets> = r#""hex:F1 00""#,
        /// Sent for each `expect`.
        reply: Optional<Octets> = r#""hex:F1 00""#,
        /// 1 s to 1 h.
        every: Required<Duration> = r#""30s""#,
        /// After so many times of silence the line is given up.
        dead_after: Defaulted<Whole<1, 100>> = "3",
    }
}

words! {
    /// How octets stand for octets.
    pub(crate) enum EncodingWord {
        /// As they are.
        Binary = "binary",
        /// Characters stand for themselves.
        Ascii = "ascii",
        /// Two hex digits an octet.
        AsciiHex = "ascii_hex",
    }
}

section! {
    /// Frames.
    pub(crate) struct FrameSection {
        /// Octets that begin a frame; without any, it begins where the last one ended.
        start: Optional<Octets> = r#""hex:02""#,
        /// Octets that end it.
        end: Optional<Octets> = r#""\r\n""#,
        /// "binary", "ascii" or "ascii_hex" (two hex digits an octet, blanks are nothing).
        encoding: Defaulted<EncodingWord> = r#""binary""#,
        /// Control characters within a frame are nothing.
        ignore_controls: Defaulted<bool> = "false",
        /// Longest frame on the line, in octets, without delimiters.
        longest: Defaulted<Whole<1, 4096>> = "512",
        /// How octets are sent that would look like a delimiter.
        escape: Perhaps<EscapeSection>,
        /// Instead of `end`: where a frame tells its length.
        length: Perhaps<LengthSection>,
    }
}

section! {
    /// After `octet` the next one stands for itself, changed by exclusive or with `flip`.
    pub(crate) struct EscapeSection {
        /// The octet that announces it.
        octet: Required<Whole<0, 255>> = "0x7D",
        /// What the next one is changed by.
        flip: Required<Whole<0, 255>> = "0x20",
        /// What has to be escaped besides `octet`: every octet of `start` and `end`.
        escaped: Required<Octets> = r#""hex:7E""#,
    }
}

words! {
    /// The form of a length.
    pub(crate) enum LengthWord {
        /// One octet.
        U8 = "u8",
        /// Two, the high one first.
        U16Big = "u16_big",
        /// Two, the low one first.
        U16Little = "u16_little",
    }
}

section! {
    /// Where a frame tells its length.
    pub(crate) struct LengthSection {
        /// "u8", "u16_big" or "u16_little".
        form: Required<LengthWord> = r#""u8""#,
        /// Octets before it.
        at: Defaulted<Whole<0, 4096>> = "0",
        /// Added to its value, this is the length of everything from the start of the contents.
        plus: Defaulted<Whole<0, 4096>> = "0",
    }
}

words! {
    /// A check.
    pub(crate) enum CheckWord {
        /// None.
        None = "none",
        /// Exclusive or.
        Xor = "xor",
        /// Sum modulo 256.
        Sum8 = "sum8",
        /// The sum and this make 0.
        NegativeSum8 = "negative_sum8",
        /// CRC-16/X-25.
        Crc16X25 = "crc16_x25",
        /// CRC-16/MODBUS.
        Crc16Modbus = "crc16_modbus",
    }
}

words! {
    /// What a check is over.
    pub(crate) enum OverWord {
        /// The octets that are meant.
        Decoded = "decoded",
        /// The octets on the line.
        Encoded = "encoded",
    }
}

words! {
    /// How a check is written.
    pub(crate) enum CheckTextWord {
        /// As octets.
        Binary = "binary",
        /// As hex digits.
        Hex = "hex",
    }
}

section! {
    /// The check behind the contents of a frame.
    pub(crate) struct CheckSection {
        /// "none", "xor", "sum8", "negative_sum8", "crc16_x25" or "crc16_modbus".
        kind: Defaulted<CheckWord> = r#""none""#,
        /// Over the octets that are meant ("decoded") or those on the line ("encoded").
        over: Defaulted<OverWord> = r#""decoded""#,
        /// "binary" (of two octets the low one first) or "hex" (the high one first).
        text: Defaulted<CheckTextWord> = r#""binary""#,
        /// Stands between contents and check.
        separator: Optional<Octets> = r#""=""#,
        /// Telegrams without a check are taken; needs a separator, to tell.
        optional_on_receive: Defaulted<bool> = "false",
    }
}

section! {
    /// Acknowledgement of each frame. The acknowledgements are frames themselves.
    pub(crate) struct AcknowledgeSection {
        /// What says that a frame was taken.
        ok: Required<Octets> = r#""hex:06""#,
        /// What says that it was not.
        refused: Required<Octets> = r#""hex:15""#,
        /// When it is sent again.
        within: Defaulted<Duration> = r#""500ms""#,
        /// How often; a command that drives an output is never sent a second time.
        retries: Defaulted<Whole<0, 10>> = "3",
    }
}

words! {
    /// What is urgent on the line.
    pub(crate) enum ScaleWord {
        /// 1 to 250.
        OneIsHighest = "one_is_highest",
        /// 1 low to 4 alarm.
        FourIsAlarm = "four_is_alarm",
        /// 0 to 255.
        AlarmFrom120 = "alarm_from_120",
    }
}

section! {
    /// What holds for every telegram.
    pub(crate) struct LimitsSection {
        /// Outputs and doors may be driven. A driver with `door_open` or `output_set` is refused
        /// unless this is written.
        outputs_enabled: Defaulted<bool> = "false",
        /// Number of the server at the other end, as long as no field says otherwise.
        node: Defaulted<Whole<1, 65535>> = "1",
        /// Numbers that may be spoken of; none means all.
        numbers: Defaulted<Vec<Located<NumberRange>>> = "[]",
        /// 1 to 1000.
        commands_per_second: Defaulted<Whole<1, 1000>> = "20",
        /// How urgency is written: "one_is_highest" (1 to 250), "four_is_alarm" (1 to 4) or
        /// "alarm_from_120" (0 to 255).
        priorities: Defaulted<ScaleWord> = r#""one_is_highest""#,
    }
}

words! {
    /// What became of a command.
    pub(crate) enum AnswerWord {
        /// It is done.
        Done = "done",
        /// It is begun.
        Accepted = "accepted",
        /// It is busy.
        Busy = "busy",
        /// There is no such number.
        NoSuchNumber = "no_such_number",
        /// Not allowed, or failed.
        NotAllowed = "not_allowed",
        /// Somebody else has it.
        AlreadyTaken = "already_taken",
        /// It came too late.
        Expired = "expired",
        /// The other end cannot do it.
        Unsupported = "unsupported",
        /// The server it is for cannot be reached.
        NodeUnreachable = "node_unreachable",
        /// Too many commands.
        RateLimited = "rate_limited",
    }
}

section! {
    /// A telegram that comes: its fields, and exactly one of `tells`, `asks`, `answers` and
    /// `nothing`.
    pub(crate) struct ReceiveSection {
        /// For problems and logs.
        name: Required<String> = r#""busy""#,
        /// An event: "station_state", "request_new", "door_state" ...
        tells: Optional<EventName> = r#""station_state""#,
        /// A command of the other end: "talk_key", "keys" or "call_setup".
        asks: Optional<CommandName> = r#""talk_key""#,
        /// What became of the command that waits: "done", "busy", "not_allowed" ...
        answers: Optional<AnswerWord> = r#""done""#,
        /// Known, and of no meaning to us.
        nothing: Defaulted<bool> = "false",
        /// Values that stand in no field.
        constants: Repeated<ConstantSection>,
        /// The fields, in their order: all of a telegram's contents.
        fields: Repeated<FieldSection>,
    }
}

section! {
    /// A value that stands in no field.
    pub(crate) struct ConstantSection {
        /// What it is about.
        slot: Required<SlotName> = r#""state""#,
        /// The value.
        value: Required<Whole<0, 0xFFFF_FFFF>> = "4",
    }
}

section! {
    /// A command of ours: how it is said.
    pub(crate) struct TransmitSection {
        /// For problems and logs.
        name: Required<String> = r#""call""#,
        /// "call_setup", "call_release", "talk_key", "door_open" ...
        command: Required<CommandName> = r#""call_setup""#,
        /// The fields, in their order.
        fields: Repeated<FieldSection>,
    }
}

words! {
    /// The form of a field.
    pub(crate) enum ShapeWord {
        /// One octet.
        U8 = "u8",
        /// Two, the high one first.
        U16Big = "u16_big",
        /// Two, the low one first.
        U16Little = "u16_little",
        /// Two digits an octet.
        Bcd = "bcd",
        /// Characters 0 to 9.
        Digits = "digits",
        /// Characters.
        Text = "text",
        /// Some octets for each value.
        Enum = "enum",
        /// All that is left.
        Rest = "rest",
    }
}

words! {
    /// Where the nibbles F of a number stand.
    pub(crate) enum FillerWord {
        /// Before the digits.
        Leading = "leading",
        /// Behind them.
        Trailing = "trailing",
    }
}

words! {
    /// What fills a field before its digits.
    pub(crate) enum PadWord {
        /// Nothing.
        None = "none",
        /// The letter F.
        F = "F",
        /// The digit 0.
        Zero = "0",
        /// A blank.
        Blank = "blank",
    }
}

section! {
    /// A field: octets that are always the same (`fixed`), or a `slot` in some `shape`.
    pub(crate) struct FieldSection {
        /// These octets and no others.
        fixed: Optional<Octets> = r#""Ical ""#,
        /// What the field is about: "station", "to", "state", "priority" ...
        slot: Defaulted<SlotName> = r#""ignored""#,
        /// "u8", "u16_big", "u16_little", "bcd", "digits", "text", "enum" or "rest".
        shape: Optional<ShapeWord> = r#""digits""#,
        /// For "bcd" in octets, for "digits" and "text" in characters; without it, as many as there
        /// are.
        width: Optional<Whole<1, 4096>> = "4",
        /// For "bcd": where the nibbles F stand, "leading" or "trailing".
        filler: Defaulted<FillerWord> = r#""leading""#,
        /// For "digits" with a width: what stands before them, "none", "F", "0" or "blank".
        pad: Defaulted<PadWord> = r#""none""#,
        /// For "enum": which octets stand for which value.
        choices: Repeated<ChoiceSection>,
    }
}

section! {
    /// Octets that stand for a value.
    pub(crate) struct ChoiceSection {
        /// The octets.
        octets: Required<Octets> = r#""hex:01""#,
        /// The value.
        value: Required<Whole<0, 0xFFFF_FFFF>> = "1",
    }
}
