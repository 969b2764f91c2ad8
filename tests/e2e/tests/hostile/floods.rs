//! More requests than anybody can mean.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use e2e::raw::Request;
use e2e::{Flood, Gateway, Site, at_site, house, wait};

use crate::victims::Victims;

/// Per second, from one address; its budget in the gateway is 200.
const RATE: u32 = 5_000;
const ENOUGH: u64 = 10_000;

/// Two calls between the victims, and the flood long enough to hurt.
fn endure(
    site: &Site,
    from: &[IpAddr],
    message: impl Fn(u64, SocketAddr) -> String + Send + 'static,
) -> Result<Gateway> {
    let gateway = house::gateway(site)?;
    let mut victims = Victims::new(site, &gateway)?;
    let flood = Flood::start(from, gateway.sip(), RATE, message)?;
    wait::until_true("the flood to be under way", || Ok(flood.sent() > 500))?;
    victims.must_be_served(&gateway)?;
    victims.must_be_served(&gateway)?;
    wait::until_true("the flood to be long enough", || Ok(flood.sent() >= ENOUGH))?;
    flood.end()?;
    victims.must_be_served(&gateway)?;
    gateway.wait_for_calls(0)?;
    victims.must_be_bounded(&gateway)?;
    Ok(gateway)
}

#[test]
fn a_flood_of_registrations_is_cut_off() {
    at_site(|site| {
        let address = site.host(house::GATEWAY);
        let gateway = endure(site, &[house::attacker(site)], move |number, local| {
            let mut request = Request::new("REGISTER", address, "102", local);
            request.call = format!("r{number}");
            request.text()
        })?;
        gateway.wait_for_metric(&["sip_refused", "flood"], 1_000.0)
    });
}

#[test]
fn a_flood_of_calls_is_cut_off() {
    at_site(|site| {
        let gateway = endure(
            site,
            &[house::attacker(site)],
            invite(site.host(house::GATEWAY)),
        )?;
        gateway.wait_for_metric(&["sip_refused", "flood"], 1_000.0)
    });
}

#[test]
fn a_flood_of_calls_from_many_addresses_leaves_room_for_the_others() {
    at_site(|site| {
        let from: Vec<IpAddr> = (30..40).map(|host| site.host(host)).collect();
        endure(site, &from, invite(site.host(house::GATEWAY)))?;
        Ok(())
    });
}

fn invite(gateway: IpAddr) -> impl Fn(u64, SocketAddr) -> String + Send + 'static {
    move |number, local| {
        let mut request = Request::new("INVITE", gateway, "104", local);
        request.uri = format!("sip:103@{gateway}");
        request.to_user = "103".to_owned();
        request.call = format!("i{number}");
        request.more = "Content-Type: application/sdp\r\n".to_owned();
        request.body = "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n\
                        m=audio 4000 RTP/AVP 8\r\n";
        request.text()
    }
}
