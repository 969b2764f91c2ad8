//! Stations register, over each transport and with each digest, and stay
//! registered when the gateway dies.

use e2e::baresip::{Setup, Transport};
use e2e::gateway::{self, password};
use e2e::{Baresip, Gateway, Linphone, at_site, house, wait};

#[test]
fn a_station_registers_over_udp_and_over_tcp() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let over_tcp = Setup {
            transport: Transport::Tcp,
            ..house::baresip(site, &gateway, "103")
        };
        let _udp = house::station(site, &gateway, "102")?;
        let _tcp = Baresip::start(&over_tcp, site.folder())?;
        assert_eq!(gateway.contacts("102")?.len(), 1);
        let contacts = gateway.contacts("103")?;
        assert!(contacts[0].to_lowercase().contains("tcp"), "{contacts:?}");
        Ok(())
    });
}

#[test]
fn a_station_registers_with_sha256_where_md5_is_refused() {
    at_site(|site| {
        let station = format!(
            "[[stations]]\nnumber = \"102\"\npassword = \"{}\"\n",
            password("102")
        );
        let setup = gateway::Setup::new(site.host(house::GATEWAY)).directory(&station);
        let gateway = Gateway::start(&setup, site.folder())?;
        let mut linphone = Linphone::start(site.host(2), site.folder())?;
        linphone.register("102", &password("102"), &gateway.address.to_string())?;
        assert_eq!(gateway.contacts("102")?.len(), 1);

        // baresip 1.0 knows MD5 only, and must not get in with it.
        let md5 = Setup {
            address: site.host(3),
            ..house::baresip(site, &gateway, "102")
        };
        let md5 = Baresip::start_unregistered(&md5, site.folder())?;
        md5.wait_until_refused()?;
        assert_eq!(gateway.contacts("102")?.len(), 1);
        Ok(())
    });
}

#[test]
fn a_wrong_password_is_refused_and_counted() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let wrong = Setup {
            password: "guess".to_owned(),
            ..house::baresip(site, &gateway, "102")
        };
        let station = Baresip::start_unregistered(&wrong, site.folder())?;
        station.wait_until_refused()?;
        assert_eq!(gateway.contacts("102")?.len(), 0);
        wait::until_true("the counter to tell", || {
            Ok(gateway.metric(&["registrations_wrong_password"])? >= 1.0)
        })
    });
}

#[test]
fn a_registration_survives_the_sudden_end_of_the_gateway() {
    at_site(|site| {
        let mut gateway = house::gateway(site)?;
        let mut caller = house::station(site, &gateway, "102")?;
        let mut callee = house::answering_station(site, &gateway, "103")?;
        let before = (gateway.contacts("102")?, gateway.contacts("103")?);
        gateway.kill_and_restart()?;
        assert_eq!((gateway.contacts("102")?, gateway.contacts("103")?), before);
        // Nobody registers again in the meantime: the interval is a minute.
        house::must_serve(&gateway, &mut caller, &mut callee)
    });
}

#[test]
fn a_new_station_in_the_directory_can_register_while_a_call_goes_on() {
    at_site(|site| {
        let setup = house::setup(site);
        let gateway = Gateway::start(&setup, site.folder())?;
        let mut caller = house::station(site, &gateway, "102")?;
        let mut callee = house::answering_station(site, &gateway, "103")?;
        caller.dial(&gateway.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        let with_another = setup.station("106", "");
        gateway.change_directory(&with_another.directory)?;
        let _new = house::station(site, &gateway, "106")?;
        assert_eq!(gateway.contacts("106")?.len(), 1);
        assert_eq!(gateway.calls()?.len(), 1, "the call was not touched");
        callee.hang_up()?;
        caller.event("CALL_CLOSED")?;
        Ok(())
    });
}

#[test]
fn a_station_that_leaves_is_no_longer_registered() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut station = house::station(site, &gateway, "102")?;
        station.program().stop()?;
        wait::until_true("the station to be gone", || {
            Ok(gateway.contacts("102")?.is_empty())
        })
    });
}
