//! A session description as a relay sees it: read tolerantly, written strictly.
//!
//! Lines that mean nothing to a relay are dropped. Streams that are not RTP are kept by kind and
//! words, so that an answer can refuse them in their place. Invariant: at most [`MAX_STREAMS`]
//! streams of at most [`MAX_FORMATS`] formats, whatever was sent.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use bytes::Bytes;
use thiserror::Error;

use super::format::Format;

pub const MAX_STREAMS: usize = 16;
pub const MAX_FORMATS: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub streams: Vec<Stream>,
}

/// One m-line with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub kind: Kind,
    pub profile: Profile,
    /// `None`: refused or ended (port 0).
    pub rtp: Option<SocketAddr>,
    /// RFC 3605, or the port after RTP's.
    pub rtcp: Option<SocketAddr>,
    /// RFC 5761.
    pub rtcp_mux: bool,
    pub direction: Direction,
    pub formats: Vec<Format>,
    /// Milliseconds of audio per packet.
    pub ptime: Option<u32>,
    /// The values of `crypto` lines (RFC 4568), keys and all.
    pub crypto: Vec<Secret>,
    /// The format list as it was written, for streams that are not RTP.
    pub(super) raw_formats: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Audio,
    Video,
    /// `image`, `application`, `text`, `message` and what else there is.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profile {
    Avp,
    Avpf,
    Savp,
    Savpf,
    Other(String),
}

impl Profile {
    pub fn is_rtp(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    pub fn is_secure(&self) -> bool {
        matches!(self, Self::Savp | Self::Savpf)
    }
}

/// Seen from the one who wrote it (RFC 3264 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// As the other side would write the same.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [
            Self::SendRecv,
            Self::SendOnly,
            Self::RecvOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|direction| direction.name() == name)
    }
}

/// A text with a key in it, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a body is no description that a relay can use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DescriptionError {
    #[error("the session description cannot be read: {0}")]
    Syntax(String),
    #[error("the session description has no media line; offer at least audio")]
    NoStream,
    #[error("the session description has {0} media lines; at most {MAX_STREAMS} are handled")]
    TooManyStreams(usize),
    #[error("media line {0} lists more than {MAX_FORMATS} formats")]
    TooManyFormats(usize),
    #[error("media line {0} names no IP address to send to; write one in its c= line")]
    NoAddress(usize),
    #[error(
        "an answer has {answered} media lines for {offered} of the offer; they must be as many"
    )]
    StreamCount { offered: usize, answered: usize },
    #[error("nothing of what was offered was accepted")]
    NothingAccepted,
}

impl Description {
    pub fn parse(body: &[u8]) -> Result<Self, DescriptionError> {
        let text = normalised(body);
        let session = sdp_types::Session::parse(text.as_bytes())
            .map_err(|error| DescriptionError::Syntax(error.to_string()))?;
        match session.medias.len() {
            0 => return Err(DescriptionError::NoStream),
            count if count > MAX_STREAMS => return Err(DescriptionError::TooManyStreams(count)),
            _ => {}
        }
        let streams = session.medias.iter().enumerate();
        let streams = streams.map(|(at, media)| Stream::read(at + 1, media, &session));
        Ok(Self {
            streams: streams.collect::<Result<_, _>>()?,
        })
    }

    /// The first stream of a kind that is not refused.
    pub fn live(&self, kind: &Kind) -> Option<&Stream> {
        self.streams
            .iter()
            .find(|stream| stream.kind == *kind && stream.rtp.is_some())
    }

    /// The whole body, with an origin line of ours.
    pub fn write(&self, id: u64, version: u64, address: IpAddr) -> Bytes {
        let mut out = String::with_capacity(256 + 256 * self.streams.len());
        let words = address_words(address);
        let written = write!(
            out,
            "v=0\r\no=- {id} {version} {words}\r\ns=-\r\nc={words}\r\nt=0 0\r\n"
        );
        written.expect("writing to a string does not fail");
        for stream in &self.streams {
            stream
                .write(address, &mut out)
                .expect("writing to a string does not fail");
        }
        out.into()
    }
}

