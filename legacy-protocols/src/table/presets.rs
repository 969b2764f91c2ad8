//! Manifests for what is public, and an empty one for those who hold a specification.
//!
//! How surely each is known stands at its head. None is a vendor's confidential format, and none
//! drives an output unless it is asked for.

use std::time::Duration;

use super::manifest::{
    Check, CheckKind, CheckText, Encoding, Field, Frame, KeepAlive, Limits, Manifest, Meaning,
    Outputs, Pad, ReceiveRule, Shape, TransmitRule,
};
use super::slots::Slot;
use crate::command::Verdict;
use crate::coverage::{CommandKind, EventKind};
use crate::number::Filler;
use crate::priority::Scale;

/// MC-IP's host port: `command source destination`, and `Ackd`, `Busy` or `Fail` with the command
/// again. The grammar, `Ical` and `Hello` are printed in the manual; the other verbs are those of the
/// Harding host port, of the same family, which is our reading.
pub fn mcip_ascii() -> Manifest {
    let telegram = |verb: &str| {
        vec![
            constant(format!("{verb} ").as_bytes()),
            digits(Slot::Station),
            constant(b" "),
            digits(Slot::To),
        ]
    };
    let tells = |verb: &str, kind| receive(verb, telegram(verb), Meaning::Tells(kind), &[]);
    let answers = |word: &str, verdict| {
        let fields = vec![constant(format!("{word} ").as_bytes()), ignored_rest()];
        receive(word, fields, Meaning::Answers(verdict), &[])
    };
    Manifest {
        name: "mcip-ascii".into(),
        frame: text_lines(b"\r\n"),
        keep_alive: Some(KeepAlive {
            send: Some(b"Hello".to_vec()),
            expect: None,
            reply: None,
            every: Duration::from_secs(30),
            dead_after: 3,
        }),
        receive: vec![
            // A sign of life is acknowledged as commands are, and is none.
            receive(
                "Hello",
                vec![constant(b"Ackd Hello")],
                Meaning::Nothing,
                &[],
            ),
            answers("Ackd", Verdict::Done),
            answers("Busy", Verdict::Busy),
            answers("Fail", Verdict::NotAllowed),
            tells("Icrq", EventKind::RequestNew),
            tells("Ican", EventKind::RequestCancelled),
            tells("Ical", EventKind::CallConnected),
            tells("EndC", EventKind::CallReleased),
            receive(
                "Hflt",
                telegram("Hflt"),
                Meaning::Tells(EventKind::StationFaults),
                // No reply.
                &[(Slot::Faults, 1 << 2)],
            ),
        ],
        transmit: vec![
            transmit("Ical", CommandKind::CallSetup, telegram("Ical")),
            transmit("EndC", CommandKind::CallRelease, telegram("EndC")),
        ],
        ..Manifest::default()
    }
}

/// OpenWebNet has a connection for commands and another one for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenWebNet {
    Events,
    Commands,
}

/// OpenWebNet's video door entry (WHO 8), as programs of strangers have observed it. Only where the
/// server asks for no password: what it asks for is cryptography, which no table does.
pub fn openwebnet(connection: OpenWebNet, outputs: Outputs) -> Manifest {
    let door = |what: &str| {
        vec![
            constant(format!("8*{what}*").as_bytes()),
            digits(Slot::Station),
        ]
    };
    let door_state = |name: &str, what: &str, state| {
        let tells = Meaning::Tells(EventKind::DoorState);
        receive(name, door(what), tells, &[(Slot::State, state)])
    };
    let greeting: &[u8] = match connection {
        OpenWebNet::Events => b"99*1",
        OpenWebNet::Commands => b"99*0",
    };
    let acknowledged = |name: &str, contents: &[u8], meaning| {
        receive(name, vec![constant(contents)], meaning, &[])
    };
    let mut manifest = Manifest {
        name: "openwebnet".into(),
        greeting: vec![greeting.to_vec()],
        frame: Frame {
            start: b"*".to_vec(),
            ..text_lines(b"##")
        },
        limits: Limits {
            outputs,
            ..Limits::default()
        },
        ..Manifest::default()
    };
    match connection {
        OpenWebNet::Events => {
            // Who rings stands in what happens, who is rung in where.
            let call = vec![
                constant(b"8*1#1#4#"),
                digits(Slot::Station),
                constant(b"*"),
                digits(Slot::To),
            ];
            manifest.receive = vec![
                acknowledged("ACK", b"#*1", Meaning::Nothing),
                acknowledged("NACK", b"#*0", Meaning::Nothing),
                receive("call", call, Meaning::Tells(EventKind::RequestNew), &[]),
                // That the lock was told to open is not that the door is.
                door_state("lock open", "19", 2),
                door_state("lock close", "20", 0),
            ];
        }
        OpenWebNet::Commands => {
            manifest.receive = vec![
                acknowledged("ACK", b"#*1", Meaning::Answers(Verdict::Done)),
                acknowledged("NACK", b"#*0", Meaning::Answers(Verdict::NotAllowed)),
            ];
            if outputs == Outputs::Enabled {
                manifest.transmit = vec![transmit("lock", CommandKind::DoorOpen, door("19"))];
            }
        }
    }
    manifest
}

