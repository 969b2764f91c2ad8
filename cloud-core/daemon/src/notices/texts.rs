//! Notices in words, in three languages: a line each, for pages and letters alike.

use cloud_logic::language::Language;
use cloud_logic::notices::Kind;
use serde_json::Value;

use super::rows::Notice;
use crate::mail::{Action, Text};

/// What a letter about notices is headed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Title {
    Site(String),
    Company(String),
}

impl Title {
    fn name(&self) -> &str {
        match self {
            Self::Site(name) | Self::Company(name) => name,
        }
    }
}

/// A notice in one line.
pub(super) fn line(language: Language, notice: &Notice) -> String {
    let words = &notice.words;
    let word = |name: &str| words[name].as_str().unwrap_or("?");
    let number = |name: &str| words[name].as_u64().unwrap_or(0);
    let device = word("device");
    let (affected, devices) = (number("affected"), number("devices"));
    let over = notice.closed.is_some();
    match (notice.kind, language) {
        (Kind::DeviceOffline, Language::En) if over => format!("{device} is online again."),
        (Kind::DeviceOffline, Language::De) if over => format!("{device} ist wieder online."),
        (Kind::DeviceOffline, Language::Fr) if over => format!("{device} est de nouveau en ligne."),
        (Kind::DeviceOffline, Language::En) => {
            format!("{device} is offline, since {}.", word("since"))
        }
        (Kind::DeviceOffline, Language::De) => {
            format!("{device} ist offline, seit {}.", word("since"))
        }
        (Kind::DeviceOffline, Language::Fr) => {
            format!("{device} est hors ligne, depuis {}.", word("since"))
        }
        (Kind::DeviceUnsteady, Language::En) if over => format!("{device} stays online."),
        (Kind::DeviceUnsteady, Language::De) if over => format!("{device} bleibt online."),
        (Kind::DeviceUnsteady, Language::Fr) if over => format!("{device} reste en ligne."),
        (Kind::DeviceUnsteady, Language::En) => {
            format!("{device} comes and goes: each change is not told until it stays.")
        }
        (Kind::DeviceUnsteady, Language::De) => {
            format!("{device} kommt und geht: bis es bleibt, wird nicht jeder Wechsel gemeldet.")
        }
        (Kind::DeviceUnsteady, Language::Fr) => format!(
            "{device} apparaît et disparaît : jusqu'à ce qu'il reste, chaque changement n'est pas \
             signalé."
        ),
        (Kind::SiteOutage, Language::En) if over => "The outage is over.".to_owned(),
        (Kind::SiteOutage, Language::De) if over => "Der Ausfall ist vorbei.".to_owned(),
        (Kind::SiteOutage, Language::Fr) if over => "La panne est terminée.".to_owned(),
        (Kind::SiteOutage, _) => outage(language, words, (affected, devices)),
        (Kind::SiteUnsteady, Language::En) if over => "The devices stay online.".to_owned(),
        (Kind::SiteUnsteady, Language::De) if over => "Die Geräte bleiben online.".to_owned(),
        (Kind::SiteUnsteady, Language::Fr) if over => "Les appareils restent en ligne.".to_owned(),
        (Kind::SiteUnsteady, Language::En) => format!(
            "{affected} of {devices} devices come and go: look at the connection of the site."
        ),
        (Kind::SiteUnsteady, Language::De) => format!(
            "{affected} von {devices} Geräten kommen und gehen: sehen Sie nach der Verbindung des \
             Standorts."
        ),
        (Kind::SiteUnsteady, Language::Fr) => format!(
            "{affected} appareils sur {devices} apparaissent et disparaissent : vérifiez la \
             connexion du site."
        ),
        (
            Kind::CertificateEnding
            | Kind::CommandFailed
            | Kind::LetterUndelivered
            | Kind::MailWaiting
            | Kind::SubscriptionEnding,
            _,
        ) => other(language, notice),
    }
}

fn outage(language: Language, words: &Value, (affected, devices): (u64, u64)) -> String {
    let gateway = words["gateway"] == true;
    let mut line = match (language, gateway) {
        (Language::En, true) => "The gateway is offline: stations behind it are cut off. ",
        (Language::De, true) => "Das Gateway ist offline: Stationen dahinter sind abgeschnitten. ",
        (Language::Fr, true) => "La passerelle est hors ligne : les postes derrière sont coupés. ",
        (_, false) => "",
    }
    .to_owned();
    line += &match language {
        Language::En => format!("{affected} of {devices} devices are offline"),
        Language::De => format!("{affected} von {devices} Geräten sind offline"),
        Language::Fr => format!("{affected} appareils sur {devices} sont hors ligne"),
    };
    let none = Vec::new();
    let named = words["named"].as_array().unwrap_or(&none);
    let names: Vec<&str> = named.iter().filter_map(Value::as_str).collect();
    if !names.is_empty() {
        line += &format!(": {}", names.join(", "));
    }
    if u64::try_from(names.len()).is_ok_and(|named| named < affected) {
        line += ", …";
    } else {
        line.push('.');
    }
    line
}

