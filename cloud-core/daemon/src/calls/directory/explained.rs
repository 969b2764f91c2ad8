//! "What happens at ...?": the way of a call to a number at a moment (C6).

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use std::collections::BTreeMap;

use axum::extract::State;
use cloud_logic::ids::{CompanyId, DeviceId, UserId};
use cloud_logic::rights::{Permission, Scope};
use model::{Address, CallNumber, ForwardWhen, NodeId, What};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::forwarding::When;
use super::gather;
use super::target::{Target, node_of};
use crate::api::answers::Refused;
use crate::api::{Finding, Json, Path, Problem, Query, Time};
use crate::core::Core;
use crate::people::Caller;
use crate::store::{StoreError, Tx, query};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// Which call is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// What is dialled.
    #[param(example = "500", pattern = "^[0-9]{1,8}$")]
    number: String,
    /// When; without it, now.
    #[param(value_type = Option<String>, format = DateTime)]
    at: Option<Time>,
}

/// The way of a call.
#[derive(Debug, Serialize, ToSchema)]
struct Explanation {
    at: Time,
    steps: Vec<Step>,
    /// Until then nothing changes by the clock; null where no rule looks at it.
    holds_until: Option<Time>,
}

/// One step on the way.
#[derive(Debug, Serialize, ToSchema)]
struct Step {
    /// How many conditions stand before it.
    depth: u8,
    /// What must have happened; null: it comes anyway.
    given: Option<When>,
    /// With `no_answer`, after how many seconds.
    after_s: Option<u64>,
    happens: Happens,
    /// Of the person, the group or the rule that this is about.
    number: Option<String>,
    /// How many ring.
    members: Option<usize>,
    /// The rule that sends it on, counted from 0.
    rule: Option<usize>,
    /// Where it goes.
    to: Option<Target>,
}

/// What happens in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Happens {
    Rings,
    RingsAll,
    Forwards,
    /// To a station of a gateway, or to a person without a number.
    Leaves,
    /// Nobody has the number.
    EndsUnknown,
    EndsInLoop,
    /// Something that companies have only behind gateways.
    Other,
}

/// What happens to a call
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/calls/explained",
    tag = "calls",
    params(("company" = String, Path, description = "Which company."), Asked),
    extensions(("x-permission" = json!("directory.view"))),
    responses((status = 200, description = "Step by step.", body = Explanation), Refused)
)]
async fn explain(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Explanation>, Problem> {
    caller.require(Permission::DirectoryView, &Scope::Company(company))?;
    let number = CallNumber::parse(&asked.number).map_err(|error| {
        let finding = Finding::new("?number", "no_number", error.to_string());
        Problem::invalid(vec![finding])
    })?;
    let at = asked.at.map_or(caller.now, |Time(at)| at);
    let mut tx = core.store.read().await?;
    let directory = gather::load(&mut tx, company).await?;
    let way = directory.explain(&Address::Local(number), at);
    let devices = devices_of(&mut tx, company).await?;
    Ok(Json(Explanation {
        at: Time(way.at),
        steps: (way.steps.into_iter())
            .map(|step| told(step, &devices))
            .collect(),
        holds_until: way.holds_until.map(Time),
    }))
}

/// Gateways by what calls know them as.
async fn devices_of(
    tx: &mut Tx,
    company: CompanyId,
) -> Result<BTreeMap<NodeId, DeviceId>, StoreError> {
    let asked = query("SELECT id FROM device WHERE company_id = $1").bind(company);
    let rows = tx.all(asked).await?;
    rows.iter()
        .map(|row| {
            let device = row.parsed("id")?;
            Ok((node_of(device), device))
        })
        .collect()
}

fn told(step: model::Step, devices: &BTreeMap<NodeId, DeviceId>) -> Step {
    let (given, after_s) = match step.given {
        None => (None, None),
        Some(ForwardWhen::Always) => (Some(When::Always), None),
        Some(ForwardWhen::Busy) => (Some(When::Busy), None),
        Some(ForwardWhen::NoAnswer { after }) => (Some(When::NoAnswer), Some(after.as_secs())),
        Some(ForwardWhen::Unreachable) => (Some(When::Unreachable), None),
    };
    let mut told = Step {
        depth: step.depth,
        given,
        after_s,
        happens: Happens::Other,
        number: None,
        members: None,
        rule: None,
        to: None,
    };
    match step.what {
        What::Rings(number) => {
            told.happens = Happens::Rings;
            told.number = Some(number.to_string());
        }
        What::Forwards { station, rule, to } => {
            told.happens = Happens::Forwards;
            told.number = Some(station.to_string());
            told.rule = Some(rule);
            told.to = target(&to, devices);
        }
        What::RingsAll { group, members } => {
            told.happens = Happens::RingsAll;
            told.number = Some(group.to_string());
            told.members = Some(members);
        }
        What::LeavesTo(to) => {
            told.happens = Happens::Leaves;
            told.to = target(&to, devices);
        }
        What::EndsUnknown(to) => {
            told.happens = Happens::EndsUnknown;
            told.to = target(&to, devices);
        }
        What::EndsInLoop(to) => {
            told.happens = Happens::EndsInLoop;
            told.to = target(&to, devices);
        }
        What::WaitsAtDesk { desk: number, .. }
        | What::JoinsConference(number)
        | What::Announces {
            group_call: number, ..
        }
        | What::HearsItself(number) => told.number = Some(number.to_string()),
    }
    told
}

fn target(address: &Address, devices: &BTreeMap<NodeId, DeviceId>) -> Option<Target> {
    match address {
        Address::Local(number) => Some(Target::Number {
            number: number.to_string(),
        }),
        Address::Remote { node, number } => Some(Target::Station {
            device: *devices.get(node)?,
            number: number.to_string(),
        }),
        Address::CloudUser(user) => Some(Target::User {
            user: UserId::from_bits(user.get()),
        }),
        Address::Sip(_) | Address::Group(_) | Address::Desk(_) => None,
    }
}