impl Stream {
    pub(super) fn new(kind: Kind, profile: Profile) -> Self {
        Self {
            kind,
            profile,
            rtp: None,
            rtcp: None,
            rtcp_mux: false,
            direction: Direction::SendRecv,
            formats: Vec::new(),
            ptime: None,
            crypto: Vec::new(),
            raw_formats: "0".into(),
        }
    }

    /// This stream, refused (RFC 3264 6): same words, port 0.
    #[must_use]
    pub fn refused(&self) -> Self {
        Self {
            formats: self.formats.iter().take(1).cloned().collect(),
            raw_formats: self.raw_formats.clone(),
            ..Self::new(self.kind.clone(), self.profile.clone())
        }
    }

    fn read(
        number: usize,
        media: &sdp_types::Media,
        session: &sdp_types::Session,
    ) -> Result<Self, DescriptionError> {
        let kind = match media.media.as_str() {
            "audio" => Kind::Audio,
            "video" => Kind::Video,
            other => Kind::Other(other.into()),
        };
        let profile = match media.proto.to_ascii_uppercase().as_str() {
            "RTP/AVP" => Profile::Avp,
            "RTP/AVPF" => Profile::Avpf,
            "RTP/SAVP" => Profile::Savp,
            "RTP/SAVPF" => Profile::Savpf,
            _ => Profile::Other(media.proto.clone()),
        };
        let mut stream = Self::new(kind, profile);
        stream.direction = session_direction(session);
        if !stream.profile.is_rtp() {
            stream.raw_formats = media.fmt.clone();
            return Ok(stream);
        }
        stream.read_formats(number, media)?;
        for attribute in &media.attributes {
            stream.read_attribute(
                &attribute.attribute,
                attribute.value.as_deref().unwrap_or(""),
            );
        }
        stream.read_addresses(number, media, session)?;
        Ok(stream)
    }

    fn read_formats(
        &mut self,
        number: usize,
        media: &sdp_types::Media,
    ) -> Result<(), DescriptionError> {
        let numbers = media
            .fmt
            .split_whitespace()
            .filter_map(|word| word.parse::<u8>().ok());
        for payload_type in numbers.filter(|number| *number < 128) {
            if self.formats.len() == MAX_FORMATS {
                return Err(DescriptionError::TooManyFormats(number));
            }
            let own = |for_type: &str| for_type.parse() == Ok(payload_type);
            let mapped = lines_of(media, "rtpmap").find(|(for_type, _)| own(for_type));
            let format = match mapped {
                Some((_, rest)) => Format::from_rtpmap(payload_type, rest),
                None => Format::from_number(payload_type),
            };
            // A number without a meaning is passed over; the others may do (RFC 3264 6.1).
            let Some(mut format) = format else { continue };
            format.fmtp = lines_of(media, "fmtp")
                .find(|(of, _)| own(of))
                .map(|(_, rest)| rest.into());
            format.feedback = lines_of(media, "rtcp-fb")
                .filter(|(for_type, _)| *for_type == "*" || own(for_type))
                .map(|(_, rest)| rest.into())
                .take(MAX_FORMATS)
                .collect();
            self.formats.push(format);
        }
        Ok(())
    }

    fn read_attribute(&mut self, name: &str, value: &str) {
        match name {
            "rtcp-mux" => self.rtcp_mux = true,
            "ptime" => {
                self.ptime = value
                    .trim()
                    .parse()
                    .ok()
                    .filter(|ms| (1..=1000).contains(ms))
            }
            "crypto" if self.crypto.len() < MAX_STREAMS => self.crypto.push(Secret(value.into())),
            other => {
                if let Some(direction) = Direction::from_name(other) {
                    self.direction = direction;
                }
            }
        }
    }

    fn read_addresses(
        &mut self,
        number: usize,
        media: &sdp_types::Media,
        session: &sdp_types::Session,
    ) -> Result<(), DescriptionError> {
        if media.port == 0 {
            return Ok(());
        }
        let connection = media.connections.first().or(session.connection.as_ref());
        let written = connection.map_or("", |connection| connection.connection_address.as_str());
        let address = ip(written).ok_or(DescriptionError::NoAddress(number))?;
        if address.ip().is_unspecified() {
            // RFC 2543 hold: c=0.0.0.0 means "do not send to me".
            self.direction = Direction::new(self.direction.sends(), false);
        }
        let at = |port| with_port(address, port);
        self.rtp = Some(at(media.port));
        let rtcp = media.attributes.iter().find(|a| a.attribute == "rtcp");
        self.rtcp = match rtcp.and_then(|a| a.value.as_deref()) {
            _ if self.rtcp_mux => self.rtp,
            // RFC 3605: `port [IN IP4 address]`.
            Some(value) => {
                let mut words = value.split_whitespace();
                let port = words.next().and_then(|port| port.parse().ok());
                let other = words.nth(2).and_then(ip);
                port.map(|port| with_port(other.unwrap_or(address), port))
            }
            None => media.port.checked_add(1).map(at),
        };
        Ok(())
    }

