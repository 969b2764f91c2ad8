//! Remote control of SIP stations over HTTP: profiles of device families, and what a station makes
//! of one.
//!
//! Which script a family answers to is data: manuals and firmware differ. A profile's lines are
//! filled in here, so that nothing but finished URLs goes on; nothing is sent here. Invariant: a
//! relay is reached through a door alone, with its permissions and its journal.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use model::HttpUrl;

use super::directory_fields::{ProfileSection, RemoteSection};
use super::problems::Problems;
use super::section::{Located, Repeated};

/// What a station's page does when it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RemoteActions {
    pub(crate) answer: Option<HttpUrl>,
    pub(crate) cancel: Option<HttpUrl>,
    pub(crate) decline: Option<HttpUrl>,
}

/// A station's remote control: where it is, and in which words it is spoken to.
pub(super) struct Remote<'a> {
    pub(super) profile: &'a ProfileSection,
    section: &'a Located<RemoteSection>,
    password: String,
}

impl<'a> Remote<'a> {
    /// None: there is no such profile, which is reported.
    pub(super) fn new(
        profiles: &'a Repeated<ProfileSection>,
        section: &'a Located<RemoteSection>,
        password: String,
        problems: &mut Problems,
    ) -> Option<Self> {
        let named =
            |profile: &&Located<ProfileSection>| profile.name.value == section.profile.value;
        let found = profiles.iter().find(named);
        if found.is_none() {
            let known: Vec<_> = profiles
                .iter()
                .map(|profile| profile.name.as_str())
                .collect();
            problems.report(
                &section.profile.place,
                format!("there is no device profile \"{}\"", section.profile.value),
                match known.as_slice() {
                    [] => "add [[directory.device_profiles]] with this name".to_owned(),
                    known => format!("name one of: {}", known.join(", ")),
                },
            );
        }
        Some(Self {
            profile: found?,
            section,
            password,
        })
    }

    pub(super) fn actions(&self, problems: &mut Problems) -> RemoteActions {
        let mut url = |line: &Option<Located<String>>| {
            let line = line.as_ref()?;
            self.url(line, None, problems)
        };
        RemoteActions {
            answer: url(&self.profile.answer.0),
            cancel: url(&self.profile.cancel.0),
            decline: url(&self.profile.decline.0),
        }
    }

    /// A door at this relay of the station.
    pub(super) fn door(
        &self,
        relay: u8,
        pulse: Duration,
        problems: &mut Problems,
    ) -> Option<HttpUrl> {
        self.url(&self.profile.door_opener.0, Some((relay, pulse)), problems)
    }

    fn url(
        &self,
        line: &Located<String>,
        door: Option<(u8, Duration)>,
        problems: &mut Problems,
    ) -> Option<HttpUrl> {
        let mut path = line.value.clone();
        if let Some((relay, pulse)) = door {
            let seconds = pulse.as_millis().div_ceil(1_000).max(1);
            path = path
                .replace("{relay}", &relay.to_string())
                .replace("{seconds}", &seconds.to_string());
        }
        if !path.starts_with('/') || path.contains(['{', '}']) {
            problems.report(
                &line.place,
                "this is no path of a device",
                "begin it with / ; only `door_opener` may hold {relay} and {seconds}",
            );
            return None;
        }
        let who = match self.section.user.as_ref() {
            Some(user) => format!("{}:{}@", escaped(user), escaped(&self.password)),
            None => String::new(),
        };
        let at: SocketAddr = self.section.address.value;
        match HttpUrl::parse(&format!("http://{who}{at}{path}")) {
            Ok(url) => Some(url),
            Err(error) => {
                problems.report(
                    &line.place,
                    error.to_string(),
                    "use the characters of a URL only",
                );
                None
            }
        }
    }
}

/// RFC 3986 2.1: whatever is not unreserved.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
