//! The audio codecs: G.711 A-law and mu-law, G.722, Opus.
//!
//! [`Encoder`] and [`Decoder`] hide which codec it is. Sound is 16-bit mono in
//! slices that the caller owns; nothing is allocated per frame. A payload is
//! checked before it is decoded, and what a codec does not accept is an error,
//! never a panic.
//!
//! What was lost is invented here only by Opus, which can do it best itself
//! ([`Decoder::conceal`]); for the others see [`crate::conceal`]. No jitter
//! buffer, no resampling: see their modules.

mod g711;
mod g722;
pub mod opus;

use thiserror::Error;

use crate::format;
use crate::rate::SampleRate;

/// So many samples more than were lost [`Decoder::follow`] needs.
pub const BEYOND: usize = g722::DELAY;

/// A codec that sound can be changed from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AudioCodec {
    Pcma,
    Pcmu,
    G722,
    Opus,
}

impl AudioCodec {
    pub const ALL: [AudioCodec; 4] = [
        AudioCodec::Pcma,
        AudioCodec::Pcmu,
        AudioCodec::G722,
        AudioCodec::Opus,
    ];

    /// None for what is only relayed, and for what is no sound.
    pub fn of(codec: format::Codec) -> Option<AudioCodec> {
        match codec {
            format::Codec::Pcma => Some(AudioCodec::Pcma),
            format::Codec::Pcmu => Some(AudioCodec::Pcmu),
            format::Codec::G722 => Some(AudioCodec::G722),
            format::Codec::Opus => Some(AudioCodec::Opus),
            format::Codec::TelephoneEvent
            | format::Codec::ComfortNoise
            | format::Codec::Other(_) => None,
        }
    }

    /// How fast RTP timestamps count, whatever rate the sound has: 8000 for
    /// G.722 (RFC 3551 4.5.2), 48000 for Opus (RFC 7587 4.1).
    pub const fn clock_rate(self) -> u32 {
        match self {
            AudioCodec::Pcma | AudioCodec::Pcmu | AudioCodec::G722 => 8000,
            AudioCodec::Opus => 48_000,
        }
    }

    /// What the codec itself samples at; Opus has no such rate.
    pub const fn native_rate(self) -> Option<SampleRate> {
        match self {
            AudioCodec::Pcma | AudioCodec::Pcmu => Some(SampleRate::Hz8000),
            AudioCodec::G722 => Some(SampleRate::Hz16000),
            AudioCodec::Opus => None,
        }
    }
}