    fn write(&self, address: IpAddr, out: &mut String) -> fmt::Result {
        let port = self.rtp.map_or(0, |rtp| rtp.port());
        let (kind, profile) = (self.kind.name(), self.profile.name());
        write!(out, "m={kind} {port} {profile}")?;
        if self.formats.is_empty() {
            write!(out, " {}", self.raw_formats)?;
        }
        for format in &self.formats {
            write!(out, " {}", format.payload_type)?;
        }
        out.push_str("\r\n");
        let Some(rtp) = self.rtp else { return Ok(()) };
        if rtp.ip() != address {
            write!(out, "c={}\r\n", address_words(rtp.ip()))?;
        }
        for format in &self.formats {
            write!(out, "a=rtpmap:{format}\r\n")?;
            if let Some(fmtp) = &format.fmtp {
                write!(out, "a=fmtp:{} {fmtp}\r\n", format.payload_type)?;
            }
            for feedback in &format.feedback {
                write!(out, "a=rtcp-fb:{} {feedback}\r\n", format.payload_type)?;
            }
        }
        if let Some(ptime) = self.ptime {
            write!(out, "a=ptime:{ptime}\r\n")?;
        }
        for crypto in &self.crypto {
            write!(out, "a=crypto:{}\r\n", crypto.reveal())?;
        }
        if self.rtcp_mux {
            out.push_str("a=rtcp-mux\r\n");
        } else if let Some(rtcp) = self
            .rtcp
            .filter(|rtcp| Some(rtcp.port()) != rtp.port().checked_add(1))
        {
            write!(out, "a=rtcp:{}\r\n", rtcp.port())?;
        }
        write!(out, "a={}\r\n", self.direction.name())
    }
}

impl Kind {
    pub fn name(&self) -> &str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Other(name) => name,
        }
    }
}

impl Profile {
    fn name(&self) -> &str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Avpf => "RTP/AVPF",
            Self::Savp => "RTP/SAVP",
            Self::Savpf => "RTP/SAVPF",
            Self::Other(name) => name,
        }
    }
}

/// The values of an attribute that speak of a payload type: `type rest`.
fn lines_of<'a>(
    media: &'a sdp_types::Media,
    name: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let named = media.attributes.iter().filter(move |a| a.attribute == name);
    named.filter_map(|attribute| {
        let (payload_type, rest) = attribute.value.as_deref()?.trim().split_once(' ')?;
        Some((payload_type, rest.trim()))
    })
}

/// `nettype addrtype address`; a zone means nothing to the other side and is left out.
fn address_words(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("IN IP4 {v4}"),
        IpAddr::V6(v6) => format!("IN IP6 {v6}"),
    }
}

/// An address as devices write it: with a TTL or count behind a slash, with a zone, in brackets.
/// The zone's name means an interface of the other host; here only ours would, so it is dropped.
fn ip(text: &str) -> Option<SocketAddr> {
    let text = text.trim().split('/').next()?;
    let text = text.trim_start_matches('[').trim_end_matches(']');
    let text = text.split('%').next()?;
    text.parse().ok().map(|ip| SocketAddr::new(ip, 0))
}

fn with_port(address: SocketAddr, port: u16) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => (*v4.ip(), port).into(),
        SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), port, 0, v6.scope_id()).into(),
    }
}

fn session_direction(session: &sdp_types::Session) -> Direction {
    let mut names = session.attributes.iter().map(|a| a.attribute.as_str());
    names.find_map(Direction::from_name).unwrap_or_default()
}

