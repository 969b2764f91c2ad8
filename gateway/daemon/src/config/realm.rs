//! Reading a realm of passwords; its rules are those of `sip`.

use sip::digest::server::Realm;
use toml::de::DeValue;

use super::problems::{Place, Problems};
use super::section::Value;
use super::values::text;

/// A realm as it is written.
#[derive(Clone, Debug)]
pub(crate) struct RealmName(pub(crate) Realm);

impl Value for RealmName {
    const EXPECTED: &'static str = "letters, digits, dots and hyphens";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let realm = Realm::new(text(value)?);
        realm.map(Self).map_err(|error| error.to_string())
    }
}
