//! The formats of a stream: what a payload type number stands for.
//!
//! Numbers below 96 may come without an rtpmap and mean what RFC 3551 says; all others mean
//! nothing without one. Two formats are the same when a packet of one can be played as the other.

use std::fmt;

/// One payload type of an RTP stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pub payload_type: u8,
    /// As written in the rtpmap, or the usual name.
    pub name: String,
    pub clock_rate: u32,
    pub channels: u8,
    pub fmtp: Option<String>,
    /// The values of `rtcp-fb` lines for this format.
    pub feedback: Vec<String>,
}

/// The codecs that the gateway has an opinion on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    Opus,
    G722,
    Pcma,
    Pcmu,
    H264,
    Vp8,
    TelephoneEvent,
    ComfortNoise,
}

/// C9: when the offer is ours, the best bandwidth stands first. Dynamic numbers as most devices
/// choose them.
pub const WIDEBAND_FIRST: [(Codec, u8); 4] = [
    (Codec::Opus, 96),
    (Codec::G722, 9),
    (Codec::Pcma, 8),
    (Codec::Pcmu, 0),
];

impl Codec {
    const TABLE: [(Self, &'static str, u32, u8); 8] = [
        (Self::Opus, "opus", 48_000, 2),
        // RFC 3551 4.5.2: 8000 in the description although the codec samples at 16 kHz.
        (Self::G722, "G722", 8_000, 1),
        (Self::Pcma, "PCMA", 8_000, 1),
        (Self::Pcmu, "PCMU", 8_000, 1),
        (Self::H264, "H264", 90_000, 1),
        (Self::Vp8, "VP8", 90_000, 1),
        (Self::TelephoneEvent, "telephone-event", 8_000, 1),
        (Self::ComfortNoise, "CN", 8_000, 1),
    ];

    /// A format of this codec as we write it.
    pub fn format(self, payload_type: u8) -> Format {
        let row = Self::TABLE.iter().find(|row| row.0 == self);
        let (name, clock_rate, channels) = row.map_or(("", 0, 1), |row| (row.1, row.2, row.3));
        Format {
            payload_type,
            name: name.into(),
            clock_rate,
            channels,
            fmtp: match self {
                Self::TelephoneEvent => Some("0-15".into()),
                // RFC 7587 6.1: one loudspeaker, and loss is concealed in band.
                Self::Opus => Some("useinbandfec=1".into()),
                Self::G722
                | Self::Pcma
                | Self::Pcmu
                | Self::H264
                | Self::Vp8
                | Self::ComfortNoise => None,
            },
            feedback: Vec::new(),
        }
    }
}

impl Format {
    /// RFC 3551 6: what a number means when no rtpmap says it.
    pub(super) fn from_number(payload_type: u8) -> Option<Self> {
        let (name, clock_rate) = match payload_type {
            0 => ("PCMU", 8_000),
            3 => ("GSM", 8_000),
            4 => ("G723", 8_000),
            8 => ("PCMA", 8_000),
            9 => ("G722", 8_000),
            13 => ("CN", 8_000),
            15 => ("G728", 8_000),
            18 => ("G729", 8_000),
            26 => ("JPEG", 90_000),
            31 => ("H261", 90_000),
            34 => ("H263", 90_000),
            _ => return None,
        };
        Some(Self {
            payload_type,
            name: name.into(),
            clock_rate,
            channels: 1,
            fmtp: None,
            feedback: Vec::new(),
        })
    }

    /// The rest of an rtpmap: `name/clock[/channels]`.
    pub(super) fn from_rtpmap(payload_type: u8, text: &str) -> Option<Self> {
        let mut parts = text.trim().split('/');
        let name = parts
            .next()
            .map(str::trim)
            .filter(|name| !name.is_empty())?;
        let clock_rate = parts.next()?.trim().parse().ok()?;
        // RFC 3551 4.5.2: some devices write the rate they sample at.
        let clock_rate = match name.eq_ignore_ascii_case("G722") {
            true => 8_000,
            false => clock_rate,
        };
        let channels = match parts.next() {
            Some(channels) => channels.trim().parse().ok()?,
            None => 1,
        };
        Some(Self {
            payload_type,
            name: name.into(),
            clock_rate,
            channels,
            fmtp: None,
            feedback: Vec::new(),
        })
    }

    pub fn codec(&self) -> Option<Codec> {
        let row = Codec::TABLE
            .iter()
            .find(|row| row.1.eq_ignore_ascii_case(&self.name))?;
        // Companions run at the clock of what they go along with (RFC 4733 2.1, RFC 3389 4).
        let companion = matches!(row.0, Codec::TelephoneEvent | Codec::ComfortNoise);
        (companion || (row.2, row.3) == (self.clock_rate, self.channels)).then_some(row.0)
    }

    /// A format that only goes along with another: key presses, comfort noise, repair.
    pub fn is_companion(&self) -> bool {
        self.is_repair()
            || matches!(
                self.codec(),
                Some(Codec::TelephoneEvent | Codec::ComfortNoise)
            )
    }

