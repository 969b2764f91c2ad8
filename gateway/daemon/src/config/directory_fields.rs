//! The settings of the directory: stations, doors, ring groups, desks, conferences, group calls.
//!
//! Pure declaration, like `fields`. The lists are named as `model::Lists` names them, so that what
//! the model finds wrong is shown where the user wrote it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::{Address, CallNumber, DateRange, DayPeriod, DoorCode, HttpUrl, SipUri, Weekdays};

use super::fields::Srtp;
use super::local::LocalNetwork;
use super::section::{Located, section};
use super::values::{Decibels, Secret, TimeZoneName, Whole, words};

section! {
    /// Everything that can be called, and what it may do.
    pub(crate) struct DirectorySection {
        /// Time zone in which the hours of forwarding rules are meant.
        time_zone: Defaulted<TimeZoneName> = r#""UTC""#,
        /// Whom an alarm is brought to that nobody answered, one after the other and round again.
        escalation: Defaulted<Vec<Located<Address>>> = "[]",
        /// How long each of them rings.
        escalation_ring: Defaulted<Duration> = r#""20s""#,
        /// Number at which everybody hears themselves, to judge a station's delay and level. A
        /// button may lead there too.
        echo_test: Optional<CallNumber> = r#""199""#,
        /// Networks whose devices may be asked over HTTP to open doors, beside the private and
        /// link-local ones. They have to be directly connected: no request passes a router.
        local_networks: Defaulted<Vec<Located<LocalNetwork>>> = "[]",
        /// How families of SIP stations are told to do something over HTTP.
        device_profiles: Repeated<ProfileSection>,
        /// Intercom devices and phones.
        stations: Repeated<StationSection>,
        /// Numbers behind which several stations ring at once.
        ring_groups: Repeated<RingGroupSection>,
        /// Numbers behind which call requests wait until somebody takes them.
        desks: Repeated<DeskSection>,
        /// Numbers behind which many talk to many.
        conferences: Repeated<ConferenceSection>,
        /// Numbers behind which one talks to many.
        group_calls: Repeated<GroupCallSection>,
    }
}

words! {
    /// What a station is.
    pub(crate) enum Kind {
        /// At a door or gate.
        DoorStation = "door_station",
        /// On a desk.
        DeskStation = "desk_station",
        /// For emergencies.
        EmergencyPoint = "emergency_point",
        /// A telephone.
        SipPhone = "sip_phone",
        /// Anything else.
        Generic = "generic",
    }
}

words! {
    /// Whose calls open a station without a touch.
    pub(crate) enum AutoAnswerWord {
        /// Nobody's.
        Never = "never",
        /// By how urgent they are.
        ByPriority = "by_priority",
        /// Everybody's but those of low priority.
        Always = "always",
    }
}

words! {
    /// Whether a station may shut itself off.
    pub(crate) enum PrivacyWord {
        /// It may.
        Allowed = "allowed",
        /// It may not.
        Forbidden = "forbidden",
    }
}

words! {
    /// How microphone and loudspeaker work together.
    pub(crate) enum TalkWord {
        /// Both at once.
        OpenDuplex = "open_duplex",
        /// The louder side is heard.
        VoiceSwitched = "voice_switched",
        /// Whoever holds the talk key is heard.
        Simplex = "simplex",
    }
}

words! {
    /// In which form keys come.
    pub(crate) enum KeyWord {
        /// As the station likes.
        Auto = "auto",
        /// RFC 4733.
        Events = "events",
        /// Tones in its sound.
        Inband = "inband",
        /// INFO.
        Info = "info",
    }
}

