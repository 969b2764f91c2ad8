//! The house of the encrypted tests: SIP over TLS, audio as SRTP.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::baresip::{Setup, Transport};
use crate::gateway::{self, password};
use crate::{Baresip, Certificates, Gateway, Linphone, Pjsua2, Site, house};

/// How a client encrypts: whom it believes, and the suites it has, by commas; none named: its own.
#[derive(Debug, Clone, Copy)]
pub struct Encrypted<'a> {
    pub authority: &'a Path,
    pub suites: &'a str,
}

/// A gateway with a certificate, and whose stations have some too.
#[derive(Debug)]
pub struct EncryptedHouse<'s> {
    site: &'s Site,
    certificates: Certificates,
    authority: PathBuf,
    pub gateway: Gateway,
}

impl<'s> EncryptedHouse<'s> {
    /// `srtp` is the gateway's setting.
    pub fn new(site: &'s Site, srtp: &str) -> Result<Self> {
        let setup = house::setup(site);
        Self::with(site, gateway::Setup { srtp, ..setup })
    }

    pub fn with(site: &'s Site, setup: gateway::Setup<'_>) -> Result<Self> {
        let certificates = Certificates::new(site.folder())?;
        let own = certificates.issue("gateway", site.host(house::GATEWAY))?;
        let setup = gateway::Setup {
            tls: Some(&own),
            ..setup
        };
        Ok(Self {
            site,
            authority: certificates.authority(),
            certificates,
            gateway: Gateway::start(&setup, site.folder())?,
        })
    }

    /// A number of the house, over TLS.
    pub fn uri(&self, number: &str) -> String {
        format!("sip:{number}@{};transport=tls", self.gateway.address)
    }

    /// A registered baresip on TLS with SRTP only, changed as the test wants it.
    pub fn baresip(
        &self,
        number: &str,
        change: impl for<'a> FnOnce(Setup<'a>) -> Setup<'a>,
    ) -> Result<Baresip> {
        let address = self.site.host(house::host_of(number));
        let own = self.certificates.issue(number, address)?;
        let setup = Setup {
            transport: Transport::Tls {
                own: &own,
                authority: &self.authority,
            },
            encryption: "srtp-mand",
            ..house::baresip(self.site, &self.gateway, number)
        };
        Baresip::start(&change(setup), self.site.folder())
    }

    pub fn linphone(&self, number: &str, suites: &str) -> Result<Linphone> {
        let address = self.site.host(house::host_of(number));
        let how = self.how(suites);
        let mut linphone = Linphone::start_encrypted(address, self.site.folder(), &how)?;
        let registrar = self.gateway.address.to_string();
        linphone.register(number, &password(number), &registrar)?;
        Ok(linphone)
    }

    pub fn pjsua2(&self, number: &str, suites: &str) -> Result<Pjsua2> {
        let address = self.site.host(house::host_of(number));
        let how = self.how(suites);
        let mut station = Pjsua2::start_encrypted(address, self.site.folder(), &how)?;
        let registrar = self.gateway.address.to_string();
        station.register(number, &password(number), &registrar)?;
        Ok(station)
    }

    fn how<'a>(&'a self, suites: &'a str) -> Encrypted<'a> {
        Encrypted {
            authority: &self.authority,
            suites,
        }
    }

    /// The suite of each leg of the one call there is, the caller's first; empty: plain.
    pub fn suites(&self) -> Result<Vec<String>> {
        let calls = self.gateway.calls()?;
        let call = calls.first().context("no call")?;
        let legs = call["legs"].as_array().context("a call without legs")?;
        let suite = |leg: &serde_json::Value| leg["encryption"].as_str().unwrap_or("").to_owned();
        Ok(legs.iter().map(suite).collect())
    }
}
