//! A certificate that is void ends the session at once, and is said clearly.

use anyhow::ensure;
use e2e::{at_site, house, wait};
use serde_json::json;

use super::Linked;

#[test]
fn g2_a_revoked_certificate_ends_the_session_and_is_said() {
    at_site(|site| {
        let mut linked = Linked::new(site)?;
        let claim = linked
            .portal
            .get(&format!("devices/{}/claim", linked.device))?;
        ensure!(claim["stage"] == "enrolled", "{claim}");
        linked.portal.prove()?;
        let path = format!("devices/{}/revocation", linked.device);
        linked
            .portal
            .must("POST", &path, Some(&json!({"reason": "withdrawn"})))?;
        wait::until_true("the gateway says it", || {
            let link = linked.gateway.ask(&["link"])?;
            let said = link["last_error"].as_str().unwrap_or_default();
            Ok(link["connected"] == false && said.contains("revoked"))
        })?;
        // The house goes on.
        let mut caller = house::station(site, &linked.gateway, "102")?;
        let mut callee = house::answering_station(site, &linked.gateway, "103")?;
        house::must_serve(&linked.gateway, &mut caller, &mut callee)
    });
}