    /// Redundancy that is tied to the numbers and sources of other formats, and so does not
    /// survive a relay that rewrites them.
    pub(super) fn is_repair(&self) -> bool {
        let names = ["rtx", "red", "ulpfec", "flexfec", "flexfec-03", "parityfec"];
        names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&self.name))
    }

    pub(super) fn is_event(&self) -> bool {
        self.codec() == Some(Codec::TelephoneEvent)
    }

    /// Whether a packet of one can be played as the other.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_rate == other.clock_rate
            && self.channels == other.channels
            && (self.codec() != Some(Codec::H264) || self.h264() == other.h264())
    }

    /// RFC 6184 8.2.2: packetization mode and profile must match; the level is each side's own.
    fn h264(&self) -> (u8, [u8; 4]) {
        let fmtp = self.fmtp.as_deref().unwrap_or("");
        let value = |name: &str| {
            fmtp.split(';')
                .filter_map(|part| part.split_once('='))
                .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        let mode = value("packetization-mode")
            .and_then(|mode| mode.parse().ok())
            .unwrap_or(0);
        // Without one: baseline (RFC 6184 8.1).
        let profile = value("profile-level-id")
            .unwrap_or("420010")
            .to_ascii_lowercase();
        let mut bytes = [0; 4];
        for (to, from) in bytes.iter_mut().zip(profile.bytes()) {
            *to = from;
        }
        // In constrained baseline 42e0 and 4200 meet in practice; devices write either.
        if bytes.starts_with(b"42") {
            bytes[2..].copy_from_slice(b"--");
        }
        (mode, bytes)
    }
}

/// The offered format with the best bandwidth among the audio codecs we can make ourselves (C9).
pub fn best_common<'a>(offered: &'a [Format], ours: &[Codec]) -> Option<&'a Format> {
    WIDEBAND_FIRST
        .iter()
        .filter(|(codec, _)| ours.contains(codec))
        .find_map(|(codec, _)| offered.iter().find(|f| f.codec() == Some(*codec)))
}

impl fmt::Display for Format {
    /// The value of an rtpmap.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.payload_type, self.name, self.clock_rate)?;
        match self.channels {
            1 => Ok(()),
            channels => write!(f, "/{channels}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_is_stereo_on_paper_and_g722_has_half_its_clock() {
        assert_eq!(Codec::Opus.format(111).to_string(), "111 opus/48000/2");
        assert_eq!(Codec::G722.format(9).to_string(), "9 G722/8000");
        assert!(
            Format::from_number(9)
                .unwrap()
                .is_same_as(&Codec::G722.format(9))
        );
    }

    #[test]
    fn h264_is_the_same_only_in_mode_and_profile() {
        let h264 = |fmtp: &str| Format {
            fmtp: Some(fmtp.into()),
            ..Codec::H264.format(99)
        };
        let offered = h264("profile-level-id=42e01f;packetization-mode=1");
        assert!(offered.is_same_as(&h264("packetization-mode=1; profile-level-id=428014")));
        assert!(!offered.is_same_as(&h264("profile-level-id=42e01f")));
        assert!(!offered.is_same_as(&h264("profile-level-id=640029;packetization-mode=1")));
    }

    #[test]
    fn a_sampling_rate_in_place_of_the_clock_of_g722_is_understood() {
        let odd = Format::from_rtpmap(9, "g722/16000").unwrap();
        assert!(odd.is_same_as(&Codec::G722.format(9)));
    }

    #[test]
    fn the_clock_is_part_of_the_codec() {
        assert_eq!(Format::from_rtpmap(96, "PCMA/16000").unwrap().codec(), None);
        assert_eq!(Format::from_rtpmap(96, "opus/48000").unwrap().codec(), None);
        let events = Format::from_rtpmap(96, "telephone-event/48000").unwrap();
        assert!(events.is_event() && events.is_companion());
        assert!(!events.is_same_as(&Codec::TelephoneEvent.format(96)));
    }

    #[test]
    fn the_best_common_codec_is_the_one_with_the_best_bandwidth() {
        let offered = [0, 8, 9].map(|number| Format::from_number(number).unwrap());
        let best = |ours: &[Codec]| best_common(&offered, ours).map(|f| f.payload_type);
        assert_eq!(best(&[Codec::Pcmu, Codec::Pcma]), Some(8));
        assert_eq!(best(&[Codec::Pcmu, Codec::G722, Codec::Opus]), Some(9));
        assert_eq!(best(&[Codec::Opus]), None);
    }

    #[test]
    fn a_broken_rtpmap_gives_no_format() {
        for text in [
            "",
            "opus",
            "opus/",
            "opus/x",
            "/8000",
            "opus/48000/x",
            "a/99999999999",
        ] {
            assert_eq!(Format::from_rtpmap(96, text), None, "{text:?}");
        }
    }
}