section! {
    /// A station.
    pub(crate) struct StationSection {
        /// Lasting name of the station for this program; call records refer to it. Without it, the
        /// number.
        key: Optional<String> = r#""main-gate""#,
        /// What others dial: 1 to 8 digits.
        number: Required<CallNumber> = r#""101""#,
        /// What people call it.
        name: Optional<String> = r#""Main gate""#,
        /// "door_station", "desk_station", "emergency_point" (its calls are alarms), "sip_phone" or
        /// "generic".
        kind: Defaulted<Kind> = r#""generic""#,
        /// SIP user that the station registers as. Without it, the number. Needs a password.
        account: Optional<String> = r#""101""#,
        /// For a station that does not register: where it is called directly.
        uri: Optional<SipUri> = r#""sip:gate@192.0.2.20""#,
        /// For a station of an older server: the name of the line, or of the further server, that
        /// it is reached through. It does not register; its doors and calls go over the line.
        behind: Optional<String> = r#""hall""#,
        /// Password of the account. Better kept apart from this file, in one of the next four.
        password: Optional<Secret> = r#""correct horse battery staple""#,
        /// File with the password; its first line counts.
        password_file: Optional<PathBuf> = r#""/etc/antiphon-gateway/101.secret""#,
        /// Environment variable with the password.
        password_env: Optional<String> = r#""STATION_101""#,
        /// Digest of the password, as `hash-password` prints it; worth as much as the password
        /// within this realm.
        ha1_sha256: Optional<Secret> =
            r#""0000000000000000000000000000000000000000000000000000000000000000""#,
        /// The same for stations that know MD5 only; needs `allow_md5`.
        ha1_md5: Optional<Secret> = r#""00000000000000000000000000000000""#,
        /// Ask this station for MD5, which can be broken by guessing, in place of SHA-256. Old
        /// stations know nothing else; one that answers with SHA-256 is let in as well.
        allow_md5: Defaulted<bool> = "false",
        /// How urgent its calls are: 1 to 20 alarm, 21 to 40 high, 41 to 100 normal, 101 to 250
        /// low. Without it, 70, and an alarm for an emergency point.
        priority: Optional<Whole<1, 250>> = "70",
        /// Whose calls open this station without a touch: "never", "by_priority" (alarms at once,
        /// urgent calls when free) or "always". A tone announces it every time.
        auto_answer: Defaulted<AutoAnswerWord> = r#""by_priority""#,
        /// Callers that open it too, whatever their priority; for "by_priority".
        auto_answer_from: Defaulted<Vec<Located<Address>>> = "[]",
        /// Calls that may wait while the station is in one; 0 tells further callers "busy".
        waiting_calls: Defaulted<Whole<0, 20>> = "0",
        /// Whether the station may switch to privacy, where only alarms get through: "allowed" or
        /// "forbidden".
        privacy: Defaulted<PrivacyWord> = r#""allowed""#,
        /// "open_duplex", "voice_switched", or "simplex" with a talk key.
        talk: Defaulted<TalkWord> = r#""open_duplex""#,
        /// Takes noise out of what others hear of it: traffic, wind, machines. What it says is then
        /// always decoded and encoded again, 10 to 18 ms later; music and tones do not survive it.
        /// Recordings have it as it came.
        noise_suppression: Defaulted<bool> = "false",
        /// Takes away what others hear of themselves through it: for a telephone or loudspeaker
        /// without a canceller of its own. What it says and hears is then always decoded and encoded
        /// again; while both speak some of its voice goes with the echo. Recordings have it as it
        /// came.
        echo_control: Defaulted<bool> = "false",
        /// How much louder others hear it, in whole dB from -24 to 24. Where it is not 0, what it
        /// says is always decoded and encoded again.
        microphone_gain: Defaulted<Decibels> = "0",
        /// How much louder it hears others, likewise.
        loudspeaker_gain: Defaulted<Decibels> = "0",
        /// In which form keys that are pressed at it in a call are heard, such as the code of a
        /// door: "auto" (events or INFO; tones in its sound where it has no events and could open
        /// a door), "events" (RFC 4733), "inband" (tones: an old telephone behind an adapter) or
        /// "info".
        dtmf: Defaulted<KeyWord> = r#""auto""#,
        /// Encryption of its calls, where it differs from `srtp` in `[media]`. Stations that refuse
        /// an offer of both (pjsua with SRTP mandatory) need "required".
        srtp: Optional<Srtp> = r#""required""#,
        /// Keys of doors of other stations that it may open without a call.
        may_open: Defaulted<Vec<Located<String>>> = "[]",
        /// Its own page, by which it opens doors, answers and ends calls.
        remote: Perhaps<RemoteSection>,
        /// Doors at this station, at most 2.
        doors: Repeated<DoorSection>,
        /// Call buttons that do not dial a number themselves.
        buttons: Repeated<ButtonSection>,
        /// Where its calls go instead; the first rule that fits decides. At most 20.
        forwarding: Repeated<ForwardingSection>,
    }
}

