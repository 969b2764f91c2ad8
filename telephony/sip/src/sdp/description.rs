//! A session description as a relay sees it: read tolerantly, written strictly.
//!
//! Lines that mean nothing to a relay are dropped. Streams that are not RTP are kept by kind and
//! words, so that an answer can refuse them in their place. Invariant: at most [`MAX_STREAMS`]
//! streams of at most [`MAX_FORMATS`] formats, whatever was sent.

use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::Bytes;
use thiserror::Error;

use super::normalise::{MAX_BYTES, MAX_LINES, normalised};
use super::stream::{Kind, Stream, address_words};

pub(super) const MAX_STREAMS: usize = 16;
pub(super) const MAX_FORMATS: usize = 64;
/// Leaves room for what stands before the first stream.
const MAX_WRITTEN: usize = MAX_BYTES - 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub streams: Vec<Stream>,
}

/// Why a body is no description that a relay can use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DescriptionError {
    #[error("the session description cannot be read: {0}")]
    Syntax(String),
    #[error("the session description is longer than {MAX_BYTES} bytes or {MAX_LINES} lines")]
    TooLong,
    #[error("the session description has no media line; offer at least audio")]
    NoStream,
    #[error("the session description has {0} media lines; at most {MAX_STREAMS} are handled")]
    TooManyStreams(usize),
    #[error("media line {0} is not `m=media port protocol formats`")]
    MediaLine(usize),
    #[error("media line {0} lists more than {MAX_FORMATS} formats")]
    TooManyFormats(usize),
    #[error("media line {0} names no address to send to; write one in its c= line")]
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
        let text = normalised(body)?;
        let session = sdp_types::Session::parse(text.as_bytes())
            .map_err(|error| DescriptionError::Syntax(error.to_string()))?;
        match session.medias.len() {
            0 => return Err(DescriptionError::NoStream),
            count if count > MAX_STREAMS => return Err(DescriptionError::TooManyStreams(count)),
            _ => {}
        }
        let streams = session.medias.iter().enumerate();
        let streams = streams.map(|(at, media)| Stream::read(at + 1, media, &session));
        let streams: Vec<Stream> = streams.collect::<Result<_, _>>()?;
        // A line for all formats is written for each, and a byte that is no UTF-8 as three.
        let written: usize = streams.iter().map(Stream::written_bound).sum();
        match written <= MAX_WRITTEN {
            true => Ok(Self { streams }),
            false => Err(DescriptionError::TooLong),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::{Codec, Direction};

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

    /// A line for all formats is written for each of them.
    #[test]
    fn little_that_would_become_much_is_refused() {
        let numbers: String = (96..=115).map(|n| format!(" {n}")).collect();
        let video = format!("m=video 4000 RTP/AVP{numbers}\n");
        let maps: String = (96..=115)
            .map(|n| format!("a=rtpmap:{n} VP8/90000\n"))
            .collect();
        let sdp = |lines| {
            let feedback = "a=rtcp-fb:* nack\n".repeat(lines);
            parse(&format!("{PLAIN}{video}{maps}{feedback}"))
        };
        assert!(sdp(10).is_ok());
        assert_eq!(sdp(60), Err(DescriptionError::TooLong));
    }

    #[test]
    fn a_format_counts_once() {
        let sdp = parse(&format!(
            "{PLAIN}m=audio 4000 RTP/AVP {}\n",
            "8 ".repeat(100)
        ))
        .unwrap();
        assert_eq!(sdp.streams[0].formats.len(), 1);
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
