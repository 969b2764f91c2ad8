//! From the checked settings to what the gateway's machine is told at its birth.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use exchange::{Config, Neighbour, RecordPolicy, Sounds};
use net::addresses::InterfaceAddress;
use net::flows::ListenerInfo;
use sip::admission::{self, Network};
use sip::digest::{Algorithm, Ha1Set, Hash, Md5Use};
use sip::endpoint::{self, Capacity, InviteAuth, Listener, SessionTimerSettings};
use sip::flow::ListenerId;
use sip::message::{Host, Limits};
use sip::registrar::{self, Account, Expiry, GuardSettings, StoredBinding};
use sip::transaction::Timers;
use switchboard::{ports_for_alarms, sip_transport};

use crate::clock::Clock;
use crate::config::{
    AccountSettings, ListenerSettings, Md5Login, Passwords, Proof, RecordCalls, Settings,
};
use crate::store::BindingsWrite;
use crate::uplink;

/// What the machine is told. `listeners` are the bound ones, `start_count` is the store's.
pub(crate) fn config(
    settings: &Settings,
    listeners: &[ListenerInfo],
    own: &[InterfaceAddress],
    start_count: u32,
) -> Config {
    let sip = &settings.sip;
    let realm = sip.realm.as_str();
    let host = Host::parse(realm);
    let first = listeners.first().map(|info| info.local.ip());
    Config {
        realm: realm.to_owned(),
        domain: host.unwrap_or_else(|| first.unwrap_or(Ipv4Addr::LOCALHOST.into()).into()),
        trusted: sip.trusted_peers.iter().copied().map(network).collect(),
        addresses: settings.media.addresses.clone(),
        ports_for_alarms: ports_for_alarms(&settings.media.ports),
        encryption: settings.media.encryption,
        record: match settings.recording.calls {
            RecordCalls::Never => RecordPolicy::Never,
            RecordCalls::Alarms => RecordPolicy::Alarms,
            RecordCalls::All => RecordPolicy::All,
        },
        sounds: Sounds {
            region: settings.media.tones,
            announcements: settings.media.announcements.clone(),
        },
        media_threads: settings.media.threads,
        neighbours: vec![Neighbour {
            node: uplink::CORE,
            block: settings.cloud.block,
            numbers: settings.cloud.numbers.clone(),
        }],
        causes: settings.causes.clone(),
        lines: settings
            .lines
            .iter()
            .map(|line| line.config.clone())
            .collect(),
        sip: endpoint(settings, listeners, own),
        calls: calls::Config {
            start_count,
            max_calls: settings.calls.at_once,
            conversation_limit: settings.calls.longest,
            warning_before: settings.calls.warning,
            answer_timeout: settings.calls.ring,
            ..calls::Config::default()
        },
    }
}

fn endpoint(
    settings: &Settings,
    listeners: &[ListenerInfo],
    own: &[InterfaceAddress],
) -> endpoint::Settings {
    let sip = &settings.sip;
    let limits = &sip.limits;
    let capacity = Capacity::default();
    // A ring group has a session for each of its members.
    let sessions = capacity
        .sessions
        .max(settings.calls.at_once.saturating_mul(8));
    endpoint::Settings {
        listeners: sip
            .listeners
            .iter()
            .zip(listeners)
            .map(|(settings, info)| listener(settings, info, own))
            .collect(),
        product: Some(concat!("antiphon-gateway/", env!("CARGO_PKG_VERSION")).to_owned()),
        timers: Timers {
            t2: sip.t2,
            t4: sip.t4,
            ..Timers::from_t1(sip.t1)
        },
        parser: Limits {
            message: limits.message_bytes,
            ..Limits::default()
        },
        admission: admission::Settings {
            messages: burst_of_five_seconds(limits.requests_per_source),
            invites: burst_of_five_seconds(limits.calls_per_source),
            calls: burst_of_five_seconds(limits.calls_per_second),
            trusted: sip.trusted_peers.iter().copied().map(network).collect(),
            ..admission::Settings::default()
        },
        session_timer: SessionTimerSettings {
            interval: Some(sip.session),
            ..SessionTimerSettings::default()
        },
        capacity: Capacity {
            sessions,
            sessions_soft: sessions / 8 * 7,
            connections: limits.connections,
            ..capacity
        },
        registrar: Some(registrar(settings)),
        ..endpoint::Settings::default()
    }
}

fn burst_of_five_seconds(per_second: u32) -> admission::Rate {
    admission::Rate::per_second(per_second, per_second.saturating_mul(5))
}

