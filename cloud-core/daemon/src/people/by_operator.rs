//! What the operator of a core does to accounts and rights, on its command line.
//!
//! She needs no right: she has the machine. Bound by what holds whoever acts: sound grants, the last
//! owner of a company stays, and everything stands in the log under her name. For the day on which
//! nobody can sign in any more, and for scripts.

use cloud_logic::ids::{CompanyId, GrantId, ProjectId, SiteId, UserId};
use cloud_logic::rights::{Grant, Period, Permission, Rights, Role, Scope, Withheld};
use model::Timestamp;
use serde::Serialize;

use super::grants::{self, Granted, Held};
pub(crate) use super::users::Why;
use super::users::{self, Account, mail_key};
use super::{resets, sessions};
use crate::api::version::stale;
use crate::api::{Code, Finding, Problem, Time};
use crate::core::{Core, NewId};
use crate::store::audit::{Actor, Audit};
use crate::store::changes::{Change, What, Whose};
use crate::store::{Row, StoreError, Tx, query};

/// How she stands in the log.
const NAME: &str = "cli";

/// A person, as a list shows her.
#[derive(Debug, Serialize)]
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) mail: String,
    pub(crate) name: String,
    /// Which company looks after the account.
    pub(crate) company: CompanyId,
    pub(crate) company_name: String,
    pub(crate) blocked: bool,
    pub(crate) has_password: bool,
    pub(crate) passkeys: i64,
}

fn person(row: &Row) -> Result<Person, StoreError> {
    Ok(Person {
        id: row.parsed("id")?,
        mail: row.text("mail")?,
        name: row.text("name")?,
        company: row.parsed("company_id")?,
        company_name: row.text("company_name")?,
        blocked: row.flag("blocked")?,
        has_password: row.maybe_text("password")?.is_some(),
        passkeys: row.int("passkeys")?,
    })
}

/// People of the whole core, or of one company: those it looks after and those who hold rights in it.
pub(crate) async fn people(
    tx: &mut Tx,
    company: Option<CompanyId>,
) -> Result<Vec<Person>, StoreError> {
    let mut found = query(
        "SELECT u.id, u.mail, u.name, u.company_id, c.name AS company_name, u.blocked, u.password,
                (SELECT COUNT(*) FROM passkey p WHERE p.user_id = u.id) AS passkeys
         FROM user_account u JOIN company c ON c.id = u.company_id",
    );
    if let Some(company) = company {
        found = found
            .text(" WHERE u.company_id = ")
            .value(company)
            .text(" OR u.id IN (SELECT holder FROM grant_ WHERE company_id = ")
            .value(company)
            .text(")");
    }
    let found = found.text(" ORDER BY u.mail_key");
    tx.all(found).await?.iter().map(person).collect()
}

/// An account to be.
#[derive(Debug)]
pub(crate) struct NewPerson {
    pub(crate) company: CompanyId,
    pub(crate) mail: String,
    pub(crate) name: Option<String>,
    pub(crate) language: String,
}

/// Makes an account without rights; the link with which its person chooses a password.
pub(crate) async fn add(tx: &mut Tx, core: &Core, wish: NewPerson) -> Result<String, Problem> {
    let mail = wish.mail.trim();
    let name = wish
        .name
        .unwrap_or_else(|| mail.split('@').next().unwrap_or(mail).to_owned());
    let findings: Vec<_> = [
        users::judge_mail("/mail", mail),
        users::judge_name("/name", &name),
        users::judge_language("/language", &wish.language),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect();
    if !findings.is_empty() {
        return Err(Problem::invalid(findings));
    }
    if users::by_mail(tx, &mail_key(mail)).await?.is_some() {
        let told = format!("{mail} has an account already; `grants give` gives it rights.");
        return Err(Problem::new(Code::Conflict, told));
    }
    grants::place(tx, wish.company, None, None).await?;
    let now = core.now();
    let account = Account {
        id: UserId::new_at(now),
        company: wish.company,
        mail: mail.to_owned(),
        name,
        language: wish.language,
        password: None,
        blocked: false,
        version: 1,
        created: now,
    };
    users::insert(tx, &account).await?;
    note(tx, &account, "user.add", (What::Created, now));
    Ok(resets::offer(tx, core, &account, now).await?)
}

/// The account of a mail address.
pub(crate) async fn account(tx: &mut Tx, mail: &str) -> Result<Account, Problem> {
    let found = users::by_mail(tx, &mail_key(mail)).await?;
    found.ok_or_else(|| {
        let told = format!("Nobody has the mail address {mail}; `users list` shows who is there.");
        Problem::new(Code::NotFound, told)
    })
}

/// Whether somebody may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Blocked,
    Open,
}

/// Blocks or unblocks; who is blocked is signed out everywhere.
pub(crate) async fn set_access(
    tx: &mut Tx,
    mail: &str,
    access: Access,
    now: Timestamp,
) -> Result<(), Problem> {
    let account = account(tx, mail).await?;
    let blocked = access == Access::Blocked;
    if blocked {
        grants::owners_stay_without(tx, account.id, now).await?;
    }
    if !users::set_blocked(tx, account.id, account.version, blocked).await? {
        return Err(stale());
    }
    if blocked {
        sessions::end_all_of(tx, account.id, None).await?;
    }
    let action = if blocked {
        "user.block"
    } else {
        "user.unblock"
    };
    note(tx, &account, action, (What::Updated, now));
    Ok(())
}

