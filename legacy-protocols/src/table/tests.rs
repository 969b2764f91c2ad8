//! The engine on its presets, on made-up protocols, and on nonsense.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::codec::{Reader, Telegram, build};
use super::presets::{OpenWebNet, acdp_simple, licensed_server_link, mcip_ascii, openwebnet};
use super::*;
use crate::acdp;
use crate::command::{
    Authority, CallRef, CallSetup, Cause, Command, OutputAction, OutputCommand, OutputId, Purpose,
    Verdict,
};
use crate::coverage::{CommandKind, EventKind};
use crate::event::{CallRequest, Door, Event, TalkMode};
use crate::number::{Node, Number, Party};
use crate::port::{Config, Input, Output, Port, Protocol, Reference};
use crate::priority::Priority;
use crate::text::Text;

const SECOND: Duration = Duration::from_secs(1);

fn port(protocol: Protocol, now: Instant) -> Port {
    let mut port = Port::new(Config::default(), protocol, 1, now);
    port.handle(Input::Opened, now);
    drain(&mut port);
    port
}

fn table(manifest: Manifest, now: Instant) -> Port {
    let session = Session::new(manifest).unwrap();
    port(Protocol::Table(Box::new(session)), now)
}

fn drain(port: &mut Port) -> Vec<Output> {
    let mut said = Vec::new();
    loop {
        match port.poll_output() {
            Output::Timeout(_) => return said,
            output => said.push(output),
        }
    }
}

fn received(port: &mut Port, bytes: &[u8], now: Instant) -> Vec<Event> {
    port.handle(Input::Received(bytes), now);
    let events = drain(port).into_iter().filter_map(|output| match output {
        Output::Happened { event, .. } => Some(event),
        _ => None,
    });
    events.collect()
}

fn ask(port: &mut Port, reference: u64, command: Command, now: Instant) -> Vec<Output> {
    let reference = Reference(reference);
    let purpose = Purpose::Live;
    port.handle(
        Input::Command {
            reference,
            command,
            purpose,
        },
        now,
    );
    drain(port)
}

fn party(number: &str) -> Party {
    Party {
        node: Node(1),
        number: Number::new(number).unwrap(),
    }
}

fn setup(from: &str, to: &str) -> Command {
    Command::CallSetup(CallSetup {
        call: CallRef(5),
        from: party(from),
        to: party(to),
        priority: Priority::NORMAL,
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: None,
    })
}

fn door(id: u64, now: Instant) -> Command {
    Command::DoorOpen(OutputCommand {
        id: OutputId(id),
        station: party("21"),
        output: 1,
        action: OutputAction::Pulse(SECOND),
        authority: Authority::new(b"token").unwrap(),
        valid_until: now + SECOND * 10,
    })
}

fn done(output: Option<&Output>) -> Option<Verdict> {
    match output {
        Some(Output::Done { answer, .. }) => Some(answer.verdict),
        _ => None,
    }
}

fn sent(outputs: &[Output]) -> Vec<Vec<u8>> {
    let sent = outputs.iter().filter_map(|output| match output {
        Output::Send(bytes) => Some(bytes.clone()),
        _ => None,
    });
    sent.collect()
}

#[test]
fn acdp_by_table_tells_the_same_as_acdp_by_code() {
    let now = Instant::now();
    let device = |node, device| acdp::Device { node, device };
    let config = acdp::Config {
        own: device(1, 1),
        server: device(1, 0x41),
        checksum: acdp::Checksum::Required,
        hops: 1,
    };
    let mut by_code = port(Protocol::Acdp(Box::new(acdp::Session::new(config))), now);
    let mut by_table = table(acdp_simple(), now);
    for line in [
        "014101FF2118410015003632018002=54\r\n",
        "014101FF2119410016003632018009=5D\r\n",
        "014101FF211A410017004007D706070B1A2D32018002320180090201=76\r\n",
        "014101FF211B410018004107D706070B1A2D01043201800232018009=7F\r\n",
        "014101FF2118410015003732018002=55\r\n",
        "014101FF2118410015003732018002=56\r\n",
    ] {
        let expected = received(&mut by_code, line.as_bytes(), now);
        assert_eq!(received(&mut by_table, line.as_bytes(), now), expected);
    }
    assert_eq!(by_table.counters().events, 5);
    assert_eq!(by_table.line_counters().bad_checksums, 1);
}

