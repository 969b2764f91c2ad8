//! Who is here: people with their tabs, tabs with their calls, calls with their parties.
//!
//! Only tables; nothing in here waits, so that who takes a call is decided in one moment. Invariants:
//! a call of a tab, the leg of it and the party behind it are there together or not at all; a called
//! party is taken by one tab at most; all tables are bounded by tabs and calls of a tab.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use cloud_logic::ids::{CompanyId, UserId};
use exchange::{WebEvent, WebParty};
use model::EndCause;
use tokio::sync::mpsc;
use tokio::time::Instant;
use web_edge::LegId;

use super::messages::{Told, Trouble};
use crate::calls::FromPage;

/// Tabs of one person.
const TABS_OF_ONE: usize = 8;
/// Calls of one tab, those that ring included.
pub(super) const CALLS_OF_ONE: usize = 8;

/// A tab. Nobody guesses it; it is told to its page only.
pub(super) type TabId = String;

/// Somebody's part of a company's calls.
pub(super) type PartyOf = (CompanyId, WebParty);

/// Where those who carry calls are told what pages do.
pub(crate) type House = mpsc::Sender<FromPage>;

/// Who answers on the other side of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Partner {
    House(PartyOf),
    /// Itself: a test call.
    Echo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The page is called.
    Rings,
    /// The page calls.
    Calls,
    Talks,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) leg: LegId,
    pub(super) partner: Partner,
    pub(super) stage: Stage,
    /// Our side for the far end, told when the page takes the call.
    pub(super) plain: Bytes,
}

#[derive(Debug)]
pub(super) struct Tab {
    pub(super) user: UserId,
    pub(super) company: CompanyId,
    /// The socket it speaks by, and which one: a later one takes over.
    socket: Option<(u64, mpsc::Sender<Told>)>,
    pub(super) away: Option<Instant>,
    pub(super) calls: BTreeMap<String, Call>,
}