/// What is no coming and going.
fn other(language: Language, notice: &Notice) -> String {
    let word = |name: &str| notice.words[name].as_str().unwrap_or("?");
    let (device, until) = (word("device"), word("until"));
    let (op, state) = (word("op"), word("state"));
    let (letter, reason) = (word("letter"), word("reason"));
    let (sku, title) = (word("sku"), word("title"));
    let amount = notice.words["amount"].as_u64().unwrap_or(0);
    match (notice.kind, language) {
        (Kind::CertificateEnding, Language::En) => format!(
            "The certificate of {device} ends on {until} and was not renewed: bring it online."
        ),
        (Kind::CertificateEnding, Language::De) => format!(
            "Das Zertifikat von {device} endet am {until} und wurde nicht erneuert: bringen Sie es \
             online."
        ),
        (Kind::CertificateEnding, Language::Fr) => format!(
            "Le certificat de {device} expire le {until} et n'a pas été renouvelé : remettez-le en \
             ligne."
        ),
        (Kind::CommandFailed, Language::En) => format!("{op} of {device} ended as {state}."),
        (Kind::CommandFailed, Language::De) => format!("{op} von {device} endete mit {state}."),
        (Kind::CommandFailed, Language::Fr) => format!("{op} de {device} s'est terminé : {state}."),
        (Kind::LetterUndelivered, Language::En) => {
            format!("A letter ({letter}) was not delivered: the list of letters says why.")
        }
        (Kind::LetterUndelivered, Language::De) => {
            format!(
                "Ein Brief ({letter}) wurde nicht zugestellt: die Liste der Briefe sagt, warum."
            )
        }
        (Kind::LetterUndelivered, Language::Fr) => {
            format!("Une lettre ({letter}) n'a pas été remise : la liste des lettres dit pourquoi.")
        }
        (Kind::MailWaiting, Language::En) => {
            format!("Letters wait because the mail server cannot be used: {reason}")
        }
        (Kind::MailWaiting, Language::De) => {
            format!("Briefe warten, weil der Mailserver nicht benutzbar ist: {reason}")
        }
        (Kind::MailWaiting, Language::Fr) => {
            format!("Des lettres attendent, le serveur de messagerie est inutilisable : {reason}")
        }
        (_, Language::En) => format!(
            "{amount} of {sku} ({title}) end on {until}: order on. What runs keeps running."
        ),
        (_, Language::De) => format!(
            "{amount} von {sku} ({title}) enden am {until}: bestellen Sie nach. Was läuft, läuft \
             weiter."
        ),
        (_, Language::Fr) => format!(
            "{amount} de {sku} ({title}) expirent le {until} : renouvelez. Ce qui fonctionne \
             continue de fonctionner."
        ),
    }
}

/// A letter about some notices.
pub(super) fn letter(
    language: Language,
    title: &Title,
    (opened, over): (&[&Notice], &[&Notice]),
    portal: &str,
) -> Text {
    let name = title.name();
    let severe = opened
        .iter()
        .any(|notice| matches!(notice.kind, Kind::SiteOutage | Kind::SiteUnsteady));
    let subject = match (language, opened.is_empty(), severe) {
        (Language::En, true, _) => format!("{name}: over"),
        (Language::De, true, _) => format!("{name}: vorbei"),
        (Language::Fr, true, _) => format!("{name} : terminé"),
        (Language::En, false, true) => format!("{name}: outage"),
        (Language::De, false, true) => format!("{name}: Ausfall"),
        (Language::Fr, false, true) => format!("{name} : panne"),
        (Language::En, false, false) => format!("{name}: please look"),
        (Language::De, false, false) => format!("{name}: bitte nachsehen"),
        (Language::Fr, false, false) => format!("{name} : à vérifier"),
    };
    let (label, why) = match language {
        Language::En => (
            "Notices in the portal",
            "You get this letter because of your role. In the portal you choose what comes by mail.",
        ),
        Language::De => (
            "Meldungen im Portal",
            "Sie erhalten diesen Brief wegen Ihrer Rolle. Im Portal wählen Sie, was per Mail kommt.",
        ),
        Language::Fr => (
            "Avis dans le portail",
            "Vous recevez cette lettre en raison de votre rôle. Dans le portail, vous choisissez ce \
             qui vient par courriel.",
        ),
    };
    let lines = opened.iter().chain(over);
    Text {
        subject,
        paragraphs: vec![name.to_owned()],
        items: lines.map(|notice| line(language, notice)).collect(),
        action: Some(Action {
            label: label.to_owned(),
            url: format!("{portal}/notices"),
        }),
        small: vec![why.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use cloud_logic::ids::{CompanyId, NoticeId};
    use cloud_logic::rights::Scope;
    use model::Timestamp;
    use serde_json::json;

    use super::*;

    fn notice(kind: Kind, closed: bool, words: Value) -> Notice {
        let now = Timestamp::from_unix_ms(0);
        Notice {
            id: NoticeId::from_bits(1),
            scope: Scope::Company(CompanyId::from_bits(1)),
            kind,
            subject: String::new(),
            words,
            opened: now,
            closed: closed.then_some(now),
            how: None,
            acknowledged: None,
            acknowledged_by: None,
        }
    }

    #[test]
    fn s6_every_notice_is_told_in_every_language() {
        let words = json!({
            "device": "OD1 4711", "since": "then", "until": "then", "op": "reboot",
            "state": "failed", "letter": "notice", "reason": "full", "sku": "E-CC-CTF",
            "title": "call service", "amount": 3, "affected": 2, "devices": 3, "named": ["a"],
        });
        for kind in Kind::ALL {
            for closed in [false, true] {
                let told: Vec<String> = Language::ALL
                    .into_iter()
                    .map(|language| line(language, &notice(kind, closed, words.clone())))
                    .collect();
                assert!(told.iter().all(|line| !line.contains('?')), "{told:?}");
                assert!(told[0] != told[1] && told[1] != told[2], "{told:?}");
            }
        }
    }

    #[test]
    fn d2_an_outage_names_some_devices_and_says_that_there_are_more() {
        let words = json!({"devices": 30, "affected": 25, "named": ["a", "b"], "gateway": true});
        let told = line(Language::En, &notice(Kind::SiteOutage, false, words));
        assert_eq!(
            told,
            "The gateway is offline: stations behind it are cut off. 25 of 30 devices are offline: \
             a, b, …"
        );
    }
}
