//! Who may try, and how often: floods by source, guesses by source and by account.
//!
//! Two facts carry the design. A request with a current nonce proves its source address, anything
//! else may be forged: so the two are counted apart, and only proven wrong passwords bar a source.
//! And a station that speaks from where its own binding lives is never barred for what others do;
//! the registrar does not ask here for it. Deliberately no prefixes: on a site all stations share
//! one. Invariant: every table has a cap; a forged flood can push out flood counts, never a bar.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What an account forgives, as a multiple of what a source may do wrong. One source alone is barred
/// long before, so that only many together keep a station waiting.
const ACCOUNT_PATIENCE: u32 = 4;

#[derive(Clone, Copy, Debug)]
pub struct GuardSettings {
    /// Requests without a current nonce, from one source.
    pub unproven: Rate,
    /// Requests with one.
    pub proven: Rate,
    pub on_flood: OnFlood,
    pub on_bar: OnBar,
    /// Wrong passwords from one source that cost nothing yet.
    pub free_failures: u32,
    /// The first bar; each further failure doubles it.
    pub first_bar: Duration,
    pub source_bar_max: Duration,
    /// Short, because whoever guesses can keep a station that moved waiting this long.
    pub account_bar_max: Duration,
    /// Failures are forgotten when none was added for so long after the bar.
    pub forget_after: Duration,
    /// Sources remembered, for floods and for bars each.
    pub sources: usize,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self {
            unproven: Rate {
                per_second: 50,
                burst: 500,
            },
            proven: Rate {
                per_second: 50,
                burst: 500,
            },
            on_flood: OnFlood::default(),
            on_bar: OnBar::default(),
            free_failures: 5,
            first_bar: Duration::from_secs(2),
            source_bar_max: Duration::from_secs(900),
            account_bar_max: Duration::from_secs(10),
            forget_after: Duration::from_secs(900),
            sources: 16_384,
        }
    }
}

/// A steady rate, and how much may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

/// What a source that sends too much hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFlood {
    /// 503 with Retry-After.
    #[default]
    Unavailable,
    Silence,
}

/// What a barred source hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBar {
    /// 403 with Retry-After.
    #[default]
    Forbidden,
    Silence,
}

/// Whether the sender has shown that it receives at its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    Unproven,
    Proven,
}

/// A bar that a failure has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) failures: u32,
    pub(super) duration: Duration,
}

#[derive(Debug)]
pub(super) struct Guard {
    settings: GuardSettings,
    start: Instant,
    floods: Recent<(IpAddr, Standing), Bucket>,
    sources: Recent<IpAddr, Failures>,
    /// Keyed by the station's slot, so never more than there are accounts.
    accounts: HashMap<u32, Failures>,
}

impl Guard {
    pub(super) fn new(settings: GuardSettings, now: Instant) -> Self {
        Self {
            settings,
            start: now,
            floods: Recent::new(settings.sources),
            sources: Recent::new(settings.sources),
            accounts: HashMap::new(),
        }
    }

    pub(super) fn settings(&self) -> &GuardSettings {
        &self.settings
    }

    /// Counts a request; `Some` with the time until the next one may pass when it is too many.
    pub(super) fn flood(
        &mut self,
        source: IpAddr,
        standing: Standing,
        now: Instant,
    ) -> Option<Duration> {
        let rate = match standing {
            Standing::Unproven => self.settings.unproven,
            Standing::Proven => self.settings.proven,
        };
        let now = now.saturating_duration_since(self.start).as_micros() as u64;
        self.floods.entry((source, standing)).take(rate, now)
    }

    /// Whether source or account must wait, and how long.
    pub(super) fn barred(
        &self,
        source: IpAddr,
        account: Option<u32>,
        now: Instant,
    ) -> Option<Duration> {
        let second = self.second(now);
        let by_source = self.sources.get(&source).and_then(|f| f.wait(second));
        let account = account.and_then(|slot| self.accounts.get(&slot));
        let by_account = account.and_then(|f| f.wait(second));
        by_source.max(by_account)
    }

    /// Notes a wrong password from a proven source; gives the bars it leads to.
    pub(super) fn failed(
        &mut self,
        source: IpAddr,
        account: Option<u32>,
        now: Instant,
    ) -> (Option<Bar>, Option<Bar>) {
        let second = self.second(now);
        let settings = self.settings;
        let by_source = self.sources.entry(source);
        let free = settings.free_failures;
        let source_bar = by_source.add(&settings, free, settings.source_bar_max, second);
        let by_account = account.map(|slot| self.accounts.entry(slot).or_default());
        let free = free.saturating_mul(ACCOUNT_PATIENCE);
        let account_bar =
            by_account.and_then(|f| f.add(&settings, free, settings.account_bar_max, second));
        (source_bar, account_bar)
    }

    /// The slot belongs to another account from now on.
    pub(super) fn forget_account(&mut self, slot: u32) {
        self.accounts.remove(&slot);
    }

    fn second(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.start).as_secs() as u32
    }
}

/// A token bucket as one number: when it would be full again (generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    full_at: u64,
}

