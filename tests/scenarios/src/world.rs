//! A site in virtual time: one gateway, its telephones, the network between them.
//!
//! The clock jumps to whatever is due next; between two things that happen no time passes. Invariant:
//! nothing is due before `now`, and all that somebody wanted sent is on its way.

pub mod lines;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use exchange::{Config, Input, KeyForm};
use media::Sound;
use model::{Address, Digit, LegId};
use sip::flow::Transport;
use sip::sdp::Codec;

use crate::clock::start;
use crate::gateway::{Gateway, is_voice};
use crate::network::Network;
use crate::old_server::OldServer;
use crate::phone::{Act, Manner, Phone, Promise, ToSend, sends, understands};
use crate::random::Random;
use crate::site::Site;

/// See the module.
#[derive(Debug)]
pub struct World {
    pub now: Instant,
    pub network: Network,
    pub gateway: Gateway,
    phones: BTreeMap<String, Phone>,
    /// At the other ends of the gateway's lines, by their ids.
    old_servers: Vec<OldServer>,
    random: Random,
    answered_urls: usize,
    /// When the media threads were looked at last, and what was silent then, since when.
    watched: Instant,
    silent: BTreeMap<(LegId, LegId), Instant>,
}

/// How often the media threads look for silence, and what they call so.
const WATCH: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(60);
/// How many messages a failing story shows.
const SHOWN: usize = 80;

impl World {
    /// The gateway runs; there are no telephones yet.
    pub fn new(site: &Site) -> Self {
        Self::with(site, 1, |_| {})
    }

    pub fn with(site: &Site, seed: u64, change: impl FnOnce(&mut Config)) -> Self {
        let mut random = Random::new(seed);
        let address = SocketAddr::from(([10, 0, 0, 1], 5060));
        let mut network = Network::new(random.fork());
        network.add_host(address);
        let mut gateway = Gateway::new(address, site.clone(), random.fork());
        change(&mut gateway.config);
        let now = start();
        gateway.start(now);
        Self {
            now,
            network,
            gateway,
            phones: BTreeMap::new(),
            old_servers: Vec::new(),
            random,
            answered_urls: 0,
            watched: now,
            silent: BTreeMap::new(),
        }
    }

    /// A site whose stations are all there, registered over UDP, in fair weather.
    pub fn of(site: &Site, numbers: &[&str]) -> Self {
        let mut world = Self::new(site);
        world.add_phones(numbers);
        world
    }

    pub fn add_phones(&mut self, numbers: &[&str]) {
        for number in numbers {
            self.add_phone(number, Transport::Udp);
            self.register(number);
        }
        self.wait(Duration::from_millis(300));
        for number in numbers {
            self.expect(number, &["registered"]);
        }
    }

    /// A telephone that does nothing yet.
    pub fn add_phone(&mut self, number: &str, transport: Transport) {
        self.add_device(number, number, transport);
    }

    /// One of several telephones of a station, by a name of its own.
    pub fn add_device(&mut self, name: &str, number: &str, transport: Transport) {
        let nth = self.phones.len() as u8 + 1;
        let address = SocketAddr::from(([10, 0, 1, nth], 5060));
        let (gateway, chance) = (self.gateway.address, self.random.fork());
        let phone = Phone::new(number, address, gateway, transport, chance, self.now);
        self.network.add_host(address);
        self.phones.insert(name.into(), phone);
    }

    pub fn phone(&self, number: &str) -> &Phone {
        self.phones.get(number).expect("a telephone of this world")
    }

    pub fn phones(&self) -> impl Iterator<Item = &Phone> {
        self.phones.values()
    }

    /// Changes something at a telephone that makes no noise.
    pub fn phone_mut(&mut self, number: &str) -> &mut Phone {
        self.phones
            .get_mut(number)
            .expect("a telephone of this world")
    }

    pub fn host(&self, number: &str) -> IpAddr {
        self.phone(number).host()
    }

    /// Does something at a telephone, and sends what comes of it.
    fn at<T>(&mut self, number: &str, does: impl FnOnce(&mut Phone, Instant) -> T) -> T {
        let now = self.now;
        let done = does(self.phone_mut(number), now);
        self.post();
        done
    }

