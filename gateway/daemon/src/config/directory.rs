//! From the written directory to `model::Directory`, with the accounts that go with it.
//!
//! What a directory may hold is judged by the model; here its complaints get their lines. Reads the
//! files that hold passwords. Invariant: no secret gets into a problem's text.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hyper::Uri;
use model::{
    AccountUser, Address, AnswerBack, AutoAnswer, BusyPolicy, CallButton, CallNumber, Conference,
    ConferenceId, Desk, DeskId, Directory, Door, DoorId, DoorOutput, EarlyMedia, Echo, Escalation,
    Feedback, ForwardWhen, ForwardingRule, GroupCall, GroupCallId, HttpUrl, InCallRight, KeyWay,
    Lists, Loudness, NodeId, NoiseAround, Pii, Priority, PrivacyRight, Pulse, Reach, RingGroup,
    RingGroupId, RoomTalk, Schedule, Site, Station, StationId, StationKind, TalkStyle, Weekdays,
};

use super::directory_fields::{
    AutoAnswerWord, ButtonSection, ConferenceSection, DeskSection, DirectorySection, DoorSection,
    ForwardingSection, GroupCallSection, InCallWord, KeyWord, Kind, PrivacyWord, ProfileSection,
    RingGroupSection, RoomTalkWord, StationSection, TalkWord, WhenWord,
};
use super::local::{self, LocalNetwork};
use super::problems::{Place, Problems, SourceId};
use super::remote::Remote;
use super::section::{Located, Optional, Repeated, locate};
use super::settings::{AccountSettings, DirectorySettings, Md5Login, Proof};
use super::values::Secret;

/// Where environment variables come from; tests bring their own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The text that a directory was read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) source: SourceId,
    pub(super) text: &'a str,
    /// What stands before the paths of the directory: nothing, or `directory.`.
    pub(super) prefix: &'static str,
    /// The folder that file names count from.
    pub(super) folder: &'a Path,
}

/// Checks and converts the directory; meaningless if anything was reported.
pub(super) fn settings(
    section: &DirectorySection,
    origin: Origin<'_>,
    environment: Environment<'_>,
    problems: &mut Problems,
) -> DirectorySettings {
    let mut reading = Reading {
        profiles: &section.device_profiles,
        local_networks: &section.local_networks,
        origin,
        environment,
        problems,
        read: DirectorySettings::default(),
    };
    let lists = Lists {
        site: Site {
            zone: section.time_zone.value.0.clone(),
            escalation: addresses(&section.escalation),
            escalation_ring: *section.escalation_ring.0,
            echo_test: section.echo_test.0.as_ref().map(|number| number.value),
        },
        stations: section
            .stations
            .iter()
            .map(|s| reading.station(s))
            .collect(),
        ring_groups: section.ring_groups.iter().map(|g| ring_group(g)).collect(),
        desks: section.desks.iter().map(|d| desk(d)).collect(),
        conferences: section.conferences.iter().map(|c| conference(c)).collect(),
        group_calls: section.group_calls.iter().map(|g| group_call(g)).collect(),
    };
    if reading.problems.have_gaps() {
        // What stands in the gaps is ours: complaints about it would mislead.
        return reading.read;
    }
    match Directory::build(lists) {
        Ok(directory) => reading.read.directory = directory,
        Err(found) => reading.report_all(&found),
    }
    reading.read
}

struct Reading<'a> {
    profiles: &'a Repeated<ProfileSection>,
    local_networks: &'a [Located<LocalNetwork>],
    origin: Origin<'a>,
    environment: Environment<'a>,
    problems: &'a mut Problems,
    read: DirectorySettings,
}

impl<'a> Reading<'a> {
    fn report_all(&mut self, found: &model::Problems) {
        for problem in &found.0 {
            let path = problem.path.strip_prefix("site.").unwrap_or(&problem.path);
            let path = format!("{}{path}", self.origin.prefix);
            let place = Place {
                source: self.origin.source,
                offset: locate(self.origin.text, &path),
                path,
            };
            self.problems
                .report(&place, problem.fault.to_string(), problem.fault.hint());
        }
    }

