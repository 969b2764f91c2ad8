//! What the media threads say of how legs sound, and the records that wait for the last of it.
//!
//! The media thread tells a leg's last figures when it has closed it, a moment after the call
//! engine has written the record. So the record of a leg that has media waits for them, but never
//! longer than [`PATIENCE`]: then it goes with the figures that were told last. Invariant: a
//! record that was put in comes out once.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use model::{CallRecord, LegAudio, LegId};

/// A media thread that is alive answers within a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// Records that wait. Only a media thread that is stuck lets so many gather.
const MOST_WAITING: usize = 4_096;

#[derive(Debug, Default)]
pub(crate) struct Figures {
    latest: BTreeMap<LegId, Taken>,
    waiting: BTreeMap<LegId, Waiting>,
    /// In the order in which they are due; what waits no more is passed over.
    due: VecDeque<(Instant, LegId)>,
}

/// Figures, and when they were told.
#[derive(Clone, Copy, Debug)]
struct Taken {
    audio: LegAudio,
    at: Instant,
}

#[derive(Debug)]
struct Waiting {
    record: Box<CallRecord>,
    until: Instant,
}

/// The sound of a leg as it was when its thread looked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioView {
    pub audio: LegAudio,
    /// How long ago that was.
    pub age: Duration,
}

impl Figures {
    pub(crate) fn tell(&mut self, leg: LegId, audio: LegAudio, at: Instant) {
        self.latest.insert(leg, Taken { audio, at });
    }

    pub(crate) fn forget(&mut self, leg: LegId) {
        self.latest.remove(&leg);
    }

    /// Forgets the legs for which this does not hold.
    pub(crate) fn keep(&mut self, still: impl Fn(LegId) -> bool) {
        let waiting = &self.waiting;
        self.latest
            .retain(|leg, _| waiting.contains_key(leg) || still(*leg));
    }

    /// A record whose leg may have media still: waits for them, or comes back because too many do.
    pub(crate) fn wait(
        &mut self,
        record: Box<CallRecord>,
        now: Instant,
    ) -> Option<Box<CallRecord>> {
        if self.waiting.len() >= MOST_WAITING {
            return Some(self.complete(record));
        }
        let (leg, until) = (record.leg, now + PATIENCE);
        self.due.push_back((until, leg));
        let before = self.waiting.insert(leg, Waiting { record, until });
        // A leg has one record; were there two, the first would not be lost.
        before.map(|before| before.record)
    }

    /// Puts what was told last into a record that need not wait.
    pub(crate) fn complete(&mut self, mut record: Box<CallRecord>) -> Box<CallRecord> {
        record.audio = self.latest.remove(&record.leg).map(|taken| taken.audio);
        record
    }

    /// The leg's media are closed: its record waits no longer.
    pub(crate) fn closed(&mut self, leg: LegId) -> Option<Box<CallRecord>> {
        let waiting = self.waiting.remove(&leg)?;
        self.pass_over();
        Some(self.complete(waiting.record))
    }

    /// The next record that has waited long enough.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<Box<CallRecord>> {
        let (_, leg) = self.due.pop_front_if(|(until, _)| *until <= now)?;
        self.closed(leg)
    }

    /// The next record, however short it has waited.
    pub(crate) fn any(&mut self) -> Option<Box<CallRecord>> {
        let (leg, _) = self.waiting.first_key_value()?;
        self.closed(*leg)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due.front().map(|(until, _)| *until)
    }

    pub(crate) fn view(&self, leg: LegId, now: Instant) -> Option<AudioView> {
        let taken = self.latest.get(&leg)?;
        Some(AudioView {
            audio: taken.audio,
            age: now.saturating_duration_since(taken.at),
        })
    }

    /// What is first in line waits.
    fn pass_over(&mut self) {
        while let Some((until, leg)) = self.due.front() {
            let waits = self.waiting.get(leg);
            if waits.is_some_and(|waiting| waiting.until == *until) {
                return;
            }
            self.due.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{CallId, Carried, DialStatus, EndCause, LegRole, Party, Priority};
    use model::{Received, RecordId, Sent, Timestamp};

    use super::*;

    fn record(leg: u64) -> Box<CallRecord> {
        let moment = Timestamp::from_unix_ms(0);
        Box::new(CallRecord {
            id: RecordId::new(leg),
            call: CallId::new(1),
            leg: LegId::new(leg),
            role: LegRole::Caller,
            party: Party::default(),
            dialled: None,
            by_way_of: None,
            priority: Priority::DEFAULT,
            started: moment,
            answered: None,
            ended: moment,
            rang_for: Duration::ZERO,
            talked_for: Duration::ZERO,
            talked_with: None,
            status: DialStatus::Answered,
            cause: EndCause::HungUp,
            audio: None,
        })
    }

    fn audio(packets: u64) -> LegAudio {
        LegAudio {
            codec: None,
            band: None,
            carried: Carried::Relayed,
            encryption: None,
            round_trip: None,
            silent_for: None,
            received: Received {
                packets,
                ..Received::default()
            },
            sent: Sent::default(),
        }
    }

    fn packets(record: &CallRecord) -> Option<u64> {
        record.audio.map(|audio| audio.received.packets)
    }

    #[test]
    fn a_record_waits_for_the_last_figures_of_its_leg_and_for_no_others() {
        let (mut figures, now) = (Figures::default(), Instant::now());
        figures.tell(LegId::new(1), audio(10), now);
        assert!(figures.wait(record(1), now).is_none());
        assert!(figures.wait(record(2), now).is_none());
        assert!(figures.closed(LegId::new(3)).is_none());
        figures.tell(LegId::new(1), audio(20), now);
        let first = figures.closed(LegId::new(1)).unwrap();
        assert_eq!(packets(&first), Some(20));
        assert!(figures.closed(LegId::new(1)).is_none());
        assert_eq!(figures.deadline(), Some(now + PATIENCE));
    }

    #[test]
    fn a_thread_that_says_nothing_holds_no_record_back() {
        let (mut figures, now) = (Figures::default(), Instant::now());
        figures.tell(LegId::new(1), audio(10), now);
        figures.wait(record(1), now);
        assert!(figures.expired(now + PATIENCE / 2).is_none());
        let late = figures.expired(now + PATIENCE).unwrap();
        assert_eq!(packets(&late), Some(10));
        assert_eq!(figures.deadline(), None);
        assert!(figures.expired(now + PATIENCE * 2).is_none());
    }

    #[test]
    fn too_many_waiting_records_are_not_held() {
        let (mut figures, now) = (Figures::default(), Instant::now());
        for leg in 0..MOST_WAITING as u64 {
            assert!(figures.wait(record(leg), now).is_none());
        }
        assert!(figures.wait(record(u64::MAX), now).is_some());
        let rest = std::iter::from_fn(|| figures.any()).count();
        assert_eq!((rest, figures.deadline()), (MOST_WAITING, None));
    }

    #[test]
    fn figures_of_legs_that_are_gone_are_forgotten() {
        let (mut figures, now) = (Figures::default(), Instant::now());
        for leg in 1..=3 {
            figures.tell(LegId::new(leg), audio(leg), now);
        }
        figures.wait(record(2), now);
        figures.keep(|leg| leg == LegId::new(1));
        let there = |leg| figures.view(LegId::new(leg), now).is_some();
        assert_eq!([there(1), there(2), there(3)], [true, true, false]);
    }
}
