//! What must hold of any bytes on any line. Shared by the property tests and the fuzz targets in
//! `tests/fuzz`.

use std::time::{Duration, Instant};

use legacy_protocols::acdp;
use legacy_protocols::command::{Command, Purpose, Verdict};
use legacy_protocols::coverage::{CommandKind, EventKind};
use legacy_protocols::event::Event;
use legacy_protocols::number::{Filler, Node, Number, Party};
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port::{Config, Input, Opening, Output, Port, Protocol, Reference};
use legacy_protocols::table::presets::{OpenWebNet, acdp_simple, mcip_ascii, openwebnet};
use legacy_protocols::table::{
    self, Acknowledge, Check, CheckKind, CheckOver, CheckText, Encoding, Escape, Field, Frame,
    KeepAlive, Length, LengthField, Limits, Manifest, Meaning, Outputs, Pad, ReceiveRule, Shape,
    Slot, TransmitRule,
};
use legacy_protocols::text_servers::{McIpServer, OpenWebNetServer};

/// All of them.
#[allow(dead_code, reason = "each fuzz target takes one")]
pub(crate) fn any(bytes: &[u8]) {
    acdp(bytes);
    open_link(bytes);
    open_link_messages(bytes);
    tables(bytes);
    text_servers(bytes);
}

pub(crate) fn acdp(bytes: &[u8]) {
    let device = |node, device| acdp::Device { node, device };
    let config = acdp::Config {
        own: device(1, 1),
        server: device(1, 0x41),
        checksum: acdp::Checksum::Optional,
        hops: 1,
    };
    let session = acdp::Session::new(config);
    live(Protocol::Acdp(Box::new(session)), bytes);
    let server = acdp::Server::new(config);
    live(Protocol::AcdpServer(Box::new(server)), bytes);
}

/// The servers' ends of MC-IP and OpenWebNet, the latter once for each kind of connection.
pub(crate) fn text_servers(bytes: &[u8]) {
    let server = McIpServer::new(Node(1), Node(2));
    live(Protocol::McIpServer(Box::new(server)), bytes);
    for greeting in [&b""[..], b"*99*0##", b"*99*1##"] {
        let server = OpenWebNetServer::new(Node(1));
        let bytes = [greeting, bytes].concat();
        live(Protocol::OpenWebNetServer(Box::new(server)), &bytes);
    }
}

pub(crate) fn open_link(bytes: &[u8]) {
    for role in [Role::Gateway, Role::Server] {
        live(open_link_session(role), bytes);
    }
}

/// The bytes as messages in frames that pass every check, on a link that is up.
pub(crate) fn open_link_messages(bytes: &[u8]) {
    let mut stream = open_link::frame(&[0x7F]);
    for (number, payload) in bytes.chunks(40).enumerate() {
        let mut octets = vec![(number as u8) << 1, 0];
        octets.extend_from_slice(payload);
        stream.extend(open_link::frame(&octets));
        if let Ok(pdu) = open_link::Pdu::decode(payload) {
            assert_eq!(pdu.encode(), payload);
        }
    }
    live(open_link_session(Role::Server), &stream);
}

fn open_link_session(role: Role) -> Protocol {
    let config = open_link::Config::serial(role, Node(1), Node(2), "any");
    let session = open_link::Session::new(config, Instant::now());
    Protocol::OpenLink(Box::new(session))
}

/// The presets, and a manifest that the bytes themselves describe.
pub(crate) fn tables(bytes: &[u8]) {
    let mut draw = Draw(bytes);
    let made_up = manifest(&mut draw);
    let presets = [
        acdp_simple(),
        mcip_ascii(),
        openwebnet(OpenWebNet::Events, Outputs::Refused),
        openwebnet(OpenWebNet::Commands, Outputs::Enabled),
    ];
    for manifest in presets.into_iter().chain([made_up]) {
        match table::Session::new(manifest) {
            Ok(session) => live(Protocol::Table(Box::new(session)), draw.0),
            Err(problems) => {
                for problem in problems {
                    assert!(!problem.place.is_empty() && !problem.remedy.is_empty());
                }
            }
        }
    }
}

/// A port that lives through these bytes: every drain ends, no deadline is due after it, and what is
/// said is bounded by what came.
fn live(protocol: Protocol, bytes: &[u8]) {
    let mut now = Instant::now();
    let config = Config {
        opening: Opening::Theirs,
        ..Config::default()
    };
    let mut port = Port::new(config, protocol, 1, now);
    port.handle(Input::Opened, now);
    let mut said = drain(&mut port, now);
    let station = Party {
        node: Node(1),
        number: Number::SERVER,
    };
    for (turn, chunk) in (0..).zip(bytes.chunks(29)) {
        port.handle(Input::Received(chunk), now);
        said += drain(&mut port, now);
        if turn % 8 == 0 {
            port.handle(
                Input::Command {
                    reference: Reference(turn),
                    command: Command::LineTest { station },
                    purpose: Purpose::Live,
                },
                now,
            );
            said += drain(&mut port, now);
        }
        now += Duration::from_millis(100);
        port.handle_timeout(now);
        said += drain(&mut port, now);
    }
    assert!(
        said <= 64 + bytes.len() * 8,
        "{said} outputs of {} octets",
        bytes.len()
    );
}

