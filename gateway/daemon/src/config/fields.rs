//! The settings of the gateway, section by section, each documented where it is declared.
//!
//! Pure declaration: these comments are the reference that `config-reference` prints, and the
//! defaults are the text that it shows. What may stand together is judged in `check`. The sections
//! of the directory (stations, doors, ring groups) are in `directory_fields`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use model::{CallNumber, Encryption};

use super::cloud::ProxyAddress;
use super::directory_fields::DirectorySection;
use super::lines::LineSection;
use super::realm::RealmName;
use super::section::{Located, section};
use super::values::{PortRange, Whole, words};

section! {
    /// The whole file.
    pub(crate) struct GatewayFile {
        /// Name of this gateway: shown in logs, metrics and by `status`, and the SIP realm unless
        /// another one is set. Stations keep passwords per realm, so choose it once.
        name: Required<String> = r#""house-7""#,
        /// Folder for what must survive a restart: registrations, call records, counters.
        state_folder: Defaulted<PathBuf> = r#""/var/lib/antiphon-gateway""#,
        /// Unix socket on which `status`, `calls`, `end`, `open` and `reload` reach the running
        /// gateway. Who may write to it may operate doors: it is created with mode 0660.
        control_socket: Defaulted<PathBuf> = r#""/run/antiphon-gateway/control.sock""#,
        /// SIP: where stations reach the gateway and what they may do.
        sip: Nested<SipSection>,
        /// Audio and video.
        media: Nested<MediaSection>,
        /// Recordings of calls.
        recording: Nested<RecordingSection>,
        /// The flight recorder.
        timeline: Nested<TimelineSection>,
        /// Limits of calls.
        calls: Nested<CallsSection>,
        /// Stations, doors and ring groups. May stand here, or in a file of its own, and then this
        /// line says which: directory = "directory.toml" (beside this file). In that file the
        /// tables are called [[stations]] and so on, without "directory.". Either is read again on
        /// `reload`, on SIGHUP and when the file changes; calls are not touched.
        directory: HereOrFile<DirectorySection>,
        /// Which codes of SIP and of telephone networks stand for which cause, where the usual ones
        /// (RFC 3398) do not fit a device. Read at the start only.
        causes: Nested<CausesSection>,
        /// Lines to older intercom servers; read at the start only.
        line: Repeated<LineSection>,
        /// The cloud core, once `antiphon-gateway claim` has made this gateway one of its own. Read
        /// at the start only.
        cloud: Nested<CloudSection>,
        /// Registrations and call records on disk.
        store: Nested<StoreSection>,
        /// Figures for Prometheus.
        metrics: Nested<MetricsSection>,
        /// The log.
        log: Nested<LogSection>,
        /// What happens when the gateway is told to stop.
        stop: Nested<StopSection>,
    }
}

section! {
    /// The way to the cloud core. Only outgoing connections are made: HTTPS to its address, MQTT over
    /// TLS to the one that it names (port 8883 as a rule).
    pub(crate) struct CloudSection {
        /// An HTTP proxy that lets connections through (CONNECT); a login stands before its name:
        /// "http://user:password@proxy.example.com:3128". Without it, connections go straight.
        proxy: Optional<ProxyAddress> = r#""http://proxy.example.com:3128""#,
        /// File with the authorities that the core's certificate is believed by when the gateway is
        /// claimed; without it, those of the system. Later only what the core itself gave is believed.
        authorities: Optional<PathBuf> = r#""/etc/antiphon-gateway/core-ca.crt""#,
        /// Numbers that are called at the core as they are: its ring groups, its people. A number that
        /// somebody here has rings here.
        numbers: Defaulted<Vec<Located<CallNumber>>> = "[]",
        /// What is dialled here in front of any number of the core.
        block: Optional<CallNumber> = r#""8""#,
    }
}

section! {
    /// SIP as a whole.
    pub(crate) struct SipSection {
        /// Realm of passwords; without it, the name of the gateway. A change makes every stored
        /// HA1 and every password in a station invalid.
        realm: Optional<RealmName> = r#""antiphon""#,
        /// Where to listen; at least one.
        listen: Repeated<ListenSection> = "shown",
        /// Addresses of devices that call without a password, such as a PBX in a closed network.
        /// They are believed whatever caller number they show.
        trusted_peers: Defaulted<Vec<Located<IpAddr>>> = "[]",
        /// File with the authorities whose certificates are believed when the gateway itself opens a
        /// TLS connection. Without it, it opens none.
        authorities: Optional<PathBuf> = r#""/etc/antiphon-gateway/servers-ca.crt""#,
        /// Timers of RFC 3261 and RFC 4028.
        timers: Nested<TimersSection>,
        /// Registration of stations.
        registration: Nested<RegistrationSection>,
        /// Limits that keep one bad device or an attacker from harming the others.
        limits: Nested<LimitsSection>,
    }
}