/// A link with which somebody chooses a password anew. Shown this once.
pub(crate) async fn reset(tx: &mut Tx, core: &Core, mail: &str) -> Result<String, Problem> {
    let account = account(tx, mail).await?;
    if account.blocked {
        let told = format!("{mail} is blocked: unblock it first.");
        return Err(Problem::new(Code::Conflict, told));
    }
    let link = resets::offer(tx, core, &account, core.now()).await?;
    let when = (What::Updated, core.now());
    note(tx, &account, "user.password_reset", when);
    Ok(link)
}

/// A grant, as a list shows it.
#[derive(Debug, Serialize)]
pub(crate) struct GrantLine {
    pub(crate) id: GrantId,
    /// Mail address, or the id of an integration.
    pub(crate) holder: String,
    pub(crate) role: Role,
    pub(crate) company: CompanyId,
    pub(crate) project: Option<ProjectId>,
    pub(crate) site: Option<SiteId>,
    pub(crate) until: Option<Time>,
    /// Whether it holds now.
    pub(crate) holds: bool,
    pub(crate) reason: String,
    pub(crate) granted_by: String,
}

/// Grants of somebody, of a company, or all.
pub(crate) async fn grants(
    tx: &mut Tx,
    mail: Option<&str>,
    company: Option<CompanyId>,
    now: Timestamp,
) -> Result<Vec<GrantLine>, Problem> {
    let holder = match mail {
        Some(mail) => Some(account(tx, mail).await?.id.to_string()),
        None => None,
    };
    let held = grants::everywhere(tx, holder.as_deref(), company).await?;
    let lines = held.into_iter().map(|(held, mail)| {
        let scope = held.grant.scope;
        GrantLine {
            id: held.grant.id,
            holder: mail.unwrap_or(held.holder),
            role: held.grant.role,
            company: scope.company(),
            project: scope.project(),
            site: scope.site(),
            until: held.grant.period.until().map(Time),
            holds: held.grant.period.holds(now),
            reason: held.reason,
            granted_by: held.granted_by,
        }
    });
    Ok(lines.collect())
}

/// A place, as it is typed: a project names its company, a site its project.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaceOf {
    pub(crate) company: CompanyId,
    pub(crate) project: Option<ProjectId>,
    pub(crate) site: Option<SiteId>,
}

/// A right to be given.
#[derive(Debug)]
pub(crate) struct NewGrant {
    pub(crate) mail: String,
    pub(crate) role: Role,
    pub(crate) place: PlaceOf,
    pub(crate) until: Option<Timestamp>,
    pub(crate) reason: String,
}

pub(crate) async fn give(tx: &mut Tx, wish: NewGrant, now: Timestamp) -> Result<GrantId, Problem> {
    let holder = account(tx, &wish.mail).await?;
    let scope = place(tx, wish.place).await?;
    let period = Period::new(now, wish.until).map_err(|error| {
        Problem::invalid(vec![Finding::new(
            "/until",
            "before_beginning",
            error.to_string(),
        )])
    })?;
    let granted = Granted {
        role: wish.role,
        scope,
        period,
        withheld: Withheld::NOTHING,
        reason: wish.reason,
    };
    granted.allowed_to(&everything_in(scope.company(), now), now)?;
    let held = granted.with(
        GrantId::new_at(now),
        holder.id.to_string(),
        NAME.to_owned(),
        now,
    );
    grants::keep(tx, Actor::named(NAME), &held, now).await?;
    Ok(held.grant.id)
}

/// As if she were an owner there, so that she is held to the same rules.
fn everything_in(company: CompanyId, now: Timestamp) -> Rights {
    Rights::new(vec![Grant {
        id: GrantId::from_bits(0),
        role: Role::Owner,
        scope: Scope::Company(company),
        period: Period::without_end(now),
        withheld: Withheld::NOTHING,
    }])
}

/// Takes a right away; whose it was.
pub(crate) async fn take(tx: &mut Tx, id: GrantId, now: Timestamp) -> Result<Held, Problem> {
    let all = grants::everywhere(tx, None, None).await?;
    let found = all.into_iter().find(|(held, _)| held.grant.id == id);
    let (held, _) = found.ok_or_else(|| {
        let told = format!("There is no grant {id}; `grants list` shows them.");
        Problem::new(Code::NotFound, told)
    })?;
    grants::remove(tx, Actor::named(NAME), &held, now).await?;
    Ok(held)
}

/// Why somebody may do something there, or may not.
pub(crate) async fn why(
    tx: &mut Tx,
    mail: &str,
    permission: Permission,
    place_of: PlaceOf,
    now: Timestamp,
) -> Result<Why, Problem> {
    let account = account(tx, mail).await?;
    let scope = place(tx, place_of).await?;
    Ok(users::explained(tx, account.id, permission, &scope, now).await?)
}

async fn place(tx: &mut Tx, of: PlaceOf) -> Result<Scope, Problem> {
    grants::place(tx, of.company, of.project, of.site).await
}

fn note(tx: &mut Tx, account: &Account, action: &'static str, (what, at): (What, Timestamp)) {
    tx.audit(Audit {
        at,
        company: Some(account.company),
        actor: Actor::named(NAME),
        action,
        object_kind: "user",
        object_id: account.id.to_string(),
        before: None,
        after: None,
    });
    tx.changed(Change {
        at,
        whose: Whose {
            company: Some(account.company),
            ..Whose::default()
        },
        kind: "user",
        id: account.id.to_string(),
        what,
    });
}
