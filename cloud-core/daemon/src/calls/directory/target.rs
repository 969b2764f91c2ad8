//! Who can be called, as the interface writes it, and as the machine of calls does.

use std::collections::BTreeSet;

use cloud_logic::ids::{DeviceId, UserId};
use cloud_logic::rights::Scope;
use model::{Address, CallNumber, CloudUserId, NodeId, NumberError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::check::Findings;
use crate::store::{StoreError, Tx, query};

/// Somebody who can be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Target {
    /// A person: whatever she has open.
    User {
        #[schema(value_type = String)]
        user: UserId,
    },
    /// A station of a gateway, by its number there.
    Station {
        #[schema(value_type = String)]
        device: DeviceId,
        #[schema(example = "101", pattern = "^[0-9]{1,8}$")]
        number: String,
    },
    /// A number of the company.
    Number {
        #[schema(example = "500", pattern = "^[0-9]{1,8}$")]
        number: String,
    },
}

impl Target {
    pub(crate) fn address(&self) -> Result<Address, NumberError> {
        Ok(match self {
            Self::User { user } => Address::CloudUser(cloud_user(*user)),
            Self::Station { device, number } => Address::Remote {
                node: node_of(*device),
                number: CallNumber::parse(number)?,
            },
            Self::Number { number } => Address::Local(CallNumber::parse(number)?),
        })
    }

    /// The same, with what is wrong among the findings.
    pub(super) fn checked(&self, pointer: &str, findings: &mut Findings) -> Option<Address> {
        match self.address() {
            Ok(address) => Some(address),
            Err(error) => {
                let pointer = format!("{pointer}/number");
                findings.add(&pointer, "no_number", error.to_string());
                None
            }
        }
    }

    /// Whether it is this person.
    pub(super) fn is_user(&self, of: UserId) -> bool {
        match self {
            Self::User { user } => *user == of,
            Self::Station { .. } | Self::Number { .. } => false,
        }
    }
}

/// A gateway is a node of its company's exchange.
pub(in crate::calls) fn node_of(device: DeviceId) -> NodeId {
    NodeId::from_key(&device.to_string())
}

pub(super) fn cloud_user(user: UserId) -> CloudUserId {
    CloudUserId::new(user.bits())
}

/// Finds those that are not of this place: other people's gateways, people of other companies.
pub(super) async fn check_known(
    tx: &mut Tx,
    scope: &Scope,
    targets: &[(String, &Target)],
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let users = targets.iter().filter_map(|(_, target)| match target {
        Target::User { user } => Some(*user),
        Target::Station { .. } | Target::Number { .. } => None,
    });
    let users = people_of(tx, scope, users.collect()).await?;
    let devices = targets.iter().filter_map(|(_, target)| match target {
        Target::Station { device, .. } => Some(*device),
        Target::User { .. } | Target::Number { .. } => None,
    });
    let devices = devices_of(tx, scope, devices.collect()).await?;
    for (pointer, target) in targets {
        match target {
            Target::User { user } if !users.contains(user) => {
                let detail =
                    "Name somebody who is looked after by the company or holds rights in it.";
                findings.add(&format!("{pointer}/user"), "no_such_user", detail);
            }
            Target::Station { device, .. } if !devices.contains(device) => {
                let detail =
                    "Name a gateway of this company; for a group of a project, of that project.";
                findings.add(&format!("{pointer}/device"), "no_such_device", detail);
            }
            Target::User { .. } | Target::Station { .. } | Target::Number { .. } => {}
        }
    }
    Ok(())
}

async fn people_of(
    tx: &mut Tx,
    scope: &Scope,
    users: Vec<UserId>,
) -> Result<BTreeSet<UserId>, StoreError> {
    if users.is_empty() {
        return Ok(BTreeSet::new());
    }
    let asked = query("SELECT u.id FROM user_account u WHERE u.id IN ")
        .values(users)
        .text(" AND (u.company_id = ")
        .value(scope.company())
        .text(" OR EXISTS (SELECT 1 FROM grant_ g WHERE g.holder = u.id AND g.company_id = ")
        .value(scope.company())
        .text("))");
    let rows = tx.all(asked).await?;
    rows.iter().map(|row| row.parsed("id")).collect()
}

async fn devices_of(
    tx: &mut Tx,
    scope: &Scope,
    devices: Vec<DeviceId>,
) -> Result<BTreeSet<DeviceId>, StoreError> {
    if devices.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut asked = query("SELECT id FROM device WHERE id IN ")
        .values(devices)
        .text(" AND company_id = ")
        .value(scope.company());
    if let Some(project) = scope.project() {
        asked = asked.text(" AND project_id = ").value(project);
    }
    let rows = tx.all(asked).await?;
    rows.iter().map(|row| row.parsed("id")).collect()
}
