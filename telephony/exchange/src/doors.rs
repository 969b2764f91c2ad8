//! How a pulse reaches a door: through the conversation with its station, or by a request to a
//! device in the local segment.
//!
//! Whether the pulse is permitted the call engine has decided; whether the door moved only a
//! contact or the station can tell, so "sent" is the most that is reported here.

use std::time::{Duration, Instant};

use calls::{DoorReply, Input, PulseDoor};
use model::{CommandId, Digit, DoorOutput, LegId, NodeId, Reach, StationId};

use crate::io::{Output, UrlReply, UrlRequest};
use crate::legs::Leg;
use crate::state::Exchange;

/// How long a key is pressed that stands for an output.
const KEY_PRESS: Duration = Duration::from_millis(250);

impl Exchange {
    pub(crate) fn pulse_door(&mut self, pulse: &PulseDoor, now: Instant) {
        let command = pulse.command;
        if now >= pulse.valid_until {
            self.door_replied(command, DoorReply::Failed, now);
            return;
        }
        match &pulse.output {
            DoorOutput::Url(url) => self.out(Output::OpenUrl(UrlRequest {
                command,
                url: url.clone(),
                within: pulse.valid_until - now,
            })),
            DoorOutput::Station { output } => {
                if let Some(node) = self.node_of(pulse.station) {
                    return self.pulse_behind(pulse, (node, *output), now);
                }
                let sent = pulse
                    .leg
                    .is_some_and(|leg| self.press_output(leg, *output, now));
                if !sent {
                    self.counters.doors_without_a_way += 1;
                }
                let reply = if sent {
                    DoorReply::Sent
                } else {
                    DoorReply::Failed
                };
                self.door_replied(command, reply, now);
            }
        }
    }

    /// The server at which a station is at home, if it is another one.
    fn node_of(&self, station: StationId) -> Option<NodeId> {
        match self.directory.station(station)?.reach {
            Reach::Behind(node) => Some(node),
            Reach::Account(_) | Reach::Direct(_) | Reach::User(_) => None,
        }
    }

    pub(crate) fn url_answered(&mut self, command: CommandId, reply: UrlReply, now: Instant) {
        let reply = match reply {
            UrlReply::Accepted => DoorReply::Sent,
            UrlReply::Refused => DoorReply::Failed,
        };
        self.door_replied(command, reply, now);
    }

    /// SIP door stations open their relay n on key n, pressed by the one they talk with.
    fn press_output(&mut self, leg: LegId, output: u8, now: Instant) -> bool {
        let key = char::from_digit(output.into(), 10).and_then(Digit::from_char);
        key.is_some_and(|key| self.press_key(leg, key, now))
    }

    pub(crate) fn press_key(&mut self, leg: LegId, key: Digit, now: Instant) -> bool {
        if self.lines.has_leg(leg) {
            return self.key_by_line(leg, key, now);
        }
        let session = self.legs.get(leg).and_then(Leg::session);
        session.is_some_and(|session| {
            let pressed = self.sip.digit(session, key.to_char(), KEY_PRESS, now);
            pressed.is_ok()
        })
    }

    fn door_replied(&mut self, command: CommandId, reply: DoorReply, now: Instant) {
        self.calls.handle(Input::DoorReply { command, reply }, now);
    }
}
