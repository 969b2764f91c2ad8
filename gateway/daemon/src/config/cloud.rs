//! Reading where the proxy to the cloud core is; its rules are those of `client`.

use client::Proxy;
use toml::de::DeValue;

use super::problems::{Place, Problems};
use super::section::Value;
use super::values::text;

/// A proxy as it is written.
#[derive(Clone, Debug)]
pub(crate) struct ProxyAddress(pub(crate) Proxy);

impl Value for ProxyAddress {
    const EXPECTED: &'static str = "a proxy such as http://proxy.example.com:3128";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let proxy = text(value)?.parse::<Proxy>();
        proxy.map(Self).map_err(|error| error.to_string())
    }
}
