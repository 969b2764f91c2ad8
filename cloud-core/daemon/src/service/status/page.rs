//! The page: one document without a script, in the reader's language, light or dark as she has it.
//!
//! Pure: a status, a language and how fresh it is give a text. Everything that comes from somebody is
//! escaped. States are told by words and shapes, not by colours alone (WCAG 2.2, 1.4.1).

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_logic::language::Language;
use model::Timestamp;
use sha2::{Digest, Sha256};

use super::{Incident, Part, PartNow, State, Status};

const STYLE: &str = include_str!("page.css");

/// How well the page knows what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    Now,
    /// On another host: the core has not answered since.
    Silent {
        since: Timestamp,
    },
}

/// The page with what has to go along with it.
pub(super) fn answer(status: &Status, freshness: Freshness, language: Language) -> Response {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let text = render(status, freshness, language);
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response();
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 5] = [
        (header::CACHE_CONTROL, "public, max-age=10"),
        (header::VARY, "accept-language"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_LANGUAGE, language.word()),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The one of ours that the reader likes most (RFC 9110 12.5.4).
pub(super) fn language(headers: &HeaderMap) -> Language {
    let text = headers.get(header::ACCEPT_LANGUAGE);
    let text = text.and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut best = (Language::default(), 0.0);
    for wish in text.split(',').take(20) {
        let (range, quality) = match wish.split_once(';') {
            Some((range, rest)) => (range, rest.trim().strip_prefix("q=").unwrap_or("")),
            None => (wish, "1"),
        };
        let quality: f32 = quality.parse().unwrap_or(0.0);
        let primary = range.trim().split('-').next().unwrap_or("").to_lowercase();
        if let Ok(language) = primary.parse()
            && quality > best.1
        {
            best = (language, quality);
        }
    }
    best.0
}

/// What the page says, in one language.
struct Words {
    title: &'static str,
    all_well: &'static str,
    not_well: &'static str,
    parts: &'static str,
    open: &'static str,
    past: &'static str,
    nothing: &'static str,
    since: &'static str,
    until: &'static str,
    as_of: &'static str,
    silent: &'static str,
    as_data: &'static str,
}

fn words(language: Language) -> Words {
    match language {
        Language::En => Words {
            title: "Status",
            all_well: "Everything works",
            not_well: "Not everything works",
            parts: "Parts",
            open: "Open incidents",
            past: "The last two weeks",
            nothing: "No incidents.",
            since: "since",
            until: "until",
            as_of: "As of",
            silent: "The service has not answered since",
            as_data: "The same for programs",
        },
        Language::De => Words {
            title: "Status",
            all_well: "Alles funktioniert",
            not_well: "Nicht alles funktioniert",
            parts: "Teile",
            open: "Offene Störungen",
            past: "Die letzten zwei Wochen",
            nothing: "Keine Störungen.",
            since: "seit",
            until: "bis",
            as_of: "Stand",
            silent: "Der Dienst antwortet nicht seit",
            as_data: "Dasselbe für Programme",
        },
        Language::Fr => Words {
            title: "État",
            all_well: "Tout fonctionne",
            not_well: "Tout ne fonctionne pas",
            parts: "Composants",
            open: "Incidents en cours",
            past: "Les deux dernières semaines",
            nothing: "Aucun incident.",
            since: "depuis",
            until: "jusqu’au",
            as_of: "État au",
            silent: "Le service ne répond plus depuis",
            as_data: "La même chose pour les programmes",
        },
    }
}

fn part_name(part: Part, language: Language) -> &'static str {
    match (part, language) {
        (Part::Api, Language::En) => "Portal and interface",
        (Part::Api, Language::De) => "Portal und Schnittstelle",
        (Part::Api, Language::Fr) => "Portail et interface",
        (Part::Devices, Language::En) => "Connections of devices",
        (Part::Devices, Language::De) => "Verbindungen der Geräte",
        (Part::Devices, Language::Fr) => "Connexions des appareils",
        (Part::Mail, _) => "E-Mail",
        (Part::Store, Language::En) => "Database",
        (Part::Store, Language::De) => "Datenbank",
        (Part::Store, Language::Fr) => "Base de données",
        (Part::RevocationLists, Language::En) => "Lists of void certificates",
        (Part::RevocationLists, Language::De) => "Listen ungültiger Zertifikate",
        (Part::RevocationLists, Language::Fr) => "Listes de certificats révoqués",
    }
}