/// The part of ACDP's simple link that a table can tell: broadcasts with one option octet about
/// stations with numbers of three or four digits. It shows that the engine agrees with the protocol's own code.
pub fn acdp_simple() -> Manifest {
    let header = |id: u16| {
        vec![
            ignored(Shape::U16Big),
            ignored(Shape::U16Big),
            constant(&[0x21]),
            ignored(Shape::U8),
            constant(&[0x41]),
            ignored(Shape::U16Big),
            constant(&id.to_be_bytes()),
        ]
    };
    let with = |id, fields: Vec<Field>| [header(id), fields].concat();
    let station = |slot, node| {
        vec![
            constant(&[0x32]),
            field(node, Shape::U8),
            field(
                slot,
                Shape::Bcd {
                    octets: 2,
                    filler: Filler::Trailing,
                },
            ),
        ]
    };
    let clock = || {
        vec![
            ignored(Shape::U16Big),
            ignored(Shape::U16Big),
            ignored(Shape::U16Big),
            ignored(Shape::U8),
        ]
    };
    let one = |id| with(id, station(Slot::Station, Slot::Node));
    let two = || {
        [
            station(Slot::Station, Slot::Node),
            station(Slot::To, Slot::Ignored),
        ]
        .concat()
    };
    let state = |name: &str, id, state| {
        let tells = Meaning::Tells(EventKind::StationState);
        receive(name, one(id), tells, &[(Slot::State, state)])
    };
    Manifest {
        name: "acdp-simple".into(),
        frame: Frame {
            encoding: Encoding::AsciiHex,
            ignore_controls: true,
            longest: 1024,
            ..text_lines(b"\r")
        },
        check: Check {
            kind: CheckKind::Xor,
            text: CheckText::Hex,
            separator: b"=".to_vec(),
            ..Check::default()
        },
        receive: vec![
            state("busy", 0x36, 4),
            state("free", 0x37, 1),
            receive(
                "ringing",
                with(
                    0x40,
                    [
                        clock(),
                        two(),
                        vec![
                            field(Slot::Priority, Shape::U8),
                            // Open or private; not busy, not refused.
                            ignored(Shape::Enum(vec![(vec![1], 1), (vec![2], 2)])),
                        ],
                    ]
                    .concat(),
                ),
                Meaning::Tells(EventKind::CallProgress),
                &[],
            ),
            receive(
                "connected",
                with(
                    0x41,
                    [clock(), vec![ignored(Shape::U16Big)], two()].concat(),
                ),
                Meaning::Tells(EventKind::CallConnected),
                &[],
            ),
        ],
        limits: Limits {
            priorities: Scale::FourIsAlarm,
            ..Limits::default()
        },
        ..Manifest::default()
    }
}

/// Empty, for whoever holds a server's specification and may use it; we cannot supply it. It is
/// refused until it is filled in, and says what is missing.
pub fn licensed_server_link() -> Manifest {
    Manifest {
        name: "licensed-server-link".into(),
        ..Manifest::default()
    }
}

fn text_lines(end: &[u8]) -> Frame {
    Frame {
        end: end.to_vec(),
        encoding: Encoding::Ascii,
        longest: 256,
        ..Frame::default()
    }
}

const fn field(slot: Slot, shape: Shape) -> Field {
    Field { slot, shape }
}

fn constant(octets: &[u8]) -> Field {
    ignored(Shape::Const(octets.to_vec()))
}

const fn ignored(shape: Shape) -> Field {
    field(Slot::Ignored, shape)
}

const fn ignored_rest() -> Field {
    ignored(Shape::Rest)
}

const fn digits(slot: Slot) -> Field {
    let shape = Shape::Digits {
        width: None,
        pad: Pad::None,
    };
    field(slot, shape)
}

fn receive(
    name: &str,
    fields: Vec<Field>,
    meaning: Meaning,
    constants: &[(Slot, u32)],
) -> ReceiveRule {
    ReceiveRule {
        name: name.into(),
        fields,
        meaning,
        constants: constants.to_vec(),
    }
}

fn transmit(name: &str, command: CommandKind, fields: Vec<Field>) -> TransmitRule {
    TransmitRule {
        name: name.into(),
        command,
        fields,
    }
}