impl Bucket {
    fn take(&mut self, rate: Rate, now: u64) -> Option<Duration> {
        let interval = 1_000_000 / u64::from(rate.per_second.max(1));
        let depth = interval * u64::from(rate.burst.max(1));
        let full_at = self.full_at.max(now) + interval;
        match full_at.checked_sub(now + depth) {
            None | Some(0) => {
                self.full_at = full_at;
                None
            }
            Some(early) => Some(Duration::from_micros(early)),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    barred_until: u32,
}

impl Failures {
    fn wait(&self, second: u32) -> Option<Duration> {
        let left = self.barred_until.checked_sub(second).filter(|s| *s > 0)?;
        Some(Duration::from_secs(left.into())).filter(|_| self.count > 0)
    }

    fn add(
        &mut self,
        settings: &GuardSettings,
        free: u32,
        max: Duration,
        second: u32,
    ) -> Option<Bar> {
        let quiet = second.saturating_sub(self.barred_until);
        if u64::from(quiet) > settings.forget_after.as_secs() {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.barred_until = self.barred_until.max(second);
        let over = self.count.checked_sub(free + 1)?;
        let first = settings.first_bar.as_secs().max(1);
        let seconds = first.saturating_mul(1u64.checked_shl(over).unwrap_or(u64::MAX));
        let seconds = seconds.min(max.as_secs().max(1)) as u32;
        self.barred_until = second.saturating_add(seconds);
        Some(Bar {
            failures: self.count,
            duration: Duration::from_secs(seconds.into()),
        })
    }
}

/// A map that remembers the most recent keys: when the young half is full, it becomes the old one,
/// and what was not touched since is forgotten. Never iterated, so its order reaches nobody.
#[derive(Debug)]
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash + Copy, V: Copy + Default> Recent<K, V> {
    fn new(capacity: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: (capacity / 2).max(1),
        }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn entry(&mut self, key: K) -> &mut V {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        let kept = self.old.get(&key).copied().unwrap_or_default();
        self.young.entry(key).or_insert(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 8));

    fn guard(settings: GuardSettings) -> (Guard, Instant) {
        let now = Instant::now();
        (Guard::new(settings, now), now)
    }

    #[test]
    fn a_burst_passes_then_the_steady_rate() {
        let unproven = Rate {
            per_second: 10,
            burst: 3,
        };
        let (mut guard, start) = guard(GuardSettings {
            unproven,
            ..GuardSettings::default()
        });
        let mut flood =
            |ms| guard.flood(HERE, Standing::Unproven, start + Duration::from_millis(ms));
        for _ in 0..3 {
            assert_eq!(flood(0), None);
        }
        assert_eq!(flood(0), Some(Duration::from_millis(100)));
        assert_eq!(flood(99), Some(Duration::from_millis(1)));
        assert_eq!(flood(100), None);
        assert_eq!(flood(100), Some(Duration::from_millis(100)));
        assert_eq!(guard.flood(THERE, Standing::Unproven, start), None);
        assert_eq!(guard.flood(HERE, Standing::Proven, start), None);
    }

    #[test]
    fn bars_grow_up_to_their_limit_and_failures_are_forgotten() {
        let (mut guard, start) = guard(GuardSettings {
            free_failures: 2,
            source_bar_max: Duration::from_secs(10),
            account_bar_max: Duration::from_secs(3),
            ..GuardSettings::default()
        });
        let mut now = start;
        let bars: Vec<_> = (0..10)
            .map(|_| {
                let (source, account) = guard.failed(HERE, Some(1), now);
                let seconds = |bar: Option<Bar>| bar.map_or(0, |bar| bar.duration.as_secs());
                assert_eq!(guard.barred(HERE, None, now).is_some(), source.is_some());
                now += Duration::from_secs(seconds(source));
                assert_eq!(guard.barred(HERE, None, now), None);
                (seconds(source), seconds(account))
            })
            .collect();
        let (source, account): (Vec<_>, Vec<_>) = bars.into_iter().unzip();
        assert_eq!(source, [0, 0, 2, 4, 8, 10, 10, 10, 10, 10]);
        assert_eq!(account, [0, 0, 0, 0, 0, 0, 0, 0, 2, 3]);
        assert!(guard.barred(THERE, Some(2), now).is_none());
        now += Duration::from_secs(901);
        assert_eq!(guard.failed(HERE, None, now), (None, None));
    }

    #[test]
    fn an_account_is_barred_for_sources_that_never_failed() {
        let (mut guard, now) = guard(GuardSettings {
            free_failures: 0,
            ..GuardSettings::default()
        });
        guard.failed(HERE, Some(1), now);
        assert!(guard.barred(THERE, Some(1), now).is_some());
        assert!(guard.barred(THERE, Some(2), now).is_none());
        guard.forget_account(1);
        assert!(guard.barred(THERE, Some(1), now).is_none());
    }

    #[test]
    fn a_forged_flood_neither_grows_memory_nor_lifts_a_bar() {
        let (mut guard, now) = guard(GuardSettings {
            free_failures: 0,
            sources: 64,
            ..GuardSettings::default()
        });
        guard.failed(HERE, None, now);
        for forged in 0..10_000u32 {
            let source = IpAddr::from(forged.to_be_bytes());
            guard.flood(source, Standing::Unproven, now);
        }
        assert!(guard.floods.young.len() + guard.floods.old.len() <= 64);
        assert!(guard.barred(HERE, None, now).is_some());
    }

    #[test]
    fn recent_keys_survive_the_change_of_halves() {
        let mut recent: Recent<u32, u32> = Recent::new(4);
        for key in 0..100 {
            *recent.entry(1000) += 1;
            *recent.entry(key) = key;
            assert!(recent.young.len() + recent.old.len() <= 4);
        }
        assert_eq!(recent.get(&1000), Some(100));
        assert_eq!(recent.get(&3), None);
    }
}
