//! Just enough SIP and SDP text for a load tool that meets well-behaved peers on loopback.
//!
//! Deliberately not the product's parser: a bench that shares its parser with the product would
//! not notice when both are wrong.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::SystemTime;

use md5::{Digest, Md5};

pub(crate) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    headers(message, name).next()
}

pub(crate) fn headers<'a>(message: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    message
        .split("\r\n")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .filter(move |(key, _)| key.trim_end().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

pub(crate) fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The status of a response, None for a request.
pub(crate) fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

pub(crate) fn method(message: &str) -> &str {
    message.split(' ').next().unwrap_or("")
}

pub(crate) fn cseq(message: &str) -> (u32, &str) {
    let mut words = header(message, "CSeq").unwrap_or("").split_whitespace();
    let number = words.next().and_then(|word| word.parse().ok());
    (number.unwrap_or(0), words.next().unwrap_or(""))
}

/// The URI inside a Contact or a Route.
pub(crate) fn uri(value: &str) -> &str {
    match (value.find('<'), value.find('>')) {
        (Some(open), Some(close)) if open < close => &value[open + 1..close],
        _ => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// A parameter of a challenge.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    challenge
        .trim_start_matches("Digest")
        .split(',')
        .filter_map(|part| part.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// MD5 is what every peer here speaks without configuration; the product is configured to allow it.
pub(crate) fn is_md5(challenge: &str) -> bool {
    parameter(challenge, "algorithm").is_none_or(|name| name.eq_ignore_ascii_case("MD5"))
}

pub(crate) fn authorization(
    challenge: &str,
    (user, password): (&str, &str),
    method: &str,
    uri: &str,
) -> String {
    let hex = |text: String| -> String {
        Md5::digest(text.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let realm = parameter(challenge, "realm").unwrap_or("");
    let nonce = parameter(challenge, "nonce").unwrap_or("");
    let secret = hex(format!("{user}:{realm}:{password}"));
    let request = hex(format!("{method}:{uri}"));
    let opaque =
        parameter(challenge, "opaque").map_or(String::new(), |o| format!(",opaque=\"{o}\""));
    let head = format!(
        "Digest username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",algorithm=MD5{opaque}"
    );
    if parameter(challenge, "qop").is_some() {
        let client = format!("{:08x}", random() as u32);
        let response = hex(format!("{secret}:{nonce}:00000001:{client}:auth:{request}"));
        format!("{head},response=\"{response}\",qop=auth,nc=00000001,cnonce=\"{client}\"")
    } else {
        let response = hex(format!("{secret}:{nonce}:{request}"));
        format!("{head},response=\"{response}\"")
    }
}

pub(crate) fn description(ip: Ipv4Addr, port: u16) -> String {
    let keys = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";
    description_of(
        ip,
        port,
        "8 101",
        &format!("a=rtpmap:8 PCMA/8000\r\n{keys}"),
    )
}

/// A description of one codec: `payload_type` stands for `name`.
pub(crate) fn speech_description(ip: Ipv4Addr, port: u16, payload_type: u8, name: &str) -> String {
    let map = format!("a=rtpmap:{payload_type} {name}\r\n");
    description_of(ip, port, &payload_type.to_string(), &map)
}

fn description_of(ip: Ipv4Addr, port: u16, payload_types: &str, attributes: &str) -> String {
    format!(
        "v=0\r\no=load {port} 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {payload_types}\r\n{attributes}a=ptime:20\r\na=sendrecv\r\n"
    )
}

/// The number that a description gives to a codec.
pub(crate) fn payload_type(description: &str, name: &str) -> Option<u8> {
    let of_codec = |line: &str| {
        let (number, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        let same = codec.trim().eq_ignore_ascii_case(name);
        same.then(|| number.parse().ok())?
    };
    description.lines().find_map(of_codec)
}

/// Where the audio of a description is received.
pub(crate) fn audio_address(description: &str) -> Option<SocketAddrV4> {
    let ip = description
        .lines()
        .find_map(|line| line.strip_prefix("c=IN IP4 "))?
        .trim()
        .parse()
        .ok()?;
    let port = description
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))?
        .split(' ')
        .next()?
        .parse()
        .ok()?;
    Some(SocketAddrV4::new(ip, port))
}

/// Not secret, only different: xorshift seeded by the clock.
pub(crate) fn random() -> u64 {
    thread_local!(static STATE: Cell<u64> = const { Cell::new(0) });
    STATE.with(|state| {
        let mut x = state.get();
        if x == 0 {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            x = since.map_or(1, |d| d.as_nanos() as u64) | 1;
        }
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        x
    })
}
