//! The packets the core sends, in both versions.
//!
//! `None` where the library will not build one, which for these contents means that the
//! version was never determined. Deliberately not here: when they are sent.

use contract::limits;
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{
    AssignedClientIdentifier, MaximumQos, Packet, Property, Qos, ReceiveMaximum, RetainAvailable,
    ServerKeepAlive, SessionExpiryInterval, SharedSubscriptionAvailable,
    SubscriptionIdentifierAvailable, v3_1_1, v5_0,
};
use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, ConnectReturnCode, DisconnectReasonCode, PubackReasonCode, SubackReasonCode,
    SubackReturnCode, UnsubackReasonCode,
};

use super::Why;
use super::connect::{Asked, Refused};

/// What became of a message of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Stored,
    NotAllowed,
    NoDocument,
}

pub(super) fn connack(version: Version, present: bool, asked: &Asked) -> Option<Packet> {
    match version {
        Version::V3_1_1 => v3_1_1::Connack::builder()
            .session_present(present)
            .return_code(ConnectReturnCode::Accepted)
            .build()
            .ok()
            .map(Into::into),
        Version::V5_0 => v5_0::Connack::builder()
            .session_present(present)
            .reason_code(ConnectReasonCode::Success)
            .props(announced(asked)?)
            .build()
            .ok()
            .map(Into::into),
        Version::Undetermined => None,
    }
}

fn announced(asked: &Asked) -> Option<Vec<Property>> {
    let keep_alive = u16::try_from(asked.keep_alive.as_secs()).unwrap_or(u16::MAX);
    let session = u32::try_from(asked.session.as_secs()).unwrap_or(u32::MAX);
    let mut properties = vec![
        ReceiveMaximum::new(limits::IN_FLIGHT).ok()?.into(),
        MaximumQos::new(1).ok()?.into(),
        RetainAvailable::new(0).ok()?.into(),
        SharedSubscriptionAvailable::new(0).ok()?.into(),
        SubscriptionIdentifierAvailable::new(0).ok()?.into(),
        ServerKeepAlive::new(keep_alive).ok()?.into(),
        SessionExpiryInterval::new(session).ok()?.into(),
    ];
    if asked.unnamed {
        properties.push(
            AssignedClientIdentifier::new(asked.device.as_str())
                .ok()?
                .into(),
        );
    }
    Some(properties)
}

pub(super) fn refusal(version: Version, refused: Refused) -> Option<Packet> {
    match version {
        Version::V3_1_1 => {
            let code = match refused {
                Refused::Name => ConnectReturnCode::IdentifierRejected,
                Refused::NotAllowed | Refused::Barred => ConnectReturnCode::NotAuthorized,
                Refused::NotNow => ConnectReturnCode::ServerUnavailable,
            };
            let connack = v3_1_1::Connack::builder()
                .session_present(false)
                .return_code(code);
            connack.build().ok().map(Into::into)
        }
        Version::V5_0 => {
            let code = match refused {
                Refused::Name => ConnectReasonCode::ClientIdentifierNotValid,
                Refused::NotAllowed => ConnectReasonCode::NotAuthorized,
                Refused::Barred => ConnectReasonCode::Banned,
                Refused::NotNow => ConnectReasonCode::ServerUnavailable,
            };
            let connack = v5_0::Connack::builder()
                .session_present(false)
                .reason_code(code);
            connack.build().ok().map(Into::into)
        }
        Version::Undetermined => None,
    }
}

pub(super) fn puback(version: Version, id: u16, verdict: Verdict) -> Option<Packet> {
    match version {
        // It has no word for a refusal, and without an answer the device would ask for ever.
        Version::V3_1_1 => v3_1_1::Puback::builder()
            .packet_id(id)
            .build()
            .ok()
            .map(Into::into),
        Version::V5_0 => {
            let puback = v5_0::Puback::builder().packet_id(id);
            match verdict {
                Verdict::Stored => puback,
                Verdict::NotAllowed => puback.reason_code(PubackReasonCode::NotAuthorized),
                Verdict::NoDocument => puback.reason_code(PubackReasonCode::PayloadFormatInvalid),
            }
            .build()
            .ok()
            .map(Into::into)
        }
        Version::Undetermined => None,
    }
}

