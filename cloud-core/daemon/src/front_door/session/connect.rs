//! What a device asks for in CONNECT, and what is refused before anybody is asked.
//!
//! Deliberately not here: whether the device may be here at all (rows tell). Invariant: a
//! keep-alive that is granted is neither zero nor longer than a silence we want to bear.

use std::time::Duration;

use contract::topic::{self, Up};
use contract::{DeviceName, document, limits, up};
use mqtt_protocol_core::mqtt::packet::{Property, Qos, v3_1_1, v5_0};

/// The longest keep-alive of version 3.1.1, which cannot be told a shorter one.
const KEEP_ALIVE_3: Duration = Duration::from_secs(30 * 60);

/// The longest a session is kept for a device that is away.
pub(crate) const SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A CONNECT that keeps the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// 3 or 5.
    pub(crate) version: u8,
    /// The device wants to begin anew.
    pub(crate) clean: bool,
    /// As granted.
    pub(crate) keep_alive: Duration,
    /// How long its session is worth something after the connection's end.
    pub(crate) session: Duration,
    pub(crate) will: Option<Will>,
    /// It left its name to us.
    pub(crate) unnamed: bool,
    pub(crate) device: DeviceName,
}

/// What to take for true when the connection ends without a goodbye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Will {
    pub(crate) delay: Duration,
    pub(crate) document: up::Will,
}

/// Why a device is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its client identifier is not its certificate's name.
    Name,
    /// Its will is not its own, or no will of the link.
    NotAllowed,
    Barred,
    NotNow,
}

impl Asked {
    pub(super) fn v3(
        connect: &v3_1_1::Connect,
        known: Option<DeviceName>,
    ) -> Result<Self, Refused> {
        let device = name(connect.client_id(), known)?;
        let asked = Duration::from_secs(connect.keep_alive().into());
        let keep_alive = if asked.is_zero() {
            limits::KEEP_ALIVE_LONGEST
        } else {
            asked.min(KEEP_ALIVE_3)
        };
        let parts = WillParts {
            topic: connect.will_topic(),
            payload: connect.will_payload(),
            qos: connect.will_qos(),
            retain: connect.will_retain(),
            delay: limits::WILL_DELAY,
        };
        Ok(Self {
            version: 3,
            clean: connect.clean_session(),
            keep_alive,
            session: if connect.clean_session() {
                Duration::ZERO
            } else {
                SESSION
            },
            will: parts.check(&device)?,
            unnamed: false,
            device,
        })
    }

    pub(super) fn v5(connect: &v5_0::Connect, known: Option<DeviceName>) -> Result<Self, Refused> {
        // An empty one is assigned by the server, MQTT 5, 3.1.3.1: there is only one to assign.
        let device = match known {
            Some(known) if connect.client_id().is_empty() => known,
            known => name(connect.client_id(), known)?,
        };
        let asked = Duration::from_secs(connect.keep_alive().into());
        let keep_alive = if asked.is_zero() {
            limits::KEEP_ALIVE_LONGEST
        } else {
            asked.min(limits::KEEP_ALIVE_LONGEST)
        };
        let session = connect.props().iter().find_map(|property| match property {
            Property::SessionExpiryInterval(value) => Some(value.val()),
            _ => None,
        });
        let delay = connect
            .will_props()
            .iter()
            .find_map(|property| match property {
                Property::WillDelayInterval(value) => Some(value.val()),
                _ => None,
            });
        let parts = WillParts {
            topic: connect.will_topic(),
            payload: connect.will_payload(),
            qos: connect.will_qos(),
            retain: connect.will_retain(),
            delay: Duration::from_secs(delay.unwrap_or(0).into()),
        };
        Ok(Self {
            version: 5,
            clean: connect.clean_start(),
            keep_alive,
            session: Duration::from_secs(session.unwrap_or(0).into()).min(SESSION),
            will: parts.check(&device)?,
            unnamed: connect.client_id().is_empty(),
            device,
        })
    }
}

/// A client identifier is the device's name, and the certificate's, if there is one.
fn name(client: &str, known: Option<DeviceName>) -> Result<DeviceName, Refused> {
    let said: DeviceName = client.parse().map_err(|_| Refused::Name)?;
    if known.is_none_or(|known| known == said) {
        Ok(said)
    } else {
        Err(Refused::Name)
    }
}

struct WillParts<'a> {
    topic: Option<&'a str>,
    payload: Option<&'a [u8]>,
    qos: Qos,
    retain: bool,
    delay: Duration,
}

impl WillParts<'_> {
    fn check(self, device: &DeviceName) -> Result<Option<Will>, Refused> {
        let Some(topic) = self.topic else {
            return Ok(None);
        };
        let own = topic::published(device, topic) == Ok(Up::Will);
        if !own || self.retain || self.qos == Qos::ExactlyOnce {
            return Err(Refused::NotAllowed);
        }
        let document = document::read(self.payload.unwrap_or_default());
        let document = document.map_err(|_| Refused::NotAllowed)?;
        Ok(Some(Will {
            delay: self.delay,
            document,
        }))
    }
}