impl Tab {
    /// A page that does not read, or is away, asks for how it stands when it comes back.
    pub(super) fn tell(&self, told: Told) -> bool {
        match &self.socket {
            Some((_, socket)) => socket.try_send(told).is_ok(),
            None => false,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Hall {
    tabs: HashMap<TabId, Tab>,
    legs: HashMap<LegId, (TabId, String)>,
    /// Tabs that ring for a party, or the one that talks.
    parties: HashMap<PartyOf, Vec<(TabId, String)>>,
    house: Option<House>,
    sockets: u64,
}

/// A call that was taken out, with whose it was.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) tab: TabId,
    pub(super) name: String,
    pub(super) call: Call,
}

impl Hall {
    pub(super) fn join(&mut self, house: House) {
        self.house = Some(house);
    }

    /// False: nobody carries calls here, or they are too busy.
    pub(super) fn tell_house(&self, (company, party): PartyOf, event: WebEvent) -> bool {
        let house = self.house.as_ref();
        house.is_some_and(|house| house.try_send((company, party, event)).is_ok())
    }

    /// Lets a page in, as the tab it was or as a new one.
    pub(super) fn enter(
        &mut self,
        (company, user): (CompanyId, UserId),
        wanted: Option<&str>,
        fresh: TabId,
        socket: mpsc::Sender<Told>,
    ) -> Result<(TabId, u64, Vec<String>), Trouble> {
        self.sockets += 1;
        let number = self.sockets;
        if let Some(id) = wanted
            && let Some(tab) = self.tabs.get_mut(id).filter(|tab| tab.user == user)
        {
            tab.tell(Told::Error(Trouble::new(
                "replaced",
                "",
                "This page speaks by another connection now.",
            )));
            tab.socket = Some((number, socket));
            tab.away = None;
            return Ok((id.to_owned(), number, tab.calls.keys().cloned().collect()));
        }
        let hers = self.tabs.values().filter(|tab| tab.user == user);
        if hers.count() >= TABS_OF_ONE {
            return Err(Trouble::new(
                "too_many_tabs",
                "",
                "Close one of your other pages first; eight may take calls.",
            ));
        }
        let tab = Tab {
            user,
            company,
            socket: Some((number, socket)),
            away: None,
            calls: BTreeMap::new(),
        };
        self.tabs.insert(fresh.clone(), tab);
        Ok((fresh, number, Vec::new()))
    }

    /// A socket is gone; its tab waits for the next.
    pub(super) fn leave(&mut self, tab: &str, socket: u64, now: Instant) {
        if let Some(tab) = self.tabs.get_mut(tab)
            && tab
                .socket
                .as_ref()
                .is_some_and(|(number, _)| *number == socket)
        {
            tab.socket = None;
            tab.away = Some(now);
        }
    }

    /// Tabs that did not come back, with what they had.
    pub(super) fn forget_away(&mut self, before: Instant) -> Vec<Gone> {
        let away = self.tabs.iter();
        let away = away.filter(|(_, tab)| tab.away.is_some_and(|since| since <= before));
        let away: Vec<TabId> = away.map(|(id, _)| id.clone()).collect();
        let mut gone = Vec::new();
        for id in away {
            let names: Vec<String> = self.calls_of(&id);
            gone.extend(names.iter().filter_map(|name| self.remove(&id, name)));
            self.tabs.remove(&id);
        }
        gone
    }

    fn calls_of(&self, tab: &str) -> Vec<String> {
        let tab = self.tabs.get(tab);
        tab.map(|tab| tab.calls.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// A person's tabs that can be rung.
    pub(super) fn tabs_of(&self, company: CompanyId, user: UserId) -> Vec<TabId> {
        let tabs = self.tabs.iter();
        let hers = tabs.filter(|(_, tab)| tab.user == user && tab.company == company);
        let free = hers.filter(|(_, tab)| tab.away.is_none() && tab.calls.len() < CALLS_OF_ONE);
        free.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn tab(&self, tab: &str) -> Option<&Tab> {
        self.tabs.get(tab)
    }

    pub(super) fn call(&self, tab: &str, name: &str) -> Option<&Call> {
        self.tabs.get(tab)?.calls.get(name)
    }

    pub(super) fn tell(&self, tab: &str, told: Told) {
        if let Some(tab) = self.tabs.get(tab) {
            tab.tell(told);
        }
    }

    /// Gives the call back where its tab is gone, or has one of this name.
    pub(super) fn insert(&mut self, tab: &str, name: &str, call: Call) -> Result<(), Call> {
        let Some(entry) = self.tabs.get_mut(tab) else {
            return Err(call);
        };
        if entry.calls.len() >= CALLS_OF_ONE || entry.calls.contains_key(name) {
            return Err(call);
        }
        let here = (tab.to_owned(), name.to_owned());
        self.legs.insert(call.leg, here.clone());
        if let Partner::House(party) = call.partner {
            self.parties.entry(party).or_default().push(here);
        }
        entry.calls.insert(name.to_owned(), call);
        Ok(())
    }

    pub(super) fn remove(&mut self, tab: &str, name: &str) -> Option<Gone> {
        let call = self.tabs.get_mut(tab)?.calls.remove(name)?;
        self.legs.remove(&call.leg);
        if let Partner::House(party) = call.partner
            && let Some(places) = self.parties.get_mut(&party)
        {
            places.retain(|(id, known)| id != tab || known != name);
            if places.is_empty() {
                self.parties.remove(&party);
            }
        }
        Some(Gone {
            tab: tab.to_owned(),
            name: name.to_owned(),
            call,
        })
    }

    /// Whether nobody rings or talks for the party any more.
    pub(super) fn is_alone(&self, party: PartyOf) -> bool {
        !self.parties.contains_key(&party)
    }

    pub(super) fn by_leg(&self, leg: LegId) -> Option<(TabId, String)> {
        self.legs.get(&leg).cloned()
    }

    pub(super) fn legs_of(&self, party: PartyOf) -> Vec<LegId> {
        let places = self.of_party(party).into_iter();
        places
            .filter_map(|(tab, name)| self.call(&tab, &name).map(|call| call.leg))
            .collect()
    }

    pub(super) fn of_party(&self, party: PartyOf) -> Vec<(TabId, String)> {
        self.parties.get(&party).cloned().unwrap_or_default()
    }

    /// One tab takes what rings; all others of the party have lost it. Only the first may.
    pub(super) fn take(&mut self, tab: &str, name: &str) -> Result<(Call, Vec<Gone>), Trouble> {
        let rings = |call: &&mut Call| call.stage == Stage::Rings;
        let calls = self.tabs.get_mut(tab).map(|tab| &mut tab.calls);
        let call = calls.and_then(|calls| calls.get_mut(name)).filter(rings);
        let Some(call) = call else {
            return Err(Trouble::new("not_ringing", "/call", "It rings no more.").of(name));
        };
        call.stage = Stage::Talks;
        let taken = call.clone();
        let Partner::House(party) = taken.partner else {
            return Ok((taken, Vec::new()));
        };
        let others = self.of_party(party).into_iter();
        let others = others.filter(|(id, known)| id != tab || known != name);
        let others: Vec<(TabId, String)> = others.collect();
        let lost = others.iter().filter_map(|(id, name)| self.remove(id, name));
        Ok((taken, lost.collect()))
    }

    pub(super) fn party_talks(&mut self, party: PartyOf) {
        for (tab, name) in self.of_party(party) {
            self.talks(&tab, &name);
        }
    }

    pub(super) fn talks(&mut self, tab: &str, name: &str) {
        let calls = self.tabs.get_mut(tab).map(|tab| &mut tab.calls);
        if let Some(call) = calls.and_then(|calls| calls.get_mut(name)) {
            call.stage = Stage::Talks;
        }
    }
}

/// A call that its page ends, or that ends because its page is gone.
pub(super) fn parting(stage: Stage, cause: EndCause) -> WebEvent {
    match stage {
        Stage::Rings => WebEvent::Refused { cause },
        Stage::Calls | Stage::Talks => WebEvent::Ended { cause },
    }
}
