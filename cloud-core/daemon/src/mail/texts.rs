//! What letters say, in three languages.
//!
//! A text is made of parts, and plain text and HTML are both made of them: they cannot tell
//! different things. Invariant: no part holds a line break, whatever it was made of.

use cloud_logic::language::Language;
use model::Timestamp;
use serde::{Deserialize, Serialize};

/// A letter without its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Text {
    pub(crate) subject: String,
    pub(crate) paragraphs: Vec<String>,
    /// Stand below each other.
    pub(crate) items: Vec<String>,
    pub(crate) action: Option<Action>,
    /// In small letters, at the end.
    pub(crate) small: Vec<String>,
}

/// Something to open.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Action {
    pub(crate) label: String,
    pub(crate) url: String,
}

/// The link may open an account.
impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Action")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

impl Text {
    /// Without line breaks and other control characters in any part.
    pub(super) fn in_lines(self) -> Self {
        let all = |parts: Vec<String>| parts.iter().map(|part| line(part)).collect();
        Self {
            subject: line(&self.subject),
            paragraphs: all(self.paragraphs),
            items: all(self.items),
            action: self.action.map(|action| Action {
                label: line(&action.label),
                url: line(&action.url),
            }),
            small: all(self.small),
        }
    }
}

/// What somebody wrote, as a part of one line.
fn line(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            // Those that turn the direction of writing could hide an address, too.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

/// A moment as people of a time zone read it, with the zone.
pub(crate) fn moment(at: Timestamp, time_zone: &str) -> String {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let Ok(instant) = jiff::Timestamp::from_millisecond(at.unix_ms()) else {
        return at.to_string();
    };
    let local = instant.to_zoned(zone);
    format!("{} ({time_zone})", local.strftime("%Y-%m-%d %H:%M"))
}

pub(super) fn invitation(
    language: Language,
    (company, role): (&str, &str),
    until: &str,
    link: &str,
) -> Text {
    let (subject, body, once, unknown, label) = match language {
        Language::En => (
            format!("Invitation to {company}"),
            format!("{company} invites you to its portal, as {}.", role_en(role)),
            format!("The link counts once, until {until}."),
            "If you did not expect this letter, do nothing.",
            "Accept the invitation",
        ),
        Language::De => (
            format!("Einladung zu {company}"),
            format!(
                "{company} lädt Sie in das Portal ein, als {}.",
                role_de(role)
            ),
            format!("Der Link gilt einmal, bis {until}."),
            "Wenn Sie diesen Brief nicht erwartet haben, tun Sie nichts.",
            "Einladung annehmen",
        ),
        Language::Fr => (
            format!("Invitation à rejoindre {company}"),
            format!(
                "{company} vous invite sur son portail, en tant que {}.",
                role_fr(role)
            ),
            format!("Le lien est valable une fois, jusqu'au {until}."),
            "Si vous n'attendiez pas cette lettre, ne faites rien.",
            "Accepter l'invitation",
        ),
    };
    Text {
        subject,
        paragraphs: vec![body, once],
        items: Vec::new(),
        action: Some(Action {
            label: label.to_owned(),
            url: link.to_owned(),
        }),
        small: vec![unknown.to_owned()],
    }
}

pub(super) fn password_reset(language: Language, name: &str, until: &str, link: &str) -> Text {
    let (subject, body, once, unknown, label) = match language {
        Language::En => (
            "A new password",
            format!("{name}, somebody asked for a new password for your account."),
            format!("The link counts once, until {until}."),
            "If it was not you, do nothing: your password stays as it is.",
            "Choose a new password",
        ),
        Language::De => (
            "Ein neues Passwort",
            format!("{name}, jemand hat für Ihr Konto ein neues Passwort angefordert."),
            format!("Der Link gilt einmal, bis {until}."),
            "Wenn Sie es nicht waren, tun Sie nichts: Ihr Passwort bleibt, wie es ist.",
            "Neues Passwort wählen",
        ),
        Language::Fr => (
            "Un nouveau mot de passe",
            format!("{name}, quelqu'un a demandé un nouveau mot de passe pour votre compte."),
            format!("Le lien est valable une fois, jusqu'au {until}."),
            "Si ce n'était pas vous, ne faites rien : votre mot de passe ne change pas.",
            "Choisir un nouveau mot de passe",
        ),
    };
    Text {
        subject: subject.to_owned(),
        paragraphs: vec![body, once],
        items: Vec::new(),
        action: Some(Action {
            label: label.to_owned(),
            url: link.to_owned(),
        }),
        small: vec![unknown.to_owned()],
    }
}

/// What `mail test` sends.
pub(super) fn test(name: &str) -> Text {
    Text {
        subject: format!("{name}: test of the mail settings"),
        paragraphs: vec![
            format!("This letter was sent by {name} because somebody asked for it on its machine."),
            "That it arrived shows that the settings are right.".to_owned(),
        ],
        items: Vec::new(),
        action: None,
        small: Vec::new(),
    }
}

fn role_en(role: &str) -> &str {
    match role {
        "owner" => "owner",
        "admin" => "administrator",
        "configurator" => "configurator",
        "viewer" => "viewer",
        "support" => "support",
        "web_client" => "operator in the browser",
        "mobile_client" => "user of a mobile device",
        "insights" => "reader of figures",
        "billing" => "billing",
        other => other,
    }
}

fn role_de(role: &str) -> &str {
    match role {
        "owner" => "Inhaber",
        "admin" => "Administrator",
        "configurator" => "Konfigurator",
        "viewer" => "Betrachter",
        "support" => "Unterstützung",
        "web_client" => "Bediener im Browser",
        "mobile_client" => "Nutzer eines Mobilgeräts",
        "insights" => "Leser von Auswertungen",
        "billing" => "Abrechnung",
        other => other,
    }
}

fn role_fr(role: &str) -> &str {
    match role {
        "owner" => "propriétaire",
        "admin" => "administrateur",
        "configurator" => "configurateur",
        "viewer" => "observateur",
        "support" => "assistance",
        "web_client" => "opérateur dans le navigateur",
        "mobile_client" => "utilisateur d'un appareil mobile",
        "insights" => "lecteur de statistiques",
        "billing" => "facturation",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use cloud_logic::rights::Role;

    use super::*;

    #[test]
    fn s6_every_role_has_a_name_in_every_language() {
        for role in Role::ALL {
            let word = role.word();
            let underscored = [role_en(word), role_de(word), role_fr(word)];
            assert!(underscored.iter().all(|name| !name.contains('_')), "{word}");
            assert!(*role == Role::Owner || role_de(word) != word, "{word}");
        }
    }

    #[test]
    fn a_moment_is_told_in_the_time_of_the_company() {
        let noon = Timestamp::from_unix_ms(1_795_262_400_000);
        assert_eq!(
            moment(noon, "Europe/Vienna"),
            "2026-11-21 13:00 (Europe/Vienna)"
        );
        assert!(moment(noon, "Nowhere/None").starts_with("2026-11-21 12:00"));
    }

    #[test]
    fn no_part_of_a_text_brings_a_line_of_its_own() {
        let text = invitation(
            Language::En,
            ("Evil\r\nBcc: all@example.com", "viewer"),
            "x\u{202e}y",
            "https://core.example.com/#s=a\nb",
        );
        let shown = serde_json::to_string(&text.in_lines()).unwrap();
        assert!(!shown.contains("\\n") && !shown.contains("\\r"), "{shown}");
        assert!(!shown.contains('\u{202e}'));
    }
}
