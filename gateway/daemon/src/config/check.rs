//! From what is written to what holds: rules between fields, and the files that are named.
//!
//! Goes through everything whatever was wrong before, so that one run shows all mistakes. Binds
//! nothing and writes nothing.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use media::tones::Region;
use sip::digest::server::Realm;

use super::announcements;
use super::causes;
use super::fields::{
    CloudSection, GatewayFile, ListenSection, MediaSection, SipSection, Tones, Transport,
};
use super::lines;
use super::problems::{Place, Problems};
use super::section::Located;
use super::settings::{
    CallSettings, CloudSettings, DirectorySettings, ListenerKind, ListenerSettings, LogSettings,
    MediaSettings, RecordingSettings, Settings, SipLimits, SipSettings, StoreSettings,
    TimelineSettings, TlsFiles,
};
use super::values::written;
use model::CallNumber;

use crate::{listeners, logging};

/// A Unix socket address has room for this many bytes of path (unix(7)).
const LONGEST_SOCKET_PATH: usize = 107;

/// The settings; meaningless if anything was reported.
pub(super) fn settings(
    file: &GatewayFile,
    directory: DirectorySettings,
    folder: &Path,
    problems: &mut Problems,
) -> Settings {
    name(&file.name, problems);
    let sip = sip(&file.sip, &file.name.value, folder, problems);
    let media = media(&file.media, &sip, folder, problems);
    let control_socket = folder.join(&file.control_socket.value);
    if control_socket.as_os_str().len() > LONGEST_SOCKET_PATH {
        problems.report(
            &file.control_socket.place,
            format!("the path is longer than {LONGEST_SOCKET_PATH} bytes"),
            "name a shorter one; the system has no room for more in a socket address",
        );
    }
    let calls = CallSettings {
        longest: *file.calls.longest.0,
        warning: *file.calls.warning.0,
        ring: *file.calls.ring.0,
        at_once: whole(file.calls.at_once.0.value.0),
    };
    between(
        &file.calls.longest,
        (Duration::from_secs(10), Duration::from_secs(86_400)),
        problems,
    );
    between(
        &file.calls.ring,
        (Duration::from_secs(1), Duration::from_secs(600)),
        problems,
    );
    not_above(
        &file.calls.warning,
        "warning",
        &file.calls.longest,
        "longest",
        problems,
    );
    between(
        &file.store.keep_records,
        (
            Duration::from_secs(86_400),
            Duration::from_secs(3650 * 86_400),
        ),
        problems,
    );
    between(
        &file.recording.keep,
        (
            Duration::from_secs(3_600),
            Duration::from_secs(3650 * 86_400),
        ),
        problems,
    );
    between(
        &file.timeline.keep,
        (
            Duration::from_secs(3_600),
            Duration::from_secs(3650 * 86_400),
        ),
        problems,
    );
    let cloud = cloud(&file.cloud, folder, problems);
    let lines = lines::settings(&file.line, &file.name.value, &directory, folder, problems);
    Settings {
        causes: causes::causes(&file.causes, problems),
        lines,
        name: file.name.value.clone(),
        state_folder: folder.join(&file.state_folder.value),
        control_socket,
        sip,
        cloud,
        media,
        recording: RecordingSettings {
            calls: file.recording.calls.value,
            keep: *file.recording.keep.0,
            bytes: u64::from(small(file.recording.megabytes.value.0)) * 1_000_000,
        },
        timeline: file.timeline.record.value.then(|| TimelineSettings {
            keep: *file.timeline.keep.0,
            bytes: u64::from(small(file.timeline.megabytes.value.0)) * 1_000_000,
        }),
        calls,
        directory,
        store: StoreSettings {
            registrations: file.store.registrations.value,
            keep_records: *file.store.keep_records.0,
        },
        metrics: file.metrics.listen.value,
        log: log(file, problems),
        grace: *file.stop.grace.0,
    }
}

/// The name is a realm, a label of metrics and part of file names: plain text on one line.
fn name(name: &Located<String>, problems: &mut Problems) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
    if name.len() > 64 || !name.chars().all(plain) {
        problems.report(
            &name.place,
            "this is no name for a gateway",
            "use up to 64 letters, digits, spaces and the signs - _ .",
        );
    }
}