section! {
    /// A family of stations. Paths of its pages are those of its manual; none is built in.
    pub(crate) struct ProfileSection {
        /// Name for `remote`.
        name: Required<String> = r#""sip-series""#,
        /// The page that closes a relay for some time: {relay} is its number, {seconds} how long.
        door_opener: Required<String> =
            r#""/cgi-bin/remotecontrol/SCRIPT?relay={relay}&mode=dooropener&dooropenertimer={seconds}""#,
        /// The page that takes a call.
        answer: Optional<String> = r#""/cgi-bin/remotecontrol/hook.cgi?hook=answer""#,
        /// The page that ends one.
        cancel: Optional<String> = r#""/cgi-bin/remotecontrol/hook.cgi?hook=cancel""#,
        /// The page that refuses one.
        decline: Optional<String> = r#""/cgi-bin/remotecontrol/hook.cgi?hook=decline""#,
    }
}

section! {
    /// The page of a station. It is asked over http, within the local segment only: what is asked
    /// passes no router.
    pub(crate) struct RemoteSection {
        /// Name of a device profile.
        profile: Required<String> = r#""sip-series""#,
        /// Address and port of the station.
        address: Required<SocketAddr> = r#""192.168.1.30:80""#,
        /// Its account for remote control.
        user: Optional<String> = r#""remote""#,
        /// File with the password of that account; its first line counts.
        password_file: Optional<PathBuf> = r#""/etc/antiphon-gateway/remote.secret""#,
    }
}

words! {
    /// Who may open a door while talking with its station.
    pub(crate) enum InCallWord {
        /// Whoever is in the call.
        Anybody = "anybody",
        /// Those in `permitted`.
        Listed = "listed",
        /// Nobody.
        Nobody = "nobody",
    }
}

section! {
    /// A door, gate or barrier.
    pub(crate) struct DoorSection {
        /// Lasting name of the door for this program and for `open`.
        key: Required<String> = r#""main-gate""#,
        /// What people call it.
        name: Optional<String> = r#""Main gate""#,
        /// Output of the station that opens it, counted from 1.
        output: Optional<Whole<1, 32>> = "1",
        /// Instead of an output: a URL that is requested to open it.
        url: Optional<HttpUrl> = r#""http://192.168.1.30/relay/1""#,
        /// Instead of both: the relay of the station that its page switches; see `remote`.
        relay: Optional<Whole<1, 8>> = "1",
        /// How long the output is closed, 0.1 to 60 seconds.
        pulse: Defaulted<Duration> = r#""3s""#,
        /// What the other side dials during the call to open it. Without it, nobody opens by
        /// dialling.
        code: Optional<DoorCode> = r##""#1""##,
        /// Who may open it while talking with the station: "anybody", "listed" or "nobody".
        in_call: Defaulted<InCallWord> = r#""anybody""#,
        /// Numbers and SIP addresses that may open it; for "listed".
        permitted: Defaulted<Vec<Located<Address>>> = "[]",
        /// Input of the station, counted from 1, with a contact that says the door is open.
        contact: Optional<Whole<1, 32>> = "1",
        /// The station itself confirms that it has switched. Without this and without a contact,
        /// no more than "sent, not confirmed" can be said.
        station_confirms: Defaulted<bool> = "false",
    }
}

section! {
    /// A call button.
    pub(crate) struct ButtonSection {
        /// Its position on the device.
        key: Required<Whole<0, 65535>> = "1",
        /// What stands on it.
        label: Optional<String> = r#""Reception""#,
        /// Number or SIP address that it calls.
        target: Required<Address> = r#""200""#,
        /// How urgent its calls are, if other than the station's.
        priority: Optional<Whole<1, 250>> = "30",
    }
}

words! {
    /// When a call is forwarded.
    pub(crate) enum WhenWord {
        /// At once.
        Always = "always",
        /// In a call.
        Busy = "busy",
        /// Nobody came.
        NoAnswer = "no_answer",
        /// Not there.
        Unreachable = "unreachable",
    }
}

