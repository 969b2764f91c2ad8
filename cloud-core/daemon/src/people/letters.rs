//! Links that letters of this domain carry.

use super::secret::Secret;
use crate::core::Core;

pub(super) use crate::mail::{Kind, Letter, write};

/// The page that takes a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Join,
    Password,
}

impl Page {
    /// The secret stands after the `#`, so that it reaches no server's log.
    pub(super) fn link(self, core: &Core, secret: &Secret) -> String {
        let page = match self {
            Self::Join => "join",
            Self::Password => "password",
        };
        let origin = &core.people.site().origin;
        format!("{origin}/{page}#s={}", secret.text())
    }
}