fn sip(section: &SipSection, name: &str, folder: &Path, problems: &mut Problems) -> SipSettings {
    if section.listen.is_empty() {
        let place = section.trusted_peers.place.clone();
        problems.report(
            &Place {
                path: "sip.listen".into(),
                ..place
            },
            "there is no listener, so nobody could reach the gateway",
            "add [[sip.listen]] with transport = \"udp\" and address = \"0.0.0.0:5060\"",
        );
    }
    let listeners = section
        .listen
        .iter()
        .map(|listen| listener(listen, folder, problems))
        .collect();
    no_address_twice(&section.listen, problems);
    let realm = match &section.realm.0 {
        Some(realm) => realm.value.0.clone(),
        // A name that is no realm has been reported already.
        None => Realm::new(name)
            .or_else(|_| Realm::new("unnamed"))
            .expect("a plain word is a realm"),
    };
    timers(section, problems);
    let registration = &section.registration;
    not_above(
        &registration.shortest,
        "shortest",
        &registration.usual,
        "usual",
        problems,
    );
    not_above(
        &registration.usual,
        "usual",
        &registration.longest,
        "longest",
        problems,
    );
    let limits = &section.limits;
    if limits.connections_per_source.value.0 > limits.connections.value.0 {
        problems.report(
            &limits.connections_per_source.place,
            "one address may have more connections than there are in total",
            "make it smaller than `connections`",
        );
    }
    SipSettings {
        realm,
        listeners,
        trusted_peers: section
            .trusted_peers
            .iter()
            .map(|peer| peer.value)
            .collect(),
        authorities: authorities(&section.authorities.0, folder, problems),
        t1: *section.timers.t1.0,
        t2: *section.timers.t2.0,
        t4: *section.timers.t4.0,
        session: *section.timers.session.0,
        shortest_registration: *registration.shortest.0,
        usual_registration: *registration.usual.0,
        longest_registration: *registration.longest.0,
        contacts_per_station: whole(registration.contacts_per_station.value.0),
        limits: SipLimits {
            message_bytes: whole(limits.message_bytes.value.0),
            connections: whole(limits.connections.value.0),
            connections_per_source: whole(limits.connections_per_source.value.0),
            handshake: *limits.handshake.0,
            idle: *limits.idle.0,
            requests_per_source: small(limits.requests_per_source.value.0),
            calls_per_source: small(limits.calls_per_source.value.0),
            calls_per_second: small(limits.calls_per_second.value.0),
            wrong_passwords: small(limits.wrong_passwords.value.0),
        },
    }
}

fn timers(section: &SipSection, problems: &mut Problems) {
    let timers = &section.timers;
    let (shortest, longest) = (Duration::from_millis(10), Duration::from_secs(60));
    between(&timers.t1, (shortest, longest), problems);
    between(&timers.t4, (shortest, longest), problems);
    not_above(&timers.t1, "t1", &timers.t2, "t2", problems);
    // RFC 4028 4: less than 90 seconds is not allowed.
    between(
        &timers.session,
        (Duration::from_secs(90), Duration::from_secs(86_400)),
        problems,
    );
}

fn listener(
    listen: &Located<ListenSection>,
    folder: &Path,
    problems: &mut Problems,
) -> ListenerSettings {
    let kind = match listen.transport.value {
        Transport::Udp => ListenerKind::Udp,
        Transport::Tcp => ListenerKind::Tcp,
        Transport::Tls => tls_files(listen, folder, problems),
    };
    if listen.transport.value != Transport::Tls {
        let given = [
            ("certificate", &listen.certificate.0),
            ("key", &listen.key.0),
            ("client_authorities", &listen.client_authorities.0),
        ];
        for (what, file) in given {
            if let Some(file) = file {
                problems.report(
                    &file.place,
                    format!("`{what}` means something for TLS only"),
                    "remove it, or write transport = \"tls\"",
                );
            }
        }
    }
    ListenerSettings {
        address: listen.address.value,
        advertise: listen.advertise.0.as_ref().map(|address| address.value),
        passwords: listen.passwords.value,
        kind,
    }
}

fn tls_files(
    listen: &Located<ListenSection>,
    folder: &Path,
    problems: &mut Problems,
) -> ListenerKind {
    let mut needed = |name: &str, file: &Option<Located<PathBuf>>| match file {
        Some(file) => Some(folder.join(&file.value)),
        None => {
            problems.report(
                &listen.place,
                format!("a TLS listener needs a `{name}`"),
                format!("add {name} = \"FILE.pem\""),
            );
            None
        }
    };
    let certificate = needed("certificate", &listen.certificate.0);
    let key = needed("key", &listen.key.0);
    let (Some(certificate), Some(key)) = (certificate, key) else {
        return ListenerKind::Tcp;
    };
    let authorities = listen.client_authorities.0.as_ref();
    let files = TlsFiles {
        certificate,
        key,
        client_authorities: authorities.map(|file| folder.join(&file.value)),
    };
    if let Err(error) = listeners::tls(&files) {
        problems.report(
            &listen.place,
            format!("TLS cannot work here: {:#}", anyhow::Error::new(error)),
            "correct the files, or let the user of the gateway read them",
        );
    }
    ListenerKind::Tls(files)
}