section! {
    /// A forwarding rule.
    pub(crate) struct ForwardingSection {
        /// "always", "busy", "no_answer" or "unreachable".
        when: Required<WhenWord> = r#""no_answer""#,
        /// For "no_answer": after how long.
        after: Defaulted<Duration> = r#""20s""#,
        /// Number or SIP address that is called instead.
        to: Required<Address> = r#""200""#,
        /// Only on these days: "mon-fri", "sat,sun".
        days: Optional<Weekdays> = r#""mon-fri""#,
        /// Only from the first to the last of these days.
        dates: Optional<DateRange> = r#""2026-12-24/2027-01-06""#,
        /// Only at these hours; past midnight, they belong to the day on which they begin.
        hours: Optional<DayPeriod> = r#""22:00-06:00""#,
    }
}

section! {
    /// A ring group.
    pub(crate) struct RingGroupSection {
        /// Lasting name for this program. Without it, the number.
        key: Optional<String> = r#""reception""#,
        /// What others dial.
        number: Required<CallNumber> = r#""200""#,
        /// What people call it.
        name: Optional<String> = r#""Reception""#,
        /// Numbers and SIP addresses that ring at once, 1 to 32.
        members: Required<Vec<Located<Address>>> = r#"["102", "103"]"#,
        /// Let those who are rung see and hear the caller before they answer.
        early_media: Defaulted<bool> = "false",
        /// How long they ring.
        ring_for: Defaulted<Duration> = r#""30s""#,
        /// Where the call goes when nobody answers.
        then: Optional<Address> = r#""300""#,
    }
}

section! {
    /// A control desk: calling it queues a request that all its positions see and one takes.
    pub(crate) struct DeskSection {
        /// Lasting name for this program. Without it, the number.
        key: Optional<String> = r#""control-room""#,
        /// What others dial.
        number: Required<CallNumber> = r#""300""#,
        /// What people call it.
        name: Optional<String> = r#""Control room""#,
        /// Numbers and SIP addresses that see the queue, 1 to 64.
        positions: Required<Vec<Located<Address>>> = r#"["102"]"#,
        /// How often a waiting request is brought to mind.
        remind_every: Defaulted<Duration> = r#""30s""#,
        /// Where a request goes that nobody takes.
        escalate_to: Optional<Address> = r#""200""#,
        /// After how long.
        escalate_after: Defaulted<Duration> = r#""60s""#,
        /// When a request ends that nobody took; alarms never do.
        expires_after: Defaulted<Duration> = r#""30m""#,
    }
}

words! {
    /// Who is heard in a conference.
    pub(crate) enum RoomTalkWord {
        /// All at once.
        Everybody = "everybody",
        /// Whoever holds the talk key.
        TalkKey = "talk_key",
    }
}

section! {
    /// A conference.
    pub(crate) struct ConferenceSection {
        /// Lasting name for this program. Without it, the number.
        key: Optional<String> = r#""morning""#,
        /// What others dial to join.
        number: Required<CallNumber> = r#""400""#,
        /// What people call it.
        name: Optional<String> = r#""Morning round""#,
        /// Called as soon as the first one joins.
        members: Defaulted<Vec<Located<Address>>> = "[]",
        /// Who is heard: "everybody", or the one with the "talk_key".
        talk: Defaulted<RoomTalkWord> = r#""everybody""#,
    }
}

section! {
    /// A group call: an announcement; the stations open by themselves and listen.
    pub(crate) struct GroupCallSection {
        /// Lasting name for this program. Without it, the number.
        key: Optional<String> = r#""all-floors""#,
        /// What others dial.
        number: Required<CallNumber> = r#""500""#,
        /// What people call it.
        name: Optional<String> = r#""All floors""#,
        /// Numbers and SIP addresses that hear it, 1 to 32.
        members: Required<Vec<Located<Address>>> = r#"["101", "102"]"#,
        /// How urgent it is, unless its caller is more so.
        priority: Defaulted<Whole<1, 250>> = "70",
        /// Whether a listener may speak while the caller's talk key is up.
        answer_back: Defaulted<bool> = "false",
    }
}