fn registrar(settings: &Settings) -> registrar::Settings {
    let sip = &settings.sip;
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    let rate = registrar::Rate {
        per_second: sip.limits.requests_per_source,
        burst: sip.limits.requests_per_source.saturating_mul(5),
    };
    let guard = GuardSettings::default();
    registrar::Settings {
        expiry: Expiry {
            min: seconds(sip.shortest_registration),
            max: seconds(sip.longest_registration),
            default: seconds(sip.usual_registration),
        },
        guard: GuardSettings {
            unproven: rate,
            proven: rate,
            free_failures: sip.limits.wrong_passwords,
            ..guard
        },
        ..registrar::Settings::new(sip.realm.clone())
    }
}

fn listener(
    settings: &ListenerSettings,
    info: &ListenerInfo,
    own: &[InterfaceAddress],
) -> Listener {
    let transport = sip_transport(info.transport);
    let mut listener = Listener::new(ListenerId(info.id.0), transport, info.local);
    let advertised = settings.advertise.or_else(|| only_address(info.local, own));
    listener.advertised = advertised.map(|address| (address.into(), info.local.port()));
    listener.invite_auth = match settings.passwords {
        Passwords::Accounts => InviteAuth::Accounts,
        Passwords::Everybody => InviteAuth::Everybody,
        Passwords::Nobody => InviteAuth::None,
    };
    listener
}

/// What a listener on all addresses has to call itself: the host's only address of the family.
/// With several, each peer is told the one it sent to.
fn only_address(local: SocketAddr, own: &[InterfaceAddress]) -> Option<IpAddr> {
    if !local.ip().is_unspecified() {
        return None;
    }
    let mut candidates = own
        .iter()
        .filter(|own| own.is_up && !own.is_loopback && own.address.is_ipv4() == local.is_ipv4());
    let first = candidates.next()?.address.ip();
    candidates.next().is_none().then_some(first)
}

fn network(address: IpAddr) -> Network {
    Network {
        address,
        prefix: 128,
    }
}

/// Local addresses that media may use: the configured ones, or all that a listener is reached at.
pub(crate) fn media_addresses(
    configured: &[IpAddr],
    listeners: &[ListenerInfo],
    own: &[InterfaceAddress],
) -> Vec<SocketAddr> {
    let scoped = |ip: IpAddr| {
        let known = own.iter().find(|own| own.address.ip() == ip);
        known.map_or(SocketAddr::new(ip, 0), |own| own.address)
    };
    let mut all: Vec<SocketAddr> = configured.iter().copied().map(scoped).collect();
    if configured.is_empty() {
        for info in listeners {
            let local = info.local;
            if local.ip().is_unspecified() {
                let reached = own.iter().filter(|own| own.is_up);
                let family = reached.filter(|own| own.address.is_ipv4() == local.is_ipv4());
                all.extend(family.map(|own| own.address));
            } else {
                all.push(local);
            }
        }
    }
    for address in &mut all {
        address.set_port(0);
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Accounts as the registrar knows them.
pub(crate) fn accounts(settings: &[AccountSettings], realm: &str, contacts: usize) -> Vec<Account> {
    let account = |settings: &AccountSettings| {
        let mut account = Account::new(&settings.user, ha1(settings, realm));
        account.max_contacts = u8::try_from(contacts).unwrap_or(u8::MAX);
        account
    };
    settings.iter().map(account).collect()
}

fn ha1(account: &AccountSettings, realm: &str) -> Ha1Set {
    let md5_use = match account.md5 {
        Md5Login::Allowed => Md5Use::Allowed,
        Md5Login::Refused => Md5Use::Refused,
    };
    match &account.proof {
        Proof::Password(password) => {
            Ha1Set::from_password(&account.user, realm, password.expose(), md5_use)
        }
        Proof::Digests { sha256, md5 } => {
            let mut set = Ha1Set::default();
            let md5 = md5.as_ref().filter(|_| account.md5 == Md5Login::Allowed);
            for (algorithm, text) in [(Algorithm::Sha256, sha256.as_ref()), (Algorithm::Md5, md5)] {
                let hash = text.and_then(|text| Hash::from_hex(text.expose(), algorithm));
                if let Some(hash) = hash {
                    set = set.with(algorithm, hash);
                }
            }
            set
        }
    }
}

/// Stored registrations that have not run out, in the machine's time.
pub(crate) fn restored(stored: Vec<BindingsWrite>, clock: Clock) -> Vec<(Arc<str>, StoredBinding)> {
    let mut all = Vec::with_capacity(stored.len());
    for row in stored {
        for binding in row.bindings {
            if let Some(expires) = clock.instant_at(binding.expires) {
                let data = binding.data;
                all.push((Arc::clone(&row.aor), StoredBinding { expires, data }));
            }
        }
    }
    all
}
