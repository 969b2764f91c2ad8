//! One site: the coming and going of its devices, and what of it is told.
//!
//! Looked at as a whole whenever one of its devices has changed and whenever [`Site::deadline`]
//! has come. For each device it keeps since when it is there or away and when it was lost last;
//! two marks follow from that, `down` (told as away) and `unsteady`. Both are entered and left at
//! moments that follow from the device's own changes, so a look in between changes nothing. What
//! stands open is then what the marks of all devices call for. Invariants: at most one notice per
//! subject stands open; a device that is covered by a notice of its site has none of its own.

use std::collections::BTreeMap;

use model::Timestamp;

use super::Kind;
use super::rules::{BACK_AFTER, GONE_AFTER, Rules, STEADY_AFTER, UNSTEADY_LOSSES, UNSTEADY_WITHIN};
use crate::ids::DeviceId;

/// A device as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub device: DeviceId,
    /// Without it the site's older servers and their stations are cut off.
    pub is_gateway: bool,
    pub online: bool,
    /// Since when it is there, or away.
    pub since: Timestamp,
}

/// What is kept of a device from look to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub online: bool,
    pub since: Timestamp,
    /// When it was lost last, the oldest first; never more than make it unsteady.
    pub losses: Vec<Timestamp>,
    /// Counts as away: long enough, and not yet back for long enough.
    pub down: bool,
    pub unsteady: bool,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Site,
    Device(DeviceId),
}

/// Why a notice stands open no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// It is over.
    Back,
    /// A notice of the site tells it now.
    Covered,
    /// Another notice about the same tells more.
    Replaced,
    /// What it was about is no longer here.
    Gone,
}

impl How {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Back => "back",
            Self::Covered => "covered",
            Self::Replaced => "replaced",
            Self::Gone => "gone",
        }
    }
}

/// What is to be done about notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    Close {
        subject: Subject,
        kind: Kind,
        how: How,
    },
    Open {
        subject: Subject,
        kind: Kind,
    },
}

/// The devices of a site and what of them stands open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    devices: BTreeMap<DeviceId, Watched>,
    gateways: Vec<DeviceId>,
    open: BTreeMap<Subject, Kind>,
}

impl Site {
    /// As it was left.
    #[must_use]
    pub fn new(devices: BTreeMap<DeviceId, Watched>, open: BTreeMap<Subject, Kind>) -> Self {
        Self {
            devices,
            gateways: Vec::new(),
            open,
        }
    }

    #[must_use]
    pub fn devices(&self) -> &BTreeMap<DeviceId, Watched> {
        &self.devices
    }

    #[must_use]
    pub fn open(&self) -> &BTreeMap<Subject, Kind> {
        &self.open
    }

    /// Those that count as away.
    pub fn down(&self) -> impl Iterator<Item = DeviceId> {
        self.devices
            .iter()
            .filter(|(_, watched)| watched.down)
            .map(|(&device, _)| device)
    }

    /// Whether the site has gateways and all of them are away.
    #[must_use]
    pub fn gateways_are_down(&self) -> bool {
        !self.gateways.is_empty()
            && self.gateways.iter().all(|gateway| {
                let watched = self.devices.get(gateway);
                watched.is_some_and(|watched| watched.down && !watched.unsteady)
            })
    }

    /// Takes in all devices that the site has now.
    pub fn look(&mut self, seen: &[Seen], rules: Rules, now: Timestamp) -> Vec<Act> {
        self.gateways = seen
            .iter()
            .filter(|seen| seen.is_gateway)
            .map(|seen| seen.device)
            .collect();
        let mut devices = BTreeMap::new();
        for seen in seen {
            let mut watched = match self.devices.remove(&seen.device) {
                Some(mut watched) => {
                    watched.take_in(seen);
                    watched
                }
                None => Watched::new(seen),
            };
            watched.mark(rules, now);
            devices.insert(seen.device, watched);
        }
        self.devices = devices;
        self.settle(rules, now)
    }

    /// When to look again though nothing has changed.
    #[must_use]
    pub fn deadline(&self, rules: Rules, now: Timestamp) -> Option<Timestamp> {
        let of_devices = self
            .devices
            .values()
            .flat_map(|watched| watched.turns(rules));
        let settled = (self.open.get(&Subject::Site) == Some(&Kind::SiteOutage))
            .then(|| self.quiet_since(rules))
            .flatten();
        of_devices.chain(settled).filter(|&at| at > now).min()
    }

    /// Makes what stands open what the marks call for.
    fn settle(&mut self, rules: Rules, now: Timestamp) -> Vec<Act> {
        let of_site = self.called_for_site(rules, now);
        let mut wanted = BTreeMap::new();
        if let Some(kind) = of_site {
            wanted.insert(Subject::Site, kind);
        }
        for (&device, watched) in &self.devices {
            if let Some(kind) = self.called_for_device(device, watched, of_site) {
                wanted.insert(Subject::Device(device), kind);
            }
        }
        let mut acts = Vec::new();
        for (&subject, &kind) in &self.open {
            if wanted.get(&subject) != Some(&kind) {
                let how = self.why_closed(subject, &wanted);
                acts.push(Act::Close { subject, kind, how });
            }
        }
        for (&subject, &kind) in &wanted {
            if self.open.get(&subject) != Some(&kind) {
                acts.push(Act::Open { subject, kind });
            }
        }
        self.open = wanted;
        acts
    }

