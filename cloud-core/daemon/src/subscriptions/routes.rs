//! What a company has ordered, uses and lacks.

use axum::extract::State;
use cloud_logic::ids::{CompanyId, SubscriptionId};
use cloud_logic::rights::{Permission, Scope};
use cloud_logic::subscriptions::{Balance, Checking, GRACE, Sku};
use model::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rows::{self, Order};
use crate::api::answers::Refused;
use crate::api::{Json, Path, Problem, Time};
use crate::core::Core;
use crate::people::Caller;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(read))
}

/// Subscriptions of a company.
#[derive(Debug, Serialize, ToSchema)]
struct Subscriptions {
    /// Whether this core asks for them at all. Where it does not, nothing is missing.
    checked: bool,
    /// Of everything that can be ordered: what is there, used and missing.
    balances: Vec<BalanceBody>,
    items: Vec<SubscriptionBody>,
}

/// What is there of one order number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionBalance)]
pub(crate) struct BalanceBody {
    #[schema(value_type = String, example = "E-CC-CTF")]
    sku: Sku,
    title: &'static str,
    unit: &'static str,
    /// What counts now.
    there: u64,
    /// What of it has ended and still counts, for 30 days.
    in_grace: u64,
    /// What of it ends within 60 days.
    ending: u64,
    /// When the next of it stops to count.
    next_end: Option<Time>,
    /// Null where this core does not count it.
    used: Option<u64>,
    free: Option<u64>,
    /// Nothing that runs is cut off for it; new devices, reboots, logs and settings are refused.
    missing: u64,
}

impl From<Balance> for BalanceBody {
    fn from(balance: Balance) -> Self {
        Self {
            sku: balance.sku,
            title: balance.sku.title(),
            unit: &balance.sku.offer().unit,
            there: balance.there,
            in_grace: balance.in_grace,
            ending: balance.ending,
            next_end: balance.next_end.map(Time),
            used: balance.used,
            free: balance.free(),
            missing: balance.missing(),
        }
    }
}

/// What was ordered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
struct SubscriptionBody {
    #[schema(value_type = String)]
    id: SubscriptionId,
    #[schema(value_type = String, example = "E-CC-CTF")]
    sku: Sku,
    amount: u32,
    from: Time,
    until: Time,
    /// Until when it counts.
    counts_until: Time,
    /// `ahead`, `running`, `ending`, `grace` or `over`.
    standing: &'static str,
    reference: String,
}

fn body(order: Order, now: Timestamp) -> SubscriptionBody {
    let subscription = order.subscription;
    SubscriptionBody {
        id: order.id,
        sku: subscription.sku,
        amount: subscription.amount,
        from: Time(subscription.from),
        until: Time(subscription.until),
        counts_until: Time(subscription.until.saturating_add(GRACE)),
        standing: subscription.standing(now).word(),
        reference: order.reference,
    }
}

/// Subscriptions of a company: there, used, missing, ending
///
/// Whoever runs the core writes them down.
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/subscriptions",
    tag = "subscriptions",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("subscription.view"))),
    responses((status = 200, description = "All of them.", body = Subscriptions), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
) -> Result<Json<Subscriptions>, Problem> {
    caller.require(Permission::SubscriptionView, &Scope::Company(company))?;
    let mut tx = core.store.read().await?;
    let orders = rows::of_company(&mut tx, company).await?;
    let balances = super::balances(&mut tx, &core, company).await?;
    Ok(Json(Subscriptions {
        checked: core.subscriptions == Checking::Checked,
        balances,
        items: orders
            .into_iter()
            .map(|order| body(order, caller.now))
            .collect(),
    }))
}