    pub fn register(&mut self, number: &str) {
        self.at(number, Phone::register);
    }

    pub fn unregister(&mut self, number: &str) {
        self.at(number, Phone::unregister);
    }

    pub fn act(&mut self, number: &str, act: Act) {
        self.at(number, |phone, now| phone.act(act, now));
    }

    pub fn act_on(&mut self, number: &str, line: sip::session::SessionId, act: Act) {
        self.at(number, |phone, now| phone.act_on(Some(line), act, now));
    }

    pub fn dial(&mut self, from: &str, to: &str) {
        self.act(from, Act::Dial(to.into()));
    }

    pub fn manner(&mut self, number: &str, manner: Manner) {
        self.phone_mut(number).manner = manner;
    }

    pub fn switch_off(&mut self, number: &str) {
        let chance = self.random.fork();
        let host = self.host(number);
        self.at(number, |phone, now| phone.switch_off(chance, now));
        self.network.silence(host, self.now);
    }

    /// Every connection of a telephone breaks; the telephone itself is well.
    pub fn break_connections(&mut self, number: &str) {
        let host = self.host(number);
        self.network.silence(host, self.now);
        self.network.listen(host);
    }

    pub fn switch_on(&mut self, number: &str) {
        let host = self.host(number);
        self.network.listen(host);
        self.at(number, Phone::switch_on);
    }

    /// The user presses keys that are heard as RFC 4733 events in the sound.
    pub fn keys_in_sound(&mut self, number: &str, keys: &str) {
        self.keys_in(number, keys, KeyForm::Event);
    }

    /// The user dials at an old telephone, which makes tones.
    pub fn keys_as_tones(&mut self, number: &str, keys: &str) {
        self.keys_in(number, keys, KeyForm::Tones);
    }

    fn keys_in(&mut self, number: &str, keys: &str, form: KeyForm) {
        let port = self.speaks_to(number);
        for key in keys.chars() {
            let digit = Digit::from_char(key).expect("a key of a telephone");
            if let Some(port) = port {
                self.gateway.key_heard(port, digit, form, self.now);
                self.post();
            }
        }
    }

    /// The user turns to other codecs within the newest call.
    pub fn offer_other_codecs(&mut self, number: &str, codecs: &[Codec]) {
        self.at(number, |phone, now| phone.offer_codecs(codecs, now));
    }

    /// Where the newest call of a telephone sends its sound.
    pub fn speaks_to(&self, number: &str) -> Option<SocketAddr> {
        let newest = self.phone(number).lines().last();
        let (ours, theirs) = newest?.1.agreement()?;
        Some(sends(ours, theirs)?.0)
    }

    /// In which codec `to` hears what `from` says, if it does.
    pub fn hears(&self, to: &str, from: &str) -> Option<String> {
        let lines = self.phone(from).lines();
        let mut spoken = lines.filter_map(|(_, line)| {
            let (ours, theirs) = line.agreement()?;
            sends(ours, theirs)
        });
        spoken.find_map(|(port, format)| {
            let arrives = self.gateway.media.passes_on(port, format.payload_type);
            arrives.into_iter().find_map(|(at, payload_type)| {
                let mut lines = self.phone(to).lines().map(|(_, line)| line);
                let line = lines.find(|line| line.media_port() == at)?;
                let (ours, _) = line.agreement()?;
                let heard = understands(ours, payload_type)?;
                assert!(
                    heard.is_same_as(&format) || (is_voice(heard) && is_voice(&format)),
                    "{to} takes {format:?} for {heard:?}"
                );
                Some(heard.name.clone())
            })
        })
    }

    /// What the gateway itself plays to the newest call of a telephone, or played last.
    pub fn sound_at(&self, number: &str) -> Option<&Sound> {
        let (_, newest) = self.phone(number).lines().last()?;
        let (_, _, sound) = self.gateway.media.played_to(newest.media_port())?;
        Some(sound)
    }

    /// The keys that the newest call of a telephone was told as events.
    pub fn events_at(&self, number: &str) -> String {
        let newest = self.phone(number).lines().last().map(|(_, line)| line);
        newest.map_or(String::new(), |line| {
            self.gateway.media.pressed_for(line.media_port())
        })
    }

