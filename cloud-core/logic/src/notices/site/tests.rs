//! Stories of sites in virtual time, and properties over random ones.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn device(number: u128) -> DeviceId {
    DeviceId::from_bits(number)
}

/// A site whose devices are all there at 0.
struct World {
    site: Site,
    seen: Vec<Seen>,
    rules: Rules,
    now: i64,
    acts: Vec<(i64, Act)>,
    /// Is put away and taken up again before each look.
    forgetful: bool,
}

impl World {
    fn of(devices: u128) -> Self {
        let seen = (1..=devices).map(|number| Seen {
            device: device(number),
            is_gateway: false,
            online: true,
            since: at(0),
        });
        let mut world = Self {
            site: Site::default(),
            seen: seen.collect(),
            rules: Rules::default(),
            now: 0,
            acts: Vec::new(),
            forgetful: false,
        };
        world.look();
        world
    }

    fn with_gateway(mut self, number: u128) -> Self {
        for seen in &mut self.seen {
            seen.is_gateway |= seen.device == device(number);
        }
        self.look();
        self
    }

    fn look(&mut self) {
        if self.forgetful {
            self.site = Site::new(self.site.devices().clone(), self.site.open().clone());
        }
        let acts = self.site.look(&self.seen, self.rules, at(self.now));
        self.acts
            .extend(acts.into_iter().map(|act| (self.now, act)));
    }

    /// Lets time pass, with a look at each deadline.
    fn until(&mut self, ms: i64) -> &mut Self {
        let mut looks = 0;
        while let Some(due) = self.site.deadline(self.rules, at(self.now))
            && due.unix_ms() <= ms
        {
            assert!(due.unix_ms() > self.now, "no deadline lies in the past");
            self.now = due.unix_ms();
            self.look();
            looks += 1;
            assert!(looks < 10_000, "deadlines come to an end");
        }
        self.now = ms;
        self
    }

    fn set(&mut self, ms: i64, number: u128, online: bool) -> &mut Self {
        self.until(ms);
        for seen in &mut self.seen {
            if seen.device == device(number) && seen.online != online {
                (seen.online, seen.since) = (online, at(ms));
            }
        }
        self.look();
        self
    }

    /// What was told: `+` opened, `-` closed, of the site or of a device.
    fn told(&self) -> Vec<String> {
        let name = |subject| match subject {
            Subject::Site => "site".to_owned(),
            Subject::Device(device) => device.bits().to_string(),
        };
        self.acts
            .iter()
            .map(|(_, act)| match *act {
                Act::Open { subject, kind } => format!("+{} {kind}", name(subject)),
                Act::Close { subject, how, .. } => format!("-{} {}", name(subject), how.word()),
            })
            .collect()
    }
}

#[test]
fn d2_a_short_absence_is_no_news() {
    let mut world = World::of(3);
    world.set(10 * SECOND, 1, false).set(100 * SECOND, 1, true);
    world.until(HOUR);
    assert!(world.acts.is_empty(), "{:?}", world.acts);
}

#[test]
fn d2_a_device_that_stays_away_is_told_once_and_its_return_once() {
    let mut world = World::of(3);
    world.set(10 * SECOND, 1, false).until(MINUTE);
    assert!(world.acts.is_empty());
    world.set(10 * MINUTE, 1, true).until(HOUR);
    assert_eq!(world.told(), ["+1 device_offline", "-1 back"]);
    let moments: Vec<i64> = world.acts.iter().map(|(moment, _)| *moment).collect();
    assert_eq!(moments, [130 * SECOND, 11 * MINUTE]);
}

#[test]
fn d2_an_outage_of_a_site_is_one_notice_and_its_end_another() {
    let mut world = World::of(20);
    for number in 1..=20 {
        world.set(i64::try_from(number).unwrap() * 5 * SECOND, number, false);
    }
    world.until(30 * MINUTE);
    assert_eq!(world.told(), ["+site site_outage"]);
    for number in 1..=20 {
        let back = 30 * MINUTE + i64::try_from(number).unwrap() * 10 * SECOND;
        world.set(back, number, true);
    }
    world.until(2 * HOUR);
    assert_eq!(world.told(), ["+site site_outage", "-site back"]);
}