#[test]
fn mcip_calls_one_at_a_time_and_hears_what_became_of_it() {
    let now = Instant::now();
    let mut port = table(mcip_ascii(), now);
    assert_eq!(
        sent(&ask(&mut port, 1, setup("1", "101"), now)),
        [b"Ical 1 101\r\n"]
    );
    // The second waits for the answer to the first.
    assert_eq!(ask(&mut port, 2, setup("1", "102"), now), []);
    port.handle(Input::Received(b"Ackd Ical 1 101\r\n"), now);
    let said = drain(&mut port);
    assert_eq!(done(said.first()), Some(Verdict::Done));
    assert_eq!(sent(&said), [b"Ical 1 102\r\n"]);
    port.handle(Input::Received(b"Busy Ical 1 102\r\n"), now);
    assert_eq!(done(drain(&mut port).first()), Some(Verdict::Busy));
    let call = CallRef(5);
    let cause = Cause::NORMAL;
    let end = ask(&mut port, 3, Command::CallRelease { call, cause }, now);
    assert_eq!(sent(&end), [b"EndC 1 102\r\n"]);
}

#[test]
fn mcip_tells_of_requests_and_keeps_what_it_does_not_know() {
    let now = Instant::now();
    let mut port = table(mcip_ascii(), now);
    let events = received(&mut port, b"Icrq 101 1\r\nIcan 101 1\r\nZork 1\r\n", now);
    let [
        Event::RequestNew(request),
        Event::RequestCancelled { request: cancelled },
        opaque,
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    let CallRequest { from, to, .. } = request;
    assert_eq!((*from, *to), (party("101"), Some(party("1"))));
    assert_eq!(request.request, *cancelled);
    assert_eq!(*opaque, Event::Opaque { kind: None });
    assert!(!port.coverage().can_command(CommandKind::DoorOpen));
    assert!(port.coverage().can_hear(EventKind::RequestNew));
}

#[test]
fn openwebnet_opens_a_door_only_where_outputs_are_enabled() {
    let now = Instant::now();
    let mut refused = table(openwebnet(OpenWebNet::Commands, Outputs::Refused), now);
    let said = ask(&mut refused, 1, door(1, now), now);
    assert_eq!(done(said.first()), Some(Verdict::Unsupported));
    let mut port = table(openwebnet(OpenWebNet::Commands, Outputs::Enabled), now);
    let said = ask(&mut port, 1, door(1, now), now);
    assert_eq!(sent(&said), [b"*8*19*21##"]);
    port.handle(Input::Received(b"*#*1##"), now);
    assert_eq!(done(drain(&mut port).first()), Some(Verdict::Done));
    let mut events = table(openwebnet(OpenWebNet::Events, Outputs::Refused), now);
    let heard = received(&mut events, b"*#*1##*8*19*21##", now);
    let state = Door::Sent;
    let station = party("21");
    assert_eq!(
        heard,
        [Event::DoorState {
            station,
            output: 1,
            state,
            command: None
        }]
    );
}

/// Who rings and who is rung, as an entrance panel's frame says it; without the second it is none.
#[test]
fn openwebnet_tells_who_rings_at_whom() {
    let now = Instant::now();
    let mut port = table(openwebnet(OpenWebNet::Events, Outputs::Refused), now);
    let heard = received(&mut port, b"*8*1#1#4#21*10##*8*1#1#4#21##", now);
    let [Event::RequestNew(request), Event::Opaque { kind: None }] = &heard[..] else {
        panic!("{heard:?}");
    };
    let CallRequest { from, to, .. } = request;
    assert_eq!((*from, *to), (party("21"), Some(party("10"))));
}

#[test]
fn b9_an_unanswered_output_is_not_sent_again_and_other_commands_are() {
    let mut now = Instant::now();
    let mut manifest = openwebnet(OpenWebNet::Commands, Outputs::Enabled);
    manifest.receive.clear();
    manifest.acknowledge = Acknowledge::PerFrame {
        ok: b"#*1".to_vec(),
        refused: b"#*0".to_vec(),
        within: SECOND,
        retries: 2,
    };
    let text = Field {
        slot: Slot::Text,
        shape: Shape::Text { width: None },
    };
    let show = Field {
        slot: Slot::Ignored,
        shape: Shape::Const(b"T*".to_vec()),
    };
    manifest.transmit.push(TransmitRule {
        name: "text".into(),
        command: CommandKind::ShowText,
        fields: vec![show, text],
    });
    let mut port = table(manifest, now);
    assert_eq!(sent(&ask(&mut port, 1, door(1, now), now)).len(), 1);
    now += SECOND;
    port.handle_timeout(now);
    let said = drain(&mut port);
    assert_eq!(
        (sent(&said).len(), done(said.first())),
        (0, Some(Verdict::NoAnswer))
    );
    // A delimiter in a text is a blank on the line.
    let text = Text::clip("a*b##c");
    let station = party("21");
    let said = ask(&mut port, 2, Command::ShowText { station, text }, now);
    assert_eq!(sent(&said), [b"*T*a b  c##"]);
    for again in [1, 1, 0] {
        now += SECOND;
        port.handle_timeout(now);
        assert_eq!(sent(&drain(&mut port)).len(), again);
    }
    assert_eq!(port.line_counters().repeats, 2);
}

#[test]
fn b9_an_output_that_waited_beyond_its_validity_is_not_driven() {
    let now = Instant::now();
    let mut manifest = mcip_ascii();
    manifest.limits.outputs = Outputs::Enabled;
    manifest.transmit.push(TransmitRule {
        name: "Open".into(),
        command: CommandKind::DoorOpen,
        fields: manifest.transmit[0].fields[..2].to_vec(),
    });
    let mut port = table(manifest, now);
    ask(&mut port, 1, setup("1", "101"), now);
    let mut short = door(1, now);
    if let Command::DoorOpen(output) = &mut short {
        output.valid_until = now + SECOND;
    }
    assert_eq!(ask(&mut port, 2, short, now), []);
    let later = now + SECOND;
    port.handle(Input::Received(b"Ackd Ical 1 101\r\n"), later);
    let said = drain(&mut port);
    assert_eq!(done(said.last()), Some(Verdict::Expired));
    assert_eq!(sent(&said).len(), 0);
}

/// The kind of link that a public program shows (an indicator octet, a zero, text, an end octet, idle
/// frames that are answered alike) can be expressed.
#[test]
fn idle_frames_are_answered_and_silence_is_noticed() {
    let mut now = Instant::now();
    let mut manifest = mcip_ascii();
    manifest.frame.start = Vec::new();
    manifest.frame.end = vec![0xFF];
    manifest.keep_alive = Some(KeepAlive {
        send: None,
        expect: Some(vec![0xF1, 0x00]),
        reply: Some(vec![0xF1, 0x00]),
        every: SECOND * 10,
        dead_after: 3,
    });
    let mut port = table(manifest, now);
    port.handle(Input::Received(&[0xF1, 0x00, 0xFF]), now);
    assert_eq!(sent(&drain(&mut port)), [[0xF1, 0x00, 0xFF]]);
    let mut closed = false;
    for _ in 0..3 {
        now += SECOND * 10;
        port.handle_timeout(now);
        closed |= drain(&mut port)
            .iter()
            .any(|output| matches!(output, Output::Close { .. }));
    }
    assert!(closed);
}

#[test]
fn the_empty_template_says_what_is_missing() {
    let problems = validate(&licensed_server_link()).unwrap_err();
    let places: Vec<&str> = problems.iter().map(|p| p.place.as_str()).collect();
    assert_eq!(places, ["frame", "receive"]);
}

#[test]
fn all_problems_are_told_at_once_with_place_and_remedy() {
    let mut manifest = mcip_ascii();
    manifest.name.clear();
    manifest.frame.longest = 0;
    manifest.receive[4].fields.remove(1);
    manifest.receive[5].fields[3].slot = Slot::Station;
    manifest.transmit.push(TransmitRule {
        name: "Open".into(),
        command: CommandKind::DoorOpen,
        fields: manifest.transmit[0].fields.clone(),
    });
    manifest.limits.commands_per_second = 0;
    let problems = validate(&manifest).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "name: missing; say what the driver is for",
            "frame.longest: 0 octets; give 1 to 4096",
            "receive[4]: nothing tells station; add a field or a constant for it",
            "receive[5].fields[3]: station a second time; make it ignored",
            "transmit[2].command: door_open drives an output; say outputs_enabled = true in limits, \
             or remove the rule",
            "transmit[2].fields[3]: door_open says nothing of to; give a constant instead",
            "limits.commands_per_second: out of range; give 1 to 1000",
        ]
    );
}

