//! Speech through a real relay, judged by what is heard at the far end.
//!
//! A foreign encoder speaks ([`near_end`]), a seeded network loses and delays
//! ([`network`]), the relay carries over in virtual time ([`chain`]), an ideal
//! receiver with a foreign decoder listens ([`far_end`]), and `judge/judge.py`
//! scores what it heard ([`judge`]). The bare chain beside it ([`bare`]) is the
//! same codecs without us.
//!
//! Nothing here shares code with what it judges, but libopus itself, which is
//! the reference for Opus. Equal inputs and seeds give equal sound.

pub mod bare;
pub mod chain;
pub mod echo;
pub mod far_end;
pub mod judge;
pub mod near_end;
pub mod network;
pub mod not_run;
pub mod signals;
pub mod speech;
pub mod wav;

mod ffmpeg;

use media::{Codec, Format};

/// How a test's codec is called in RTP, at ffmpeg and in tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Spoken {
    Pcma,
    Pcmu,
    G722,
    Opus,
}

impl Spoken {
    pub const ALL: [Spoken; 4] = [Spoken::Pcma, Spoken::Pcmu, Spoken::G722, Spoken::Opus];

    pub fn name(self) -> &'static str {
        match self {
            Spoken::Pcma => "PCMA",
            Spoken::Pcmu => "PCMU",
            Spoken::G722 => "G.722",
            Spoken::Opus => "Opus",
        }
    }

    /// G.711 carries 3.5 kHz; a wideband score says nothing about it.
    pub fn is_narrow(self) -> bool {
        matches!(self, Spoken::Pcma | Spoken::Pcmu)
    }

    pub fn format(self) -> Format {
        let (payload_type, codec) = match self {
            Spoken::Pcma => (8, Codec::Pcma),
            Spoken::Pcmu => (0, Codec::Pcmu),
            Spoken::G722 => (9, Codec::G722),
            Spoken::Opus => (96, Codec::Opus),
        };
        Format {
            payload_type,
            codec,
            clock_rate: self.clock_rate(),
        }
    }

    /// RFC 3551 4.5.2: 8000 for G.722 too. RFC 7587 4.1.
    pub fn clock_rate(self) -> u32 {
        match self {
            Spoken::Pcma | Spoken::Pcmu | Spoken::G722 => 8_000,
            Spoken::Opus => 48_000,
        }
    }

    /// Of the sound that a far end gives; Opus can be decoded at any.
    pub fn sound_rate(self, opus_rate: u32) -> u32 {
        match self {
            Spoken::Pcma | Spoken::Pcmu => 8_000,
            Spoken::G722 => 16_000,
            Spoken::Opus => opus_rate,
        }
    }
}