#[test]
fn d2_what_stays_away_after_an_outage_is_told_when_the_rest_has_settled() {
    let mut world = World::of(10);
    for number in 1..=10 {
        world.set(SECOND, number, false);
    }
    for number in 1..=8 {
        world.set(
            10 * MINUTE + i64::try_from(number).unwrap() * SECOND,
            number,
            true,
        );
    }
    world.until(HOUR);
    let told = world.told();
    assert_eq!(told[..2], ["+site site_outage", "-site back"]);
    assert_eq!(told[2..], ["+9 device_offline", "+10 device_offline"]);
}

#[test]
fn d2_single_losses_that_become_an_outage_are_covered_by_it() {
    let mut world = World::of(4);
    world.set(0, 1, false).until(5 * MINUTE);
    world.set(5 * MINUTE, 2, false).set(5 * MINUTE, 3, false);
    world.until(HOUR);
    assert_eq!(
        world.told(),
        ["+1 device_offline", "-1 covered", "+site site_outage"]
    );
}

#[test]
fn d2_a_site_whose_gateway_is_away_is_out() {
    let mut world = World::of(10).with_gateway(1);
    world.set(SECOND, 1, false).until(10 * MINUTE);
    assert_eq!(world.told(), ["+site site_outage"]);
    assert!(world.site.gateways_are_down());
    world.set(10 * MINUTE, 1, true).until(HOUR);
    assert_eq!(world.told(), ["+site site_outage", "-site back"]);
    // One of two is no outage.
    let mut world = World::of(10).with_gateway(1).with_gateway(2);
    world.set(SECOND, 1, false).until(HOUR);
    assert_eq!(world.told(), ["+1 device_offline"]);
}

#[test]
fn d2_what_comes_and_goes_is_said_once() {
    let mut world = World::of(3);
    for turn in 0..40 {
        let begins = turn * 4 * MINUTE;
        world.set(begins + MINUTE, 1, false);
        world.set(begins + 4 * MINUTE, 1, true);
    }
    let told = world.told();
    let unsteady = told.iter().filter(|told| told.contains("unsteady")).count();
    assert_eq!(unsteady, 1, "{told:?}");
    assert!(
        told.len() <= 10,
        "only what came before it was known: {told:?}"
    );
    // Steady again.
    world.until(10 * HOUR);
    assert_eq!(world.told().last().unwrap(), "-1 back");
    assert!(world.site.open().is_empty());
}

#[test]
fn d2_what_comes_and_goes_and_then_stays_away_is_away() {
    let mut world = World::of(3);
    for turn in 0..5 {
        world.set(turn * MINUTE, 1, false);
        world.set(turn * MINUTE + 20 * SECOND, 1, true);
    }
    world.set(5 * MINUTE, 1, false).until(HOUR);
    assert_eq!(
        world.told(),
        ["+1 device_unsteady", "-1 replaced", "+1 device_offline"]
    );
}

#[test]
fn d2_a_line_that_comes_and_goes_is_one_notice_of_the_site() {
    let mut world = World::of(12);
    for turn in 0..30 {
        for number in 1..=12 {
            world.set(turn * MINUTE, number, false);
        }
        for number in 1..=12 {
            world.set(turn * MINUTE + 20 * SECOND, number, true);
        }
    }
    world.until(5 * HOUR);
    // The second device makes it the site's: one is told before that, at the same moment.
    let told = world.told();
    let of_site: Vec<_> = told.iter().filter(|told| told.contains("site")).collect();
    assert_eq!(of_site, ["+site site_unsteady", "-site back"]);
    assert!(world.site.open().is_empty());
}

#[test]
fn a_device_that_is_taken_away_leaves_nothing_open() {
    let mut world = World::of(3);
    world.set(0, 1, false).until(HOUR);
    world.seen.remove(0);
    world.look();
    assert_eq!(world.told(), ["+1 device_offline", "-1 gone"]);
    for number in [2, 3] {
        world.set(2 * HOUR, number, false);
    }
    world.until(3 * HOUR);
    world.seen.clear();
    world.look();
    assert_eq!(world.told().last().unwrap(), "-site gone");
    assert_eq!(world.site.deadline(world.rules, at(world.now)), None);
}

#[test]
fn an_absence_that_nobody_looked_at_counts_as_a_loss_all_the_same() {
    let mut world = World::of(3);
    for turn in 1..=5 {
        world.now = turn * MINUTE;
        world.seen[0].since = at(world.now - SECOND);
        world.look();
    }
    assert_eq!(world.told(), ["+1 device_unsteady"]);
}