/// Why a payload was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The peer is at fault.
    #[error("a packet without sound in it")]
    Empty,
    /// The peer is at fault.
    #[error(transparent)]
    Opus(#[from] opus::PacketError),
    /// The peer is at fault: the packet is well-formed, its frames are not.
    #[error("libopus refused the packet: {0}")]
    Library(&'static str),
    /// The packet lasts longer than the caller is prepared for.
    #[error("the packet holds {samples} samples and there is room for {room}")]
    TooLong { samples: usize, room: usize },
}

/// Why sound was not encoded; the caller is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    #[error("{0} samples are no frame of this codec")]
    Frame(usize),
    #[error("the payload has {needed} octets and there is room for {room}")]
    Room { needed: usize, room: usize },
    #[error("libopus refused the frame: {0}")]
    Library(&'static str),
}

/// Sound to payloads of one codec. Has state; one for each stream.
#[derive(Debug)]
pub struct Encoder(Encoding);

#[derive(Debug)]
enum Encoding {
    Pcma,
    Pcmu,
    G722(g722::Encoder),
    Opus(opus::Encoder),
}

impl Encoder {
    /// The settings are for Opus; the other codecs have none.
    pub fn new(codec: AudioCodec, opus: &opus::Settings) -> Result<Encoder, opus::OpenError> {
        Ok(Encoder(match codec {
            AudioCodec::Pcma => Encoding::Pcma,
            AudioCodec::Pcmu => Encoding::Pcmu,
            AudioCodec::G722 => Encoding::G722(g722::Encoder::new()),
            AudioCodec::Opus => Encoding::Opus(opus::Encoder::new(opus)?),
        }))
    }

    pub fn codec(&self) -> AudioCodec {
        match self.0 {
            Encoding::Pcma => AudioCodec::Pcma,
            Encoding::Pcmu => AudioCodec::Pcmu,
            Encoding::G722(_) => AudioCodec::G722,
            Encoding::Opus(_) => AudioCodec::Opus,
        }
    }

    /// The rate of the sound that [`Encoder::encode`] takes.
    pub fn rate(&self) -> SampleRate {
        match &self.0 {
            Encoding::Pcma | Encoding::Pcmu => SampleRate::Hz8000,
            Encoding::G722(_) => SampleRate::Hz16000,
            Encoding::Opus(encoder) => encoder.rate(),
        }
    }

    /// Makes one payload of `pcm` at the start of `payload`; gives its length.
    ///
    /// G.711 takes any number of samples, G.722 an even one, Opus 2.5, 5, 10 or
    /// any of 20 to 120 ms by twenties. Opus makes what fits: give
    /// [`opus::MAX_PACKET`] octets. With DTX a payload of one or two octets
    /// need not be sent.
    pub fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        let (takes, length) = match &self.0 {
            Encoding::Pcma | Encoding::Pcmu => (true, pcm.len()),
            Encoding::G722(_) => (pcm.len().is_multiple_of(2), pcm.len() / 2),
            Encoding::Opus(encoder) => (encoder.takes(pcm.len()), 2),
        };
        if !takes || pcm.is_empty() {
            return Err(EncodeError::Frame(pcm.len()));
        }
        let room = payload.len();
        if room < length {
            return Err(EncodeError::Room {
                needed: length,
                room,
            });
        }
        match &mut self.0 {
            Encoding::Pcma => g711::encode_a_law(pcm, payload),
            Encoding::Pcmu => g711::encode_mu_law(pcm, payload),
            Encoding::G722(encoder) => encoder.encode(pcm, payload),
            Encoding::Opus(encoder) => {
                let encoded = encoder.encode(pcm, payload);
                return encoded.map_err(|error| EncodeError::Library(error.description()));
            }
        }
        Ok(length)
    }

    /// How much loss the listener is known to suffer; only Opus can do
    /// something about it.
    pub fn set_redundancy(&mut self, redundancy: opus::Redundancy) -> Result<(), opus::OpenError> {
        match &mut self.0 {
            Encoding::Pcma | Encoding::Pcmu | Encoding::G722(_) => Ok(()),
            Encoding::Opus(encoder) => encoder.set_redundancy(redundancy),
        }
    }

    /// Forgets the stream so far.
    pub fn reset(&mut self) -> Result<(), opus::OpenError> {
        match &mut self.0 {
            Encoding::Pcma | Encoding::Pcmu => {}
            Encoding::G722(encoder) => *encoder = g722::Encoder::new(),
            Encoding::Opus(encoder) => encoder.reset()?,
        }
        Ok(())
    }
}

/// Payloads of one codec to sound. Has state; one for each stream.
#[derive(Debug)]
pub struct Decoder(Decoding);

#[derive(Debug)]
enum Decoding {
    Pcma,
    Pcmu,
    G722(g722::Decoder),
    Opus(opus::Decoder),
}

impl Decoder {
    /// `opus_rate` is what Opus is decoded at; the other codecs have their own.
    pub fn new(codec: AudioCodec, opus_rate: SampleRate) -> Result<Decoder, opus::OpenError> {
        Ok(Decoder(match codec {
            AudioCodec::Pcma => Decoding::Pcma,
            AudioCodec::Pcmu => Decoding::Pcmu,
            AudioCodec::G722 => Decoding::G722(g722::Decoder::new()),
            AudioCodec::Opus => Decoding::Opus(opus::Decoder::new(opus_rate)?),
        }))
    }

    pub fn codec(&self) -> AudioCodec {
        match self.0 {
            Decoding::Pcma => AudioCodec::Pcma,
            Decoding::Pcmu => AudioCodec::Pcmu,
            Decoding::G722(_) => AudioCodec::G722,
            Decoding::Opus(_) => AudioCodec::Opus,
        }
    }

