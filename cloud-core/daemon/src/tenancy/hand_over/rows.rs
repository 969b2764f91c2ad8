//! The table of offers, and the counts of what one is about.

use std::time::Duration;

use cloud_logic::ids::{CompanyId, HandOverId, ProjectId};
use cloud_logic::rights::Visible;
use model::Timestamp;

use super::{Ends, Given, Goes, HandOver, Preview, State};
use crate::people::{Columns, VisibleRows};
use crate::store::{Query, Row, StoreError, Tx, query};

/// What was written for the giver at the moment of a hand-over has been committed by then.
const PASSING: Duration = Duration::from_secs(2 * 3600);

/// Names of what an offer is about, as they are now.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) company: String,
    pub(super) project: Option<String>,
}

const FIND: &str = "SELECT h.id, h.company_id, h.project_id, h.mail, h.offered_by, h.state,
    h.into_company_id, h.created, h.expires, h.ended, c.name AS company_name, p.name AS project_name
    FROM hand_over h JOIN company c ON c.id = h.company_id
    LEFT JOIN project p ON p.id = h.project_id WHERE ";

fn offer(row: &Row) -> Result<(HandOver, Names), StoreError> {
    let company = row.parsed("company_id")?;
    let given = match row.maybe_parsed("project_id")? {
        Some(project) => Given::Project(company, project),
        None => Given::Company(company),
    };
    let offer = HandOver {
        id: row.parsed("id")?,
        given,
        mail: row.text("mail")?,
        offered_by: row.parsed("offered_by")?,
        state: row.parsed("state")?,
        into: row.maybe_parsed("into_company_id")?,
        created: row.time("created")?,
        expires: row.time("expires")?,
        ended: row.maybe_time("ended")?,
    };
    let names = Names {
        company: row.text("company_name")?,
        project: row.maybe_text("project_name")?,
    };
    Ok((offer, names))
}

async fn all(tx: &mut Tx, found: Query) -> Result<Vec<(HandOver, Names)>, StoreError> {
    tx.all(found).await?.iter().map(offer).collect()
}

pub(super) async fn by_id(
    tx: &mut Tx,
    id: HandOverId,
) -> Result<Option<(HandOver, Names)>, StoreError> {
    Ok(all(tx, query(FIND).text("h.id = ").value(id)).await?.pop())
}

/// What is offered to the person with this mail address.
pub(super) async fn offered_to(
    tx: &mut Tx,
    mail_key: &str,
    now: Timestamp,
) -> Result<Vec<(HandOver, Names)>, StoreError> {
    let found = query(FIND)
        .text("h.mail_key = ")
        .value(mail_key)
        .text(" AND h.state = 'offered' AND h.expires > ")
        .value(now)
        .text(" ORDER BY h.id LIMIT 100");
    all(tx, found).await
}

