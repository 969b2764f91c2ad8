//! From the rows of a company to its directory, and what that says of a change.
//!
//! A person may have left since she was named, a project may have gone: what stored rows name and
//! nobody has any more is left out, so that the rest of the company can still be called. What is
//! being changed is judged as it was written.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloud_logic::ids::{CallNumberId, CompanyId, RingGroupId};
use jiff::tz::TimeZone;
use model::{
    Address, CallNumber, Directory, EarlyMedia, Fault, Lists, Pii, Problems, Reach, RingGroup,
    Site, Station, StationId, StationKind,
};

use super::groups::GroupSettings;
use super::numbers::NumberSettings;
use super::target::cloud_user;
use crate::api::check::Findings;
use crate::api::{Code, Problem};
use crate::store::{Row, StoreError, Tx, query};

/// What is being changed; without content it goes.
#[derive(Debug)]
pub(super) enum Edited {
    Group(RingGroupId, Option<RingGroup>),
    Number(CallNumberId, Option<Box<Station>>),
}

/// What calls of a company are made by.
pub(in crate::calls) async fn load(
    tx: &mut Tx,
    company: CompanyId,
) -> Result<Arc<Directory>, StoreError> {
    let mut lists = stored(tx, company).await?;
    let left_out = leave_out_unknown(&mut lists);
    if left_out > 0 {
        tracing::info!(%company, left_out, "groups and rules lead to numbers that nobody has any more");
    }
    let directory = Directory::build(lists).map_err(|problems| StoreError::Content {
        column: "call_directory".to_owned(),
        what: first_of(&problems),
    })?;
    Ok(Arc::new(directory))
}

/// Whether the company's directory takes the change.
pub(super) async fn check(tx: &mut Tx, company: CompanyId, edited: Edited) -> Result<(), Problem> {
    let mut lists = stored(tx, company).await?;
    // With what is being changed as it was: others may lead to it.
    leave_out_unknown(&mut lists);
    let here = replace(&mut lists, edited);
    match Directory::build(lists) {
        Ok(_) => Ok(()),
        Err(problems) => Err(refusal(&problems, here.as_deref())),
    }
}

/// Puts the change into the lists; where it then stands.
fn replace(lists: &mut Lists, edited: Edited) -> Option<String> {
    match edited {
        Edited::Group(id, group) => {
            let id = group_id(id);
            lists.ring_groups.retain(|group| group.id != id);
            lists.ring_groups.push(group?);
            Some(format!("ring_groups[{}].", lists.ring_groups.len() - 1))
        }
        Edited::Number(id, station) => {
            let id = station_id(id);
            lists.stations.retain(|station| station.id != id);
            lists.stations.push(*station?);
            Some(format!("stations[{}].", lists.stations.len() - 1))
        }
    }
}

/// What is wrong at the change goes to its fields; what is wrong elsewhere is in its way.
fn refusal(problems: &Problems, here: Option<&str>) -> Problem {
    let mut findings = Findings::default();
    for problem in &problems.0 {
        if let Fault::NumberTaken { number, .. } = &problem.fault {
            let detail = format!("The number {number} is taken. Choose another one.");
            return Problem::new(Code::Conflict, detail);
        }
        let Some(field) = here.and_then(|here| problem.path.strip_prefix(here)) else {
            continue;
        };
        let detail = format!("{}: {}.", problem.fault, problem.fault.hint());
        findings.add(&pointer(field), word(&problem.fault), detail);
    }
    match findings.done() {
        Err(problem) => problem,
        Ok(()) => Problem::new(
            Code::Conflict,
            "Ring groups or forwarding rules of others lead to this number and could not any more. Let them lead elsewhere first.",
        ),
    }
}

/// `forwarding[2].to` as a pointer of RFC 6901, in the words of the interface.
fn pointer(path: &str) -> String {
    let words = [
        ("ring_for", "ring_s"),
        ("after", "after_s"),
        ("then", "onward"),
    ];
    path.split(['.', '['])
        .map(|part| part.trim_end_matches(']'))
        .map(|part| {
            let known = words.iter().find(|(model, _)| *model == part);
            format!("/{}", known.map_or(part, |(_, ours)| *ours))
        })
        .collect()
}

/// For programs; it never changes.
fn word(fault: &Fault) -> &'static str {
    match fault {
        Fault::NumberTaken { .. } | Fault::IdTaken { .. } | Fault::AccountTaken { .. } => "taken",
        Fault::UnknownNumber(_) => "no_such_number",
        Fault::UnknownGroup | Fault::UnknownDesk | Fault::UnknownDoor => "unknown",
        Fault::NotASingleDevice => "not_single",
        Fault::ARoom | Fault::AnEcho => "nobody_there",
        Fault::Twice { .. } => "twice",
        Fault::Count { .. } => "count",
        Fault::Loop { .. } => "loop",
        Fault::NameTooLong(_) => "too_long",
        Fault::NameWithControl => "control_character",
        Fault::Duration { .. } => "out_of_range",
        Fault::CodeHidden { .. }
        | Fault::NobodyPermitted
        | Fault::FeedbackOfUrl
        | Fault::OutputZero => "invalid",
    }
}

fn first_of(problems: &Problems) -> String {
    let first = problems.0.first();
    first.map_or_else(String::new, |problem| {
        format!("{}: {}", problem.path, problem.fault)
    })
}