words! {
    /// How SIP travels.
    pub(crate) enum Transport {
        /// Datagrams.
        Udp = "udp",
        /// A TCP connection.
        Tcp = "tcp",
        /// TLS 1.2 or 1.3 over TCP.
        Tls = "tls",
    }
}

words! {
    /// Whether what is said is encrypted.
    pub(crate) enum Srtp {
        /// It is not.
        Off = "off",
        /// Where the station can.
        Preferred = "preferred",
        /// Always.
        Required = "required",
    }
}

impl From<Srtp> for Encryption {
    fn from(word: Srtp) -> Self {
        match word {
            Srtp::Off => Self::Off,
            Srtp::Preferred => Self::Preferred,
            Srtp::Required => Self::Required,
        }
    }
}

words! {
    /// Who needs a password.
    pub(crate) enum Passwords {
        /// Whoever says to be a station.
        Accounts = "accounts",
        /// Everybody.
        Everybody = "everybody",
        /// Nobody.
        Nobody = "nobody",
    }
}

section! {
    /// One address that SIP is spoken on.
    pub(crate) struct ListenSection {
        /// "udp", "tcp" or "tls".
        transport: Required<Transport> = r#""udp""#,
        /// Address and port. Link-local IPv6 needs the interface: "[fe80::1%eth0]:5060".
        /// Port 0 lets the system choose; `status` shows which one it was.
        address: Required<SocketAddr> = r#""0.0.0.0:5060""#,
        /// Address that others are told, where it is not the one they send to (address translation),
        /// or where the gateway listens on all addresses ("0.0.0.0") of a host with several.
        advertise: Optional<IpAddr> = r#""192.0.2.10""#,
        /// Who needs a password to call: "accounts" (whoever says to be a station of the
        /// directory; others are callers from outside), "everybody" (who is not a station is
        /// refused) or "nobody", for closed networks.
        passwords: Defaulted<Passwords> = r#""accounts""#,
        /// TLS only: file with the certificate chain in PEM form.
        certificate: Optional<PathBuf> = r#""/etc/antiphon-gateway/sip.crt""#,
        /// TLS only: file with the private key in PEM form; nobody but the gateway should be able
        /// to read it.
        key: Optional<PathBuf> = r#""/etc/antiphon-gateway/sip.key""#,
        /// TLS only: file with the authorities whose client certificates are asked for. With it, a
        /// device without such a certificate is refused.
        client_authorities: Optional<PathBuf> = r#""/etc/antiphon-gateway/devices-ca.crt""#,
    }
}

section! {
    /// Timers of SIP.
    pub(crate) struct TimersSection {
        /// Estimate of the round trip; UDP repeats an unanswered request after it (RFC 3261 T1).
        t1: Defaulted<Duration> = r#""500ms""#,
        /// Longest pause between two repetitions (RFC 3261 T2).
        t2: Defaulted<Duration> = r#""4s""#,
        /// Longest time a message may stay in the network (RFC 3261 T4).
        t4: Defaulted<Duration> = r#""5s""#,
        /// After how long a silent call is asked whether it still lives (RFC 4028); a call whose
        /// station died ends after it.
        session: Defaulted<Duration> = r#""30m""#,
    }
}

section! {
    /// Registration.
    pub(crate) struct RegistrationSection {
        /// Shortest time a station may register for; shorter ones are told this one (423).
        shortest: Defaulted<Duration> = r#""30s""#,
        /// Time for stations that ask for none.
        usual: Defaulted<Duration> = r#""10m""#,
        /// Longest time a station is granted.
        longest: Defaulted<Duration> = r#""1h""#,
        /// How many devices may be registered under one station at once.
        contacts_per_station: Defaulted<Whole<1, 100>> = "8",
    }
}

section! {
    /// Limits against floods.
    pub(crate) struct LimitsSection {
        /// Longest SIP message in bytes; longer ones are refused.
        message_bytes: Defaulted<Whole<1_500, 1_000_000>> = "65535",
        /// TCP and TLS connections in total.
        connections: Defaulted<Whole<1, 1_000_000>> = "16384",
        /// TCP and TLS connections from one address.
        connections_per_source: Defaulted<Whole<1, 1_000_000>> = "64",
        /// How long a TLS handshake may take.
        handshake: Defaulted<Duration> = r#""5s""#,
        /// When a connection without traffic is closed. Stations without a keep-alive speak at
        /// least when they renew their registration, so more than its longest time is best.
        idle: Defaulted<Duration> = r#""65m""#,
        /// Requests a second from one address; what exceeds it is answered 503 or dropped.
        requests_per_source: Defaulted<Whole<1, 1_000_000>> = "200",
        /// New calls a second from one address.
        calls_per_source: Defaulted<Whole<1, 1_000_000>> = "20",
        /// New calls a second in total; alarm calls are let through beyond it.
        calls_per_second: Defaulted<Whole<1, 1_000_000>> = "1000",
        /// Wrong passwords from one address that cost nothing. Each further one bars the address
        /// for twice as long, up to 15 minutes; a station is never barred where it is registered.
        wrong_passwords: Defaulted<Whole<1, 10_000>> = "5",
    }
}

