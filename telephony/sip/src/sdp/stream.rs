//! One m-line with what belongs to it: whose media, where to, in which formats, which way.
//!
//! Attributes that only make sense end to end (ICE, DTLS, bundling, SSRC) are not read, so they
//! cannot be passed on by mistake; few are passed on as they are.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::crypto::Crypto;
use super::description::{DescriptionError, MAX_FORMATS};
use super::format::Format;

/// Attributes that mean the same to the far end and name no address.
const PASSED: [&str; 5] = ["maxptime", "framerate", "imageattr", "content", "quality"];
const MAX_PASSED: usize = 8;
const MAX_CRYPTO: usize = 16;
/// What a short line takes, and the words around the text of a long one.
const LINE: usize = 64;
const WORDS: usize = 32;

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
    /// The keys offered or chosen (RFC 4568); beside a plain profile, those of "best effort".
    pub crypto: Vec<Crypto>,
    /// A host name instead of an address in `c=`: `rtp` is unspecified until its owner resolves
    /// it, or learns the address from the packets that arrive.
    pub host: Option<Box<str>>,
    /// `b=` lines without the key, passed on.
    pub(super) bandwidth: Vec<String>,
    /// Attributes that are passed on as they are, see [`PASSED`].
    pub(super) passed: Vec<String>,
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
            host: None,
            bandwidth: Vec::new(),
            passed: Vec::new(),
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

    pub(super) fn read(
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
        let bandwidth = media.bandwidths.iter().take(MAX_PASSED);
        stream.bandwidth = bandwidth
            .map(|b| format!("{}:{}", b.bwtype, b.bandwidth))
            .collect();
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
            if self.formats.iter().any(|f| f.payload_type == payload_type) {
                continue;
            }
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
                let milliseconds = value.trim().parse().ok();
                self.ptime = milliseconds.filter(|ms| (1..=1000).contains(ms));
            }
            "crypto" if self.crypto.len() < MAX_CRYPTO => self.crypto.extend(Crypto::parse(value)),
            name if PASSED.contains(&name) && self.passed.len() < MAX_PASSED => {
                let text = if value.is_empty() {
                    name.into()
                } else {
                    format!("{name}:{value}")
                };
                self.passed.push(text);
            }
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
        let address = match ip(written) {
            Some(address) => address,
            None if is_host_name(written) => {
                self.host = Some(written.into());
                let v6 = connection.is_some_and(|c| c.addrtype == sdp_types::AddrType::Ip6);
                let ip: IpAddr = match v6 {
                    true => Ipv6Addr::UNSPECIFIED.into(),
                    false => Ipv4Addr::UNSPECIFIED.into(),
                };
                (ip, 0).into()
            }
            None => return Err(DescriptionError::NoAddress(number)),
        };
        // RFC 2543 hold: c=0.0.0.0 means "do not send to me"; on IPv6 a name in `invalid` does
        // (RFC 3264 8.4, RFC 6157 5.2).
        let nowhere = match &self.host {
            Some(host) => host.ends_with(".invalid"),
            None => address.ip().is_unspecified(),
        };
        if nowhere {
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

    /// No fewer bytes than [`Stream::write`] writes; a line counts as [`LINE`] at least, so that
    /// the number of lines is bounded too.
    pub(super) fn written_bound(&self) -> usize {
        let line = |text: &str| LINE.max(text.len() + WORDS);
        let formats = self.formats.iter().map(|format| {
            let fmtp = format.fmtp.as_deref().map_or(0, line);
            let feedback = format.feedback.iter().map(|text| line(text));
            line(&format.name) + fmtp + feedback.sum::<usize>()
        });
        let others = self.bandwidth.iter().chain(&self.passed);
        let others = others.map(|text| line(text)).sum::<usize>();
        let crypto = self.crypto.iter().map(|crypto| line(crypto.reveal()));
        let media = line(self.kind.name()) + self.profile.name().len() + self.raw_formats.len();
        // Where no format is known a 0 is written, and that means one to a reader.
        let unnamed = usize::from(self.formats.is_empty()) * (LINE + 4);
        // Connection, packet time, RTCP and direction beside them.
        media
            + unnamed
            + 5 * LINE
            + 4 * self.formats.len()
            + formats.sum::<usize>()
            + others
            + crypto.sum::<usize>()
    }

    pub(super) fn write(&self, address: IpAddr, out: &mut String) -> fmt::Result {
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
        for bandwidth in &self.bandwidth {
            write!(out, "b={bandwidth}\r\n")?;
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
        for passed in &self.passed {
            write!(out, "a={passed}\r\n")?;
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
pub(super) fn address_words(address: IpAddr) -> String {
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

/// A name that could be resolved; the owner decides whether it wants to.
fn is_host_name(text: &str) -> bool {
    let name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let letters = text.bytes().any(|b| b.is_ascii_alphabetic());
    text.len() <= 255 && letters && text.bytes().all(name_byte)
}