    /// The media threads have played it to its end.
    pub fn sound_ends(&mut self, number: &str) {
        let newest = self.phone(number).lines().last().map(|(_, line)| line);
        let played = newest.and_then(|line| self.gateway.media.played_to(line.media_port()));
        let (leg, sound, _) = played.expect("a sound is played there");
        self.gateway.sound_over(leg, sound, self.now);
        self.post();
    }

    /// Both hear each other.
    #[track_caller]
    pub fn expect_talk(&self, a: &str, b: &str, codec: &str) {
        let both = [self.hears(a, b), self.hears(b, a)];
        assert_eq!(
            both,
            [Some(codec.to_owned()), Some(codec.to_owned())],
            "{a} and {b}"
        );
    }

    #[track_caller]
    pub fn expect_no_talk(&self, a: &str, b: &str) {
        assert_eq!(
            [self.hears(a, b), self.hears(b, a)],
            [None, None],
            "{a} and {b}"
        );
    }

    /// What the user of a telephone noticed since the last time.
    #[track_caller]
    pub fn expect(&mut self, number: &str, expected: &[&str]) {
        let log = self.phone_mut(number).take_log();
        assert_eq!(log, expected, "at {number}");
    }

    /// Forgets what was noticed so far, for the part of a story that another one tells.
    pub fn skip(&mut self) {
        self.skip_log();
        self.gateway.records.clear();
        self.gateway.door_records.clear();
        self.gateway.events.clear();
    }

    /// Forgets what the users noticed so far.
    pub fn skip_log(&mut self) {
        for phone in self.phones.values_mut() {
            phone.take_log();
        }
    }

    /// Why the legs that ended since the last time did, in the order in which they ended.
    pub fn take_causes(&mut self) -> Vec<String> {
        let records = std::mem::take(&mut self.gateway.records);
        let words = records.iter().map(|record| {
            let who = match &record.party.address {
                Some(Address::Local(number)) => number.as_str().to_owned(),
                Some(_) | None => "somebody".to_owned(),
            };
            format!("{who}: {} {}", record.status.name(), record.cause)
        });
        words.collect()
    }

    pub fn tell(&mut self, input: Input) {
        let now = self.now;
        self.gateway.tell(input, now);
        self.post();
    }

    pub fn reload(&mut self, site: &Site) {
        let now = self.now;
        self.gateway.reload(site.clone(), now);
        self.post();
    }

    /// The process dies; connections break.
    pub fn crash(&mut self) {
        self.gateway.crash();
        self.lines_die();
        let host = self.gateway.address.ip();
        self.network.silence(host, self.now);
    }

    pub fn start_gateway(&mut self) {
        let (host, now) = (self.gateway.address.ip(), self.now);
        self.network.listen(host);
        self.gateway.start(now);
        self.post();
    }

    pub fn operator(&mut self, command: exchange::OperatorCommand) -> exchange::Answer {
        let now = self.now;
        let answer = self.gateway.operator(command, now);
        self.post();
        answer
    }

    /// Orders something of a station behind a line; `Gateway::answer_to` has what came of it.
    pub fn order(&mut self, command: exchange::OperatorCommand) -> u64 {
        let now = self.now;
        let asker = self.gateway.order(command, now);
        self.post();
        asker
    }

