//! What may stand together in the configuration, and what the written words become.

use std::path::{Path, PathBuf};

use cloud_logic::subscriptions::Checking;
use settings::Problems;
use settings::problems::Place as Written;
use settings::section::{Located, Optional};
use settings::values::{Secret, Whole};
use tracing_subscriber::filter::Targets;

use super::fields::{
    BlobsSection, BrokerSection, CallsSection, CoreFile, ListenSection, LogSection, MailEncryption,
    MailSection, ProxyWord, S3Section, SubscriptionMode, Switch,
};
use super::{Blobs, Listen, Log, Mail, Settings};
use crate::api::PerSecond;
use crate::blobs::{BlobPlace, Bucket};
use crate::calls;
use crate::front_door::broker;
use crate::listener::{Proxies, ProxyHeader};
use crate::store::{PgPlace, Place};

/// Legs of browsers at once on one node.
const CALLS: usize = 2000;

pub(super) fn settings(file: &CoreFile, beside: &Path, problems: &mut Problems) -> Settings {
    let folder = beside.join(&file.folder.value);
    let (url, host) = url(&file.url, problems);
    Settings {
        name: file.name.value.clone(),
        url,
        listen: listen(&file.listen, problems),
        store: store(file, &folder, beside, problems),
        blobs: blobs(&file.blobs, &folder, beside, problems),
        broker: file
            .broker
            .as_ref()
            .map(|broker| self::broker(broker, beside, problems)),
        mail: file
            .mail
            .as_ref()
            .map(|mail| self::mail(mail, beside, problems)),
        limits: PerSecond {
            address: rate(file.limits.requests_per_address.value),
            caller: rate(file.limits.requests_per_caller.value),
        },
        subscriptions: match file.subscriptions.mode.value {
            SubscriptionMode::Off => Checking::Off,
            SubscriptionMode::Checked => Checking::Checked,
        },
        calls: file
            .calls
            .as_ref()
            .map(|section| calls(section, &host, problems)),
        log: log(&file.log, problems),
        host,
        folder,
    }
}

fn calls(section: &CallsSection, host: &str, problems: &mut Problems) -> calls::Settings {
    let addresses = &section.media_addresses.value;
    if addresses.is_empty() {
        problems.report(
            &section.media_addresses.place,
            "without an address nothing would be heard",
            "write an address of this machine that gateways reach",
        );
    }
    for address in addresses
        .iter()
        .filter(|address| address.value.is_unspecified())
    {
        problems.report(
            &address.place,
            "this stands for every address, and cannot be offered to anybody",
            "write an address of this machine that gateways reach",
        );
    }
    let Whole(threads) = section.media_threads.value;
    calls::Settings {
        listen: section.listen.value,
        addresses: addresses.iter().map(|address| address.value).collect(),
        ports: section.media_ports.value.0.clone(),
        threads: u16::try_from(threads).expect("its type ends at 64"),
        host: host.to_owned(),
    }
}

/// The URL without its last slash, and its host.
fn url(written: &Located<String>, problems: &mut Problems) -> (String, String) {
    let url = written.value.trim_end_matches('/').to_owned();
    let rest = url.strip_prefix("https://").or_else(|| {
        let rest = url.strip_prefix("http://")?;
        let host = host_of(rest);
        (host == "localhost" || host == "127.0.0.1").then_some(rest)
    });
    let host = rest.map(host_of).unwrap_or_default().to_owned();
    let well_formed = rest.is_some_and(|rest| !rest.contains(['/', '?', '#', '@', ' ']));
    if host.is_empty() || !well_formed {
        problems.report(
            &written.place,
            format!("\"{}\" is not where a core can be found", written.value),
            "write https:// and a host, without a path; http:// is for localhost only",
        );
    }
    (url, host)
}

fn host_of(rest: &str) -> &str {
    match rest.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        Some(_) | None => rest,
    }
}