/// For each filter: refused, or granted with acknowledgement or without.
pub(super) fn suback(version: Version, id: u16, granted: &[Option<bool>]) -> Option<Packet> {
    match version {
        Version::V3_1_1 => {
            let codes = granted.iter().map(|granted| match granted {
                None => SubackReturnCode::Failure,
                Some(false) => SubackReturnCode::SuccessMaximumQos0,
                Some(true) => SubackReturnCode::SuccessMaximumQos1,
            });
            let suback = v3_1_1::Suback::builder()
                .packet_id(id)
                .return_codes(codes.collect());
            suback.build().ok().map(Into::into)
        }
        Version::V5_0 => {
            let codes = granted.iter().map(|granted| match granted {
                None => SubackReasonCode::NotAuthorized,
                Some(false) => SubackReasonCode::GrantedQos0,
                Some(true) => SubackReasonCode::GrantedQos1,
            });
            let suback = v5_0::Suback::builder()
                .packet_id(id)
                .reason_codes(codes.collect());
            suback.build().ok().map(Into::into)
        }
        Version::Undetermined => None,
    }
}

pub(super) fn unsuback(version: Version, id: u16, filters: usize) -> Option<Packet> {
    match version {
        Version::V3_1_1 => v3_1_1::Unsuback::builder()
            .packet_id(id)
            .build()
            .ok()
            .map(Into::into),
        Version::V5_0 => {
            let codes = vec![UnsubackReasonCode::Success; filters];
            let unsuback = v5_0::Unsuback::builder().packet_id(id).reason_codes(codes);
            unsuback.build().ok().map(Into::into)
        }
        Version::Undetermined => None,
    }
}

/// QoS 1 with a packet number, QoS 0 without.
pub(super) fn publish(
    version: Version,
    topic: String,
    payload: Vec<u8>,
    packet: Option<u16>,
) -> Option<Packet> {
    let qos = if packet.is_some() {
        Qos::AtLeastOnce
    } else {
        Qos::AtMostOnce
    };
    match version {
        Version::V3_1_1 => {
            let publish = v3_1_1::Publish::builder().topic_name(topic).ok()?.qos(qos);
            let publish = publish.packet_id(packet).payload(payload);
            publish.build().ok().map(Into::into)
        }
        Version::V5_0 => {
            let publish = v5_0::Publish::builder().topic_name(topic).ok()?.qos(qos);
            let publish = publish.packet_id(packet).payload(payload);
            publish.build().ok().map(Into::into)
        }
        Version::Undetermined => None,
    }
}

/// A word before the end; version 3.1.1 has none.
pub(super) fn disconnect(version: Version, why: Why) -> Option<Packet> {
    let code = match why {
        Why::Goodbye | Why::Lost => return None,
        Why::Protocol => DisconnectReasonCode::ProtocolError,
        Why::NotAllowed | Why::Barred => DisconnectReasonCode::NotAuthorized,
        Why::Silence => DisconnectReasonCode::KeepAliveTimeout,
        Why::TakenOver => DisconnectReasonCode::SessionTakenOver,
        Why::SlowReader => DisconnectReasonCode::QuotaExceeded,
        Why::Leaving => DisconnectReasonCode::ServerShuttingDown,
    };
    with_code(version, code)
}

/// The end of a device that used what CONNACK said we do not have.
pub(super) fn unsupported(version: Version, retain: bool) -> Option<Packet> {
    let code = if retain {
        DisconnectReasonCode::RetainNotSupported
    } else {
        DisconnectReasonCode::QosNotSupported
    };
    with_code(version, code)
}

fn with_code(version: Version, code: DisconnectReasonCode) -> Option<Packet> {
    match version {
        Version::V5_0 => {
            let disconnect = v5_0::Disconnect::builder().reason_code(code);
            disconnect.build().ok().map(Into::into)
        }
        Version::V3_1_1 | Version::Undetermined => None,
    }
}
