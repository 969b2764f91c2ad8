//! What a caller sees, as a condition of a statement.

use cloud_logic::rights::Visible;

use crate::store::Query;

/// The columns in which a row says where it belongs; `None` where it has no such column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) company: &'static str,
    pub(crate) project: Option<&'static str>,
    pub(crate) site: Option<&'static str>,
}

impl Columns {
    /// As most tables have them.
    pub(crate) const USUAL: Self = Self {
        company: "company_id",
        project: Some("project_id"),
        site: Some("site_id"),
    };
}

pub(crate) trait VisibleRows {
    /// `(company_id IN (..) OR project_id IN (..) OR site_id IN (..))`: nothing where nothing is
    /// visible.
    fn visible(self, visible: &Visible, columns: Columns) -> Self;
}

impl VisibleRows for Query {
    fn visible(self, visible: &Visible, columns: Columns) -> Self {
        let mut query = self
            .text("(")
            .text(columns.company)
            .text(" IN ")
            .values(visible.companies.iter().copied());
        if let Some(project) = columns.project {
            query = query
                .text(" OR ")
                .text(project)
                .text(" IN ")
                .values(visible.projects.iter().copied());
        }
        if let Some(site) = columns.site {
            query = query
                .text(" OR ")
                .text(site)
                .text(" IN ")
                .values(visible.sites.iter().copied());
        }
        query.text(")")
    }
}