    fn station(&mut self, section: &Located<StationSection>) -> Station {
        let number = section.number.value;
        let id = StationId::from_key(&key(&section.key, number));
        let reach = self.reach(section);
        let mut station = Station::new(id, number, kind(section.kind.value), reach);
        station.name = named(&section.name);
        if let Some(given) = &section.priority.0 {
            station.priority = priority(given.value.0);
        }
        station.auto_answer = self.auto_answer(section);
        if let Ok(up_to @ 1..) = u8::try_from(section.waiting_calls.value.0) {
            station.busy = BusyPolicy::Wait { up_to };
        }
        station.privacy = match section.privacy.value {
            PrivacyWord::Allowed => PrivacyRight::Allowed,
            PrivacyWord::Forbidden => PrivacyRight::Forbidden,
        };
        station.talk = match section.talk.value {
            TalkWord::OpenDuplex => TalkStyle::OpenDuplex,
            TalkWord::VoiceSwitched => TalkStyle::VoiceSwitched,
            TalkWord::Simplex => TalkStyle::Simplex,
        };
        if section.noise_suppression.value {
            station.noise = NoiseAround::Suppressed;
        }
        if section.echo_control.value {
            station.echo = Echo::TakenAway;
        }
        station.loudness = Loudness {
            microphone: section.microphone_gain.value.0,
            loudspeaker: section.loudspeaker_gain.value.0,
        };
        station.keys = match section.dtmf.value {
            KeyWord::Auto => KeyWay::Auto,
            KeyWord::Events => KeyWay::Events,
            KeyWord::Inband => KeyWay::Tones,
            KeyWord::Info => KeyWay::Info,
        };
        station.encryption = section.srtp.0.as_ref().map(|word| word.value.into());
        station.may_open = section
            .may_open
            .iter()
            .map(|key| DoorId::from_key(key))
            .collect();
        let remote = self.remote(section);
        station.doors = section
            .doors
            .iter()
            .map(|door| self.door(door, remote.as_ref()))
            .collect();
        station.buttons = section.buttons.iter().map(|b| button(b)).collect();
        station.forwarding = section
            .forwarding
            .iter()
            .map(|rule| forwarding(rule))
            .collect();
        station
    }

    fn auto_answer(&mut self, section: &StationSection) -> AutoAnswer {
        let from = &section.auto_answer_from;
        match section.auto_answer.value {
            AutoAnswerWord::ByPriority if from.is_empty() => AutoAnswer::ByPriority,
            AutoAnswerWord::ByPriority => AutoAnswer::From(addresses(from)),
            word @ (AutoAnswerWord::Never | AutoAnswerWord::Always) => {
                if !from.is_empty() {
                    self.problems.report(
                        &from.place,
                        "a list of callers goes with \"by_priority\" only",
                        "remove the list, or write auto_answer = \"by_priority\"",
                    );
                }
                match word {
                    AutoAnswerWord::Always => AutoAnswer::Always,
                    AutoAnswerWord::Never | AutoAnswerWord::ByPriority => AutoAnswer::Never,
                }
            }
        }
    }

    fn reach(&mut self, section: &Located<StationSection>) -> Reach {
        let proofs = self.proofs(section);
        if let Some(uri) = &section.uri.0 {
            if section.account.is_some() || section.behind.is_some() || !proofs.is_empty() {
                self.problems.report(
                    &uri.place,
                    "a station with a `uri` is called there and does not register",
                    "remove the `uri`, or the account and its password",
                );
            }
            return Reach::Direct(uri.value.clone());
        }
        if let Some(behind) = &section.behind.0 {
            if section.account.is_some() || !proofs.is_empty() {
                self.problems.report(
                    &behind.place,
                    "a station behind a line does not register here",
                    "remove `behind`, or the account and its password",
                );
            }
            self.read.behind.push(behind.clone());
            return Reach::Behind(NodeId::from_key(behind));
        }
        let written = match &section.account.0 {
            Some(account) => account.clone(),
            None => Located {
                value: section.number.value.to_string(),
                place: section.number.place.clone(),
            },
        };
        let user = match AccountUser::parse(&written) {
            Ok(user) => user,
            Err(error) => {
                self.problems.report(
                    &written.place,
                    error.to_string(),
                    "use letters, digits and hyphens",
                );
                // A number is a good user name; the report keeps this one from being used.
                return Reach::Behind(NodeId::new(0));
            }
        };
        self.account(section, &user, proofs);
        Reach::Account(user)
    }