#[test]
fn numbers_beyond_the_limits_are_neither_called_nor_believed() {
    let now = Instant::now();
    let mut manifest = mcip_ascii();
    let range = |from, to| (Number::new(from).unwrap(), Number::new(to).unwrap());
    manifest.limits.numbers = vec![range("1", "9"), range("100", "199")];
    let mut port = table(manifest, now);
    assert_eq!(
        done(ask(&mut port, 1, setup("1", "201"), now).first()),
        Some(Verdict::NotAllowed)
    );
    let events = received(&mut port, b"Icrq 201 1\r\n", now);
    assert_eq!(events, [Event::Opaque { kind: None }]);
}

fn made_up() -> Vec<Manifest> {
    let framed = |frame: Frame, check: Check| Manifest {
        frame,
        check,
        ..mcip_ascii()
    };
    let binary = Frame {
        start: vec![0x02],
        end: vec![0x03],
        escape: Some(Escape {
            octet: 0x10,
            flip: 0x80,
            escaped: vec![0x02, 0x03],
        }),
        longest: 400,
        ..Frame::default()
    };
    let hex = Frame {
        encoding: Encoding::AsciiHex,
        end: b"\r\n".to_vec(),
        longest: 400,
        ..Frame::default()
    };
    let check = |kind, text, over| Check {
        kind,
        text,
        over,
        ..Check::default()
    };
    let mut all = Vec::new();
    for kind in [
        CheckKind::Xor,
        CheckKind::Sum8,
        CheckKind::NegativeSum8,
        CheckKind::Crc16X25,
        CheckKind::Crc16Modbus,
    ] {
        let decoded = CheckOver::Decoded;
        all.push(framed(
            binary.clone(),
            check(kind, CheckText::Binary, decoded),
        ));
        all.push(framed(hex.clone(), check(kind, CheckText::Hex, decoded)));
        let encoded = CheckOver::Encoded;
        all.push(framed(hex.clone(), check(kind, CheckText::Hex, encoded)));
    }
    all
}

