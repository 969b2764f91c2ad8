//! A session description as JSON: its streams as the relay sees them.

use std::net::SocketAddr;

use serde::Serialize;
use sip::sdp::{Description, DescriptionError, Profile, Stream};

use super::message::{Judgement, Refused, Understood};

#[derive(Debug, Serialize)]
pub(super) struct DescriptionView {
    streams: Vec<StreamView>,
}

#[derive(Debug, Serialize)]
struct StreamView {
    kind: String,
    profile: String,
    /// Absent when the stream is refused or ended (port 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    rtp: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtcp: Option<SocketAddr>,
    direction: &'static str,
    formats: Vec<FormatView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ptime_ms: Option<u32>,
    /// How many keys are offered; the keys themselves are not shown.
    keys: usize,
}

#[derive(Debug, Serialize)]
struct FormatView {
    payload_type: u8,
    codec: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<String>,
}

impl DescriptionView {
    pub(super) fn read(body: &[u8]) -> Result<Self, DescriptionError> {
        let description = Description::parse(body)?;
        Ok(Self {
            streams: description.streams.iter().map(stream).collect(),
        })
    }
}

/// Judges a body that stands alone.
pub(super) fn judge(body: &[u8]) -> Judgement {
    match DescriptionView::read(body) {
        Ok(view) => Judgement::Understood(Box::new(Understood::Sdp(view))),
        Err(error) => Judgement::Refused(Refused {
            kind: "sdp",
            offset: None,
            why: error.to_string(),
            answer: None,
        }),
    }
}

fn stream(stream: &Stream) -> StreamView {
    StreamView {
        kind: stream.kind.name().to_owned(),
        profile: profile(&stream.profile).to_owned(),
        rtp: stream.rtp,
        rtcp: stream.rtcp,
        direction: stream.direction.name(),
        formats: stream
            .formats
            .iter()
            .map(|format| FormatView {
                payload_type: format.payload_type,
                codec: format!("{}/{}", format.name, format.clock_rate),
                parameters: format.fmtp.clone(),
            })
            .collect(),
        ptime_ms: stream.ptime,
        keys: stream.crypto.len(),
    }
}

fn profile(profile: &Profile) -> &str {
    match profile {
        Profile::Avp => "RTP/AVP",
        Profile::Avpf => "RTP/AVPF",
        Profile::Savp => "RTP/SAVP",
        Profile::Savpf => "RTP/SAVPF",
        Profile::Other(name) => name,
    }
}
