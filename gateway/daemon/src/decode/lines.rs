//! Frames of lines to older servers as JSON: what their parsers made of them, or where and why they
//! refuse.
//!
//! The open link and the D channel of ISDN are read frame by frame, without the state of a link; ACDP
//! and table drivers by a port of their own, as on a line. Dialled keys are not shown.

use std::fmt::Debug;
use std::time::Instant;

use legacy_protocols::acdp::{Checksum, Device, Message as Telegram, Reader};
use legacy_protocols::isdn::codec::{Interface, Message, id, text};
use legacy_protocols::isdn::layer1::l1oip::Datagram;
use legacy_protocols::link::Frame;
use legacy_protocols::open_link::{self, Deframer, Ends, Pdu, Times, understand};
use legacy_protocols::port::{self, Input, Output, Port, Protocol};
use legacy_protocols::table::{self, Manifest};
use serde::Serialize;

use super::message::{Judgement, Refused, Understood};
use crate::timeline::entry::hex;

/// A frame of the open link profile.
#[derive(Debug, Serialize)]
pub(super) struct OpenLinkView {
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<OpenLinkMessage>,
}

/// A control field, of Q.921 or of the open link.
#[derive(Debug, Serialize)]
struct LinkView {
    frame: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u8>,
    poll_final: bool,
}

#[derive(Debug, Serialize)]
struct OpenLinkMessage {
    /// As docs/open-link-profile.md numbers them.
    r#type: String,
    flags: u8,
    hops: u8,
    source: u16,
    destination: u16,
    reference: u16,
    means: String,
}

/// A line of ACDP's simple link layer.
#[derive(Debug, Serialize)]
pub(super) struct AcdpView {
    source: [u8; 2],
    destination: [u8; 2],
    class: u8,
    reference: u16,
    id: String,
    parameters: String,
}

/// A frame of a D channel.
#[derive(Debug, Serialize)]
pub(super) struct LapdView {
    sapi: u8,
    tei: u8,
    link: LinkView,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<CallControl>,
    /// Why what it carries is no message of Q.931, where it should be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    call_refused: Option<String>,
}

/// A message of Q.931.
#[derive(Debug, Serialize)]
pub(super) struct CallControl {
    message: String,
    reference: u16,
    /// Who chose the reference.
    reference_of: String,
    elements: Vec<ElementView>,
    /// The last element was cut off.
    cut_off: bool,
}

#[derive(Debug, Serialize)]
struct ElementView {
    codeset: u8,
    id: String,
    name: &'static str,
    /// Absent of dialled keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// A datagram of L1oIP.
#[derive(Debug, Serialize)]
pub(super) struct L1oipView {
    interface: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<u32>,
    coding: u8,
    parts: Vec<PartView>,
}

#[derive(Debug, Serialize)]
struct PartView {
    channel: u8,
    time: u16,
    octets: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    d_channel: Option<Box<Judgement>>,
}

/// What a telegram of a table driver means.
#[derive(Debug, Serialize)]
pub(super) struct TableView {
    driver: String,
    telegram: String,
    event: &'static str,
    means: String,
}

/// Every frame of a stream between flags, or of lines in the printed form.
pub(super) fn open_link(octets: &[u8]) -> Vec<Judgement> {
    if let Some(lines) = printed(octets) {
        return lines.into_iter().map(printed_line).collect();
    }
    let mut deframer = Deframer::default();
    let mut judgements = Vec::new();
    let mut start = 0;
    for (at, octet) in octets.iter().enumerate() {
        match deframer.push(*octet) {
            Some(Ok(frame)) => judgements.push(open_link_frame(&frame, start)),
            Some(Err(fault)) => judgements.push(refused("open_link", start, &fault)),
            None => {}
        }
        if *octet == 0x7E {
            start = at;
        }
    }
    judgements
}

fn open_link_frame(octets: &[u8], start: usize) -> Judgement {
    let frame = match Frame::decode(octets) {
        Ok(frame) => frame,
        Err(error) => return refused("open_link", start, &error),
    };
    let payload = payload_of(&frame);
    let message = match payload {
        [] => None,
        payload => match open_link_message(payload, start) {
            Ok(message) => Some(message),
            Err(judgement) => return judgement,
        },
    };
    understood(Understood::OpenLink(OpenLinkView {
        link: Some(link_view(&frame)),
        message,
    }))
}

fn open_link_message(payload: &[u8], start: usize) -> Result<OpenLinkMessage, Judgement> {
    let pdu = Pdu::decode(payload).map_err(|fault| refused("open_link", start, &fault))?;
    let ends = Ends {
        own: pdu.destination,
        other: pdu.source,
        times: &NoClock,
    };
    let means = understand(&pdu, ends).map_err(|fault| {
        let why = format!("message of type {:02x}: {fault}", pdu.kind);
        refused("open_link", start, &why)
    })?;
    Ok(OpenLinkMessage {
        r#type: format!("{:02x}", pdu.kind),
        flags: pdu.flags.0,
        hops: pdu.hops,
        source: pdu.source.0,
        destination: pdu.destination.0,
        reference: pdu.reference,
        means: plain(&means),
    })
}

/// A capture knows nothing of the clock of the link.
#[derive(Debug)]
struct NoClock;

impl Times for NoClock {
    fn ours(&self, _: Instant) -> u64 {
        0
    }

