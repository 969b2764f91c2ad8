//! A ticket: lets one device send the one log that a command asks for, where it cannot show its
//! certificate because something before the core ends the TLS.
//!
//! The id of the command and its HMAC: nothing of it is stored, and a command that is sent again
//! carries the same one. Its end is that of the command, and some time to come back on a poor line.

use cloud_logic::ids::CommandId;
use ring::hmac::{Key, sign, verify};
use serde_json::{Map, Value, json};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::LARGEST;
use crate::core::Core;
use crate::keys::{NamedSecretError, find_named_secret, named_secret};
use crate::store::Tx;

const NAME: &str = "upload_ticket_key";
/// So that no other HMAC of this key can pass for a ticket.
const PURPOSE: &str = "antiphon upload ticket 1";

/// Where devices send logs.
pub(crate) const UPLOADS: &str = "/v1/uploads";

/// Writes and reads tickets.
pub(crate) struct Tickets(Key);

impl Tickets {
    /// Its key is made when it is needed first: `tx` is one that writes.
    pub(crate) async fn of(tx: &mut Tx, core: &Core) -> Result<Self, NamedSecretError> {
        Ok(Self(named_secret(tx, core.keys.sealer(), NAME).await?))
    }

    /// To read only: none was ever written where there is none.
    pub(super) async fn known(tx: &mut Tx, core: &Core) -> Result<Option<Self>, NamedSecretError> {
        let key = find_named_secret(tx, core.keys.sealer(), NAME).await?;
        Ok(key.map(Self))
    }

    fn write(&self, command: CommandId) -> String {
        let tag = sign(&self.0, signed(command).as_bytes());
        format!("{command}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// The command that a ticket was written for.
    pub(super) fn read(&self, ticket: &str) -> Option<CommandId> {
        let (command, tag) = ticket.split_once('.')?;
        let command = command.parse().ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        verify(&self.0, signed(command).as_bytes(), &tag).ok()?;
        Some(command)
    }

    /// What a command to send logs carries besides what was ordered.
    pub(crate) fn with_way(&self, core: &Core, command: CommandId, ordered: &Value) -> Value {
        let mut args = match ordered {
            Value::Object(args) => args.clone(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        };
        let way = json!({
            "url": format!("{}{UPLOADS}", core.keys.addresses().https),
            "ticket": self.write(command),
            "most": LARGEST,
        });
        args.insert("upload".to_owned(), way);
        Value::Object(args)
    }
}

fn signed(command: CommandId) -> String {
    format!("{PURPOSE} {command}")
}

#[cfg(test)]
mod tests {
    use ring::hmac::HMAC_SHA256;

    use super::*;

    #[test]
    fn d4_a_ticket_is_read_by_the_key_that_wrote_it_and_by_no_other() {
        let [ours, other] = [1, 2].map(|n| Tickets(Key::new(HMAC_SHA256, &[n; 32])));
        let command = CommandId::from_bits(7);
        let ticket = ours.write(command);
        assert_eq!(ours.read(&ticket), Some(command));
        assert_eq!(other.read(&ticket), None);
        let another = CommandId::from_bits(8).to_string();
        let stolen = ticket.replace(&command.to_string(), &another);
        assert_eq!(ours.read(&stolen), None);
        for text in ["", ".", "cm-0", &ticket[..40], &format!("{ticket}AA")] {
            assert_eq!(ours.read(text), None, "{text}");
        }
    }
}
