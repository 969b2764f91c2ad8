//! Topics: `d/<device>/1/up/<channel>` and `d/<device>/1/down/<channel>`.
//!
//! Both ends build and read them here, so that the rule "a device touches only its own"
//! is written once. Deliberately not here: what travels in them ([`crate::up`],
//! [`crate::down`]). Invariant: no text is accepted for a device unless its second
//! segment is that device's name, octet by octet.

use crate::DeviceName;
use crate::limits::VERSION;

/// What a device publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Up {
    Hello,
    Reported,
    Event,
    Result,
    Heartbeat,
    Will,
}

/// What the core publishes to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Down {
    Desired,
    Command,
    Ack,
    Poke,
}

impl Up {
    pub const ALL: [Self; 6] = [
        Self::Hello,
        Self::Reported,
        Self::Event,
        Self::Result,
        Self::Heartbeat,
        Self::Will,
    ];

    #[must_use]
    pub fn segment(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Reported => "reported",
            Self::Event => "event",
            Self::Result => "result",
            Self::Heartbeat => "hb",
            Self::Will => "lwt",
        }
    }

    #[must_use]
    pub fn topic(self, device: &DeviceName) -> String {
        format!("d/{device}/{VERSION}/up/{}", self.segment())
    }
}

impl Down {
    pub const ALL: [Self; 4] = [Self::Desired, Self::Command, Self::Ack, Self::Poke];

    #[must_use]
    pub fn segment(self) -> &'static str {
        match self {
            Self::Desired => "desired",
            Self::Command => "cmd",
            Self::Ack => "ack",
            Self::Poke => "poke",
        }
    }

    #[must_use]
    pub fn topic(self, device: &DeviceName) -> String {
        format!("d/{device}/{VERSION}/down/{}", self.segment())
    }
}

/// The one filter a device needs.
#[must_use]
pub fn all_down(device: &DeviceName) -> String {
    format!("d/{device}/{VERSION}/down/#")
}

/// Why a device may not use a topic or filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    #[error("the topic is not one of this device; it may use d/<its own name>/1/... only")]
    Foreign,
    #[error("the link speaks version {VERSION}; update the device")]
    Version,
    #[error("this device's topics have no such channel; see docs/link.md")]
    Channel,
}

/// The channel a device publishes to.
///
/// # Errors
/// When the topic is not one of this device's `up` channels.
pub fn published(device: &DeviceName, topic: &str) -> Result<Up, TopicError> {
    let channel = own(device, topic)?
        .strip_prefix("up/")
        .ok_or(TopicError::Channel)?;
    Up::ALL
        .into_iter()
        .find(|up| up.segment() == channel)
        .ok_or(TopicError::Channel)
}

/// Channels that a device asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subscribed(u8);

impl Subscribed {
    #[must_use]
    pub fn to(self, down: Down) -> bool {
        self.0 & bit(down) != 0
    }

    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As a session keeps it.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From what `bits` gave.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & 0b1111)
    }
}

fn bit(down: Down) -> u8 {
    match down {
        Down::Desired => 1,
        Down::Command => 2,
        Down::Ack => 4,
        Down::Poke => 8,
    }
}

/// The channels behind a device's subscription: a `down` topic of its own, or all of
/// them by `#` or `+` in the last place.
///
/// # Errors
/// When the filter could match anything but this device's `down` channels.
pub fn subscribed(device: &DeviceName, filter: &str) -> Result<Subscribed, TopicError> {
    let channel = own(device, filter)?
        .strip_prefix("down/")
        .ok_or(TopicError::Channel)?;
    let mut channels = Subscribed::default();
    for down in Down::ALL {
        if channel == "#" || channel == "+" || channel == down.segment() {
            channels.0 |= bit(down);
        }
    }
    if channels.is_empty() {
        Err(TopicError::Channel)
    } else {
        Ok(channels)
    }
}

fn own<'a>(device: &DeviceName, topic: &'a str) -> Result<&'a str, TopicError> {
    let rest = topic
        .strip_prefix("d/")
        .and_then(|rest| rest.strip_prefix(device.as_str()))
        .and_then(|rest| rest.strip_prefix('/'))
        .ok_or(TopicError::Foreign)?;
    let (version, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if version == "1" {
        Ok(rest)
    } else {
        Err(TopicError::Version)
    }
}

/// Whose topic this is, and which channel: for a reader of everybody's topics (the core
/// behind a broker of somebody else).
///
/// # Errors
/// When it is nobody's `up` topic.
pub fn anybodys(topic: &str) -> Result<(DeviceName, Up), TopicError> {
    let name = topic
        .strip_prefix("d/")
        .and_then(|rest| rest.split('/').next());
    let device: DeviceName = name
        .and_then(|name| name.parse().ok())
        .ok_or(TopicError::Foreign)?;
    let channel = published(&device, topic)?;
    Ok((device, channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceName {
        "de-01JZ5W3N8Q4V7X2K9M6T1R0PAB".parse().expect("valid")
    }

    #[test]
    fn each_topic_is_read_as_it_is_built() {
        for up in Up::ALL {
            assert_eq!(published(&device(), &up.topic(&device())), Ok(up));
            assert_eq!(anybodys(&up.topic(&device())), Ok((device(), up)));
        }
        for down in Down::ALL {
            let got = subscribed(&device(), &down.topic(&device())).expect("its own");
            for other in Down::ALL {
                assert_eq!(got.to(other), other == down);
            }
        }
        assert!(Down::ALL.into_iter().all(|down| {
            subscribed(&device(), &all_down(&device()))
                .expect("its own")
                .to(down)
        }));
    }

    #[test]
    fn a_device_is_confined_to_its_own_topics() {
        let other = "de-01JZ5W3N8Q4V7X2K9M6T1R0PAC";
        for (text, why) in [
            (format!("d/{other}/1/up/event"), TopicError::Foreign),
            (format!("d/{other}/1/down/#"), TopicError::Foreign),
            ("#".into(), TopicError::Foreign),
            ("+/+/1/down/cmd".into(), TopicError::Foreign),
            ("d/+/1/down/#".into(), TopicError::Foreign),
            ("d/#".into(), TopicError::Foreign),
            ("$SYS/#".into(), TopicError::Foreign),
            (
                format!("$share/core/d/{}/1/down/#", device()),
                TopicError::Foreign,
            ),
            (format!("/d/{}/1/up/event", device()), TopicError::Foreign),
            (format!("d/{}x/1/up/event", device()), TopicError::Foreign),
            (format!("d/{}", device()), TopicError::Foreign),
            (format!("d/{}/#", device()), TopicError::Version),
            (format!("d/{}/2/up/event", device()), TopicError::Version),
            (format!("d/{}/+/down/#", device()), TopicError::Version),
            (format!("d/{}/1", device()), TopicError::Channel),
            (format!("d/{}/1/#", device()), TopicError::Channel),
            (format!("d/{}/1/+/cmd", device()), TopicError::Channel),
            (format!("d/{}/1/up/unknown", device()), TopicError::Channel),
            (format!("d/{}/1/up/event/x", device()), TopicError::Channel),
            (format!("d/{}/1/down/cmd/#", device()), TopicError::Channel),
        ] {
            assert_eq!(published(&device(), &text), Err(why), "publish {text}");
            let got = subscribed(&device(), &text);
            assert!(got.is_err(), "subscribe {text}: {got:?}");
        }
        // Each direction is one way.
        assert!(published(&device(), &Down::Command.topic(&device())).is_err());
        assert!(subscribed(&device(), &Up::Event.topic(&device())).is_err());
    }
}