    /// The rate of the sound that [`Decoder::decode`] gives.
    pub fn rate(&self) -> SampleRate {
        match &self.0 {
            Decoding::Pcma | Decoding::Pcmu => SampleRate::Hz8000,
            Decoding::G722(_) => SampleRate::Hz16000,
            Decoding::Opus(decoder) => decoder.rate(),
        }
    }

    /// How many samples the payload holds, without decoding it.
    pub fn samples(&self, payload: &[u8]) -> Result<usize, DecodeError> {
        let samples = match &self.0 {
            Decoding::Pcma | Decoding::Pcmu => payload.len(),
            Decoding::G722(_) => 2 * payload.len(),
            Decoding::Opus(_) if payload.is_empty() => 0,
            Decoding::Opus(decoder) => opus::Packet::parse(payload)?.samples(decoder.rate()),
        };
        if samples == 0 {
            return Err(DecodeError::Empty);
        }
        Ok(samples)
    }

    /// Writes the payload's sound at the start of `pcm`; gives how many samples.
    pub fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let samples = self.samples(payload)?;
        let room = pcm.len();
        let pcm = pcm
            .get_mut(..samples)
            .ok_or(DecodeError::TooLong { samples, room })?;
        match &mut self.0 {
            Decoding::Pcma => g711::decode_a_law(payload, pcm),
            Decoding::Pcmu => g711::decode_mu_law(payload, pcm),
            Decoding::G722(decoder) => decoder.decode(payload, pcm),
            Decoding::Opus(decoder) => {
                let decoded = decoder.decode(payload, pcm);
                return decoded.map_err(|error| DecodeError::Library(error.description()));
            }
        }
        Ok(samples)
    }

    /// Fills `pcm` in place of what was lost, if the codec can do so itself;
    /// `next` is the payload after the gap, if it is here already, and is still
    /// to be decoded afterwards. Gives how many samples it wrote, in steps of
    /// 2.5 ms up to 120 ms. None: use [`crate::conceal::Concealer`].
    pub fn conceal(&mut self, next: Option<&[u8]>, pcm: &mut [i16]) -> Option<usize> {
        match &mut self.0 {
            Decoding::Pcma | Decoding::Pcmu | Decoding::G722(_) => None,
            Decoding::Opus(decoder) => Some(decoder.conceal(next, pcm)),
        }
    }

    /// What [`Decoder::decode`] would write if this had been heard until then ([`Decoder::follow`]),
    /// without moving on. Not for Opus, which conceals by itself.
    pub fn peek(
        &self,
        (heard, beyond): (&[i16], &[i16; BEYOND]),
        payload: &[u8],
        pcm: &mut [i16],
    ) -> Option<usize> {
        let samples = self.samples(payload).ok()?;
        let pcm = pcm.get_mut(..samples)?;
        match &self.0 {
            Decoding::Pcma => g711::decode_a_law(payload, pcm),
            Decoding::Pcmu => g711::decode_mu_law(payload, pcm),
            Decoding::G722(decoder) => {
                let mut decoder = decoder.clone();
                decoder.follow(heard, beyond);
                decoder.decode(payload, pcm);
            }
            Decoding::Opus(_) => return None,
        }
        Some(samples)
    }

    /// What was heard in place of a lost payload, and how it would go on: a codec that learns from
    /// what it decodes (G.722) learns from that instead.
    pub fn follow(&mut self, heard: &[i16], beyond: &[i16; BEYOND]) {
        match &mut self.0 {
            Decoding::Pcma | Decoding::Pcmu | Decoding::Opus(_) => {}
            Decoding::G722(decoder) => decoder.follow(heard, beyond),
        }
    }

    /// Forgets the stream so far.
    pub fn reset(&mut self) -> Result<(), opus::OpenError> {
        match &mut self.0 {
            Decoding::Pcma | Decoding::Pcmu => {}
            Decoding::G722(decoder) => *decoder = g722::Decoder::new(),
            Decoding::Opus(decoder) => decoder.reset()?,
        }
        Ok(())
    }
}
