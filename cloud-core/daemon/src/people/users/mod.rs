//! Accounts of people.
//!
//! One account per mail address. The company that made it looks after it: it may block it and
//! have its password chosen anew. Other companies see it where they gave it rights, and can take
//! those rights, not more.

mod routes;
mod rows;

use cloud_logic::ids::{CompanyId, UserId};
use model::Timestamp;

pub(crate) use routes::Why;
pub(super) use routes::{explained, looked_after, routes, seen};
pub(crate) use rows::{account_of, insert, language_of};
pub(super) use rows::{by_id, by_mail, drop_password, set_blocked, set_password};

use crate::api::Finding;

#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    /// Which company looks after it.
    pub(crate) company: CompanyId,
    pub(crate) mail: String,
    pub(crate) name: String,
    pub(crate) language: String,
    /// PHC string.
    pub(crate) password: Option<String>,
    pub(crate) blocked: bool,
    pub(crate) version: i64,
    pub(crate) created: Timestamp,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// As addresses are compared. Their local part may heed case (RFC 5321 2.4), no provider does.
pub(super) fn mail_key(mail: &str) -> String {
    mail.trim()
        .chars()
        .take(254)
        .collect::<String>()
        .to_lowercase()
}

/// Whether a letter could go there. Only the form; that it arrives shows at the first letter.
pub(super) fn judge_mail(pointer: &str, mail: &str) -> Result<(), Finding> {
    let parts: Vec<&str> = mail.split('@').collect();
    let sound = match parts[..] {
        [local, domain] => {
            !local.is_empty()
                && domain.contains('.')
                && !domain.starts_with('.')
                && !domain.ends_with('.')
        }
        _ => false,
    };
    let clean = mail.chars().all(|letter| {
        !letter.is_control() && !letter.is_whitespace() && !"<>,;:\"\\()[]".contains(letter)
    });
    if sound && clean && mail.len() <= 254 {
        return Ok(());
    }
    Err(Finding::new(
        pointer,
        "not_a_mail_address",
        "Give a mail address such as anna@example.com.",
    ))
}

/// Whether this can be shown as somebody's name.
pub(super) fn judge_name(pointer: &str, name: &str) -> Result<(), Finding> {
    let length = name.trim().chars().count();
    if (1..=100).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Finding::new(
        pointer,
        "not_a_name",
        "Give a name of 1 to 100 characters in one line.",
    ))
}

/// The languages of pages and letters.
const LANGUAGES: [&str; 3] = ["de", "en", "fr"];

pub(super) fn judge_language(pointer: &str, language: &str) -> Result<(), Finding> {
    if LANGUAGES.contains(&language) {
        return Ok(());
    }
    Err(Finding::new(
        pointer,
        "unknown_language",
        "Choose one of: de, en, fr.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_address_brings_no_second_header_and_no_second_recipient() {
        assert_eq!(judge_mail("", "anna.m+x@example.co.uk"), Ok(()));
        for mail in [
            "",
            "anna",
            "@example.com",
            "anna@",
            "anna@localhost",
            "a@b@example.com",
            "anna@example.com\r\nBcc: all@example.com",
            "anna@example.com,eve@example.com",
            "Anna <anna@example.com>",
            "anna @example.com",
            &format!("{}@example.com", "a".repeat(300)),
        ] {
            assert!(judge_mail("", mail).is_err(), "{mail:?}");
        }
    }

    #[test]
    fn the_case_of_a_mail_address_makes_no_second_account() {
        assert_eq!(mail_key(" Anna@Example.COM "), "anna@example.com");
    }

    #[test]
    fn an_account_hides_its_password_and_its_person() {
        let account = Account {
            id: UserId::from_bits(1),
            company: CompanyId::from_bits(2),
            mail: "anna@example.com".to_owned(),
            name: "Anna".to_owned(),
            language: "en".to_owned(),
            password: Some("$argon2id$".to_owned()),
            blocked: false,
            version: 1,
            created: Timestamp::from_unix_ms(0),
        };
        let shown = format!("{account:?}");
        assert!(
            !shown.contains("anna") && !shown.contains("argon"),
            "{shown}"
        );
    }
}