/// What `sdp-types` would refuse though nobody needs it: the origin is opaque to us and devices
/// write it with too few words or a version beyond 64 bits, `s=` and `t=` are missing.
fn normalised(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    let good = |line: &str| {
        line.strip_prefix("o=").is_none_or(|origin| {
            let words: Vec<&str> = origin.split(' ').collect();
            words.len() == 6 && words[2].parse::<u64>().is_ok()
        })
    };
    if text.lines().all(good) {
        return text;
    }
    let lines = text.lines().map(|line| {
        if good(line) {
            line
        } else {
            "o=- 0 0 IN IP4 0.0.0.0"
        }
    });
    let mut out = String::with_capacity(text.len());
    for line in lines {
        out.push_str(line);
        out.push_str("\r\n");
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Codec;

    fn parse(text: &str) -> Result<Description, DescriptionError> {
        Description::parse(text.replace('\n', "\r\n").as_bytes())
    }

    const PLAIN: &str = "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\n";

    #[test]
    fn static_numbers_need_no_rtpmap_and_unknown_ones_are_passed_over() {
        let sdp = parse(&format!("{PLAIN}m=audio 4000 RTP/AVP 9 8 0 97 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n")).unwrap();
        let names: Vec<_> = sdp.streams[0]
            .formats
            .iter()
            .map(|f| f.codec().unwrap())
            .collect();
        assert_eq!(
            names,
            [Codec::G722, Codec::Pcma, Codec::Pcmu, Codec::TelephoneEvent]
        );
        assert_eq!(sdp.streams[0].rtcp, Some("10.0.0.7:4001".parse().unwrap()));
    }

    #[test]
    fn sloppy_descriptions_of_real_devices_are_read() {
        for text in [
            "v=0\no=- 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 4000 RTP/AVP 8\n",
            "v=0\no=- 1 99999999999999999999999 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 4000 RTP/AVP 8\n",
            "v=0\no=- 1 1 IN IP4 10.0.0.7\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 4000/2 RTP/AVP 8\n",
            "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7/127\nm=audio 4000 rtp/avp 8\n",
        ] {
            let sdp = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(sdp.streams[0].rtp, Some("10.0.0.7:4000".parse().unwrap()));
            assert_eq!(
                Description::parse(text.as_bytes()),
                Ok(sdp),
                "bare line feeds"
            );
        }
    }

    #[test]
    fn link_local_addresses_are_read_without_their_zone() {
        let sdp = parse("v=0\no=- 1 1 IN IP6 [fe80::1]\ns=-\nc=IN IP6 fe80::1%eth0\nt=0 0\nm=audio 4000 RTP/AVP 8\n").unwrap();
        assert_eq!(sdp.streams[0].rtp, Some("[fe80::1]:4000".parse().unwrap()));
    }

    #[test]
    fn hold_is_read_in_its_old_and_its_new_form() {
        for (line, address, direction) in [
            ("a=sendonly\n", "10.0.0.7", Direction::SendOnly),
            ("a=inactive\n", "10.0.0.7", Direction::Inactive),
            ("", "0.0.0.0", Direction::SendOnly),
        ] {
            let sdp = parse(&format!("v=0\no=- 1 1 IN IP4 1.2.3.4\ns=-\nc=IN IP4 {address}\nt=0 0\nm=audio 4000 RTP/AVP 8\n{line}")).unwrap();
            assert_eq!(sdp.streams[0].direction, direction);
        }
    }

    #[test]
    fn what_cannot_be_used_says_where_and_what_to_do() {
        for (text, error) in [
            (PLAIN.to_owned(), DescriptionError::NoStream),
            (
                "v=0\no=- 1 1 IN IP4 h\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 8\n".into(),
                DescriptionError::NoAddress(1),
            ),
            (
                format!("{PLAIN}{}", "m=audio 4000 RTP/AVP 8\n".repeat(17)),
                DescriptionError::TooManyStreams(17),
            ),
        ] {
            assert_eq!(parse(&text), Err(error));
        }
        assert!(matches!(parse("hello"), Err(DescriptionError::Syntax(_))));
    }

    #[test]
    fn keys_are_not_shown() {
        let sdp = parse(&format!(
            "{PLAIN}m=audio 4000 RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\n"
        ))
        .unwrap();
        assert!(!format!("{sdp:?}").contains("c2VjcmV0"));
        assert!(sdp.streams[0].profile.is_secure());
    }
}