    /// Time passes, from one thing that happens to the next.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.next().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            self.happen();
        }
        self.now = until;
    }

    fn next(&self) -> Option<Instant> {
        let phones = self.phones.values().filter_map(Phone::next);
        let watch = self
            .gateway
            .media
            .carries_anything()
            .then_some(self.watched + WATCH);
        let lines = self.old_servers.iter().filter_map(OldServer::next);
        let others = [self.network.next(), self.gateway.next(), watch];
        phones
            .chain(lines)
            .chain(others.into_iter().flatten())
            .min()
    }

    /// All that is due now.
    fn happen(&mut self) {
        let now = self.now;
        if now >= self.watched + WATCH {
            self.watched = now;
            self.watch_sound();
        }
        self.lines_move();
        while let Some((host, arrival)) = self.network.arrive(now) {
            if host == self.gateway.address.ip() {
                self.gateway.arrived(arrival, now);
            } else if let Some(phone) = self.phones.values_mut().find(|p| p.host() == host) {
                phone.arrived(arrival, now);
                // B4: what is confirmed survives the gateway.
                let promised = phone.registration.take_promise() == Promise::Fresh;
                let kept = self.gateway.storage.knows(&phone.name);
                assert!(
                    kept || !promised,
                    "{} was promised what is not on disk",
                    phone.name
                );
            }
            self.post();
        }
        if self.gateway.next().is_some_and(|due| due <= now) {
            self.gateway.handle_timeout(now);
            self.post();
        }
        for phone in self.phones.values_mut() {
            if phone.next().is_some_and(|due| due <= now) {
                phone.handle_timeout(now);
            }
        }
        self.post();
    }

    /// The media threads notice conversations in which nobody speaks any more: telephones that
    /// live send sound all the time.
    fn watch_sound(&mut self) {
        let mut silent = BTreeMap::new();
        for (a, b) in self.gateway.media.joined() {
            let dead = |leg| {
                !self
                    .gateway
                    .media
                    .remotes(leg)
                    .any(|at| self.speaks_from(at))
            };
            if dead(a) && dead(b) {
                let since = self.silent.get(&(a, b)).copied().unwrap_or(self.now);
                silent.insert((a, b), since);
            }
        }
        self.silent = silent;
        let (now, since) = (self.now, self.silent.clone());
        for ((leg, other), since) in since {
            if now >= since + SILENCE {
                self.silent.remove(&(leg, other));
                self.gateway.silence_noticed(leg, now);
            }
        }
        self.post();
    }

    fn speaks_from(&self, at: SocketAddr) -> bool {
        let there = self
            .phones
            .values()
            .filter(|phone| !self.network.is_cut_off(phone.host()));
        let mut lines = there.flat_map(Phone::lines).map(|(_, line)| line);
        lines.any(|line| line.media_port() == at && line.agreement().is_some())
    }

    /// Hands what everybody wants sent to the network.
    fn post(&mut self) {
        let now = self.now;
        let home = self.gateway.address.ip();
        while self.answered_urls < self.gateway.url_requests.len() {
            let command = self.gateway.url_requests[self.answered_urls].command;
            self.answered_urls += 1;
            self.gateway.answer_url(command, now);
        }
        self.carry_lines();
        let hosts = self
            .phones
            .values_mut()
            .map(|phone| (phone.host(), &mut phone.outbox));
        let gateway = (home, &mut self.gateway.outbox);
        for (host, outbox) in std::iter::once(gateway).chain(hosts) {
            for post in outbox.drain(..) {
                match post {
                    ToSend::Message(hop, bytes) => self.network.send(host, &hop, bytes, now),
                    ToSend::Close(connection) => self.network.close(connection, now),
                }
            }
        }
    }

    /// Nothing of any call is left anywhere, once what absorbs repetitions has run out.
    #[track_caller]
    pub fn expect_nothing_left(&mut self) {
        self.wait(Duration::from_secs(120));
        let state = self.gateway.state();
        let gauges = state.calls().gauges();
        assert_eq!(
            (gauges.calls, gauges.legs, gauges.rooms),
            (0, 0, 0),
            "calls, legs, rooms: {:?}",
            state.calls().calls().collect::<Vec<_>>()
        );
        assert_eq!(self.gateway.media.leftovers(), (0, 0), "media legs, routes");
        let sip = state.sip();
        assert_eq!(
            (sip.session_count(), sip.transaction_count()),
            (0, 0),
            "sessions, transactions"
        );
        for phone in self.phones.values() {
            assert_eq!(
                phone.leftovers(),
                (0, 0),
                "sessions, transactions of {}",
                phone.name
            );
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the last messages:\n{}", self.network.trace(SHOWN));
            for phone in self.phones.values().filter(|phone| !phone.log().is_empty()) {
                eprintln!("{} noticed: {:?}", phone.name, phone.log());
            }
        }
    }
}