fn listen(section: &ListenSection, problems: &mut Problems) -> Listen {
    let api_speaks_tls = section.api_tls.value == Switch::On;
    if !api_speaks_tls && !section.api.value.ip().is_loopback() {
        problems.report(
            &section.api_tls.place,
            "without TLS, passwords would be readable on the way",
            "leave api_tls \"on\", or listen on 127.0.0.1 behind a proxy",
        );
    }
    if let Some(plain) = section.devices_plain.as_ref()
        && !plain.value.ip().is_loopback()
    {
        problems.report(
            &plain.place,
            "anybody who reaches this address could be any device",
            "listen on 127.0.0.1, or leave it out",
        );
    }
    Listen {
        api: section.api.value,
        api_speaks_tls,
        devices: section.devices.value,
        revocation: section.revocation.value,
        devices_plain: section.devices_plain.as_ref().map(|plain| plain.value),
        metrics: section.metrics.as_ref().map(|metrics| metrics.value),
        proxies: proxies(section),
        web_calls: web_calls(section, problems),
    }
}

/// Calls in browsers, if an address for them is named.
fn web_calls(section: &ListenSection, problems: &mut Problems) -> Option<web_edge::Config> {
    let written = section.web_calls.as_ref()?;
    let bind = written.value;
    let told = section
        .web_calls_told
        .as_ref()
        .map_or(bind.ip(), |told| told.value);
    if told.is_unspecified() {
        problems.report(
            &written.place,
            "browsers cannot be told to reach an address that stands for all",
            "name this machine's address here, or as web_calls_told the one that a router translates",
        );
    }
    Some(web_edge::Config {
        places: vec![web_edge::Place { bind, told }],
        stun: section.stun.iter().map(|stun| stun.value).collect(),
        most_legs: CALLS,
    })
}

fn proxies(section: &ListenSection) -> Proxies {
    let trusted = &section.trusted_proxies.value;
    Proxies {
        trusted: trusted.iter().map(|network| network.value).collect(),
        header: match section.proxy_header.value {
            ProxyWord::XForwardedFor => ProxyHeader::XForwardedFor,
            ProxyWord::Forwarded => ProxyHeader::Forwarded,
        },
    }
}

fn rate(Whole(number): Whole<1, 1_000_000>) -> u32 {
    u32::try_from(number).expect("its type ends at a million")
}

fn store(file: &CoreFile, folder: &Path, beside: &Path, problems: &mut Problems) -> Place {
    let Some(address) = file.store.postgres.as_ref() else {
        return Place::File(folder.join("core.db"));
    };
    let text = address.value.expose();
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        problems.report(
            &address.place,
            "this is not the address of a PostgreSQL server",
            "write postgres://user@host/database",
        );
    }
    let password = secret_file(&file.store.password_file, beside, problems);
    Place::Server(PgPlace {
        address: text.to_owned(),
        password: password.map(|secret| secret.expose().to_owned()),
    })
}

fn blobs(section: &BlobsSection, folder: &Path, beside: &Path, problems: &mut Problems) -> Blobs {
    let mib = i64::try_from(section.most_of_a_company.value.0).expect("its type ends at 1048576");
    let place = match section.s3.as_ref() {
        None => BlobPlace::Folder(folder.join("blobs")),
        Some(s3) => BlobPlace::Bucket(bucket(s3, beside, problems)),
    };
    Blobs {
        place,
        room: mib << 20,
    }
}

fn bucket(section: &Located<S3Section>, beside: &Path, problems: &mut Problems) -> Bucket {
    let endpoint = section.endpoint.value.trim_end_matches('/');
    let local = endpoint.strip_prefix("http://").is_some_and(|rest| {
        let host = host_of(rest);
        host == "localhost" || host == "127.0.0.1"
    });
    if !local && !endpoint.starts_with("https://") {
        problems.report(
            &section.endpoint.place,
            "what is uploaded would be readable on the way",
            "write https:// and a host; http:// is for a store on this machine only",
        );
    }
    let key = beside.join(&section.secret_key_file.value);
    let secret_key = readable_by_owner_only(&key).unwrap_or_else(|why| {
        complain(&section.secret_key_file.place, &key, &why, problems);
        String::new()
    });
    Bucket {
        endpoint: endpoint.to_owned(),
        region: section.region.value.clone(),
        name: section.bucket.value.clone(),
        access_key: section.access_key.value.clone(),
        secret_key: Secret::new(secret_key.trim_end_matches(['\n', '\r'])),
    }
}

