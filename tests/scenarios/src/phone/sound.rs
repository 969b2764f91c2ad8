//! What a telephone describes of its sound, and which codec it sends and understands.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sip::sdp::{
    self, Codec, Description, DescriptionError, Direction, Format, Kind, Local, LocalStream,
};

/// A description that the telephone has written, and can write again.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) description: Description,
    id: u64,
    version: u64,
    address: IpAddr,
}

/// What a telephone makes of a key that its user presses in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keypad {
    /// It can tell it apart from the sound (RFC 4733).
    Events,
    /// Tones, as old ones do.
    Tones,
}

/// The abilities of a telephone, on one media port.
#[derive(Clone, Debug)]
pub(super) struct Sound {
    pub(super) codecs: Vec<Codec>,
    pub(super) keypad: Keypad,
    pub(super) at: SocketAddr,
}

impl Sound {
    /// An offer of all it can.
    pub(super) fn offer(&self, id: u64) -> Written {
        self.written(self.abilities(), id)
    }

    /// What it takes of an offer; the way it wants to be held or not is its own.
    pub(super) fn answer(&self, offer: &[u8], id: u64) -> Result<Written, DescriptionError> {
        let offer = Description::parse(offer)?;
        let places = offer.streams.iter().map(|stream| match stream.kind {
            Kind::Audio => Some(self.place()),
            Kind::Video | Kind::Other(_) => None,
        });
        let local = Local {
            address: self.at.ip(),
            streams: places.collect(),
        };
        let mut answer = sdp::answer_to(&offer, &self.abilities(), &local)?;
        self.leave_out_events(&mut answer);
        Ok(self.written(answer, id))
    }

    fn written(&self, description: Description, id: u64) -> Written {
        Written {
            description,
            id,
            version: 1,
            address: self.at.ip(),
        }
    }

    fn place(&self) -> LocalStream {
        let mut rtcp = self.at;
        rtcp.set_port(self.at.port() + 1);
        LocalStream { rtp: self.at, rtcp }
    }

    fn abilities(&self) -> Description {
        let mut all = sdp::fresh_offer(self.place());
        let numbers = sdp::WIDEBAND_FIRST;
        let formats = self.codecs.iter().filter_map(|codec| {
            let (_, number) = numbers.iter().find(|(known, _)| known == codec)?;
            Some(codec.format(*number))
        });
        let formats: Vec<Format> = formats.collect();
        for stream in &mut all.streams {
            stream.formats.retain(Format::is_companion);
            stream.formats.splice(0..0, formats.iter().cloned());
        }
        self.leave_out_events(&mut all);
        all
    }

    fn leave_out_events(&self, description: &mut Description) {
        let told = |format: &Format| format.codec() != Some(Codec::TelephoneEvent);
        for stream in &mut description.streams {
            stream
                .formats
                .retain(|format| self.keypad == Keypad::Events || told(format));
        }
    }
}

impl Written {
    pub(super) fn bytes(&self) -> Bytes {
        self.description.write(self.id, self.version, self.address)
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// As the description that follows one of that version.
    #[must_use]
    pub(super) fn after(self, version: u64) -> Self {
        Self {
            version: version + 1,
            ..self
        }
    }

    /// The same again with another direction, as a new offer or answer.
    #[must_use]
    pub(super) fn towards(&self, direction: Direction) -> Self {
        let mut next = self.clone();
        next.version += 1;
        for stream in &mut next.description.streams {
            stream.direction = direction;
        }
        next
    }
}

/// The codec that one end of an agreement sends, with the number that the other end understands.
pub fn sends(ours: &Description, theirs: &Description) -> Option<(SocketAddr, Format)> {
    let (own, far) = (ours.live(&Kind::Audio)?, theirs.live(&Kind::Audio)?);
    if !own.direction.sends() || !far.direction.receives() {
        return None;
    }
    // RFC 3264 6.1 and 7: what the other end lists first, it likes best.
    let known = |format: &&Format| own.formats.iter().any(|own| own.is_same_as(format));
    let mut agreed = far.formats.iter().filter(known);
    let spoken = agreed.find(|format| !format.is_companion())?.clone();
    Some((far.rtp?, spoken))
}

/// What a packet with this number is to the end that described itself so.
pub fn understands(ours: &Description, payload_type: u8) -> Option<&Format> {
    let own = ours
        .live(&Kind::Audio)
        .filter(|own| own.direction.receives())?;
    own.formats
        .iter()
        .find(|format| format.payload_type == payload_type)
}