    fn theirs(&self, _: u64) -> Instant {
        Instant::now()
    }
}

/// The lines of `HEX*CHECK`, if that is what all of them are.
fn printed(octets: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(octets).ok()?;
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let is_printed = |line: &&str| {
        let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        line.split_once('*')
            .is_some_and(|(payload, check)| hex(payload) && hex(check) && check.len() == 4)
    };
    (!lines.is_empty() && lines.iter().all(is_printed)).then_some(lines)
}

pub(super) fn is_printed_open_link(octets: &[u8]) -> bool {
    printed(octets).is_some()
}

fn printed_line(line: &str) -> Judgement {
    let digits = line.split('*').next().unwrap_or_default();
    let Some(payload) = unhex(digits.as_bytes()) else {
        return refused("open_link", 0, &"an odd number of hex digits");
    };
    if !open_link::printable(&payload).eq_ignore_ascii_case(line) {
        return refused("open_link", digits.len() + 1, &"the check does not fit");
    }
    match open_link_message(&payload, 0) {
        Ok(message) => understood(Understood::OpenLink(OpenLinkView {
            link: None,
            message: Some(message),
        })),
        Err(judgement) => judgement,
    }
}

/// Every line of ACDP's simple link layer; a checksum may be missing.
pub(super) fn acdp(octets: &[u8]) -> Vec<Judgement> {
    let mut reader = Reader::new(Checksum::Optional);
    let mut judgements = Vec::new();
    let mut start = 0;
    // People's files end lines as their editors do.
    let ended = octets.iter().map(|octet| match octet {
        b'\n' => b'\r',
        octet => *octet,
    });
    for (at, octet) in ended.chain([b'\r']).enumerate() {
        if let Some(line) = reader.push(octet) {
            judgements.push(match line.octets {
                Ok(octets) => telegram(&octets, start),
                Err(error) => refused("acdp", start, &error),
            });
        }
        if octet == b'\r' {
            start = at + 1;
        }
    }
    judgements
}

fn telegram(octets: &[u8], start: usize) -> Judgement {
    const DIAL_DIGITS: u16 = 0x50;
    let device = |device: Device| [device.node, device.device];
    match Telegram::decode(octets) {
        Ok(telegram) => understood(Understood::Acdp(AcdpView {
            source: device(telegram.source),
            destination: device(telegram.destination),
            class: telegram.class,
            reference: telegram.reference,
            id: format!("{:04x}", telegram.id),
            parameters: match telegram.id {
                DIAL_DIGITS => "[redacted]".to_owned(),
                _ => hex(&telegram.parameters),
            },
        })),
        Err(error) => refused("acdp", start, &error),
    }
}

/// One frame of a D channel, from its address on and without a check sequence.
pub(super) fn lapd(frame: &[u8]) -> Judgement {
    const CALL_CONTROL: u8 = 0;
    let &[first, second, ref rest @ ..] = frame else {
        return refused("lapd", 0, &"too short for an address");
    };
    // Q.921 3.2: the extension bits mark a field of exactly two octets.
    if first & 1 != 0 || second & 1 != 1 {
        return refused("lapd", 0, &"this is no address of two octets");
    }
    let control = match Frame::decode(rest) {
        Ok(control) => control,
        Err(error) => return refused("lapd", 2, &error),
    };
    let sapi = first >> 2;
    let payload = payload_of(&control);
    let call = match (sapi, payload) {
        (CALL_CONTROL, [_, ..]) => Some(Message::decode(payload)),
        _ => None,
    };
    let (call, call_refused) = match call {
        Some(Ok(message)) => (Some(call_control(&message)), None),
        Some(Err(error)) => (None, Some(error.to_string())),
        None => (None, None),
    };
    understood(Understood::Lapd(LapdView {
        sapi,
        tei: second >> 1,
        link: link_view(&control),
        call,
        call_refused,
    }))
}

/// One message of Q.931.
pub(super) fn q931(octets: &[u8]) -> Judgement {
    match Message::decode(octets) {
        Ok(message) => understood(Understood::Q931(call_control(&message))),
        Err(error) => refused("q931", 0, &error),
    }
}

fn call_control(message: &Message) -> CallControl {
    let element = |element: &legacy_protocols::isdn::codec::Element| {
        let is_keys = element.codeset == 0 && element.id == id::KEYPAD;
        let is_text = element.codeset == 0 && element.id == id::DISPLAY;
        ElementView {
            codeset: element.codeset,
            id: format!("{:02x}", element.id),
            name: match element.codeset {
                0 => element_name(element.id),
                _ => "of another codeset",
            },
            contents: (!is_keys).then(|| hex(&element.contents)),
            text: is_text.then(|| text(&element.contents)),
        }
    };
    CallControl {
        message: plain(&message.kind),
        reference: message.reference.value,
        reference_of: plain(&message.reference.origin).to_lowercase(),
        elements: message.elements.iter().map(element).collect(),
        cut_off: message.cut_off,
    }
}

fn element_name(element: u8) -> &'static str {
    match element {
        id::BEARER_CAPABILITY => "bearer capability",
        id::CAUSE => "cause",
        id::CALL_STATE => "call state",
        id::CHANNEL_IDENTIFICATION => "channel identification",
        id::FACILITY => "facility",
        id::PROGRESS_INDICATOR => "progress indicator",
        id::NOTIFICATION_INDICATOR => "notification indicator",
        id::DISPLAY => "display",
        id::KEYPAD => "keypad",
        id::CONNECTED_NUMBER => "connected number",
        id::CALLING_NUMBER => "calling number",
        id::CALLED_NUMBER => "called number",
        id::RESTART_INDICATOR => "restart indicator",
        id::LOW_LAYER_COMPATIBILITY => "low layer compatibility",
        id::HIGH_LAYER_COMPATIBILITY => "high layer compatibility",
        id::USER_USER => "user-user",
        id::SENDING_COMPLETE => "sending complete",
        _ => "unknown",
    }
}