fn drain(port: &mut Port, now: Instant) -> usize {
    for said in 0..100_000 {
        match port.poll_output() {
            Output::Timeout(deadline) => {
                assert!(deadline.is_none_or(|at| at > now), "due after a drain");
                return said;
            }
            Output::Happened { event, from } => {
                let concluded = from.raw.is_empty() && matches!(event, Event::Opaque { .. });
                assert!(!concluded, "an unknown telegram has octets");
            }
            Output::Open
            | Output::Send(_)
            | Output::Close { .. }
            | Output::Link(_)
            | Output::Picture(_)
            | Output::Asked { .. }
            | Output::Done { .. } => {}
        }
    }
    panic!("a drain that does not end");
}

/// Choices out of bytes; when they are used up, the first of everything.
struct Draw<'a>(&'a [u8]);

impl Draw<'_> {
    fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::from(self.octet()) % of.len()].clone()
    }

    fn octets(&mut self) -> Vec<u8> {
        let count = self.octet() % 4;
        (0..count).map(|_| self.octet()).collect()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.octet() % 2 == 1).then(|| make(self))
    }
}

fn manifest(draw: &mut Draw<'_>) -> Manifest {
    let rules = draw.octet() % 4;
    Manifest {
        name: "any".into(),
        greeting: vec![draw.octets()],
        keep_alive: draw.maybe(keep_alive),
        frame: frame(draw),
        check: check(draw),
        acknowledge: acknowledge(draw),
        receive: (0..rules).map(|_| receive(draw)).collect(),
        transmit: (0..rules).map(|_| transmit(draw)).collect(),
        limits: Limits {
            outputs: draw.pick(&[Outputs::Refused, Outputs::Enabled]),
            commands_per_second: u32::from(draw.octet()),
            ..Limits::default()
        },
    }
}

fn keep_alive(draw: &mut Draw<'_>) -> KeepAlive {
    KeepAlive {
        send: draw.maybe(Draw::octets),
        expect: draw.maybe(Draw::octets),
        reply: draw.maybe(Draw::octets),
        every: Duration::from_secs(u64::from(draw.octet())),
        dead_after: u32::from(draw.octet()),
    }
}

fn frame(draw: &mut Draw<'_>) -> Frame {
    Frame {
        start: draw.octets(),
        end: draw.octets(),
        escape: draw.maybe(|draw| Escape {
            octet: draw.octet(),
            flip: draw.octet(),
            escaped: draw.octets(),
        }),
        length: draw.maybe(|draw| LengthField {
            length: draw.pick(&[Length::U8, Length::U16Big, Length::U16Little]),
            at: usize::from(draw.octet()),
            plus: usize::from(draw.octet()),
        }),
        encoding: draw.pick(&[Encoding::Binary, Encoding::Ascii, Encoding::AsciiHex]),
        ignore_controls: draw.octet() % 2 == 1,
        longest: usize::from(draw.octet()),
    }
}

fn check(draw: &mut Draw<'_>) -> Check {
    Check {
        kind: draw.pick(&[
            CheckKind::None,
            CheckKind::Xor,
            CheckKind::Sum8,
            CheckKind::NegativeSum8,
            CheckKind::Crc16X25,
            CheckKind::Crc16Modbus,
        ]),
        over: draw.pick(&[CheckOver::Decoded, CheckOver::Encoded]),
        text: draw.pick(&[CheckText::Binary, CheckText::Hex]),
        separator: draw.octets(),
        optional_on_receive: draw.octet() % 2 == 1,
    }
}

fn acknowledge(draw: &mut Draw<'_>) -> Acknowledge {
    let per_frame = draw.maybe(|draw| Acknowledge::PerFrame {
        ok: draw.octets(),
        refused: draw.octets(),
        within: Duration::from_millis(u64::from(draw.octet())),
        retries: u32::from(draw.octet()),
    });
    per_frame.unwrap_or_default()
}

fn receive(draw: &mut Draw<'_>) -> ReceiveRule {
    let meanings: Vec<Meaning> = [Meaning::Nothing, Meaning::Answers(Verdict::Done)]
        .into_iter()
        .chain(EventKind::ALL.iter().copied().map(Meaning::Tells))
        .chain(CommandKind::ALL.iter().copied().map(Meaning::Asks))
        .collect();
    ReceiveRule {
        name: "any".into(),
        fields: fields(draw),
        meaning: draw.pick(&meanings),
        constants: vec![
            (draw.pick(Slot::ALL), u32::from(draw.octet())),
            (Slot::State, u32::from(draw.octet())),
        ],
    }
}

fn transmit(draw: &mut Draw<'_>) -> TransmitRule {
    TransmitRule {
        name: "any".into(),
        command: draw.pick(CommandKind::ALL),
        fields: fields(draw),
    }
}

fn fields(draw: &mut Draw<'_>) -> Vec<Field> {
    let count = draw.octet() % 5;
    let fields = (0..count).map(|_| Field {
        slot: draw.pick(Slot::ALL),
        shape: shape(draw),
    });
    fields.collect()
}

fn shape(draw: &mut Draw<'_>) -> Shape {
    let width = draw.maybe(|draw| usize::from(draw.octet() % 16));
    match draw.octet() % 9 {
        0 => Shape::Const(draw.octets()),
        1 => Shape::U8,
        2 => Shape::U16Big,
        3 => Shape::U16Little,
        4 => Shape::Bcd {
            octets: usize::from(draw.octet() % 6),
            filler: draw.pick(&[Filler::Leading, Filler::Trailing]),
        },
        5 => Shape::Digits {
            width,
            pad: draw.pick(&[Pad::None, Pad::F, Pad::Zero, Pad::Blank]),
        },
        6 => Shape::Text { width },
        7 => Shape::Enum(vec![(draw.octets(), 1), (draw.octets(), 2)]),
        _ => Shape::Rest,
    }
}
