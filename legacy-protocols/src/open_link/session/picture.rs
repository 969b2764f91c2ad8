//! The picture of what is at the other end (section 5.2).

use std::time::Instant;

use super::{Phase, Session};
use crate::command::{Command, Verdict};
use crate::open_link::message::Body;
use crate::port::{LinkState, Picture, PictureStage, Reference};
use crate::session::Said;

/// A picture is asked for so often.
const PICTURES: u32 = 3;

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) first: bool,
    pub(super) reference: u16,
    pub(super) items: u16,
    pub(super) attempts: u32,
    pub(super) until: Instant,
    /// An event was lost while it came.
    pub(super) torn: bool,
    /// The owner asked for it.
    pub(super) asked_by: Option<Reference>,
}

impl Session {
    pub(super) fn ask_picture(
        &mut self,
        first: bool,
        attempts: u32,
        asked_by: Option<Reference>,
        now: Instant,
    ) {
        let reference = self.reference();
        self.phase = Phase::Picturing(Pending {
            first,
            reference,
            items: 0,
            attempts,
            until: now + self.config.picture_within,
            torn: false,
            asked_by,
        });
        self.said.push_back(Said::Picture(PictureStage::Begins));
        self.reply(&Body::Command(Command::Snapshot), reference, now);
    }

    pub(super) fn picture_ended(&mut self, reference: u16, count: u16, now: Instant) {
        let Phase::Picturing(pending) = &self.phase else {
            return;
        };
        if pending.reference != reference {
            return;
        }
        if pending.items == count && !pending.torn {
            self.picture_done(Picture::Whole);
        } else {
            self.picture_again(now);
        }
    }

    pub(super) fn picture_again(&mut self, now: Instant) {
        let Phase::Picturing(pending) = &mut self.phase else {
            return;
        };
        let (first, attempts, asked_by) =
            (pending.first, pending.attempts, pending.asked_by.take());
        if attempts < PICTURES {
            self.ask_picture(first, attempts + 1, asked_by, now);
        } else {
            pending.asked_by = asked_by;
            self.picture_done(Picture::Partial);
        }
    }

    fn picture_done(&mut self, picture: Picture) {
        let Phase::Picturing(pending) = std::mem::replace(&mut self.phase, Phase::Up) else {
            return;
        };
        self.picture = picture;
        self.said.push_back(Said::Link(LinkState::Up(picture)));
        self.said
            .push_back(Said::Picture(PictureStage::Ends(picture)));
        if let Some(reference) = pending.asked_by {
            let verdict = match picture {
                Picture::Whole => Verdict::Done,
                Picture::Partial | Picture::None => Verdict::NoAnswer,
            };
            self.said.push_back(Said::Done(reference, verdict.into()));
        }
    }
}
