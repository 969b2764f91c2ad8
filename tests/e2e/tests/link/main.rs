//! A gateway and its cloud core, as real processes, with the portal's interface as the witness.

mod calls;
mod claiming;
mod outages;
mod revoking;

use anyhow::{Result, ensure};
use e2e::{Cloud, Gateway, Portal, Site, house, portal, wait};
use serde_json::Value;

/// The host of the core.
const CORE: u8 = 41;

/// A core, a gateway that is one of its own, and the device that it is there.
struct Linked {
    cloud: Cloud,
    gateway: Gateway,
    portal: Portal,
    device: String,
}

impl Linked {
    fn new(site: &Site) -> Result<Self> {
        let mut linked = Self::unclaimed(site)?;
        linked.claim()?;
        Ok(linked)
    }

    fn unclaimed(site: &Site) -> Result<Self> {
        let cloud = Cloud::start_for_devices(site.host(CORE), site.folder())?;
        let root = cloud.root().unwrap_or(site.folder());
        let setup = house::setup(site).more(&format!(
            "[cloud]\nauthorities = {root:?}\nnumbers = [\"700\"]\n"
        ));
        Ok(Self {
            gateway: Gateway::start(&setup, site.folder())?,
            portal: Portal::sign_in(&cloud, site.folder())?,
            cloud,
            device: String::new(),
        })
    }

    fn claim(&mut self) -> Result<()> {
        let (device, code) = self.portal.add_gateway()?;
        self.device = device;
        self.claim_with(&code)?;
        self.must_be_connected()
    }

    fn claim_with(&self, code: &str) -> Result<String> {
        let core = self.cloud.url.clone();
        self.gateway
            .run(&["claim", code, "--no-test", "--core", &core])
    }

    fn must_be_connected(&self) -> Result<()> {
        wait::until_true("the link is connected", || {
            Ok(self.gateway.ask(&["link"])?["connected"] == true)
        })
    }

    /// Orders something of the gateway; the command's id.
    fn order(&mut self, order: &Value) -> Result<String> {
        let path = format!("devices/{}/commands", self.device);
        let command = self.portal.must("POST", &path, Some(order))?;
        portal::text(&command, "id")
    }

    /// Waits until a command has ended.
    fn ended(&mut self, command: &str) -> Result<Value> {
        let path = format!("devices/{}/commands/{command}", self.device);
        wait::until("the command has ended", || {
            let command = self.portal.get(&path)?;
            Ok((!command["ended"].is_null()).then_some(command))
        })
    }

    /// Changes how the gateway shall be set.
    fn set(&mut self, settings: &Value) -> Result<()> {
        let path = format!("devices/{}/twin", self.device);
        let twin = self.portal.get(&path)?;
        self.portal
            .change(&path, &twin["revision"], settings)
            .map(drop)
    }

    /// Records of legs in the gateway's own journal.
    fn recorded(&self, site: &Site) -> Result<usize> {
        let journal = site.folder().join("gateway/state/journal.db");
        let journal = rusqlite::Connection::open(journal)?;
        let count: i64 =
            journal.query_row("SELECT count(*) FROM call_record", [], |row| row.get(0))?;
        Ok(usize::try_from(count)?)
    }

    /// Waits until the core has each record of the journal, and shows that it has none twice.
    fn must_agree(&mut self, site: &Site) -> Result<usize> {
        let recorded = self.recorded(site)?;
        let device = self.device.clone();
        let events = self
            .portal
            .wait_for_events(&device, "call.ended", recorded)?;
        let mut ids: Vec<_> = events.iter().map(|event| event["id"].to_string()).collect();
        ids.sort();
        ids.dedup();
        ensure!(ids.len() == recorded, "a record is there twice: {ids:?}");
        Ok(recorded)
    }
}
