//! Whom a number of a company reaches: ring groups, numbers of people, their forwarding (C5, C6).
//!
//! Rows become one `model::Directory` for each company, whose constructor is the judge of what fits
//! together: what it refuses is refused before it is stored. Stations of gateways have their numbers
//! there; here they are named by gateway and number. Invariant: whoever changes any of it holds the
//! row `call_directory` of the company, so what was checked as a whole is stored as a whole.

mod explained;
mod forwarding;
mod gather;
mod groups;
mod leaving;
mod numbers;
mod target;
#[cfg(test)]
mod tests;

use cloud_logic::ids::CompanyId;
use utoipa_axum::router::OpenApiRouter;

pub(super) use gather::load;
pub(crate) use leaving::{end_in_project, forget_person};
pub(super) use target::node_of;

use crate::core::Core;
use crate::store::{StoreError, Tx, query};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(groups::routes())
        .merge(numbers::routes())
        .merge(explained::routes())
}

/// Takes the directory of a company, until the transaction ends.
async fn hold(tx: &mut Tx, company: CompanyId) -> Result<(), StoreError> {
    let held = query(
        "INSERT INTO call_directory (company_id, revision) VALUES ($1, 1)
         ON CONFLICT (company_id) DO UPDATE SET revision = call_directory.revision + 1",
    );
    tx.execute(held.bind(company)).await?;
    Ok(())
}
