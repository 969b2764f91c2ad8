//! Offers within a call: hold and resume, a moved address, another codec.
//!
//! What both sides have agreed on before is answered here at once; only a change of codec is the
//! other side's business too. Invariant: at most one offer of a leg is being asked about.

use bytes::Bytes;
use calls::Input;
use model::LegId;
use sip::sdp::{self, Description, DescriptionError, Direction, Kind, Stream};

use super::{LegPlan, MediaPlan, PlanError, Stand};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldChange {
    Held,
    Resumed,
}

impl HoldChange {
    pub(crate) fn input(self, leg: LegId) -> Input {
        match self {
            Self::Held => Input::LegHeld { leg },
            Self::Resumed => Input::LegResumed { leg },
        }
    }
}

#[derive(Debug)]
pub(crate) enum Reoffered {
    Answer {
        answer: Bytes,
        hold: Option<HoldChange>,
    },
    /// The other leg must agree first.
    AskOther { other: LegId, offer: Bytes },
}

impl MediaPlan {
    pub(crate) fn reoffered(&mut self, leg: LegId, offer: &[u8]) -> Result<Reoffered, PlanError> {
        let offer = Description::parse(offer)?;
        let plan = self.legs.get_mut(&leg).ok_or(PlanError::NothingSettled)?;
        let offer = plan.shield.take_offer(offer)?;
        let ours = plan.ours.as_ref().ok_or(PlanError::NothingSettled)?;
        if offer.streams.len() < ours.streams.len() {
            // RFC 3264 8: streams are never taken out of a description.
            let (offered, answered) = (ours.streams.len(), offer.streams.len());
            return Err(DescriptionError::StreamCount { offered, answered }.into());
        }
        let kept = answer_with(&offer, ours, plan);
        let Some(kept) = kept else {
            return self.ask_other(leg, offer);
        };
        let hold = plan.take_over(offer, kept);
        let answer = plan.write()?;
        self.tell_remote(leg);
        self.refresh_routes(leg);
        Ok(Reoffered::Answer { answer, hold })
    }

    /// No codec of before is in the offer: whoever talks with this leg has to change as well.
    fn ask_other(&mut self, leg: LegId, offer: Description) -> Result<Reoffered, PlanError> {
        let refused = PlanError::Description(DescriptionError::NothingAccepted);
        let plan = self.legs.get_mut(&leg).ok_or(PlanError::NothingSettled)?;
        let other = plan.partner.ok_or(refused.clone())?;
        if plan.asking.is_some() {
            return Err(refused);
        }
        plan.asking = Some(offer.clone());
        let other_plan = self.legs.get_mut(&other).ok_or(refused)?;
        let mut asked = sdp::offer_from(&offer.widened(), &other_plan.local());
        // The other leg may have other streams in other places; only what both have is asked.
        let streams = other_plan
            .ours
            .as_ref()
            .map_or(0, |ours| ours.streams.len());
        while asked.streams.len() < streams {
            let template = other_plan
                .ours
                .as_ref()
                .map(|ours| ours.streams[asked.streams.len()].refused());
            asked.streams.extend(template);
        }
        other_plan.origin.version += 1;
        other_plan.offers(asked);
        let offer = other_plan.write()?;
        Ok(Reoffered::AskOther { other, offer })
    }

    /// The answer to an offer that we made within a call; if another leg waits for it, who and
    /// with what.
    pub(crate) fn reoffer_answered(
        &mut self,
        leg: LegId,
        answer: &[u8],
    ) -> Option<(LegId, Result<Bytes, PlanError>)> {
        let answered = self.answered(leg, answer);
        let asker = self.asker_of(leg)?;
        let settled = self.legs.get(&leg).and_then(|plan| plan.theirs.clone());
        let plan = self.legs.get_mut(&asker)?;
        let offer = plan.asking.take()?;
        let made = answered.and_then(|()| {
            let settled = settled.ok_or(PlanError::NothingSettled)?;
            let settled = settled.narrowed(&offer);
            Ok(sdp::answer_to(&offer, &settled, &plan.local())?)
        });
        let written = made.and_then(|answer| {
            plan.take_over(offer, answer);
            plan.write()
        });
        self.tell_remote(asker);
        self.refresh_routes(asker);
        Some((asker, written))
    }

    /// Our offer was refused: what was agreed before stays, for whoever asked too.
    pub(crate) fn reoffer_refused(&mut self, leg: LegId) -> Option<LegId> {
        let asker = self.asker_of(leg)?;
        self.forget_reoffer(asker);
        Some(asker)
    }

    pub(crate) fn forget_reoffer(&mut self, leg: LegId) {
        if let Some(plan) = self.legs.get_mut(&leg) {
            plan.asking = None;
        }
    }

    /// Our description again, as an offer: the peer asked for one.
    pub(crate) fn current_offer(&mut self, leg: LegId) -> Result<Bytes, PlanError> {
        let plan = self.legs.get_mut(&leg).ok_or(PlanError::NothingSettled)?;
        plan.origin.version += 1;
        let ours = plan.ours.clone().ok_or(PlanError::NothingSettled)?;
        plan.offers(ours);
        plan.write()
    }

    fn asker_of(&self, leg: LegId) -> Option<LegId> {
        let partner = self.legs.get(&leg)?.partner?;
        self.legs.get(&partner)?.asking.as_ref().map(|_| partner)
    }
}

impl LegPlan {
    /// A finished exchange within the call; what it means for hold.
    fn take_over(&mut self, offer: Description, answer: Description) -> Option<HoldChange> {
        let audio = offer.live(&Kind::Audio);
        let held = audio.is_some_and(|stream| !stream.direction.receives());
        let change = match (self.held, held) {
            (false, true) => Some(HoldChange::Held),
            (true, false) => Some(HoldChange::Resumed),
            (false, false) | (true, true) => None,
        };
        self.held = held;
        self.origin.version += 1;
        self.answers(answer);
        self.theirs = Some(offer);
        self.stand = Stand::Agreed;
        change
    }
}

/// The answer that keeps the codecs of before; `None` where a stream that lives has none of them.
fn answer_with(offer: &Description, ours: &Description, plan: &LegPlan) -> Option<Description> {
    let local = plan.local();
    let mut settled = ours.clone();
    for stream in &mut settled.streams {
        // We are no side of the talk: whatever the offerer wants to do, we can do the other half.
        stream.direction = Direction::SendRecv;
    }
    let answer = sdp::answer_to(offer, &settled, &local).ok()?;
    let lost = |(now, before): (&Stream, &Stream)| before.rtp.is_some() && now.rtp.is_none();
    let still_wanted = |index: usize| offer.streams[index].rtp.is_some();
    let any_lost = answer
        .streams
        .iter()
        .zip(&ours.streams)
        .enumerate()
        .any(|(index, pair)| lost(pair) && still_wanted(index));
    (!any_lost).then_some(answer)
}
