//! How the service is, for everybody: its parts, and what operators say about troubles.
//!
//! Measured when somebody asks (`measured`), told by operators (`incidents`), shown as a page (`page`)
//! and for programs (`routes`), and kept showing on another host while the core is dead (`mirror`).
//! Names no company, no person, no device. Invariant: what cannot be measured is not called well.

pub(crate) mod incidents;
mod measured;
pub(crate) mod mirror;
mod page;
mod routes;
#[cfg(test)]
mod tests;

use cloud_logic::ids::IncidentId;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Time;

pub(crate) use routes::{page_routes, routes};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub(crate) fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().find(|one| one.word() == text);
                let known: Vec<_> = Self::ALL.iter().map(|one| one.word()).collect();
                found.copied().ok_or_else(|| format!("write one of: {}", known.join(", ")))
            }
        }
    };
}

words! {
    /// A part of the service.
    Part {
        Api = "api",
        Devices = "devices",
        Mail = "mail",
        Store = "store",
        RevocationLists = "revocation_lists",
    }
}

words! {
    /// How it is, from well to bad.
    State {
        Up = "up",
        /// It is worked on, as was announced.
        Maintenance = "maintenance",
        /// It works in part, or late.
        Degraded = "degraded",
        /// It cannot be said.
        Unknown = "unknown",
        Down = "down",
    }
}

/// The service at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ServiceStatus)]
pub(crate) struct Status {
    /// Of the installation.
    pub(crate) name: String,
    pub(crate) at: Time,
    pub(crate) parts: Vec<PartNow>,
    /// Those that are open, and those of the last two weeks; newest first.
    pub(crate) incidents: Vec<Incident>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PartNow {
    pub(crate) part: Part,
    pub(crate) state: State,
}

/// A trouble, as operators tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Incident {
    #[schema(value_type = String)]
    pub(crate) id: IncidentId,
    pub(crate) title: String,
    pub(crate) state: State,
    pub(crate) parts: Vec<Part>,
    pub(crate) opened: Time,
    pub(crate) closed: Option<Time>,
    /// Oldest first.
    pub(crate) notes: Vec<Note>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Note {
    pub(crate) at: Time,
    pub(crate) text: String,
}

impl Status {
    /// The worst of what is measured and of what is told.
    fn new(name: String, at: Timestamp, measured: &[PartNow], incidents: Vec<Incident>) -> Self {
        let told = |part: Part| {
            let open = incidents
                .iter()
                .filter(|incident| incident.closed.is_none());
            let about = open.filter(|incident| incident.parts.contains(&part));
            about.map(|incident| incident.state).max()
        };
        let parts = measured.iter().map(|PartNow { part, state }| PartNow {
            part: *part,
            state: told(*part).map_or(*state, |told| told.max(*state)),
        });
        Self {
            name,
            at: Time(at),
            parts: parts.collect(),
            incidents,
        }
    }

    /// Of the whole.
    fn worst(&self) -> State {
        let states = self.parts.iter().map(|part| part.state);
        states.max().unwrap_or(State::Unknown)
    }
}
