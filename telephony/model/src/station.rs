//! A station: an intercom device and what it may do.

use std::fmt;

use jiff::tz::TimeZone;

use crate::{
    AccountUser, Address, CallNumber, CloudUserId, Door, DoorId, ForwardWhen, ForwardingRule,
    Loudness, NodeId, Pii, Priority, SipUri, Site, StationId, Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    pub id: StationId,
    pub number: CallNumber,
    /// What people call it. May be a person's name, at a flat for example.
    pub name: Pii<String>,
    pub kind: StationKind,
    pub reach: Reach,
    /// At most 2 (C4).
    pub doors: Vec<Door>,
    /// Doors of other stations that this one may open without being in a call with them.
    pub may_open: Vec<DoorId>,
    pub buttons: Vec<CallButton>,
    /// How urgent this station's calls are; a button may say otherwise.
    pub priority: Priority,
    pub auto_answer: AutoAnswer,
    pub busy: BusyPolicy,
    pub privacy: PrivacyRight,
    pub talk: TalkStyle,
    pub keys: KeyWay,
    pub noise: NoiseAround,
    pub echo: Echo,
    pub loudness: Loudness,
    /// `None`: as everywhere on this site.
    pub encryption: Option<Encryption>,
    /// At most 20 (C6). The first that fits decides.
    pub forwarding: Vec<ForwardingRule>,
    /// The zone in which its rules are read; `None`: that of the site.
    pub zone: Option<TimeZone>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StationKind {
    DoorStation,
    DeskStation,
    /// Its calls are alarms unless its priority says otherwise.
    EmergencyPoint,
    SipPhone,
    #[default]
    Generic,
}

/// How a station is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It registers here with this SIP account.
    Account(AccountUser),
    /// It is called directly, without a registration (mesh, M3).
    Direct(SipUri),
    /// It belongs to another server, over a link.
    Behind(NodeId),
    /// It is whatever this person has open: browsers, telephones.
    User(CloudUserId),
}

/// A button, named by its position on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallButton {
    pub key: u16,
    pub label: Pii<String>,
    pub target: Address,
    pub priority: Option<Priority>,
}

/// Whose calls open this station without anybody touching it. An open microphone is a matter of
/// privacy, so the right is given here and nowhere else; every such opening is announced by a tone.
/// Calls of the low band always ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AutoAnswer {
    /// Nobody's, not even an alarm's.
    Never,
    /// Alarms at once, the high band where the station is free.
    #[default]
    ByPriority,
    /// As `ByPriority`, and the calls of these.
    From(Vec<Address>),
    /// As `ByPriority`, and every call of the normal band.
    Always,
}

/// What a second caller meets at a station in a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BusyPolicy {
    #[default]
    Refuse,
    /// Up to this many calls wait at the station beside the one in progress, 1 to 20 (C2).
    Wait { up_to: u8 },
}

/// Whether the station may switch itself to privacy, where only alarms get through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrivacyRight {
    #[default]
    Allowed,
    Forbidden,
}

/// How the station's microphone and loudspeaker work together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TalkStyle {
    #[default]
    OpenDuplex,
    VoiceSwitched,
    /// With a talk key, one at a time.
    Simplex,
}

/// Whether what is said is encrypted between a station and the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    Off,
    /// Where the station can.
    #[default]
    Preferred,
    /// A station that cannot is not spoken with.
    Required,
}

/// What becomes of the noise around a station, before others hear it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoiseAround {
    #[default]
    Kept,
    Suppressed,
}

/// What becomes of that which a station sends back of what it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Echo {
    /// As the station sends it: most take it away themselves.
    #[default]
    Kept,
    TakenAway,
}

/// In which form a station tells keys that are pressed during a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyWay {
    /// As events or by INFO, as it likes; as tones where it has agreed on no events.
    #[default]
    Auto,
    /// Events in RTP (RFC 4733) alone.
    Events,
    /// Tones in its sound, whatever it has agreed on: an old telephone behind an adapter.
    Tones,
    /// INFO alone.
    Info,
}

impl Station {
    /// A station with nothing but what it cannot do without; the rest is as the kind usually is.
    pub fn new(id: StationId, number: CallNumber, kind: StationKind, reach: Reach) -> Self {
        Self {
            id,
            number,
            name: Pii::default(),
            kind,
            reach,
            doors: Vec::new(),
            may_open: Vec::new(),
            buttons: Vec::new(),
            priority: kind.default_priority(),
            auto_answer: AutoAnswer::default(),
            busy: BusyPolicy::default(),
            privacy: PrivacyRight::default(),
            talk: TalkStyle::default(),
            keys: KeyWay::default(),
            noise: NoiseAround::default(),
            echo: Echo::default(),
            loudness: Loudness::default(),
            encryption: None,
            forwarding: Vec::new(),
            zone: None,
        }
    }

    pub fn account(&self) -> Option<&AccountUser> {
        match &self.reach {
            Reach::Account(user) => Some(user),
            Reach::Direct(_) | Reach::Behind(_) | Reach::User(_) => None,
        }
    }

    pub fn button(&self, key: u16) -> Option<&CallButton> {
        self.buttons.iter().find(|b| b.key == key)
    }

    pub fn door(&self, id: DoorId) -> Option<&Door> {
        self.doors.iter().find(|d| d.id == id)
    }

    /// The most urgent priority that a call of this station can rightly claim.
    pub fn most_urgent(&self) -> Priority {
        let buttons = self.buttons.iter().filter_map(|b| b.priority);
        buttons.fold(self.priority, Priority::min)
    }

    /// The first forwarding rule that holds under this condition at this moment, with its position.
    pub fn forwarding_rule(
        &self,
        asked: Condition,
        at: Timestamp,
        site: &Site,
    ) -> Option<(usize, &ForwardingRule)> {
        self.forwarding
            .iter()
            .enumerate()
            .find(|(_, rule)| asked.fits(rule.when) && rule.holds(at, self.zone_at(site)))
    }

    /// The zone in which its rules are read.
    pub fn zone_at<'a>(&'a self, site: &'a Site) -> &'a TimeZone {
        self.zone.as_ref().unwrap_or(&site.zone)
    }
}

/// What happened to a call at a station, as far as forwarding asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has only just arrived.
    Arriving,
    Busy,
    NoAnswer,
    Unreachable,
}

impl Condition {
    /// Whether a rule of this kind is asked for.
    pub const fn fits(self, when: ForwardWhen) -> bool {
        match when {
            ForwardWhen::Always => matches!(self, Self::Arriving),
            ForwardWhen::Busy => matches!(self, Self::Busy),
            ForwardWhen::NoAnswer { .. } => matches!(self, Self::NoAnswer),
            ForwardWhen::Unreachable => matches!(self, Self::Unreachable),
        }
    }
}

impl StationKind {
    pub const fn default_priority(self) -> Priority {
        match self {
            Self::EmergencyPoint => Priority::DEFAULT_ALARM,
            Self::DoorStation | Self::DeskStation | Self::SipPhone | Self::Generic => {
                Priority::DEFAULT
            }
        }
    }

    /// The name in configuration, API and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DoorStation => "door_station",
            Self::DeskStation => "desk_station",
            Self::EmergencyPoint => "emergency_point",
            Self::SipPhone => "sip_phone",
            Self::Generic => "generic",
        }
    }
}

impl fmt::Display for StationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
