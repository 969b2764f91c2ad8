//! Who hears whom in a call, and how it goes over the network.

use legacy_protocols::event::{TalkMode, Talker};
use legacy_protocols::sound::SoundCodecs;

use super::{Call, End, Phase};
use crate::site::station::CallId;
use crate::site::wires::{Circuit, Member, Part, Stream, Voice};
use crate::site::{Output, Site};

impl Site {
    /// Says who hears whom in this call, as it is now.
    pub(in crate::site) fn wire(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let (from, to) = parts(call);
        let far = call.line_end().and_then(|end| end.end);
        let voice = |end: End| match end {
            End::Station(party) => Some(Voice::Station(party)),
            End::Line(_) => far.map(Voice::End),
        };
        let ends = [(voice(call.from), from), (voice(call.to), to)];
        let members = ends.into_iter().filter_map(|(voice, part)| {
            Some(Member {
                voice: voice?,
                part: part?,
            })
        });
        let circuit = Circuit {
            id: id.0,
            members: members.collect(),
        };
        let stream = call.line_end().and_then(|end| {
            let theirs = end.theirs?;
            // As the answer's first codec stands there, or our own first that they speak.
            let codec = match end.by_us {
                true => theirs.codecs.best(),
                false => SoundCodecs::ALL.shared_with(theirs.codecs)?.best(),
            };
            let to = theirs.address;
            Some((end.end?, Stream { to, codec }))
        });
        self.outputs.push_back(Output::Circuit(circuit));
        if let Some((end, stream)) = stream {
            let to = Some(stream);
            self.outputs.push_back(Output::Stream { end, to });
        }
    }
}

/// What the caller and the called do in it; None: nothing at all, the call is held.
fn parts(call: &Call) -> (Option<Part>, Option<Part>) {
    let talks = (Some(Part::TALKS), Some(Part::HEARS));
    let hears = (Some(Part::HEARS), Some(Part::TALKS));
    match (call.phase, call.mode) {
        // Ring-back or an announcement, if the other end sends any. A microphone here stays closed.
        (Phase::Ringing, _) if matches!(call.to, End::Line(_)) => hears,
        (Phase::Held | Phase::Ringing, _) => (None, None),
        (Phase::Connected, TalkMode::OpenDuplex | TalkMode::VoiceSwitched) => {
            (Some(Part::BOTH), Some(Part::BOTH))
        }
        (Phase::Connected, TalkMode::Simplex(Talker::Caller) | TalkMode::TalkOnly) => talks,
        (Phase::Connected, TalkMode::Simplex(Talker::Called) | TalkMode::ListenOnly) => hears,
        (Phase::Connected, TalkMode::Simplex(Talker::Nobody)) => {
            (Some(Part::HEARS), Some(Part::HEARS))
        }
    }
}