/// Changes of some devices within three hours.
fn history() -> impl Strategy<Value = Vec<(i64, u128, bool)>> {
    let change = (0..3 * HOUR / SECOND, 1..=6u128, any::<bool>());
    proptest::collection::vec(change, 0..120).prop_map(|mut changes| {
        changes.sort_unstable();
        changes
            .into_iter()
            .map(|(second, device, online)| (second * SECOND, device, online))
            .collect()
    })
}

fn played(history: &[(i64, u128, bool)], looks: &[i64], forgetful: bool) -> World {
    let mut world = World::of(6).with_gateway(6);
    world.forgetful = forgetful;
    let mut looks: Vec<i64> = looks.to_vec();
    looks.sort_unstable();
    let mut looks = looks.into_iter().peekable();
    for &(ms, number, online) in history {
        while let Some(look) = looks.next_if(|look| *look < ms) {
            world.until(look).look();
        }
        world.set(ms, number, online);
    }
    world.until(24 * HOUR);
    world
}

proptest! {
    /// All devices go within the time in which an absence is none: in whatever order, it is one
    /// notice.
    #[test]
    fn d2_the_order_in_which_devices_go_makes_no_second_notice(
        offsets in proptest::collection::vec(0..119i64, 2..40),
        back in proptest::collection::vec(0..3000i64, 40),
    ) {
        let devices = u128::try_from(offsets.len()).unwrap();
        let mut world = World::of(devices);
        let mut changes: Vec<_> = (1..=devices).zip(&offsets).map(|(n, s)| (s * SECOND, n)).collect();
        changes.sort_unstable();
        for (ms, number) in changes {
            world.set(ms, number, false);
        }
        world.until(HOUR);
        prop_assert_eq!(world.told(), ["+site site_outage"]);
        let mut changes: Vec<_> = (1..=devices).zip(&back).map(|(n, s)| (HOUR + s * SECOND, n)).collect();
        changes.sort_unstable();
        for (ms, number) in changes {
            world.set(ms, number, true);
        }
        world.until(10 * HOUR);
        prop_assert!(world.site.open().is_empty());
        let told = world.told();
        let of_site = told.iter().filter(|told| told.contains("site")).count();
        prop_assert_eq!(of_site, 2, "{:?}", told);
    }

    #[test]
    fn looks_in_between_and_restarts_change_nothing(
        history in history(),
        looks in proptest::collection::vec(0..3 * HOUR, 0..60),
    ) {
        let quiet = played(&history, &[], false);
        let curious = played(&history, &looks, true);
        prop_assert_eq!(quiet.acts, curious.acts);
    }

    #[test]
    fn what_stands_open_is_told_once_and_nothing_is_told_twice(history in history()) {
        let world = played(&history, &[], false);
        let mut open = BTreeMap::new();
        for (_, act) in &world.acts {
            match *act {
                Act::Open { subject, kind } => prop_assert_eq!(open.insert(subject, kind), None),
                Act::Close { subject, kind, .. } => prop_assert_eq!(open.remove(&subject), Some(kind)),
            }
        }
        prop_assert_eq!(&open, world.site.open());
        // A day later nothing comes and goes any more: who is away is told, and nobody else.
        let away = world.seen.iter().filter(|seen| !seen.online).count();
        prop_assert_eq!(open.is_empty(), away == 0);
        let of_site = open.contains_key(&Subject::Site);
        prop_assert!(!of_site || open.len() == 1);
    }

    #[test]
    fn changes_of_one_moment_are_told_alike_in_any_order(
        gone in proptest::collection::vec(any::<bool>(), 8),
        turned in any::<prop::sample::Index>(),
    ) {
        let mut order: Vec<u128> = (1..=8).filter(|n| gone[usize::try_from(*n).unwrap() - 1]).collect();
        let play = |order: &[u128]| {
            let mut world = World::of(8);
            for &number in order {
                world.set(SECOND, number, false);
            }
            world.until(HOUR);
            world.acts
        };
        let first = play(&order);
        if !order.is_empty() {
            let by = turned.index(order.len());
            order.rotate_left(by);
        }
        prop_assert_eq!(first, play(&order));
    }
}

#[test]
fn rules_of_a_company_are_heeded() {
    let mut world = World::of(4);
    world.rules = Rules::new(Duration::from_secs(600), 100).unwrap();
    for number in 1..=3 {
        world.set(0, number, false);
    }
    world.until(599 * SECOND);
    assert!(world.acts.is_empty());
    world.until(HOUR);
    assert_eq!(world.acts.len(), 3, "three of four are no outage here");
}
