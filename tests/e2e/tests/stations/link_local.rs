//! A call over nothing but link-local addresses (M3).

use e2e::network::{CABLE, SWITCH};
use e2e::sipp::{Load, Side};
use e2e::{Gateway, Sipp, at_site, gateway, house};

#[test]
fn a_station_calls_another_with_link_local_addresses() {
    at_site(|site| {
        let (here, caller, callee) = (
            site.link_local(house::GATEWAY),
            site.link_local(2),
            site.link_local(3),
        );
        let setup = gateway::Setup::new(site.host(house::GATEWAY))
            .directory(&format!(
                "[[stations]]\nnumber = \"103\"\nuri = \"sip:103@[{callee}%25{SWITCH}]:5070\"\n"
            ))
            .more(&format!(
                "[[sip.listen]]\ntransport = \"udp\"\naddress = \"[{here}%{SWITCH}]:5060\"\n"
            ))
            .trusted(&caller.to_string());
        let gateway = Gateway::start(&setup, site.folder())?;
        let side = |address: std::net::Ipv6Addr, port| Side {
            address: address.into(),
            interface: Some(CABLE),
            port,
        };
        let folder = site.folder();
        let answerer = Sipp::start("answer", side(callee, 5070), None, Load::ONCE, &[], folder)?;
        let keys = [("to", "103"), ("from", "102")];
        let gateway_side = Some(side(here, 5060));
        Sipp::start(
            "call",
            side(caller, 5080),
            gateway_side,
            Load::ONCE,
            &keys,
            folder,
        )?
        .must_succeed()?;
        answerer.must_succeed()?;
        gateway.wait_for_calls(0)
    });
}
