//! Cedar as the judge of the core's rights.
//!
//! Turns the grants of a world into policies and its places into entities. What the roles mean
//! stands in `roles.cedar`, which shares no line with the core. Not here: anything the product
//! uses; the core decides by itself, because lists have to be filtered in SQL.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression,
};
use cloud_logic::rights::{Grant, Permission, Role, Scope, Sensitive};
use model::Timestamp;

const ROLES: &str = include_str!("roles.cedar");

/// Groups of actions that the policies speak of.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "looking",
        &[
            "company.view",
            "project.view",
            "site.view",
            "device.view",
            "directory.view",
            "call_report.view",
            "call_party.view",
            "insight.view",
            "user.view",
            "grant.view",
            "notice.view",
            "subscription.view",
        ],
    ),
    (
        "installing",
        &[
            "project.configure",
            "site.configure",
            "device.configure",
            "device.claim",
            "device.command",
            "device.diagnose",
            "device.secrets",
            "firmware.configure",
            "directory.configure",
            "notice.configure",
        ],
    ),
    (
        "calling",
        &["site.view", "directory.view", "call.answer", "door.open"],
    ),
    ("people", &["call_party.view", "user.view", "audit.view"]),
    ("call_content", &["call_content.view"]),
    ("secrets", &["device.secrets", "device.diagnose"]),
];

/// The places and actions of the world, and the grants of one person in it as policies.
#[derive(Debug)]
pub struct Judge {
    entities: Entities,
    policies: PolicySet,
}

impl Judge {
    /// `places` are the scopes that exist.
    ///
    /// # Panics
    ///
    /// If a policy or an entity is not understood by the engine.
    #[must_use]
    pub fn new(places: &[Scope], grants: &[Grant]) -> Self {
        let entities = places.iter().map(place_entity).chain(actions());
        let policies: String = grants.iter().map(policy).collect();
        Self {
            entities: Entities::from_entities(entities, None).expect("the world is sound"),
            policies: policies.parse().expect("the policies are Cedar"),
        }
    }

    /// What the engine says.
    ///
    /// # Panics
    ///
    /// If the engine reports an error instead of a decision.
    #[must_use]
    pub fn allows(&self, permission: Permission, place: &Scope, now: Timestamp) -> bool {
        let context = Context::from_pairs([(
            "now".to_owned(),
            RestrictedExpression::new_long(now.unix_ms()),
        )])
        .expect("one pair");
        let request = Request::new(
            uid("User", "her"),
            uid("Action", permission.word()),
            place_uid(place),
            context,
            None,
        )
        .expect("no schema to break");
        let answer = Authorizer::new().is_authorized(&request, &self.policies, &self.entities);
        let errors: Vec<_> = answer.diagnostics().errors().collect();
        assert!(errors.is_empty(), "{errors:?}");
        answer.decision() == Decision::Allow
    }
}

/// The role's policy with the grant's holder, scope, period and what it keeps back.
fn policy(grant: &Grant) -> String {
    let text = role_text(grant.role)
        .replace("?principal", "User::\"her\"")
        .replace("?resource", &place_uid(&grant.scope).to_string());
    let mut policy = format!(
        "{text}\nwhen {{ context.now >= {} }}",
        grant.period.from().unix_ms()
    );
    if let Some(until) = grant.period.until() {
        policy += &format!("\nwhen {{ context.now < {} }}", until.unix_ms());
    }
    for kind in grant.withheld.iter() {
        let group = match kind {
            Sensitive::People => "people",
            Sensitive::CallContent => "call_content",
            Sensitive::Secrets => "secrets",
        };
        policy += &format!("\nunless {{ action in Action::\"{group}\" }}");
    }
    policy + ";\n"
}

/// The policy of a role, without its name and its end.
fn role_text(role: Role) -> &'static str {
    let name = format!("@id(\"{role}\")");
    let (_, from_role) = ROLES
        .split_once(name.as_str())
        .expect("every role has a policy");
    from_role.split(';').next().expect("split gives one piece")
}

fn place_entity(place: &Scope) -> Entity {
    let parent = match *place {
        Scope::Company(_) => None,
        Scope::Project(company, _) => Some(Scope::Company(company)),
        Scope::Site(company, project, _) => Some(Scope::Project(company, project)),
    };
    let parents = parent.iter().map(place_uid).collect();
    Entity::new(place_uid(place), HashMap::new(), parents).expect("no attributes")
}

fn place_uid(place: &Scope) -> EntityUid {
    match place {
        Scope::Company(id) => uid("Company", &id.to_string()),
        Scope::Project(_, id) => uid("Project", &id.to_string()),
        Scope::Site(_, _, id) => uid("Site", &id.to_string()),
    }
}

fn actions() -> impl Iterator<Item = Entity> {
    let groups = GROUPS
        .iter()
        .map(|(group, _)| Entity::new_no_attrs(uid("Action", group), HashSet::new()));
    let permissions = Permission::ALL.iter().map(|permission| {
        let parents = GROUPS
            .iter()
            .filter(|(_, members)| members.contains(&permission.word()))
            .map(|(group, _)| uid("Action", group))
            .collect();
        Entity::new_no_attrs(uid("Action", permission.word()), parents)
    });
    groups.chain(permissions)
}

fn uid(kind: &str, id: &str) -> EntityUid {
    let kind: EntityTypeName = kind.parse().expect("a plain word");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}