    fn called_for_site(&self, rules: Rules, now: Timestamp) -> Option<Kind> {
        let many = rules.many_of(self.devices.len());
        let count = |which: &dyn Fn(&Watched) -> bool| {
            self.devices
                .values()
                .filter(|watched| which(watched))
                .count()
        };
        if count(&|watched| watched.unsteady) >= many {
            return Some(Kind::SiteUnsteady);
        }
        // What comes and goes says nothing about the site.
        let down = count(&|watched| watched.down && !watched.unsteady);
        let away = count(&|watched| (watched.down || !watched.online) && !watched.unsteady);
        if self.gateways_are_down() || (down > 0 && away >= many) {
            return Some(Kind::SiteOutage);
        }
        // Devices come back one by one: until that has ended, the rest is not told singly.
        let was_out = self.open.get(&Subject::Site) == Some(&Kind::SiteOutage);
        let is_settling = down > 0 && self.quiet_since(rules).is_some_and(|quiet| quiet > now);
        (was_out && is_settling).then_some(Kind::SiteOutage)
    }

    /// When no device will have changed for as long as an absence has to last.
    fn quiet_since(&self, rules: Rules) -> Option<Timestamp> {
        let steady = self.devices.values().filter(|watched| !watched.unsteady);
        let last = steady.map(|watched| watched.since).max();
        last.map(|last| last.saturating_add(rules.offline_after().max(BACK_AFTER)))
    }

    fn called_for_device(
        &self,
        device: DeviceId,
        watched: &Watched,
        of_site: Option<Kind>,
    ) -> Option<Kind> {
        let own = if watched.unsteady {
            Kind::DeviceUnsteady
        } else if watched.down {
            Kind::DeviceOffline
        } else {
            return None;
        };
        match of_site {
            None => Some(own),
            // One that came and went before is told as such all along.
            Some(Kind::SiteOutage) if own == Kind::DeviceUnsteady => {
                (self.open.get(&Subject::Device(device)) == Some(&own)).then_some(own)
            }
            Some(_) => None,
        }
    }

    fn why_closed(&self, subject: Subject, wanted: &BTreeMap<Subject, Kind>) -> How {
        if wanted.contains_key(&subject) {
            return How::Replaced;
        }
        match subject {
            Subject::Site if self.devices.is_empty() => How::Gone,
            Subject::Site => How::Back,
            Subject::Device(device) => match self.devices.get(&device) {
                None => How::Gone,
                Some(watched) if watched.down || watched.unsteady => How::Covered,
                Some(_) => How::Back,
            },
        }
    }
}

impl Watched {
    fn new(seen: &Seen) -> Self {
        Self {
            online: seen.online,
            since: seen.since,
            losses: Vec::new(),
            down: false,
            unsteady: false,
        }
    }

    fn take_in(&mut self, seen: &Seen) {
        if (self.online, self.since) == (seen.online, seen.since) {
            return;
        }
        // Lost now; or lost and back since the last look; or back and lost again.
        let was_lost = self.online || !seen.online;
        if was_lost {
            self.losses
                .retain(|lost| lost.saturating_add(UNSTEADY_WITHIN) > seen.since);
            self.losses.push(seen.since);
            if self.losses.len() >= UNSTEADY_LOSSES {
                self.losses.remove(0);
                self.unsteady = true;
            }
        }
        self.online = seen.online;
        self.since = seen.since;
    }

    fn mark(&mut self, rules: Rules, now: Timestamp) {
        if self.unsteady && self.steady_at(rules) <= now {
            self.unsteady = false;
            self.losses.clear();
        }
        if self.turns_at(rules) <= now {
            self.down = !self.online;
        }
    }

    /// When `down` follows what it is.
    fn turns_at(&self, rules: Rules) -> Timestamp {
        self.since.saturating_add(if self.online {
            BACK_AFTER
        } else {
            rules.offline_after()
        })
    }

    fn steady_at(&self, rules: Rules) -> Timestamp {
        self.since.saturating_add(if self.online {
            STEADY_AFTER
        } else {
            GONE_AFTER.max(rules.offline_after())
        })
    }

    /// Moments at which a mark may change by time alone.
    fn turns(&self, rules: Rules) -> impl Iterator<Item = Timestamp> {
        let down = (self.down == self.online).then(|| self.turns_at(rules));
        let steady = self.unsteady.then(|| self.steady_at(rules));
        down.into_iter().chain(steady)
    }
}

#[cfg(test)]
mod tests;