fn state_name(state: State, language: Language) -> &'static str {
    match (state, language) {
        (State::Up, Language::En) => "works",
        (State::Up, Language::De) => "funktioniert",
        (State::Up, Language::Fr) => "fonctionne",
        (State::Maintenance, Language::En) => "maintenance",
        (State::Maintenance, Language::De) => "Wartung",
        (State::Maintenance, Language::Fr) => "maintenance",
        (State::Degraded, Language::En) => "limited",
        (State::Degraded, Language::De) => "eingeschränkt",
        (State::Degraded, Language::Fr) => "limité",
        (State::Unknown, Language::En) => "not known",
        (State::Unknown, Language::De) => "nicht bekannt",
        (State::Unknown, Language::Fr) => "inconnu",
        (State::Down, Language::En) => "does not work",
        (State::Down, Language::De) => "funktioniert nicht",
        (State::Down, Language::Fr) => "ne fonctionne pas",
    }
}

pub(super) fn render(status: &Status, freshness: Freshness, language: Language) -> String {
    let words = words(language);
    let name = escaped(&status.name);
    let worst = match freshness {
        Freshness::Now => status.worst(),
        Freshness::Silent { .. } => State::Down,
    };
    let headline = match (freshness, worst) {
        (Freshness::Silent { since }, _) => format!("{} {}", words.silent, time(since)),
        (Freshness::Now, State::Up) => words.all_well.to_owned(),
        (Freshness::Now, _) => words.not_well.to_owned(),
    };
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{name}: {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <p class=\"name\">{name}</p>\n<h1 class=\"{class}\">{headline}</h1>\n\
         <p>{as_of} {at}</p>\n</header>\n<main>\n<section>\n<h2>{parts}</h2>\n<ul class=\"parts\">\n",
        title = words.title,
        class = worst.word(),
        as_of = words.as_of,
        at = time(status.at.0),
        parts = words.parts,
    );
    for PartNow { part, state } in &status.parts {
        let state = match freshness {
            Freshness::Now => *state,
            Freshness::Silent { .. } => State::Unknown,
        };
        let _ = writeln!(
            text,
            "<li><span>{}</span> <span class=\"state {}\">{}</span></li>",
            part_name(*part, language),
            state.word(),
            state_name(state, language)
        );
    }
    text.push_str("</ul>\n</section>\n");
    let (open, past): (Vec<_>, Vec<_>) = status
        .incidents
        .iter()
        .partition(|incident| incident.closed.is_none());
    if !open.is_empty() {
        let _ = writeln!(text, "<section>\n<h2>{}</h2>", words.open);
        open.iter()
            .for_each(|one| write_incident(&mut text, one, &words, language));
        text.push_str("</section>\n");
    }
    let _ = writeln!(text, "<section>\n<h2>{}</h2>", words.past);
    past.iter()
        .for_each(|one| write_incident(&mut text, one, &words, language));
    if past.is_empty() {
        let _ = writeln!(text, "<p>{}</p>", words.nothing);
    }
    let _ = write!(
        text,
        "</section>\n</main>\n<footer><a href=\"status.json\">{}</a></footer>\n</body>\n</html>\n",
        words.as_data
    );
    text
}

fn write_incident(text: &mut String, incident: &Incident, words: &Words, language: Language) {
    let parts: Vec<_> = incident
        .parts
        .iter()
        .map(|part| part_name(*part, language))
        .collect();
    let (when, moment) = match incident.closed {
        None => (words.since, incident.opened),
        Some(closed) => (words.until, closed),
    };
    let _ = writeln!(
        text,
        "<article>\n<h3>{}</h3>\n<p><span class=\"state {}\">{}</span> {}, {when} {}</p>",
        escaped(&incident.title),
        incident.state.word(),
        state_name(incident.state, language),
        parts.join(", "),
        time(moment.0),
    );
    if !incident.notes.is_empty() {
        text.push_str("<ul class=\"notes\">\n");
        for note in &incident.notes {
            let _ = writeln!(text, "<li>{} {}</li>", time(note.at.0), escaped(&note.text));
        }
        text.push_str("</ul>\n");
    }
    text.push_str("</article>\n");
}

/// In UTC: readers of one page are in many places.
fn time(moment: Timestamp) -> String {
    let written = moment.to_string();
    let minutes = written.get(..16).unwrap_or(&written).replace('T', " ");
    format!("<time datetime=\"{written}\">{minutes} UTC</time>")
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