section! {
    /// Audio and video.
    pub(crate) struct MediaSection {
        /// Own addresses that audio may arrive at, one for each network with stations. Calls use
        /// the one their SIP messages come in on, else the first of the same IP version. Without
        /// any, the addresses of the SIP listeners.
        addresses: Defaulted<Vec<Located<IpAddr>>> = "[]",
        /// UDP ports for audio and video; two for each stream of each station in a call.
        ports: Defaulted<PortRange> = r#""10000-50000""#,
        /// Mark on outgoing packets (DSCP), for routers that give speech priority; 46 is
        /// "expedited forwarding", 0 is none.
        dscp: Defaulted<Whole<0, 63>> = "46",
        /// Encryption between stations and the gateway (SRTP, with keys in SIP): "preferred" (keys
        /// are offered to stations on TLS and taken of any; who has none is spoken with all the
        /// same), "required" (who has none is refused) or "off". A station may differ. Keys are as
        /// secret as the SIP messages that carry them: over "udp" and "tcp" anybody on the way can
        /// read them.
        srtp: Defaulted<Srtp> = r#""preferred""#,
        /// Threads that move and transcode audio and video; each call is at one. Without a number,
        /// one for each core of the machine but one. One core transcodes about a hundred calls, or
        /// passes on about a thousand as they are.
        threads: Optional<Whole<1, 64>> = "2",
        /// The country whose tones are heard (ring-back, hold, the warning before the longest
        /// duration): "europe" or "north_america".
        tones: Defaulted<Tones> = r#""europe""#,
        /// WAV files that are played in place of tones, read at the start: 16 bit, one or two
        /// channels, 8000, 16000 or 48000 samples a second, up to two minutes.
        announcements: Nested<AnnouncementsSection>,
        /// Recorded messages: WAV files as above that a station is played in a call of its own, asked
        /// for by number from behind a line or with `lines announce`.
        messages: Repeated<PlayedSection>,
        /// Audio programmes: WAV files as above that stations hear over and over while they have no
        /// call, asked for by number from behind a line or with `lines programme`.
        programmes: Repeated<PlayedSection>,
    }
}

section! {
    /// A WAV file with a number; its path is relative to this file.
    pub(crate) struct PlayedSection {
        /// By which it is asked for.
        number: Required<Whole<0, 255>> = "1",
        /// The file.
        file: Required<PathBuf> = r#""announcements/closing.wav""#,
    }
}

section! {
    /// Announcements; paths are relative to this file.
    pub(crate) struct AnnouncementsSection {
        /// To a station that opens by itself, over the first words: "this call was opened by ...".
        auto_answer: Optional<PathBuf> = r#""announcements/auto_answer.wav""#,
        /// To both, over their conversation, before its longest duration is over.
        time_limit: Optional<PathBuf> = r#""announcements/time_limit.wav""#,
        /// To whoever is held, over and over.
        hold: Optional<PathBuf> = r#""announcements/hold.wav""#,
        /// To whoever opened a door by its code.
        door_sent: Optional<PathBuf> = r#""announcements/door_sent.wav""#,
        /// To whoever dialled a door code that is not permitted now.
        door_refused: Optional<PathBuf> = r#""announcements/door_refused.wav""#,
        /// To a caller before its call is refused, in place of a busy tone: the called one is busy
        /// or wants no call.
        busy: Optional<PathBuf> = r#""announcements/busy.wav""#,
        /// The same: nobody answered, or nobody can be reached.
        unavailable: Optional<PathBuf> = r#""announcements/unavailable.wav""#,
        /// The same: there is no such number.
        unknown_number: Optional<PathBuf> = r#""announcements/unknown_number.wav""#,
        /// To whoever calls the `echo_test` of the directory, before they hear themselves.
        echo_test: Optional<PathBuf> = r#""announcements/echo_test.wav""#,
    }
}

words! {
    /// Whose tones.
    pub(crate) enum Tones {
        /// 425 Hz, as in most of Europe.
        Europe = "europe",
        /// The United States and Canada.
        NorthAmerica = "north_america",
    }
}

words! {
    /// Which calls are recorded.
    pub(crate) enum RecordCalls {
        /// None but those that an operator asks for.
        Never = "never",
        /// Alarms.
        Alarms = "alarms",
        /// All.
        All = "all",
    }
}

