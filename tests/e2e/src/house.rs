//! The house of most tests: one gateway, four stations, a ring group, a door.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;

use crate::baresip::{Answers, Setup};
use crate::gateway::{self, Gateway, password};
use crate::{Baresip, DoorDevice, Linphone, Pjsua2, Site};

/// The device that opens the gate.
pub fn door_device(site: &Site) -> Result<DoorDevice> {
    DoorDevice::start(SocketAddr::new(site.host(DOOR_DEVICE), 8080))
}

/// Where the gateway is; stations have the number of their host behind 100.
pub const GATEWAY: u8 = 1;
/// A device that opens a door when its page `/open` is requested.
pub const DOOR_DEVICE: u8 = 20;
/// Whoever means no good.
pub const ATTACKER: u8 = 30;

/// Stations 102 to 105, of which 102 has a door; 200 rings 103, 104 and 105.
pub fn setup(site: &Site) -> gateway::Setup<'static> {
    let door = format!(
        "[[stations.doors]]\nkey = \"gate\"\nurl = \"http://{}:8080/open\"\ncode = \"#1\"\n",
        site.host(DOOR_DEVICE)
    );
    // The network of the tests has the addresses of examples, and is a segment all the same.
    gateway::Setup::new(site.host(GATEWAY))
        .directory("local_networks = [\"192.0.2.0/24\"]\n")
        .station("102", &format!("kind = \"door_station\"\n{door}"))
        .station("103", "")
        .station("104", "")
        .station("105", "")
        .directory("[[ring_groups]]\nnumber = \"200\"\nmembers = [\"103\", \"104\", \"105\"]\n")
}

pub fn gateway(site: &Site) -> Result<Gateway> {
    Gateway::start(&setup(site), site.folder())
}

/// Station 102 is at host 2, and so on.
pub fn host_of(number: &str) -> u8 {
    number
        .parse::<u8>()
        .expect("numbers from 102 to 199 are used")
        - 100
}

/// A baresip for a station of the house, answering when told.
pub fn baresip<'a>(site: &Site, gateway: &Gateway, number: &'a str) -> Setup<'a> {
    Setup {
        registrar: Some(gateway.address.to_string()),
        password: password(number),
        ..Setup::new(number, site.host(host_of(number)))
    }
}

/// A registered baresip.
pub fn station(site: &Site, gateway: &Gateway, number: &str) -> Result<Baresip> {
    Baresip::start(&baresip(site, gateway, number), site.folder())
}

/// A registered baresip that answers by itself.
pub fn answering_station(site: &Site, gateway: &Gateway, number: &str) -> Result<Baresip> {
    let setup = Setup {
        answers: Answers::ByItself,
        ..baresip(site, gateway, number)
    };
    Baresip::start(&setup, site.folder())
}

/// A registered linphone.
pub fn linphone(site: &Site, gateway: &Gateway, number: &str) -> Result<Linphone> {
    let mut linphone = Linphone::start(site.host(host_of(number)), site.folder())?;
    linphone.register(number, &password(number), &gateway.address.to_string())?;
    Ok(linphone)
}

/// A registered pjsua2.
pub fn pjsua2(site: &Site, gateway: &Gateway, number: &str) -> Result<Pjsua2> {
    let mut station = Pjsua2::start(site.host(host_of(number)), site.folder())?;
    station.register(number, &password(number), &gateway.address.to_string())?;
    Ok(station)
}

/// Shows that the gateway serves others: one station calls another, and they talk.
pub fn must_serve(gateway: &Gateway, caller: &mut Baresip, callee: &mut Baresip) -> Result<()> {
    caller.dial(&gateway.uri(callee.user()))?;
    caller.event("CALL_ESTABLISHED")?;
    callee.event("CALL_ESTABLISHED")?;
    caller.hang_up()?;
    callee.event("CALL_CLOSED")?;
    Ok(())
}

/// The attacker's address.
pub fn attacker(site: &Site) -> IpAddr {
    site.host(ATTACKER)
}