/// Takes out what leads to numbers that nobody has, and groups of nobody; how much that was.
fn leave_out_unknown(lists: &mut Lists) -> usize {
    let mut left_out = 0;
    loop {
        let groups = lists.ring_groups.iter().map(|group| group.number);
        let stations = lists.stations.iter().map(|station| station.number);
        let known: BTreeSet<CallNumber> = groups.chain(stations).collect();
        let there = |address: &Address| match address {
            Address::Local(number) => known.contains(number),
            Address::Remote { .. }
            | Address::Sip(_)
            | Address::CloudUser(_)
            | Address::Group(_)
            | Address::Desk(_) => true,
        };
        let before = left_out;
        for group in &mut lists.ring_groups {
            let members = group.members.len();
            group.members.retain(there);
            left_out += members - group.members.len();
            if group.then.as_ref().is_some_and(|then| !there(then)) {
                group.then = None;
                left_out += 1;
            }
        }
        for station in &mut lists.stations {
            let rules = station.forwarding.len();
            station.forwarding.retain(|rule| there(&rule.to));
            left_out += rules - station.forwarding.len();
        }
        let groups = lists.ring_groups.len();
        lists.ring_groups.retain(|group| !group.members.is_empty());
        left_out += groups - lists.ring_groups.len();
        if left_out == before {
            return left_out;
        }
    }
}

/// The lists of a company as they are stored.
async fn stored(tx: &mut Tx, company: CompanyId) -> Result<Lists, StoreError> {
    let zone = query("SELECT time_zone FROM company WHERE id = $1").bind(company);
    let zone = tx.one(zone).await?.text("time_zone")?;
    let groups = query("SELECT * FROM ring_group WHERE company_id = $1 ORDER BY id").bind(company);
    let groups = tx.all(groups).await?;
    // A site that has gone to another company does not count any more.
    let numbers = query(
        "SELECT n.*, u.name AS user_name, s.time_zone
         FROM call_number n JOIN user_account u ON u.id = n.user_id
         LEFT JOIN site s ON s.id = n.site_id AND s.company_id = n.company_id
         WHERE n.company_id = $1 ORDER BY n.id",
    );
    let numbers = tx.all(numbers.bind(company)).await?;
    Ok(Lists {
        site: Site {
            zone: zone_named(&zone),
            ..Site::default()
        },
        ring_groups: groups.iter().map(stored_group).collect::<Result<_, _>>()?,
        stations: numbers
            .iter()
            .map(stored_number)
            .collect::<Result<_, _>>()?,
        ..Lists::default()
    })
}

fn stored_group(row: &Row) -> Result<RingGroup, StoreError> {
    let settings = GroupSettings::read(row)?;
    let mut findings = Findings::default();
    let group = ring_group(row.parsed("id")?, &settings, &mut findings);
    group.ok_or_else(|| misfit("ring_group"))
}

fn stored_number(row: &Row) -> Result<Station, StoreError> {
    let settings = NumberSettings::read(row)?;
    let mut findings = Findings::default();
    let station = station(row.parsed("id")?, &settings, &mut findings);
    let mut station = station.ok_or_else(|| misfit("call_number"))?;
    station.name = Pii::new(row.text("user_name")?);
    station.zone = row.maybe_text("time_zone")?.as_deref().map(zone_named);
    Ok(station)
}

fn misfit(table: &str) -> StoreError {
    StoreError::Content {
        column: table.to_owned(),
        what: "this is no group or number that was checked".to_owned(),
    }
}

/// As the calls of a company read it; a zone that the database of zones has lost is UTC.
fn zone_named(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

pub(super) fn group_id(id: RingGroupId) -> model::RingGroupId {
    model::RingGroupId::from_key(&id.to_string())
}

pub(super) fn station_id(id: CallNumberId) -> StationId {
    StationId::from_key(&id.to_string())
}

/// The group as calls ring it; what is wrong with its form goes among the findings.
pub(super) fn ring_group(
    id: RingGroupId,
    settings: &GroupSettings,
    findings: &mut Findings,
) -> Option<RingGroup> {
    let number = number(&settings.number, findings);
    let members: Vec<_> = (settings.members.iter().enumerate())
        .map(|(n, member)| member.checked(&format!("/members/{n}"), findings))
        .collect();
    let onward = settings.onward.as_ref();
    let onward = onward.map(|onward| onward.checked("/onward", findings));
    Some(RingGroup {
        id: group_id(id),
        number: number?,
        name: Pii::new(settings.name.clone()),
        members: members.into_iter().collect::<Option<_>>()?,
        early_media: match settings.early_media {
            true => EarlyMedia::On,
            false => EarlyMedia::Off,
        },
        ring_for: Duration::from_secs(u64::from(settings.ring_s)),
        then: match onward {
            None => None,
            Some(onward) => Some(onward?),
        },
    })
}

/// The person as a station with a number; what is wrong with its form goes among the findings.
pub(super) fn station(
    id: CallNumberId,
    settings: &NumberSettings,
    findings: &mut Findings,
) -> Option<Station> {
    let number = number(&settings.number, findings);
    let rules: Vec<_> = (settings.forwarding.iter().enumerate())
        .map(|(n, rule)| rule.checked(&format!("/forwarding/{n}"), findings))
        .collect();
    let reach = Reach::User(cloud_user(settings.user));
    let mut station = Station::new(station_id(id), number?, StationKind::Generic, reach);
    station.forwarding = rules.into_iter().collect::<Option<_>>()?;
    Some(station)
}

fn number(text: &str, findings: &mut Findings) -> Option<CallNumber> {
    match CallNumber::parse(text) {
        Ok(number) => Some(number),
        Err(error) => {
            findings.add("/number", "no_number", error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_directory_says_points_into_the_body() {
        for (path, expected) in [
            ("members[2]", "/members/2"),
            ("forwarding[0].to", "/forwarding/0/to"),
            ("forwarding[3].after", "/forwarding/3/after_s"),
            ("ring_for", "/ring_s"),
            ("then", "/onward"),
        ] {
            assert_eq!(pointer(path), expected);
        }
    }
}
