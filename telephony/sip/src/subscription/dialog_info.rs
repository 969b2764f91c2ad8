//! The `application/dialog-info+xml` document (RFC 4235 4), always with full state.
//!
//! It is written, never read. Invariant: what comes from people and peers is escaped, so the
//! document stays well-formed whatever a display name holds.

use std::fmt::Write;

use crate::message::Uri;

/// The dialogs of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogInfo {
    /// Whose dialogs these are.
    pub entity: Uri,
    pub dialogs: Vec<DialogStatus>,
}

/// One dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogStatus {
    /// Unique within the document and stable over the life of the dialog.
    pub id: String,
    /// Call-ID, local tag and remote tag, where a watcher may pick the call up with Replaces.
    pub dialog: Option<(String, String, String)>,
    pub direction: Direction,
    pub state: DialogState,
    pub local: Party,
    pub remote: Option<Party>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The resource placed the call.
    Initiator,
    /// The resource is called.
    Recipient,
}

/// RFC 4235 3.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogState {
    Trying,
    Proceeding,
    Early,
    Confirmed,
    Terminated,
}

/// One side of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    pub display: String,
    pub identity: Uri,
    /// Where a watcher would call this side.
    pub target: Uri,
}

impl DialogInfo {
    pub const CONTENT_TYPE: &'static str = "application/dialog-info+xml";

    /// The document. `version` counts up by one per NOTIFY of a subscription (RFC 4235 4.1.1).
    pub fn to_xml(&self, version: u32) -> String {
        let mut xml = String::with_capacity(256 + 512 * self.dialogs.len());
        xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n");
        xml.push_str("<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"");
        write!(xml, "{version}").expect("writing to a string does not fail");
        xml.push_str("\" state=\"full\"");
        attribute(&mut xml, "entity", self.entity.as_str());
        xml.push_str(">\r\n");
        for dialog in &self.dialogs {
            dialog.write(&mut xml);
        }
        xml.push_str("</dialog-info>\r\n");
        xml
    }
}

impl DialogStatus {
    fn write(&self, xml: &mut String) {
        xml.push_str("  <dialog");
        attribute(xml, "id", &self.id);
        if let Some((call_id, local_tag, remote_tag)) = &self.dialog {
            attribute(xml, "call-id", call_id);
            attribute(xml, "local-tag", local_tag);
            attribute(xml, "remote-tag", remote_tag);
        }
        attribute(xml, "direction", self.direction.name());
        xml.push_str(">\r\n    <state>");
        xml.push_str(self.state.name());
        xml.push_str("</state>\r\n");
        self.local.write(xml, "local");
        if let Some(remote) = &self.remote {
            remote.write(xml, "remote");
        }
        xml.push_str("  </dialog>\r\n");
    }
}

impl Party {
    fn write(&self, xml: &mut String, side: &str) {
        xml.push_str("    <");
        xml.push_str(side);
        xml.push_str(">\r\n      <identity");
        if !self.display.is_empty() {
            attribute(xml, "display", &self.display);
        }
        xml.push('>');
        escape(xml, self.identity.as_str());
        xml.push_str("</identity>\r\n      <target");
        attribute(xml, "uri", self.target.as_str());
        xml.push_str("/>\r\n    </");
        xml.push_str(side);
        xml.push_str(">\r\n");
    }
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Recipient => "recipient",
        }
    }
}

impl DialogState {
    fn name(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Proceeding => "proceeding",
            Self::Early => "early",
            Self::Confirmed => "confirmed",
            Self::Terminated => "terminated",
        }
    }
}

fn attribute(xml: &mut String, name: &str, value: &str) {
    xml.push(' ');
    xml.push_str(name);
    xml.push_str("=\"");
    escape(xml, value);
    xml.push('"');
}

/// Also drops what XML 1.0 has no way to write.
fn escape(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\t' | '\n' | '\r' => xml.push(' '),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => xml.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_the_dialog_and_escapes_what_people_wrote() {
        let party = |display: &str, uri: &str| Party {
            display: display.into(),
            identity: uri.parse().unwrap(),
            target: uri.parse().unwrap(),
        };
        let info = DialogInfo {
            entity: "sip:101@house".parse().unwrap(),
            dialogs: vec![DialogStatus {
                id: "7".into(),
                dialog: Some(("c@h".into(), "l".into(), "r".into())),
                direction: Direction::Recipient,
                state: DialogState::Early,
                local: party("", "sip:101@house"),
                remote: Some(party("Gate <\"A\"> & Co\u{1}", "sip:200@house")),
            }],
        };
        let xml = info.to_xml(3);
        assert!(xml.contains("version=\"3\" state=\"full\" entity=\"sip:101@house\""));
        assert!(xml.contains("<dialog id=\"7\" call-id=\"c@h\" local-tag=\"l\" remote-tag=\"r\" direction=\"recipient\">"));
        assert!(xml.contains("<state>early</state>"));
        assert!(xml.contains("display=\"Gate &lt;&quot;A&quot;&gt; &amp; Co\""));
    }
}
