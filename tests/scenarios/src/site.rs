//! Directories in a few words.
//!
//! Call numbers double as keys and as SIP accounts: station 101 registers as `101`. Invariant: what
//! `build` gives has passed the same checks as a configuration file.

use std::sync::Arc;
use std::time::Duration;

use model::{
    AccountUser, Address, CallButton, CallNumber, Conference, ConferenceId, Desk, DeskId,
    Directory, Door, DoorCode, DoorId, DoorOutput, ForwardWhen, ForwardingRule, GroupCall,
    GroupCallId, HttpUrl, KeyWay, Lists, NodeId, Pii, Priority, Reach, RingGroup, RingGroupId,
    Schedule, Station, StationId, StationKind,
};
use sip::digest::{Ha1Set, Md5Use};
use sip::registrar::Account;

pub const REALM: &str = "site";
pub const PASSWORD: &str = "letmein";

/// A directory that is being written.
#[derive(Clone, Debug, Default)]
pub struct Site {
    lists: Lists,
    accounts_without_station: Vec<String>,
}

pub fn station(number: &str) -> StationId {
    StationId::from_key(number)
}

pub fn door(key: &str) -> DoorId {
    DoorId::from_key(key)
}

pub fn number(number: &str) -> Address {
    Address::Local(digits(number))
}

fn digits(number: &str) -> CallNumber {
    CallNumber::parse(number).expect("a test dials digits")
}

impl Site {
    /// Stations with these numbers, and nothing special about them.
    pub fn of(numbers: &[&str]) -> Self {
        let mut site = Self::default();
        site.lists.site = model::Site::in_zone("Europe/Vienna").expect("a zone of the tz database");
        for number in numbers {
            site = site.station(number);
        }
        site
    }

    #[must_use]
    pub fn station(mut self, number: &str) -> Self {
        let account = AccountUser::parse(number).expect("digits are an account");
        let (reach, kind) = (Reach::Account(account), StationKind::Generic);
        let mut added = Station::new(station(number), digits(number), kind, reach);
        added.name = Pii::new(format!("Station {number}"));
        self.lists.stations.push(added);
        self
    }

    /// A station behind an older server, which its key names.
    #[must_use]
    pub fn behind(mut self, node: &str, number: &str) -> Self {
        let (reach, kind) = (Reach::Behind(NodeId::from_key(node)), StationKind::Generic);
        let mut added = Station::new(station(number), digits(number), kind, reach);
        added.name = Pii::new(format!("Old station {number}"));
        self.lists.stations.push(added);
        self
    }

    /// Takes a station out.
    #[must_use]
    pub fn without(mut self, number: &str) -> Self {
        self.lists
            .stations
            .retain(|known| known.id != station(number));
        self
    }

    /// Somebody who may register and call, but is no station of the directory.
    #[must_use]
    pub fn stranger(mut self, account: &str) -> Self {
        self.accounts_without_station.push(account.to_owned());
        self
    }

    #[must_use]
    pub fn change(mut self, number: &str, change: impl FnOnce(&mut Station)) -> Self {
        let mut stations = self.lists.stations.iter_mut();
        change(
            stations
                .find(|known| known.id == station(number))
                .expect("a station of the site"),
        );
        self
    }

    /// A station whose calls are alarms.
    #[must_use]
    pub fn emergency_point(self, number: &str, calls: &str) -> Self {
        let target = Address::Local(digits(calls));
        self.change(number, |station| {
            station.kind = StationKind::EmergencyPoint;
            station.priority = Priority::DEFAULT_ALARM;
            station.buttons.push(CallButton {
                key: 1,
                label: Pii::default(),
                target,
                priority: None,
            });
        })
    }

    #[must_use]
    pub fn forward(self, from: &str, when: ForwardWhen, to: &str) -> Self {
        let rule = ForwardingRule::new(when, number(to));
        self.change(from, |station| station.forwarding.push(rule))
    }

