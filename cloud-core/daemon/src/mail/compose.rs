//! A text as a message: plain and HTML, with nothing to load and nothing to run.

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use model::Timestamp;

use cloud_logic::language::Language;

use super::letters::{Due, Kind};
use super::texts::{self, Text};

/// Why a letter cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComposeError {
    #[error("its recipient is no mail address")]
    Recipient(#[source] lettre::address::AddressError),
    #[error("the sender of the settings is none")]
    Sender(#[source] lettre::address::AddressError),
    #[error("its words are not those of its kind")]
    Words,
    #[error("it cannot be written as a message")]
    Message(#[source] lettre::error::Error),
}

/// Who sends.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    /// As in the settings.
    pub(super) from: String,
    /// Name of the installation.
    pub(super) name: String,
    /// Its host, behind the `@` of the message's name.
    pub(super) host: String,
}

/// The text of a letter that is due.
pub(super) fn text_of(due: &Due) -> Result<Text, ComposeError> {
    let word = |name: &str| due.words[name].as_str().ok_or(ComposeError::Words);
    let link = due.link.as_ref().ok_or(ComposeError::Words);
    let (company, zone) = match &due.company {
        Some((company, zone)) => (company.as_str(), zone.as_str()),
        None => ("", "UTC"),
    };
    let until = texts::moment(due.expires, zone);
    match due.kind {
        Kind::Invitation => {
            let about = (company, word("role")?);
            Ok(texts::invitation(due.language, about, &until, link?))
        }
        Kind::PasswordReset => {
            let name = word("name")?;
            Ok(texts::password_reset(due.language, name, &until, link?))
        }
        Kind::Notice => serde_json::from_value(due.words.clone()).map_err(|_| ComposeError::Words),
    }
}

/// The message. `name` is the same for each try of the same letter.
pub(super) fn message(
    sender: &Sender,
    (recipient, language): (&str, Language),
    name: &str,
    text: Text,
    at: Timestamp,
) -> Result<Message, ComposeError> {
    let text = text.in_lines();
    let from: Mailbox = sender.from.parse().map_err(ComposeError::Sender)?;
    let to = recipient.parse().map_err(ComposeError::Recipient)?;
    let written = Duration::from_millis(at.unix_ms().max(0).unsigned_abs());
    Message::builder()
        .from(from)
        .to(Mailbox::new(None, to))
        .subject(&text.subject)
        .date(SystemTime::UNIX_EPOCH + written)
        .message_id(Some(format!("<{name}@{}>", sender.host)))
        // RFC 3834 5: no answering machine answers.
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("Content-Language", language.word()))
        .multipart(MultiPart::alternative_plain_html(
            plain(sender, &text),
            html(sender, language, &text),
        ))
        .map_err(ComposeError::Message)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn plain(sender: &Sender, text: &Text) -> String {
    let mut plain = String::new();
    for paragraph in &text.paragraphs {
        plain += &format!("{paragraph}\n\n");
    }
    for item in &text.items {
        plain += &format!("- {item}\n");
    }
    if !text.items.is_empty() {
        plain.push('\n');
    }
    if let Some(action) = &text.action {
        plain += &format!("{}:\n{}\n\n", action.label, action.url);
    }
    for small in &text.small {
        plain += &format!("{small}\n");
    }
    plain += &format!("\n-- \n{}\n", sender.name);
    plain
}

fn html(sender: &Sender, language: Language, text: &Text) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title></head>\
         <body style=\"font-family:sans-serif;line-height:1.5;max-width:40em\">",
        escaped(&text.subject)
    );
    for paragraph in &text.paragraphs {
        html += &format!("<p>{}</p>", escaped(paragraph));
    }
    if !text.items.is_empty() {
        html += "<ul>";
        for item in &text.items {
            html += &format!("<li>{}</li>", escaped(item));
        }
        html += "</ul>";
    }
    if let Some(action) = &text.action {
        let (url, label) = (escaped(&action.url), escaped(&action.label));
        html += &format!("<p><a href=\"{url}\">{label}</a></p>");
    }
    for small in &text.small {
        html += &format!("<p><small>{}</small></p>", escaped(small));
    }
    html += &format!(
        "<p><small>{}</small></p></body></html>",
        escaped(&sender.name)
    );
    html
}

/// Text, as text of HTML and as value of an attribute in quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Action;

    fn sender() -> Sender {
        Sender {
            from: "Antiphon <no-reply@example.com>".to_owned(),
            name: "Antiphon".to_owned(),
            host: "core.example.com".to_owned(),
        }
    }

    fn composed(text: Text) -> String {
        let to = ("anna@example.com", Language::De);
        let now = Timestamp::from_unix_ms(1_795_262_400_000);
        let message = message(&sender(), to, "le-1", text, now).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    fn text(subject: &str, part: &str) -> Text {
        Text {
            subject: subject.to_owned(),
            paragraphs: vec![part.to_owned()],
            items: vec![part.to_owned()],
            action: Some(Action {
                label: part.to_owned(),
                url: "https://core.example.com/?a=1&b=\"2".to_owned(),
            }),
            small: vec![part.to_owned()],
        }
    }

    #[test]
    fn s1_nothing_that_somebody_wrote_becomes_a_header() {
        let hostile = "Clinics\r\nBcc: all@example.com\r\n\r\n<script>";
        let written = composed(text(hostile, hostile));
        let (head, _) = written.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_lowercase().contains("\r\nbcc"), "{head}");
        for name in ["From", "To", "Subject", "Message-ID", "Auto-Submitted"] {
            let count = head.matches(&format!("{name}: ")).count();
            assert_eq!(count, 1, "{name} in {head}");
        }
        assert!(
            head.contains("Message-ID: <le-1@core.example.com>"),
            "{head}"
        );
        assert!(
            head.contains("Date: Sat, 21 Nov 2026 12:00:00 +0000"),
            "{head}"
        );
        let to = ("anna@example.com\r\nBcc: x@example.com", Language::En);
        let now = Timestamp::from_unix_ms(0);
        assert!(message(&sender(), to, "le-1", text("a", "b"), now).is_err());
    }

    #[test]
    fn the_page_of_a_letter_runs_nothing_and_loads_nothing() {
        let page = html(
            &sender(),
            Language::Fr,
            &text("a", "<img src=x onerror=alert(1)> & 'q'"),
        );
        assert!(page.contains("&lt;img src=x onerror=alert(1)&gt; &amp; &#39;q&#39;"));
        assert!(page.contains("href=\"https://core.example.com/?a=1&amp;b=&quot;2\""));
        for loaded in ["<img", "<script", "<link", "url(", "src=\""] {
            assert!(!page.contains(loaded), "{loaded}");
        }
        assert!(page.starts_with("<!doctype html><html lang=\"fr\">"));
    }
}