fn cloud(section: &CloudSection, folder: &Path, problems: &mut Problems) -> CloudSettings {
    let authorities = section.authorities.0.as_ref().and_then(|file| {
        let read = std::fs::read_to_string(folder.join(&file.value));
        let checked = read.map_err(|error| error.to_string()).and_then(|pem| {
            client::enrol::check_authorities(&pem).map_err(|error| error.to_string())?;
            Ok(pem)
        });
        checked
            .map_err(|error| {
                problems.report(
                    &file.place,
                    format!("the core cannot be believed with it: {error}"),
                    "name a file with certificates in PEM that the user of the gateway can read",
                );
            })
            .ok()
    });
    CloudSettings {
        proxy: section.proxy.0.as_ref().map(|proxy| proxy.value.0.clone()),
        authorities,
        numbers: values_of(&section.numbers.value),
        block: section.block.0.as_ref().map(|block| block.value),
    }
}

fn values_of(numbers: &[Located<CallNumber>]) -> Vec<CallNumber> {
    numbers.iter().map(|number| number.value).collect()
}

fn authorities(
    file: &Option<Located<PathBuf>>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let file = file.as_ref()?;
    let path = folder.join(&file.value);
    if let Err(error) = listeners::client_tls(&path) {
        problems.report(
            &file.place,
            format!("TLS cannot work with it: {:#}", anyhow::Error::new(error)),
            "correct the file, or let the user of the gateway read it",
        );
    }
    Some(path)
}

fn no_address_twice(listeners: &[Located<ListenSection>], problems: &mut Problems) {
    let mut seen = BTreeMap::new();
    for listen in listeners {
        let address = listen.address.value;
        let datagrams = listen.transport.value == Transport::Udp;
        if address.port() == 0 {
            continue;
        }
        if let Some(first) = seen.insert((address, datagrams), listen.place.path.clone()) {
            problems.report(
                &listen.address.place,
                format!("{first} listens on this address already"),
                "remove one of the two or give it another port",
            );
        }
    }
}

/// All cores but the one for signalling; at least one.
fn spare_cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u16::try_from(cores.saturating_sub(1)).map_or(1, |spare| spare.clamp(1, 64))
}

fn media(
    section: &MediaSection,
    sip: &SipSettings,
    folder: &Path,
    problems: &mut Problems,
) -> MediaSettings {
    for address in section.addresses.iter() {
        if address.is_unspecified() || address.is_multicast() {
            problems.report(
                &address.place,
                format!(
                    "{} is no address that stations could send to",
                    address.value
                ),
                "name an address of this machine; leave the list empty to use those of sip.listen",
            );
        }
    }
    let ports = section.ports.value.0.clone();
    if ports.len() < 4 {
        problems.report(
            &section.ports.place,
            "a call of two stations takes 4 ports",
            "allow at least 4, better some hundreds",
        );
    }
    let taken = sip.listeners.iter().find(|listener| {
        listener.kind == ListenerKind::Udp && ports.contains(&listener.address.port())
    });
    if let Some(listener) = taken {
        problems.report(
            &section.ports.place,
            format!(
                "SIP listens on UDP port {} of this range",
                listener.address.port()
            ),
            "choose a range without it",
        );
    }
    MediaSettings {
        addresses: section
            .addresses
            .iter()
            .map(|address| address.value)
            .collect(),
        ports,
        dscp: u8::try_from(section.dscp.value.0).unwrap_or_default(),
        encryption: section.srtp.value.into(),
        tones: match section.tones.value {
            Tones::Europe => Region::Europe,
            Tones::NorthAmerica => Region::NorthAmerica,
        },
        announcements: announcements::read(section, folder, problems),
        threads: section
            .threads
            .as_ref()
            .map_or_else(spare_cores, |threads| {
                u16::try_from(threads.value.0).unwrap_or(u16::MAX)
            }),
    }
}

fn log(file: &GatewayFile, problems: &mut Problems) -> LogSettings {
    let text = &file.log.level;
    let level = logging::parse_level(text).unwrap_or_else(|| {
        problems.report(
            &text.place,
            format!("\"{}\" is not a log level", text.value),
            "write \"error\", \"warn\", \"info\", \"debug\" or \"trace\", or for example \
             \"info,sip=debug\"",
        );
        logging::default_level()
    });
    LogSettings {
        format: file.log.format.value,
        level,
    }
}

fn between(
    given: &Located<Duration>,
    (least, most): (Duration, Duration),
    problems: &mut Problems,
) {
    if given.value < least || given.value > most {
        problems.report(
            &given.place,
            format!(
                "{} is not between {} and {}",
                written(given.value),
                written(least),
                written(most)
            ),
            "choose a duration between these two",
        );
    }
}

fn not_above(
    lower: &Located<Duration>,
    lower_name: &str,
    upper: &Located<Duration>,
    upper_name: &str,
    problems: &mut Problems,
) {
    if lower.value > upper.value {
        problems.report(
            &lower.place,
            format!(
                "`{lower_name}` ({}) is more than `{upper_name}` ({})",
                written(lower.value),
                written(upper.value)
            ),
            format!("make `{lower_name}` smaller or `{upper_name}` larger"),
        );
    }
}

/// Numbers of the configuration are far below the limits of any type: their bounds say so.
fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