    fn account(
        &mut self,
        section: &Located<StationSection>,
        user: &AccountUser,
        mut proofs: Vec<(Place, Proof)>,
    ) {
        if let Some((place, _)) = proofs.get(1) {
            self.problems.report(
                place,
                "the password of this station is given twice",
                "give one of password, password_file, password_env, or the ha1 digests",
            );
        }
        let Some((place, proof)) = proofs.pop() else {
            self.problems.report(
                &section.place,
                "this station has no password, so anybody could take its place",
                "add password_file = \"FILE\", or the digests that `hash-password` prints, or a \
                 `uri` if it does not register",
            );
            return;
        };
        let md5 = match section.allow_md5.value {
            true => Md5Login::Allowed,
            false => Md5Login::Refused,
        };
        self.digests_fit(&place, &proof, md5);
        self.read.accounts.push(AccountSettings {
            user: user.as_str().to_owned(),
            proof,
            md5,
        });
    }

    fn digests_fit(&mut self, place: &Place, proof: &Proof, md5: Md5Login) {
        let Proof::Digests { sha256, md5: old } = proof else {
            return;
        };
        for (digest, length) in [(sha256, 64), (old, 32)] {
            let wrong = digest.as_ref().is_some_and(|digest| {
                let digest = digest.expose();
                digest.len() != length || !digest.bytes().all(|b| b.is_ascii_hexdigit())
            });
            if wrong {
                self.problems.report(
                    place,
                    format!("a digest here has {length} hexadecimal digits"),
                    "make it with `antiphon-gateway hash-password`",
                );
            }
        }
        if sha256.is_none() && md5 == Md5Login::Refused {
            self.problems.report(
                place,
                "there is only an MD5 digest, and the station may not log in with MD5",
                "add ha1_sha256, or allow_md5 = true",
            );
        }
    }

    /// Everything given that proves who the station is; more than one is a mistake.
    fn proofs(&mut self, section: &StationSection) -> Vec<(Place, Proof)> {
        let mut proofs = Vec::new();
        if let Some(password) = &section.password.0 {
            let proof = Proof::Password(password.value.clone());
            proofs.push((password.place.clone(), proof));
        }
        if let Some(file) = &section.password_file.0 {
            proofs.push((
                file.place.clone(),
                Proof::Password(self.secret_of_file(file)),
            ));
        }
        if let Some(name) = &section.password_env.0 {
            let secret = (self.environment)(name).filter(|secret| !secret.is_empty());
            if secret.is_none() {
                self.problems.report(
                    &name.place,
                    format!("the environment variable {} is not set", name.value),
                    "set it in the environment of the gateway",
                );
            }
            let secret = Secret::new(secret.unwrap_or_default());
            proofs.push((name.place.clone(), Proof::Password(secret)));
        }
        let digests = section.ha1_sha256.0.as_ref().or(section.ha1_md5.0.as_ref());
        if let Some(first) = digests {
            let plain = |digest: &Optional<Secret>| {
                let digest = digest.0.as_ref()?;
                Some(Secret::new(digest.expose().to_ascii_lowercase()))
            };
            let proof = Proof::Digests {
                sha256: plain(&section.ha1_sha256),
                md5: plain(&section.ha1_md5),
            };
            proofs.push((first.place.clone(), proof));
        }
        proofs
    }

    fn secret_of_file(&mut self, file: &Located<PathBuf>) -> Secret {
        let path = self.origin.folder.join(&file.value);
        let text = std::fs::read_to_string(&path);
        self.read.files.push(path.clone());
        match text
            .as_deref()
            .map(|text| text.lines().next().unwrap_or_default())
        {
            Ok("") => self.problems.report(
                &file.place,
                format!("the first line of {} is empty", path.display()),
                "write the password there",
            ),
            Ok(secret) => return Secret::new(secret),
            Err(error) => self.problems.report(
                &file.place,
                format!("{} cannot be read: {error}", path.display()),
                "correct the name, or let the user of the gateway read it",
            ),
        }
        Secret::new("")
    }

