//! Which media thread a leg is at.
//!
//! Legs that hear each other, or are in one room, are at one thread, so that no packet ever passes
//! from one thread to another. A call begins at the thread with the fewest legs, and all that are
//! started for it join it there. Where two calls become one, the smaller company moves to the
//! other's thread.

use std::collections::BTreeSet;

use model::LegId;

use super::{MediaCommand, MediaPlan};

impl MediaPlan {
    /// Where a new leg belongs: beside the one it is started for, else where there are fewest.
    pub(super) fn thread_for(&self, beside: Option<LegId>) -> u16 {
        if self.threads == 1 {
            return 0;
        }
        if let Some(beside) = beside.and_then(|leg| self.legs.get(&leg)) {
            return beside.thread;
        }
        let mut legs = vec![0_usize; usize::from(self.threads)];
        for leg in self.legs.values() {
            legs[usize::from(leg.thread)] += 1;
        }
        let quietest = (0..self.threads).min_by_key(|thread| legs[usize::from(*thread)]);
        quietest.unwrap_or(0)
    }

    /// Two legs that are to hear each other are at one thread from now on.
    pub(super) fn bring_together(&mut self, a: LegId, b: LegId) {
        let thread = |leg: LegId| self.legs.get(&leg).map(|leg| leg.thread);
        let (Some(of_a), Some(of_b)) = (thread(a), thread(b)) else {
            return;
        };
        if of_a == of_b {
            return;
        }
        let (with_a, with_b) = (self.company_of(a), self.company_of(b));
        let (moving, thread) = match with_a.len() <= with_b.len() {
            true => (with_a, of_b),
            false => (with_b, of_a),
        };
        for leg in &moving {
            if let Some(plan) = self.legs.get_mut(leg) {
                plan.thread = thread;
            }
        }
        self.commands.push_back(MediaCommand::Move {
            legs: moving.into_iter().collect(),
            thread,
        });
    }

    /// A leg and all that hear it or are heard by it, directly or through others.
    fn company_of(&self, leg: LegId) -> BTreeSet<LegId> {
        let mut company = BTreeSet::from([leg]);
        let mut unseen = vec![leg];
        while let Some(leg) = unseen.pop() {
            let mut news: Vec<LegId> = Vec::new();
            for (from, to) in self.routes.keys() {
                if *from == leg {
                    news.push(*to);
                } else if *to == leg {
                    news.push(*from);
                }
            }
            news.extend(self.rooms.mates_of(leg));
            unseen.extend(news.into_iter().filter(|leg| company.insert(*leg)));
        }
        company
    }
}
