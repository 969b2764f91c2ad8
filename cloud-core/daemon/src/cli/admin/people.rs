//! People and rights by hand: for the day on which nobody can sign in any more, and for scripts.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::Serialize;
use serde_json::json;

use super::super::in_words;
use super::super::people_args::{Form, GrantsWork, Place, Reset, UsersWork};
use crate::api::Problem;
use crate::core::Core;
use crate::people::by_operator::{
    self, Access, GrantLine, NewGrant, NewPerson, Person, PlaceOf, Why,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn users(core: &Core, work: &UsersWork) -> Result<String> {
    match work {
        UsersWork::List { company, form, .. } => {
            let people = by_operator::people(&mut core.store.read().await?, *company).await?;
            told(*form, &people, || table(people.iter().map(person)))
        }
        UsersWork::Add {
            mail,
            company,
            name,
            language,
            form,
            ..
        } => {
            let wish = NewPerson {
                company: *company,
                mail: mail.clone(),
                name: name.clone(),
                language: language.clone(),
            };
            let mut tx = core.store.write().await?;
            let link = by_operator::add(&mut tx, core, wish).await;
            let link = link.map_err(|problem| failed(&problem))?;
            tx.commit().await?;
            link_to(*form, mail, &link)
        }
        UsersWork::Block { mail, .. } => {
            set_access(core, mail, Access::Blocked).await?;
            Ok(format!("{mail} is signed out and kept out\n"))
        }
        UsersWork::Unblock { mail, .. } => {
            set_access(core, mail, Access::Open).await?;
            Ok(format!("{mail} may sign in again\n"))
        }
    }
}

async fn set_access(core: &Core, mail: &str, access: Access) -> Result<()> {
    let mut tx = core.store.write().await?;
    let set = by_operator::set_access(&mut tx, mail, access, core.now()).await;
    set.map_err(|problem| failed(&problem))?;
    Ok(tx.commit().await?)
}

pub(super) async fn reset(core: &Core, reset: &Reset) -> Result<String> {
    let mut tx = core.store.write().await?;
    let link = by_operator::reset(&mut tx, core, &reset.mail).await;
    let link = link.map_err(|problem| failed(&problem))?;
    tx.commit().await?;
    link_to(reset.form, &reset.mail, &link)
}

fn link_to(form: Form, mail: &str, link: &str) -> Result<String> {
    told(form, &json!({ "mail": mail, "link": link }), || {
        format!("{mail} chooses a password there, within an hour:\n  {link}\n")
    })
}

pub(super) async fn grants(core: &Core, work: &GrantsWork) -> Result<String> {
    let now = core.now();
    match work {
        GrantsWork::List {
            user,
            company,
            form,
            ..
        } => {
            let mut tx = core.store.read().await?;
            let grants = by_operator::grants(&mut tx, user.as_deref(), *company, now).await;
            let grants = grants.map_err(|problem| failed(&problem))?;
            told(*form, &grants, || table(grants.iter().map(grant)))
        }
        GrantsWork::Give {
            mail,
            role,
            place,
            days,
            reason,
            form,
            ..
        } => {
            let wish = NewGrant {
                mail: mail.clone(),
                role: *role,
                place: (*place).into(),
                until: days.map(|days| now.saturating_add(DAY * days)),
                reason: reason.clone(),
            };
            let mut tx = core.store.write().await?;
            let id = by_operator::give(&mut tx, wish, now).await;
            let id = id.map_err(|problem| failed(&problem))?;
            tx.commit().await?;
            told(*form, &json!({ "grant": id }), || {
                format!("{mail} is {role} there: {id}\n")
            })
        }
        GrantsWork::Take { grant, .. } => {
            let mut tx = core.store.write().await?;
            let held = by_operator::take(&mut tx, *grant, now).await;
            let held = held.map_err(|problem| failed(&problem))?;
            tx.commit().await?;
            let role = held.grant.role;
            Ok(format!("{} is no longer {role} there\n", held.holder))
        }
        GrantsWork::Why {
            mail,
            permission,
            place,
            form,
            ..
        } => {
            let mut tx = core.store.read().await?;
            let why = by_operator::why(&mut tx, mail, *permission, (*place).into(), now).await;
            let why = why.map_err(|problem| failed(&problem))?;
            told(*form, &why, || {
                let may = if why.allowed { "may" } else { "may not" };
                format!("{mail} {may} ({permission})\n{}", reasons(&why))
            })
        }
    }
}

impl From<Place> for PlaceOf {
    fn from(place: Place) -> Self {
        Self {
            company: place.company,
            project: place.project,
            site: place.site,
        }
    }
}

fn failed(problem: &Problem) -> anyhow::Error {
    anyhow!("{}", in_words(problem))
}

/// For a program, or for a person.
fn told<T: Serialize>(form: Form, value: &T, words: impl FnOnce() -> String) -> Result<String> {
    if form.json {
        Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
    } else {
        Ok(words())
    }
}

fn person(person: &Person) -> Vec<String> {
    let state = match (person.blocked, person.has_password, person.passkeys) {
        (true, _, _) => "blocked".to_owned(),
        (false, false, 0) => "no password yet".to_owned(),
        (false, _, 0) => "password".to_owned(),
        (false, true, keys) => format!("password, {keys} passkeys"),
        (false, false, keys) => format!("{keys} passkeys"),
    };
    let company = format!("{} ({})", person.company_name, person.company);
    vec![person.mail.clone(), person.name.clone(), state, company]
}

fn grant(line: &GrantLine) -> Vec<String> {
    let place = [
        Some(line.company.to_string()),
        line.project.map(|project| project.to_string()),
        line.site.map(|site| site.to_string()),
    ];
    let place: Vec<_> = place.into_iter().flatten().collect();
    let until = match (line.until, line.holds) {
        (None, true) => "without an end".to_owned(),
        (Some(until), true) => format!("until {}", until.0),
        (_, false) => "does not hold now".to_owned(),
    };
    vec![
        line.id.to_string(),
        line.holder.clone(),
        line.role.to_string(),
        place.join(" > "),
        until,
        line.reason.clone(),
    ]
}

fn reasons(why: &Why) -> String {
    let mut words = String::new();
    for grant in &why.grants {
        let says = json!(grant.says);
        let says = says.as_str().unwrap_or_default().replace('_', " ");
        let _ = writeln!(
            words,
            "  {says}: {} by {} ({})",
            grant.role, grant.granted_by, grant.id
        );
    }
    if why.grants.is_empty() {
        words += "  no grant says anything about this place\n";
    }
    words
}

/// Columns as wide as what stands in them.
fn table(rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<_> = rows.collect();
    let mut widths = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let rows = [["a", "long"], ["bcd", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(rows.into_iter()), "a    long\nbcd\n");
        assert_eq!(table(std::iter::empty()), "");
    }
}
