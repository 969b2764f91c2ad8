//! What is wanted of the sound of a leg beside passing it on: keys heard in it, noise taken out of
//! it.

use model::{LegId, NoiseAround};
use sip::sdp::{self, Codec};

use super::{LegPlan, MediaCommand, MediaPlan};

impl MediaPlan {
    /// Whether events of keys (RFC 4733) were agreed on with the leg.
    pub(crate) fn has_events(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(LegPlan::has_events)
    }

    /// Keys are listened for in the sound of the leg, or are not any more.
    pub(crate) fn listen_for_keys(&mut self, leg: LegId, listen: bool) {
        let Some(plan) = self.legs.get_mut(&leg) else {
            return;
        };
        let is_news = std::mem::replace(&mut plan.key_tones, listen) != listen;
        // A call without sound has none to listen to. If it gets ports, it is said then: a caller
        // without an offer is connected before it has any.
        if is_news && plan.is_open() {
            let command = MediaCommand::KeyTones { leg, listen };
            self.commands.push_back(command);
        }
    }

    /// What becomes of the noise around the leg.
    pub(crate) fn treat_noise(&mut self, leg: LegId, noise: NoiseAround) {
        let heard = self.legs.get_mut(&leg).filter(|plan| plan.is_open());
        let Some(plan) = heard else {
            return;
        };
        if std::mem::replace(&mut plan.noise, noise) != noise {
            self.commands.push_back(MediaCommand::Noise { leg, noise });
        }
    }
}

impl LegPlan {
    pub(super) fn is_open(&self) -> bool {
        self.ports.iter().any(Option::is_some)
    }

    fn has_events(&self) -> bool {
        let (Some(ours), Some(theirs)) = (&self.ours, &self.theirs) else {
            return false;
        };
        let mut streams = ours.streams.iter().zip(&theirs.streams);
        streams.any(|(ours, theirs)| {
            let agreed = sdp::agreed_formats(&theirs.formats, &ours.formats);
            let event = |format: &sdp::Format| format.codec() == Some(Codec::TelephoneEvent);
            agreed.iter().any(event)
        })
    }
}
