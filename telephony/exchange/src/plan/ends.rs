//! Legs whose sound is agreed on without session descriptions: each side tells an address and codecs.
//!
//! In here they are descriptions like any other, of one stream, with the static numbers of RFC 3551;
//! so such a leg talks with every other. Invariant: what is offered to such an end, it knows.

use std::net::{IpAddr, SocketAddr};

use model::LegId;
use sip::sdp::{self, Codec, Description, Format, Kind, LocalStream};

use super::{LegPlan, MediaPlan, Offered, PlanError, Start, nowhere, own_template};

/// RFC 3551 6, and what is usual for events.
const NUMBERS: [(Codec, u8); 4] = [
    (Codec::G722, 9),
    (Codec::Pcma, 8),
    (Codec::Pcmu, 0),
    (Codec::TelephoneEvent, 101),
];

/// Where one side takes sound, and in what: the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) rtp: SocketAddr,
    pub(crate) rtcp: Option<SocketAddr>,
    pub(crate) codecs: Vec<Codec>,
}

impl MediaPlan {
    pub(crate) fn end_arrived(
        &mut self,
        leg: LegId,
        start: Start,
        end: &End,
    ) -> Result<Offered, PlanError> {
        self.arrived_with(leg, start, Some(end.description()))
    }

    /// What an end is offered that understands these codecs: of them those that serve `of` best
    /// first.
    pub(crate) fn offer_end(
        &mut self,
        leg: LegId,
        start: Start,
        of: Option<LegId>,
        understood: &[Codec],
    ) -> Result<End, PlanError> {
        let source = of
            .and_then(|of| self.legs.get(&of))
            .and_then(LegPlan::offerable);
        let source = source.unwrap_or_else(own_template).widened();
        let wanted = source.live(&Kind::Audio).into_iter();
        let wanted = wanted.flat_map(|audio| &audio.formats);
        let wanted = wanted.filter_map(Format::codec);
        let events = std::iter::once(Codec::TelephoneEvent);
        let mut codecs: Vec<Codec> = Vec::new();
        for codec in wanted.chain(understood.iter().copied()).chain(events) {
            if understood.contains(&codec) && !codecs.contains(&codec) {
                codecs.push(codec);
            }
        }
        let template = End {
            rtp: nowhere(),
            rtcp: None,
            codecs,
        };
        self.offer_with(leg, start, of, &template.description())?;
        self.own_end(leg).ok_or(PlanError::NothingSettled)
    }

    /// The end has answered; `peer` is the host that its sound may come from.
    pub(crate) fn end_answered(
        &mut self,
        leg: LegId,
        end: &End,
        peer: IpAddr,
    ) -> Result<(), PlanError> {
        if let Some(plan) = self.legs.get_mut(&leg) {
            plan.start.peer = peer;
        }
        self.answered_with(leg, &end.description())
    }

    /// Where we take the sound of this leg, and what was offered or agreed.
    pub(crate) fn own_end(&self, leg: LegId) -> Option<End> {
        let audio = self.legs.get(&leg)?.ours.as_ref()?.live(&Kind::Audio)?;
        Some(End {
            rtp: audio.rtp?,
            rtcp: audio.rtcp,
            codecs: audio.formats.iter().filter_map(Format::codec).collect(),
        })
    }
}

impl End {
    fn description(&self) -> Description {
        let format = |codec: &Codec| {
            let (_, number) = NUMBERS.iter().find(|(known, _)| known == codec)?;
            Some(codec.format(*number))
        };
        let at = LocalStream {
            rtp: self.rtp,
            rtcp: self.rtcp.unwrap_or(self.rtp),
        };
        let formats = self.codecs.iter().filter_map(format).collect();
        let mut description = sdp::audio_in(at, formats);
        for stream in &mut description.streams {
            stream.rtcp = self.rtcp;
        }
        description
    }
}