/// What a company offers and has offered, the latest first, as far as it is seen.
pub(super) async fn of_company(
    tx: &mut Tx,
    company: CompanyId,
    visible: &Visible,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<(HandOver, Names)>, StoreError> {
    const OFFERS: Columns = Columns {
        company: "h.company_id",
        project: Some("h.project_id"),
        site: None,
    };
    let mut found = query(FIND)
        .text("h.company_id = ")
        .value(company)
        .text(" AND ")
        .visible(visible, OFFERS);
    if let Some(before) = before {
        found = found.text(" AND h.id < ").value(before);
    }
    let found = found
        .text(" ORDER BY h.id DESC LIMIT ")
        .value(i64::from(limit) + 1);
    all(tx, found).await
}

pub(super) async fn insert(
    tx: &mut Tx,
    offer: &HandOver,
    mail_key: &str,
) -> Result<(), StoreError> {
    let insert = query(
        "INSERT INTO hand_over (id, company_id, project_id, mail, mail_key, offered_by, state,
                                created, expires)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(offer.id)
    .bind(offer.given.company())
    .bind(offer.given.scope().project())
    .bind(&offer.mail)
    .bind(mail_key)
    .bind(offer.offered_by)
    .bind(offer.state.word())
    .bind(offer.created)
    .bind(offer.expires);
    tx.execute(insert).await?;
    Ok(())
}

/// Ends an offer that stands; false if it was ended before.
pub(super) async fn end(
    tx: &mut Tx,
    id: HandOverId,
    state: State,
    into: Option<CompanyId>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let end = query(
        "UPDATE hand_over SET state = $2, into_company_id = $3, ended = $4
         WHERE id = $1 AND state = 'offered' AND expires > $4",
    )
    .bind(id)
    .bind(state.word())
    .bind(into)
    .bind(now);
    Ok(tx.execute(end).await? == 1)
}

/// Ends what time has ended.
pub(super) async fn expire(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    let expire = query(
        "UPDATE hand_over SET state = 'expired', ended = expires
         WHERE state = 'offered' AND expires <= $1",
    );
    tx.execute(expire.bind(now)).await?;
    Ok(())
}

/// Projects that passed a short while ago and have not passed on.
pub(super) async fn just_passed(
    tx: &mut Tx,
    now: Timestamp,
) -> Result<Vec<(ProjectId, CompanyId, CompanyId)>, StoreError> {
    let since = now.saturating_sub(PASSING);
    let found = query(
        "SELECT p.id, h.company_id, p.company_id AS now_of FROM hand_over h
         JOIN project p ON p.id = h.project_id
         WHERE h.state = 'accepted' AND h.ended > $1 AND p.company_id <> h.company_id",
    );
    let rows = tx.all(found.bind(since)).await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.parsed("id")?,
                row.parsed("company_id")?,
                row.parsed("now_of")?,
            ))
        })
        .collect()
}

pub(super) async fn preview(tx: &mut Tx, given: Given) -> Result<Preview, StoreError> {
    let in_it = |table: &'static str| {
        let counted = query("SELECT COUNT(*) AS n FROM ").text(table);
        match given {
            Given::Project(_, project) => counted.text(" WHERE project_id = ").value(project),
            Given::Company(company) => counted.text(" WHERE company_id = ").value(company),
        }
    };
    let of_company = |table: &'static str, company: CompanyId| {
        let counted = query("SELECT COUNT(*) AS n FROM ").text(table);
        counted.text(" WHERE company_id = ").value(company)
    };
    let (projects, users, integrations, grants) = match given {
        Given::Project(..) => (1, 0, 0, count(tx, in_it("grant_")).await?),
        Given::Company(company) => (
            count(tx, of_company("project", company)).await?,
            count(tx, of_company("user_account", company)).await?,
            count(tx, of_company("integration", company)).await?,
            count(tx, in_it("grant_").text(" AND role = 'owner'")).await?,
        ),
    };
    let invitations = match given {
        Given::Project(..) => count(tx, in_it("invitation")).await?,
        Given::Company(_) => count(tx, in_it("invitation").text(" AND role = 'owner'")).await?,
    };
    Ok(Preview {
        goes: Goes {
            projects,
            sites: count(tx, in_it("site")).await?,
            folders: count(tx, in_it("folder")).await?,
            devices: count(tx, in_it("device")).await?,
            users,
            integrations,
        },
        ends: Ends {
            grants,
            invitations,
        },
        stays: stays(given),
    })
}

fn stays(given: Given) -> Vec<String> {
    let words: &[&str] = match given {
        Given::Project(..) => &[
            "subscriptions and metadata keys: they are the company's",
            "integrations: they are the company's, and lose their rights in the project",
            "labels: they are their users' own",
            "the audit log of what was until now",
        ],
        Given::Company(_) => &["labels: they are their users' own"],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

async fn count(tx: &mut Tx, counted: Query) -> Result<i64, StoreError> {
    tx.one(counted).await?.int("n")
}
