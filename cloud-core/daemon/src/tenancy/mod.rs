//! Companies, their projects and sites, and how people sort and mark them (S1).
//!
//! Company > project > site, folders within a project. Each row below a company says where it
//! belongs, so that what a person sees is a simple filter. Invariant: a site belongs to the company
//! of its project.

mod account;
mod companies;
mod folders;
mod hand_over;
mod labels;
mod logo;
mod metadata;
mod place;
mod projects;
pub(crate) mod shape;
mod sites;
#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use companies::{NewCompany, add as add_company};
pub(crate) use folders::project_of as project_of_folder;
pub(crate) use hand_over::tend;
pub(crate) use place::{Told, of_project, of_site, permitted_project, permitted_site, tell};

use crate::core::Core;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(account::routes())
        .merge(companies::routes())
        .merge(projects::routes())
        .merge(sites::routes())
        .merge(folders::routes())
        .merge(metadata::routes())
        .merge(labels::routes())
        .merge(hand_over::routes())
        .merge(logo::routes())
}