section! {
    /// Recordings of calls. In most countries those who talk must know of them: docs/operations.md.
    pub(crate) struct RecordingSection {
        /// Which calls are recorded without being asked for: "never", "alarms" or "all". Whatever
        /// stands here, `media record` begins a recording by hand. They are written to the folder
        /// "recordings" in `state_folder`, as Ogg Opus: the caller left, the called right.
        calls: Defaulted<RecordCalls> = r#""never""#,
        /// How long recordings are kept.
        keep: Defaulted<Duration> = r#""30d""#,
        /// How many megabytes they may take; the oldest make room. An hour is about 22.
        megabytes: Defaulted<Whole<1, 100_000_000>> = "2000",
    }
}

section! {
    /// The flight recorder: every message, frame of a line, door command and event, chained by
    /// hashes, without secrets and without sound: docs/operations.md. It is in the folder "timeline"
    /// in `state_folder`; `antiphon-gateway timeline` reads it.
    pub(crate) struct TimelineSection {
        /// Whether it is kept.
        record: Defaulted<bool> = "true",
        /// How long it is kept.
        keep: Defaulted<Duration> = r#""14d""#,
        /// How many megabytes it may take; the oldest make room. A call between two stations takes
        /// about 20 kilobytes.
        megabytes: Defaulted<Whole<4, 1_000_000>> = "256",
    }
}

section! {
    /// Limits of calls.
    pub(crate) struct CallsSection {
        /// Longest conversation.
        longest: Defaulted<Duration> = r#""10m""#,
        /// How long before the end the warning tone sounds.
        warning: Defaulted<Duration> = r#""30s""#,
        /// How long a station rings before the call goes on elsewhere or ends.
        ring: Defaulted<Duration> = r#""60s""#,
        /// Calls at the same time; more are answered 503. Alarm calls are let through.
        at_once: Defaulted<Whole<1, 100_000>> = "1000",
    }
}

words! {
    /// What the store does before an answer leaves the gateway.
    pub(crate) enum Durability {
        /// Written to the disk itself.
        Power = "power",
        /// Handed to the system.
        Crash = "crash",
    }
}

section! {
    /// Causes of refused and ended calls.
    pub(crate) struct CausesSection {
        /// What both sides are told of a cause of the gateway's own.
        own: Repeated<OwnCauseSection>,
        /// What SIP is told of what a telephone network said.
        heard_q850: Repeated<CodesSection>,
        /// What a telephone network is told of what SIP said.
        heard_status: Repeated<CodesSection>,
    }
}

section! {
    /// A cause and its two codes.
    pub(crate) struct OwnCauseSection {
        /// Its name in call records: "busy", "declined", "no_answer" ...
        cause: Required<String> = r#""declined""#,
        /// The status of SIP, 400 to 699.
        status: Required<Whole<400, 699>> = "603",
        /// The cause of Q.850, 1 to 127.
        q850: Required<Whole<1, 127>> = "21",
    }
}

section! {
    /// A status of SIP and a cause of Q.850.
    pub(crate) struct CodesSection {
        /// The status, 400 to 699.
        status: Required<Whole<400, 699>> = "486",
        /// The cause of Q.850, 1 to 127.
        q850: Required<Whole<1, 127>> = "17",
    }
}

section! {
    /// The store.
    pub(crate) struct StoreSection {
        /// What a confirmed registration survives: "power" waits for the disk; "crash" for the
        /// system only, which spares flash memory: a power cut may then cost the registrations of
        /// the last ten seconds, never the file. Call records and state always wait for the disk.
        registrations: Defaulted<Durability> = r#""power""#,
        /// How long call records and door events are kept.
        keep_records: Defaulted<Duration> = r#""180d""#,
    }
}

section! {
    /// Metrics.
    pub(crate) struct MetricsSection {
        /// Where Prometheus fetches `/metrics` and a probe asks `/healthz`. Reachable from this
        /// machine alone unless you change it. Port 0 lets the system choose.
        listen: Defaulted<SocketAddr> = r#""127.0.0.1:9460""#,
    }
}

words! {
    /// The form of log lines.
    pub(crate) enum LogFormat {
        /// For people.
        Plain = "plain",
        /// One JSON object per line.
        Json = "json",
    }
}

section! {
    /// The log, written to standard error, where systemd takes it.
    pub(crate) struct LogSection {
        /// "plain" for people, "json" for programs. Numbers, names and addresses of people are
        /// blacked out in both.
        format: Defaulted<LogFormat> = r#""plain""#,
        /// What is logged: "error", "warn", "info", "debug" or "trace", also per part of the
        /// program: "info,sip=debug".
        level: Defaulted<String> = r#""info""#,
    }
}

section! {
    /// Stopping.
    pub(crate) struct StopSection {
        /// How long running calls may go on after SIGTERM; new ones are refused with 503. A second
        /// SIGTERM ends them at once.
        grace: Defaulted<Duration> = r#""20s""#,
    }
}