fn read_all(manifest: &Manifest, stream: &[u8]) -> Vec<Telegram> {
    let mut reader = Reader::default();
    let telegrams = stream.iter().filter_map(|o| reader.push(*o, manifest));
    telegrams.collect()
}

#[test]
fn every_single_bit_flip_on_a_checked_link_is_detected() {
    for manifest in made_up() {
        assert_eq!(validate(&manifest), Ok(()));
        let contents = b"\x02Ical 1 101\x03\x10";
        let line = build(contents, &manifest).unwrap();
        for bit in 0..line.len() * 8 {
            let mut flipped = line.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped.extend_from_slice(&manifest.frame.end);
            for telegram in read_all(&manifest, &flipped) {
                if let Ok(taken) = telegram.contents {
                    assert_eq!(taken, contents, "bit {bit} with {:?}", manifest.check);
                }
            }
        }
    }
}

#[test]
fn a_frame_that_tells_its_length_is_cut_by_it() {
    let mut manifest = made_up().remove(9);
    manifest.frame = Frame {
        length: Some(LengthField {
            length: Length::U16Big,
            at: 1,
            plus: 3,
        }),
        longest: 100,
        ..Frame::default()
    };
    manifest.check.text = CheckText::Binary;
    assert_eq!(validate(&manifest), Ok(()));
    let line = build(&[7, 0, 0, 1, 2, 3], &manifest).unwrap();
    assert_eq!(line[..3], [7, 0, 5]);
    let twice = [&line[..], &line].concat();
    let telegrams = read_all(&manifest, &twice);
    assert_eq!(telegrams.len(), 2);
    assert_eq!(telegrams[1].contents, Ok(vec![7, 0, 5, 1, 2, 3]));
    assert!(read_all(&manifest, &[7, 0xFF, 0xFF])[0].contents.is_err());
}

proptest! {
    #[test]
    fn any_contents_survive_their_frame(
        contents in proptest::collection::vec(any::<u8>(), 1..90)
    ) {
        for manifest in made_up() {
            let line = build(&contents, &manifest).unwrap();
            let telegrams = read_all(&manifest, &line);
            prop_assert_eq!(telegrams.len(), 1);
            prop_assert_eq!(telegrams[0].contents.as_ref(), Ok(&contents));
        }
    }

    #[test]
    fn any_stream_is_survived(stream in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let now = Instant::now();
        let presets = [
            acdp_simple(),
            mcip_ascii(),
            openwebnet(OpenWebNet::Events, Outputs::Refused),
        ];
        for manifest in presets.into_iter().chain(made_up()) {
            let longest = manifest.frame.longest + manifest.frame.end.len();
            for telegram in read_all(&manifest, &stream) {
                prop_assert!(telegram.raw.len() <= longest);
            }
            received(&mut table(manifest, now), &stream, now);
        }
    }
}