    #[must_use]
    pub fn forward_on(self, from: &str, schedule: Schedule, to: &str) -> Self {
        let mut rule = ForwardingRule::new(ForwardWhen::Always, number(to));
        rule.schedule = Some(schedule);
        self.change(from, |station| station.forwarding.push(rule))
    }

    /// A door of this station, opened by output 1 of it, or by a request to a device beside it.
    #[must_use]
    pub fn door(self, at: &str, key: &str, code: Option<&str>) -> Self {
        self.door_by(at, key, code, DoorOutput::Station { output: 1 })
    }

    #[must_use]
    pub fn door_by_url(self, at: &str, key: &str, code: Option<&str>) -> Self {
        let url = HttpUrl::parse("http://10.0.0.9/open").expect("a URL");
        self.door_by(at, key, code, DoorOutput::Url(url))
    }

    /// The station tells its keys in this form.
    #[must_use]
    pub fn keys(self, at: &str, way: KeyWay) -> Self {
        self.change(at, |station| station.keys = way)
    }

    fn door_by(self, at: &str, key: &str, code: Option<&str>, output: DoorOutput) -> Self {
        let mut door = Door::new(DoorId::from_key(key), output);
        door.code = code.map(|code| DoorCode::parse(code).expect("a door code"));
        self.change(at, |station| station.doors.push(door))
    }

    #[must_use]
    pub fn group(mut self, own: &str, members: &[&str]) -> Self {
        let members = members.iter().map(|member| number(member)).collect();
        let group = RingGroup::new(RingGroupId::from_key(own), digits(own), members);
        self.lists.ring_groups.push(group);
        self
    }

    #[must_use]
    pub fn change_group(mut self, change: impl FnOnce(&mut RingGroup)) -> Self {
        change(
            self.lists
                .ring_groups
                .last_mut()
                .expect("a group of the site"),
        );
        self
    }

    #[must_use]
    pub fn desk(mut self, own: &str, positions: &[&str]) -> Self {
        let positions = positions.iter().map(|position| number(position)).collect();
        self.lists
            .desks
            .push(Desk::new(DeskId::from_key(own), digits(own), positions));
        self
    }

    #[must_use]
    pub fn echo_test(mut self, own: &str) -> Self {
        self.lists.site.echo_test = Some(digits(own));
        self
    }

    #[must_use]
    pub fn conference(mut self, own: &str) -> Self {
        self.lists
            .conferences
            .push(Conference::new(ConferenceId::from_key(own), digits(own)));
        self
    }

    #[must_use]
    pub fn change_conference(mut self, change: impl FnOnce(&mut Conference)) -> Self {
        let room = self.lists.conferences.last_mut();
        change(room.expect("a conference of the site"));
        self
    }

    #[must_use]
    pub fn group_call(mut self, own: &str, members: &[&str]) -> Self {
        let members = members.iter().map(|member| number(member)).collect();
        let room = GroupCall::new(GroupCallId::from_key(own), digits(own), members);
        self.lists.group_calls.push(room);
        self
    }

    #[must_use]
    pub fn escalation(mut self, to: &[&str], ring: Duration) -> Self {
        self.lists.site.escalation = to.iter().map(|target| number(target)).collect();
        self.lists.site.escalation_ring = ring;
        self
    }

    pub fn build(&self) -> Arc<Directory> {
        match Directory::build(self.lists.clone()) {
            Ok(directory) => Arc::new(directory),
            Err(problems) => panic!("the site of a test has problems:\n{problems}"),
        }
    }

    /// One for each station, all with the same password.
    pub fn accounts(&self) -> Vec<Account> {
        let stations = self
            .lists
            .stations
            .iter()
            .filter_map(|station| station.account().map(|account| account.as_str().to_owned()));
        let all = stations.chain(self.accounts_without_station.iter().cloned());
        all.map(|user| account(&user)).collect()
    }
}

pub fn account(user: &str) -> Account {
    Account::new(
        user,
        Ha1Set::from_password(user, REALM, PASSWORD, Md5Use::Refused),
    )
}
