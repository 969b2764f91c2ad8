//! People at the command line who listen to calls: recordings for them, levels.
//!
//! Finds the legs that are meant and has them tapped; the recorder's thread answers. Invariant: a
//! leg is tapped only while somebody or a recording needs it.

use std::time::{Duration, Instant};

use calls::{AnswerView, CallView};
use media::recording::Side;
use model::{LegId, LegRole};
use switchboard::{MediaShell, Wanted};
use tokio::sync::oneshot;

use crate::control::protocol::{MediaReply, RecordingView, Refusal, RefusalCode, Reply};
use crate::main_loop::MainLoop;
use crate::operator;
use crate::recorder::{AskedId, LevelAsked, TapChange};
use crate::store::{JournalWrite, RecordingNote};

/// The longest recording for somebody who asks; longer ones go into the folder.
const LONGEST: Duration = Duration::from_secs(3_600);

impl MainLoop {
    /// Records the call, or else the leg, of this number.
    pub(crate) fn record_for(
        &mut self,
        of: u64,
        seconds: u64,
        reply: oneshot::Sender<Reply>,
        now: Instant,
    ) {
        let legs = self.meant(of);
        if legs.is_empty() {
            // Whoever asked may have left.
            let _ = reply.send(nobody(of));
            return;
        }
        let most = Duration::from_secs(seconds).min(LONGEST);
        let channels = if legs.len() == 1 { 1 } else { 2 };
        let (AskedId(recording), changes) = self.hands.recorder.record_for(&legs, most, now);
        tap(&mut self.hands.media, &changes);
        let view = RecordingView {
            recording,
            channels,
        };
        // Whoever asked may have left; what nobody takes ends by itself.
        let _ = reply.send(Reply::Media(MediaReply::Recording(view)));
    }

    /// How loud all legs are, or those of the call or the leg of this number.
    pub(crate) fn level_for(
        &mut self,
        of: Option<u64>,
        reply: oneshot::Sender<Reply>,
        now: Instant,
    ) {
        let mut asked = Vec::new();
        for call in self.state.calls().calls() {
            let all = of.is_none_or(|of| call.call.get() == of);
            let answered = answered(&call);
            for leg in &answered {
                if !all && of != Some(leg.0.get()) {
                    continue;
                }
                let hears = match answered[..] {
                    [a, b] if a.0 == leg.0 => Some(b.0),
                    [a, _] => Some(a.0),
                    _ => None,
                };
                let party = call.legs.iter().find(|view| view.leg == leg.0);
                asked.push(LevelAsked {
                    call: call.call,
                    leg: leg.0,
                    party: party.map_or_else(String::new, |view| operator::party(&view.party)),
                    hears,
                });
            }
        }
        if let (Some(of), true) = (of, asked.is_empty()) {
            // Whoever asked may have left.
            let _ = reply.send(nobody(of));
            return;
        }
        let changes = self.hands.recorder.level(asked, now, reply);
        tap(&mut self.hands.media, &changes);
    }

    /// A recording of a call has begun, or is over.
    pub(crate) fn recording_noted(&mut self, note: RecordingNote) {
        if let Some(end) = &note.end {
            let changes = self.hands.recorder.left(&end.legs);
            tap(&mut self.hands.media, &changes);
        }
        self.hands.journal(JournalWrite::Recording(Box::new(note)));
    }

    /// Nobody asks for some levels any more.
    pub(crate) fn stop_listening(&mut self, now: Instant) {
        let changes = self.hands.recorder.tick(now);
        tap(&mut self.hands.media, &changes);
    }

    fn meant(&self, of: u64) -> Vec<(LegId, Side)> {
        let calls: Vec<CallView> = self.state.calls().calls().collect();
        if let Some(call) = calls.iter().find(|call| call.call.get() == of) {
            return answered(call);
        }
        let legs = calls.iter().flat_map(answered);
        let meant = legs.filter(|(leg, _)| leg.get() == of);
        meant.map(|(leg, _)| (leg, Side::Left)).collect()
    }
}

/// Carries out what the recorder needs to hear.
pub(crate) fn tap(media: &mut MediaShell, changes: &[TapChange]) {
    for change in changes {
        match change {
            TapChange::On(leg) => media.listen(*leg, Wanted::Yes),
            TapChange::Off(leg) => media.listen(*leg, Wanted::No),
        }
    }
}

/// The legs of a call that talk, and their sides; a caller talks to the one who is called as soon
/// as that one answers.
fn answered(call: &CallView) -> Vec<(LegId, Side)> {
    let there = call
        .legs
        .iter()
        .filter(|leg| leg.answer == AnswerView::Answered);
    let side = |role| match role {
        LegRole::Caller => Side::Left,
        LegRole::Callee => Side::Right,
    };
    there.map(|leg| (leg.leg, side(leg.role))).collect()
}

fn nobody(of: u64) -> Reply {
    Reply::Error(Refusal {
        code: RefusalCode::NotFound,
        text: format!("no call and no leg with the number {of} has been answered"),
        remedy: "look with `calls` or `media quality`".to_owned(),
    })
}