    /// A door must open without DNS and without anybody's certificate authority.
    fn check_url(&mut self, url: &Located<HttpUrl>) {
        let host = |uri: &Uri| {
            let host = uri.host().unwrap_or_default();
            host.trim_matches(['[', ']']).parse::<IpAddr>().ok()
        };
        let parsed = url.as_str().parse::<Uri>().ok();
        let usable = parsed.filter(|uri| uri.scheme_str() == Some("http"));
        match usable.as_ref().and_then(host) {
            Some(address) => {
                local::judge(address, self.local_networks, &url.place, self.problems);
            }
            None => self.problems.report(
                &url.place,
                "a door is opened over http and by IP address only",
                "write for example \"http://192.168.1.30/relay/1\"; names and https are not served",
            ),
        }
    }

    /// The station's own page; what it can do is kept for the operator.
    fn remote<'s>(&mut self, section: &'s StationSection) -> Option<Remote<'s>>
    where
        'a: 's,
    {
        let remote = section.remote.as_ref()?;
        let at = &remote.address;
        local::judge(at.value.ip(), self.local_networks, &at.place, self.problems);
        let password = match (&remote.user.0, &remote.password_file.0) {
            (Some(_), Some(file)) => self.secret_of_file(file).expose().to_owned(),
            (None, None) => String::new(),
            (Some(given), None) => {
                self.problems.report(
                    &given.place,
                    "an account without a password",
                    "add password_file = \"FILE\", or remove the user",
                );
                String::new()
            }
            (None, Some(given)) => {
                self.problems.report(
                    &given.place,
                    "a password without an account",
                    "add user = \"NAME\", or remove the file",
                );
                String::new()
            }
        };
        let profiles: &'s Repeated<ProfileSection> = self.profiles;
        let remote = Remote::new(profiles, remote, password, self.problems)?;
        let actions = remote.actions(self.problems);
        let number = section.number.value.to_string();
        self.read.remotes.insert(number, actions);
        Some(remote)
    }

    /// A door that the station's page opens.
    fn relay(&mut self, section: &DoorSection, remote: Option<&Remote<'_>>) -> Option<DoorOutput> {
        let relay = section.relay.as_ref()?;
        if section.output.is_some() || section.url.is_some() {
            self.problems.report(
                &relay.place,
                "the door has a relay, and an output or a URL",
                "remove all but one",
            );
        }
        let Some(remote) = remote else {
            self.problems.report(
                &relay.place,
                "a relay is switched by the page of the station, which has none",
                "add remote = { profile = \"NAME\", address = \"192.168.1.30:80\" } to the station",
            );
            return None;
        };
        let url = remote.door(byte(relay.value.0), *section.pulse.0, self.problems)?;
        Some(DoorOutput::Url(url))
    }

    fn door(&mut self, section: &Located<DoorSection>, remote: Option<&Remote<'_>>) -> Door {
        let id = DoorId::from_key(&section.key.value);
        let output = match (&section.output.0, &section.url.0) {
            (Some(_), Some(url)) => {
                self.problems.report(
                    &url.place,
                    "the door has an output and a URL",
                    "remove one of the two",
                );
                DoorOutput::Url(url.value.clone())
            }
            (None, Some(url)) => {
                self.check_url(url);
                DoorOutput::Url(url.value.clone())
            }
            (Some(output), None) => DoorOutput::Station {
                output: byte(output.value.0),
            },
            (None, None) => DoorOutput::Station { output: 1 },
        };
        let output = self.relay(section, remote).unwrap_or(output);
        let mut door = Door::new(id, output);
        self.read.doors.insert(section.key.value.clone(), id);
        door.name = named(&section.name);
        let pulse = &section.pulse;
        match Pulse::from_millis(u64::try_from(pulse.as_millis()).unwrap_or(u64::MAX)) {
            Ok(pulse) => door.pulse = pulse,
            Err(error) => self.problems.report(
                &pulse.place,
                error.to_string(),
                "choose a duration between these two",
            ),
        }
        door.code = section.code.0.as_ref().map(|code| code.value);
        door.in_call = match section.in_call.value {
            InCallWord::Anybody => InCallRight::Anybody,
            InCallWord::Listed => InCallRight::Listed,
            InCallWord::Nobody => InCallRight::Nobody,
        };
        door.permitted = addresses(&section.permitted);
        door.feedback = match (&section.contact.0, section.station_confirms.value) {
            (Some(contact), false) => Feedback::Contact {
                input: byte(contact.value.0),
            },
            (None, true) => Feedback::Station,
            (None, false) => Feedback::None,
            (Some(contact), true) => {
                self.problems.report(
                    &contact.place,
                    "the door is confirmed by a contact and by the station",
                    "keep the contact, which knows better",
                );
                Feedback::None
            }
        };
        door
    }
}