/// One datagram of L1oIP, with what its D channel carries.
pub(super) fn l1oip(octets: &[u8]) -> Judgement {
    let datagram = match Datagram::decode(octets) {
        Ok(datagram) => datagram,
        Err(error) => return refused("l1oip", 0, &error),
    };
    let (interface, d_channel) = match datagram.interface {
        Interface::BasicRate => ("s0", 3),
        Interface::PrimaryRate => ("e1", 16),
    };
    let parts = datagram.parts.iter().map(|part| PartView {
        channel: part.channel,
        time: part.time,
        octets: part.data.len(),
        d_channel: (part.channel == d_channel && !part.data.is_empty())
            .then(|| Box::new(lapd(&part.data))),
    });
    understood(Understood::L1oip(L1oipView {
        interface,
        identity: datagram.identity,
        coding: datagram.coding,
        parts: parts.collect(),
    }))
}

/// What a stream means to a table driver.
pub(super) fn table(octets: &[u8], manifest: Manifest) -> Vec<Judgement> {
    let driver = manifest.name.clone();
    let session = match table::Session::new(manifest) {
        Ok(session) => session,
        Err(problems) => {
            let why = problems.first().map_or(String::new(), ToString::to_string);
            return vec![refused("table", 0, &why)];
        }
    };
    let now = Instant::now();
    let protocol = Protocol::Table(Box::new(session));
    let mut line = Port::new(port::Config::default(), protocol, 0, now);
    let mut judgements = Vec::new();
    line.handle(Input::Opened, now);
    let mut start = 0;
    let mut before = *line.line_counters();
    for (at, octet) in octets.iter().enumerate() {
        line.handle(Input::Received(std::slice::from_ref(octet)), now);
        let told = judgements.len();
        loop {
            let (event, means, from) = match line.poll_output() {
                Output::Happened { event, from } => (event.kind().name(), plain(&event), from),
                Output::Asked { command, from, .. } => {
                    (command.kind().name(), plain(&command), from)
                }
                Output::Timeout(_) => break,
                Output::Open
                | Output::Send(_)
                | Output::Close { .. }
                | Output::Link(_)
                | Output::Picture(_)
                | Output::Done { .. } => continue,
            };
            judgements.push(understood(Understood::Table(TableView {
                driver: driver.clone(),
                telegram: String::from_utf8_lossy(&from.raw).into_owned(),
                event,
                means,
            })));
        }
        let after = *line.line_counters();
        let why = if after.bad_checksums > before.bad_checksums {
            "the check does not fit"
        } else if after.malformed > before.malformed {
            "the telegram passed its check and makes no sense"
        } else if after.oversize > before.oversize {
            "longer than the driver allows"
        } else {
            ""
        };
        if !why.is_empty() {
            judgements.push(refused("table", start, &why));
        }
        if after != before || judgements.len() > told {
            start = at + 1;
        }
        before = after;
    }
    judgements
}

