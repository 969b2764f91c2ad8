//! A gateway is claimed, tells what it is and what happens, and does what the core orders.

use anyhow::{Context, ensure};
use e2e::{at_site, house, wait};
use serde_json::json;

use super::Linked;

#[test]
fn d1_a_gateway_is_claimed_and_tells_of_a_call_once() {
    at_site(|site| {
        let mut linked = Linked::new(site)?;
        let gateway = &linked.gateway;
        let mut caller = house::station(site, gateway, "102")?;
        let mut callee = house::answering_station(site, gateway, "103")?;
        house::must_serve(gateway, &mut caller, &mut callee)?;
        wait::until_true("both legs are recorded", || Ok(linked.recorded(site)? == 2))?;
        linked.must_agree(site)?;
        let device = linked.device.clone();
        let events = linked.portal.events(&device, "call.ended")?;
        let told = events
            .iter()
            .find(|event| event["data"]["role"] == "callee");
        let told = told.context("no record of the called")?;
        ensure!(told["data"]["number"] == "103", "{told}");
        ensure!(told["data"]["status"] == "answered", "{told}");
        Ok(())
    });
}

#[test]
fn b5_the_core_sees_stations_doors_and_their_state() {
    at_site(|site| {
        let mut linked = Linked::new(site)?;
        let _station = house::station(site, &linked.gateway, "104")?;
        let path = format!("devices/{}/twin", linked.device);
        wait::until_true("the core sees the station", || {
            let twin = linked.portal.get(&path)?;
            let reported = &twin["reported"];
            Ok(reported["stations"]["104"]["state"] == "idle"
                && reported["doors"]["gate"]["station"] == "102")
        })
    });
}

#[test]
fn d4_a_name_of_the_portal_is_taken_and_what_the_gateway_has_not_is_refused() {
    at_site(|site| {
        let mut linked = Linked::new(site)?;
        let path = format!("devices/{}/twin", linked.device);
        wait::until_true("the gateway has reported", || {
            Ok(linked.portal.get(&path)?["reported"]["name"].is_string())
        })?;
        linked.set(&json!({"name": "Hall gateway"}))?;
        wait::until_true("it runs with the name", || {
            Ok(linked.portal.get(&path)?["reported"]["name"] == "Hall gateway")
        })?;
        linked.set(&json!({"language": "de"}))?;
        wait::until_true("it says what it has not", || {
            let twin = linked.portal.get(&path)?;
            let settings = twin["settings"].as_array().context("no settings")?;
            Ok(settings.iter().any(|one| one["code"] == "unsupported"))
        })
    });
}

#[test]
fn b2_a_door_is_opened_from_the_core_once_and_said_as_it_is() {
    at_site(|site| {
        let door = house::door_device(site)?;
        let mut linked = Linked::new(site)?;
        let command = linked.order(&json!({"op": "door.open", "args": {"door": "gate"}}))?;
        door.must_open()?;
        let ended = linked.ended(&command)?;
        // The device that opens it says "taken", and no contact says "open".
        ensure!(ended["code"] == "sent-not-confirmed", "{ended}");
        let device = linked.device.clone();
        let events = linked.portal.wait_for_events(&device, "door.", 1)?;
        ensure!(events[0]["kind"] == "door.sent", "{events:?}");
        ensure!(events[0]["data"]["door"] == "gate", "{events:?}");
        let unknown = linked.order(&json!({"op": "door.open", "args": {"door": "cellar"}}))?;
        let ended = linked.ended(&unknown)?;
        ensure!(ended["code"] == "unknown-door", "{ended}");
        door.must_not_have_opened()
    });
}

#[test]
fn d1_a_wrong_code_is_said_and_a_used_one_too() {
    at_site(|site| {
        let linked = Linked::unclaimed(site)?;
        let wrong = linked.claim_with("0000-0000-0000-0000-0000-0");
        let said = format!("{:#}", wrong.err().context("a code that nobody knows")?);
        ensure!(
            said.contains("knows no gateway that waits with this code"),
            "{said}"
        );
        let nonsense = linked.claim_with("0000");
        let said = format!("{:#}", nonsense.err().context("no code at all")?);
        ensure!(said.contains("no claim code"), "{said}");
        let link = linked.gateway.ask(&["link"])?;
        ensure!(link["claimed"] == false, "{link}");
        Ok(())
    });
}

#[test]
fn d1_the_test_of_connections_says_what_is_open() {
    at_site(|site| {
        let linked = Linked::unclaimed(site)?;
        let core = linked.cloud.url.clone();
        let said = linked.gateway.run(&["claim", "--test", "--core", &core]);
        // Time and STUN are nobody's at this core; they are refused, not blocked.
        let said = said?;
        let open = |service: &str| {
            said.lines()
                .any(|line| line.starts_with("ok") && line.contains(service))
        };
        ensure!(open("DNS") && open("HTTPS") && open("MQTTS"), "{said}");
        ensure!(said.contains("not offered  NTP"), "{said}");
        Ok(())
    });
}

#[test]
fn d2_a_gateway_that_was_released_can_be_claimed_again() {
    at_site(|site| {
        let mut linked = Linked::new(site)?;
        linked.gateway.run(&["unclaim", "--yes"])?;
        wait::until_true("it is nobody's", || {
            Ok(linked.gateway.ask(&["link"])?["claimed"] == false)
        })?;
        let first = linked.device.clone();
        linked.portal.prove()?;
        linked
            .portal
            .must("DELETE", &format!("devices/{first}/claim"), None)?;
        linked.claim()?;
        ensure!(linked.device != first, "another device of the core");
        Ok(())
    });
}
