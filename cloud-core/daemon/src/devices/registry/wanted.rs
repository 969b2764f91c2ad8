//! Which devices are wanted: the filters of a list, as conditions of a statement.

use cloud_logic::catalogue::Mode;
use cloud_logic::condition::Presence;
use cloud_logic::ids::{CompanyId, FolderId, LabelId, ProjectId, SiteId};
use cloud_logic::rights::Visible;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::{Finding, Problem};
use crate::people::{Caller, Columns, VisibleRows};
use crate::store::Query;

/// So many words are searched for at once.
const WORDS: usize = 8;
const LONGEST: usize = 100;

/// Which devices of a company are wanted; all that is given holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(in crate::devices) struct Wanted {
    /// Only of this project.
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub(in crate::devices) project: Option<ProjectId>,
    /// Only of this site.
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub(in crate::devices) site: Option<SiteId>,
    /// Only in this folder, or in a folder that stands in it: the device itself, or its site.
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub(in crate::devices) folder: Option<FolderId>,
    /// Only with this label of yours.
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub(in crate::devices) label: Option<LabelId>,
    /// Only this model, as the catalogue writes it.
    #[param(max_length = 100)]
    #[schema(max_length = 100)]
    pub(in crate::devices) model: Option<String>,
    /// `cloud`, `managed`, `on_prem_mesh` or `bridge`.
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub(in crate::devices) mode: Option<Mode>,
    /// Only with this firmware, as the device says it.
    #[param(max_length = 32)]
    #[schema(max_length = 32)]
    pub(in crate::devices) firmware: Option<String>,
    /// `online`, `offline` or `never_seen`.
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub(in crate::devices) presence: Option<Presence>,
    /// True for those that need attention, false for those that do not.
    pub(in crate::devices) attention: Option<bool>,
    /// Words, each of which stands in the name, the serial number or the id, in whatever case.
    #[param(max_length = 100)]
    #[schema(max_length = 100)]
    pub(in crate::devices) q: Option<String>,
}

impl Wanted {
    /// `... WHERE` the company's devices that are wanted and seen.
    pub(in crate::devices) fn conditions(
        &self,
        asked: Query,
        (caller, visible, company): (&Caller, &Visible, CompanyId),
    ) -> Result<Query, Problem> {
        let mut asked = asked.text("company_id = ").value(company);
        if !visible.companies.contains(&company) {
            asked = asked.text(" AND ").visible(visible, Columns::USUAL);
        }
        if let Some(project) = self.project {
            asked = asked.text(" AND project_id = ").value(project);
        }
        if let Some(site) = self.site {
            asked = asked.text(" AND site_id = ").value(site);
        }
        if let Some(folder) = self.folder {
            asked = within_folder(asked, folder);
        }
        if let Some(label) = self.label {
            asked = asked
                .text(" AND id IN (SELECT o.object_id FROM labelled o JOIN label l ON l.id = o.label_id")
                .text(" WHERE l.id = ")
                .value(label)
                .text(" AND l.user_id = ")
                .value(caller.user()?)
                .text(")");
        }
        if let Some(model) = &self.model {
            asked = asked.text(" AND model = ").value(model);
        }
        if let Some(mode) = self.mode {
            asked = asked.text(" AND mode = ").value(mode.name());
        }
        if let Some(firmware) = &self.firmware {
            asked = asked.text(" AND firmware = ").value(firmware);
        }
        if let Some(presence) = self.presence {
            asked = asked.text(" AND presence = ").value(presence.word());
        }
        asked = match self.attention {
            Some(true) => asked.text(" AND attention <> 0"),
            Some(false) => asked.text(" AND attention = 0"),
            None => asked,
        };
        for word in self.words()? {
            asked = asked.contains("search", &word);
        }
        Ok(asked)
    }

    fn words(&self) -> Result<Vec<String>, Problem> {
        let text = self.q.as_deref().unwrap_or_default();
        let words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
        if words.len() > WORDS || text.chars().count() > LONGEST {
            let detail = "Search for at most eight words, 100 characters in all.";
            return Err(Problem::invalid(vec![Finding::new(
                "?q", "too_long", detail,
            )]));
        }
        Ok(words)
    }
}

/// The folder with those that stand in it, however deep; sites and devices alike.
fn within_folder(asked: Query, folder: FolderId) -> Query {
    let below = |asked: Query| {
        asked
            .text("(WITH RECURSIVE below (id) AS (SELECT id FROM folder WHERE id = ")
            .value(folder)
            .text(" UNION SELECT f.id FROM folder f JOIN below b ON f.parent_id = b.id)")
            .text(" SELECT id FROM below)")
    };
    let asked = below(asked.text(" AND (folder_id IN "));
    let asked = below(asked.text(" OR site_id IN (SELECT id FROM site WHERE folder_id IN "));
    asked.text("))")
}

/// How a list is sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub(super) enum Order {
    #[default]
    #[serde(rename = "name")]
    Name,
    /// Those first that are as they are for longest.
    #[serde(rename = "since")]
    Since,
    /// Those first whose presence changed last.
    #[serde(rename = "-since")]
    SinceNewest,
}

impl Order {
    /// ` AND` after this row.
    pub(super) fn after(self, asked: Query, key: &str, id: &str) -> Result<Query, Problem> {
        let since = || {
            key.parse::<i64>().map_err(|_| {
                let detail = "Use next_cursor of an answer with the same sort, unchanged.";
                Problem::invalid(vec![Finding::new("?cursor", "not_a_cursor", detail)])
            })
        };
        let asked = match self {
            Self::Name => asked.text(" AND (name_key, id) > (").value(key),
            Self::Since => asked.text(" AND (since, id) > (").value(since()?),
            Self::SinceNewest => asked.text(" AND (since, id) < (").value(since()?),
        };
        Ok(asked.text(", ").value(id).text(")"))
    }

    pub(super) fn inner(self) -> &'static str {
        match self {
            Self::Name => " ORDER BY name_key, id LIMIT ",
            Self::Since => " ORDER BY since, id LIMIT ",
            Self::SinceNewest => " ORDER BY since DESC, id DESC LIMIT ",
        }
    }

    pub(super) fn outer(self) -> &'static str {
        match self {
            Self::Name => " ORDER BY d.name_key, d.id",
            Self::Since => " ORDER BY d.since, d.id",
            Self::SinceNewest => " ORDER BY d.since DESC, d.id DESC",
        }
    }
}