fn broker(
    section: &Located<BrokerSection>,
    beside: &Path,
    problems: &mut Problems,
) -> broker::Settings {
    let name = section.name.value.clone();
    if name.is_empty() || name.contains(['/', '+', '#']) {
        problems.report(
            &section.name.place,
            format!("\"{name}\" cannot stand in the name of a shared subscription"),
            "write a word without /, + and #",
        );
    }
    let key = beside.join(&section.key_file.value);
    if let Err(why) = readable_by_owner_only(&key) {
        complain(&section.key_file.place, &key, &why, problems);
    }
    broker::Settings {
        host: section.host.value.clone(),
        port: u16::try_from(section.port.value.0).expect("its type ends at 65535"),
        name,
        authority: beside.join(&section.authority_file.value),
        certificate: beside.join(&section.certificate_file.value),
        key,
    }
}

fn mail(section: &Located<MailSection>, beside: &Path, problems: &mut Problems) -> Mail {
    let host = section.host.value.clone();
    let local = host == "localhost" || host == "127.0.0.1" || host == "::1";
    if section.encryption.value == MailEncryption::Off && !local {
        problems.report(
            &section.encryption.place,
            "mails with links that sign people in would be readable on the way",
            "write \"starttls\" or \"tls\"; \"off\" is for a mail server on this machine",
        );
    }
    if section
        .from
        .value
        .parse::<lettre::message::Mailbox>()
        .is_err()
    {
        problems.report(
            &section.from.place,
            format!("\"{}\" is not a sender", section.from.value),
            "write an address such as \"Antiphon <no-reply@example.com>\"",
        );
    }
    let authority = section.authority_file.as_ref().and_then(|written| {
        let file = beside.join(&written.value);
        let text = std::fs::read_to_string(&file).map_err(|error| error.to_string());
        let read = text.and_then(|text| certificate(&text).map(|()| text));
        read.map_err(|why| {
            problems.report(
                &written.place,
                format!("{} cannot be used: {why}", file.display()),
                "name a file with the certificate of an authority in PEM",
            );
        })
        .ok()
    });
    if section.user.is_some() != section.password_file.is_some() {
        problems.report(
            &section.from.place,
            "to sign in at the mail server, both user and password_file are needed",
            "give both, or leave both out",
        );
    }
    Mail {
        host,
        port: u16::try_from(section.port.value.0).expect("its type ends at 65535"),
        encryption: section.encryption.value,
        user: section.user.as_ref().map(|user| user.value.clone()),
        password: secret_file(&section.password_file, beside, problems),
        authority,
        from: section.from.value.clone(),
    }
}

fn certificate(text: &str) -> Result<(), String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    CertificateDer::from_pem_slice(text.as_bytes())
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn log(section: &LogSection, problems: &mut Problems) -> Log {
    let level: Option<Targets> = crate::logging::parse_level(&section.level.value);
    if level.is_none() {
        problems.report(
            &section.level.place,
            format!("\"{}\" is no level", section.level.value),
            "write error, warn, info, debug or trace, and perhaps \"info,front_door=debug\"",
        );
    }
    Log {
        level: level.unwrap_or_default(),
        format: section.format.value,
    }
}

/// What a file holds that only the core may read.
fn secret_file(
    written: &Optional<PathBuf>,
    beside: &Path,
    problems: &mut Problems,
) -> Option<Secret> {
    let written = written.as_ref()?;
    let file = beside.join(&written.value);
    match readable_by_owner_only(&file) {
        Ok(text) => Some(Secret::new(text.trim_end_matches(['\n', '\r']))),
        Err(why) => {
            complain(&written.place, &file, &why, problems);
            None
        }
    }
}

fn readable_by_owner_only(file: &Path) -> Result<String, String> {
    use std::os::unix::fs::PermissionsExt;

    let about = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if about.permissions().mode() & 0o077 != 0 {
        return Err("others may read it".to_owned());
    }
    std::fs::read_to_string(file).map_err(|error| error.to_string())
}

fn complain(place: &Written, file: &Path, why: &str, problems: &mut Problems) {
    problems.report(
        place,
        format!("{} cannot be used: {why}", file.display()),
        "make it a file of the core's user with mode 0600",
    );
}
