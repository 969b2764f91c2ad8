//! What of an offer we let through to the other side.
//!
//! It only ever takes away: what it refuses keeps its place in the description (RFC 3264 6).

use super::{Description, Format, Kind, Stream};

/// The rules; the default lets through whatever can be carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub codecs: CodecPolicy,
    pub video: VideoPolicy,
    pub protection: ProtectionPolicy,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CodecPolicy {
    #[default]
    All,
    /// By encoding name, without regard to case. Key presses and comfort noise pass always.
    Only(Vec<String>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VideoPolicy {
    #[default]
    Passed,
    Refused,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtectionPolicy {
    /// Plain stays plain, secure stays secure.
    #[default]
    AsOffered,
    /// Of a plain and a secure stream offered for the same purpose, the secure one.
    PreferSecure,
    /// Plain streams are refused.
    OnlySecure,
    /// Secure streams are refused, for a relay that has to see what it carries.
    OnlyPlain,
}

impl Policy {
    /// The offer as far as it is permitted.
    #[must_use]
    pub fn permit(&self, offered: &Description) -> Description {
        let streams = offered.streams.iter();
        let streams = streams.map(|stream| match self.permits(stream, offered) {
            true => self.reduced(stream).unwrap_or_else(|| stream.refused()),
            false => stream.refused(),
        });
        Description {
            streams: streams.collect(),
        }
    }

    fn permits(&self, stream: &Stream, offered: &Description) -> bool {
        let secure = stream.profile.is_secure();
        let protected = match self.protection {
            ProtectionPolicy::AsOffered => true,
            ProtectionPolicy::PreferSecure => {
                let better =
                    |other: &Stream| other.kind == stream.kind && other.profile.is_secure();
                secure
                    || !offered
                        .streams
                        .iter()
                        .any(|other| better(other) && other.is_relayable())
            }
            ProtectionPolicy::OnlySecure => secure,
            ProtectionPolicy::OnlyPlain => !secure,
        };
        let kind = match (&stream.kind, self.video) {
            (Kind::Video, VideoPolicy::Refused) => false,
            (Kind::Audio | Kind::Video | Kind::Other(_), _) => true,
        };
        protected && kind && stream.is_relayable()
    }

    /// The stream with the permitted formats; `None` when nothing of use is left.
    fn reduced(&self, stream: &Stream) -> Option<Stream> {
        let permitted = |format: &&Format| match &self.codecs {
            CodecPolicy::All => true,
            CodecPolicy::Only(names) => {
                format.is_companion() || names.iter().any(|n| n.eq_ignore_ascii_case(&format.name))
            }
        };
        let formats = stream.formats.iter().filter(permitted).cloned().collect();
        let stream = Stream {
            formats,
            ..stream.clone()
        };
        stream.is_relayable().then_some(stream)
    }
}
