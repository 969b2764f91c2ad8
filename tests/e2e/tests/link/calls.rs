//! Calls over the core: the gateway's own connection carries them, and everything on it is encrypted.

use anyhow::{Context, ensure};
use e2e::{at_site, house, wait};
use serde_json::json;

use super::Linked;

/// A ring group of the core, with station 103 of the gateway in it.
const GROUP: &str = "700";

impl Linked {
    fn add_group(&mut self) -> anyhow::Result<String> {
        let company = self.portal.company()?;
        let member = json!({"kind": "station", "device": self.device, "number": "103"});
        let group = json!({"name": "Porters", "number": GROUP, "members": [member]});
        let path = format!("companies/{company}/ring-groups");
        self.portal.must("POST", &path, Some(&group))?;
        Ok(company)
    }

    fn must_have_calls(&self) -> anyhow::Result<()> {
        self.gateway
            .wait_for_metric(&["antiphon_core_calls_connected"], 1.0)
    }
}

#[test]
fn b1_c5_a_station_calls_a_group_of_the_core_and_one_of_its_stations_answers() {
    at_site(|site| {
        let mut linked = Linked::new(site)?;
        let company = linked.add_group()?;
        linked.must_have_calls()?;
        let mut caller = house::station(site, &linked.gateway, "102")?;
        let mut callee = house::answering_station(site, &linked.gateway, "103")?;
        caller.dial(&linked.gateway.uri(GROUP))?;
        caller.event("CALL_ESTABLISHED")?;
        callee.event("CALL_ESTABLISHED")?;
        // One call from the house to the core, another one back.
        linked.gateway.wait_for_calls(2)?;
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;
        let path = format!("companies/{company}/calls");
        let legs = wait::until("the core has a record of each leg", || {
            let calls = linked.portal.get(&path)?;
            let items = calls["items"].as_array().context("no list")?.clone();
            Ok((items.len() == 2).then_some(items))
        })?;
        let answered = legs.iter().filter(|leg| leg["status"] == "answered");
        ensure!(answered.count() == 2, "{legs:?}");
        Ok(())
    });
}

#[test]
fn b1_a_number_that_the_core_has_not_is_refused_as_unknown() {
    at_site(|site| {
        let linked = Linked::new(site)?;
        linked.must_have_calls()?;
        let mut caller = house::station(site, &linked.gateway, "102")?;
        caller.dial(&linked.gateway.uri(GROUP))?;
        let closed = caller.event("CALL_CLOSED")?;
        ensure!(closed.to_string().contains("404"), "{closed}");
        Ok(())
    });
}