fn payload_of<'a>(frame: &Frame<'a>) -> &'a [u8] {
    match frame {
        Frame::Information { payload, .. } | Frame::Unnumbered { payload, .. } => payload,
        Frame::Supervisory { .. } => &[],
    }
}

fn link_view(frame: &Frame<'_>) -> LinkView {
    match frame {
        Frame::Information {
            number,
            expected,
            poll,
            ..
        } => LinkView {
            frame: "information".to_owned(),
            number: Some(*number),
            expected: Some(*expected),
            poll_final: *poll,
        },
        Frame::Supervisory {
            function,
            expected,
            poll_final,
        } => LinkView {
            frame: plain(function),
            number: None,
            expected: Some(*expected),
            poll_final: *poll_final,
        },
        Frame::Unnumbered {
            function,
            poll_final,
            ..
        } => LinkView {
            frame: plain(function),
            number: None,
            expected: None,
            poll_final: *poll_final,
        },
    }
}

/// As the program prints it: keys and tokens print as how long they are.
fn plain(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn understood(view: Understood) -> Judgement {
    Judgement::Understood(Box::new(view))
}

fn refused(kind: &'static str, offset: usize, why: &impl ToString) -> Judgement {
    Judgement::Refused(Refused {
        kind,
        offset: Some(offset),
        why: why.to_string(),
        answer: None,
    })
}

/// The octets of hex digits, with blanks between them; nothing if there is anything else.
pub(super) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    let digits: Option<Vec<u8>> = digits
        .map(|byte| u8::try_from(char::from(*byte).to_digit(16)?).ok())
        .collect();
    let digits = digits?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    pairs.collect()
}