fn kind(word: Kind) -> StationKind {
    match word {
        Kind::DoorStation => StationKind::DoorStation,
        Kind::DeskStation => StationKind::DeskStation,
        Kind::EmergencyPoint => StationKind::EmergencyPoint,
        Kind::SipPhone => StationKind::SipPhone,
        Kind::Generic => StationKind::Generic,
    }
}

fn button(section: &ButtonSection) -> CallButton {
    CallButton {
        key: u16::try_from(section.key.value.0).unwrap_or_default(),
        label: named(&section.label),
        target: section.target.value.clone(),
        priority: section.priority.0.as_ref().map(|p| priority(p.value.0)),
    }
}

fn forwarding(section: &ForwardingSection) -> ForwardingRule {
    let when = match section.when.value {
        WhenWord::Always => ForwardWhen::Always,
        WhenWord::Busy => ForwardWhen::Busy,
        WhenWord::NoAnswer => ForwardWhen::NoAnswer {
            after: *section.after.0,
        },
        WhenWord::Unreachable => ForwardWhen::Unreachable,
    };
    let mut rule = ForwardingRule::new(when, section.to.value.clone());
    let (days, dates, hours) = (&section.days.0, &section.dates.0, &section.hours.0);
    if days.is_some() || dates.is_some() || hours.is_some() {
        rule.schedule = Some(Schedule {
            weekdays: days.as_ref().map_or(Weekdays::ALL, |days| days.value),
            dates: dates.as_ref().map(|dates| dates.value),
            period: hours.as_ref().map(|hours| hours.value),
        });
    }
    rule
}

fn ring_group(section: &RingGroupSection) -> RingGroup {
    let number = section.number.value;
    let id = RingGroupId::from_key(&key(&section.key, number));
    let mut group = RingGroup::new(id, number, addresses(&section.members));
    group.name = named(&section.name);
    group.early_media = match section.early_media.value {
        true => EarlyMedia::On,
        false => EarlyMedia::Off,
    };
    group.ring_for = *section.ring_for.0;
    group.then = section.then.0.as_ref().map(|then| then.value.clone());
    group
}

fn desk(section: &DeskSection) -> Desk {
    let number = section.number.value;
    let id = DeskId::from_key(&key(&section.key, number));
    let mut desk = Desk::new(id, number, addresses(&section.positions));
    desk.name = named(&section.name);
    desk.remind_every = *section.remind_every.0;
    desk.expires_after = *section.expires_after.0;
    desk.escalation = section.escalate_to.0.as_ref().map(|to| Escalation {
        after: *section.escalate_after.0,
        to: to.value.clone(),
    });
    desk
}

fn conference(section: &ConferenceSection) -> Conference {
    let number = section.number.value;
    let id = ConferenceId::from_key(&key(&section.key, number));
    let mut conference = Conference::new(id, number);
    conference.name = named(&section.name);
    conference.members = addresses(&section.members);
    conference.talk = match section.talk.value {
        RoomTalkWord::Everybody => RoomTalk::Everybody,
        RoomTalkWord::TalkKey => RoomTalk::TalkKey,
    };
    conference
}

fn group_call(section: &GroupCallSection) -> GroupCall {
    let number = section.number.value;
    let id = GroupCallId::from_key(&key(&section.key, number));
    let mut call = GroupCall::new(id, number, addresses(&section.members));
    call.name = named(&section.name);
    call.priority = priority(section.priority.value.0);
    call.answer_back = match section.answer_back.value {
        true => AnswerBack::Allowed,
        false => AnswerBack::Forbidden,
    };
    call
}

fn addresses(list: &[Located<Address>]) -> Vec<Address> {
    list.iter().map(|address| address.value.clone()).collect()
}

fn key(key: &Optional<String>, number: CallNumber) -> String {
    key.0
        .as_ref()
        .map_or_else(|| number.to_string(), |key| key.value.clone())
}

fn named(name: &Optional<String>) -> Pii<String> {
    let name = name.0.as_ref().map(|name| name.value.clone());
    Pii::new(name.unwrap_or_default())
}

/// The bounds of the field are those of the type.
fn priority(number: u64) -> Priority {
    Priority::new(number).unwrap_or(Priority::DEFAULT)
}

fn byte(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
