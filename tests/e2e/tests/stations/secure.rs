//! Stations that speak TLS.

use std::path::Path;

use anyhow::Result;
use e2e::baresip::{Answers, Setup, Transport};
use e2e::certificates::Identity;
use e2e::{Baresip, Capture, Certificates, Gateway, Site, at_site, house};

fn secure<'a>(
    site: &Site,
    gateway: &Gateway,
    number: &'a str,
    own: &'a Identity,
    authority: &'a Path,
) -> Setup<'a> {
    Setup {
        transport: Transport::Tls { own, authority },
        ..house::baresip(site, gateway, number)
    }
}

#[test]
fn two_stations_talk_over_tls_and_no_signalling_can_be_read() {
    at_site(|site| {
        let certificates = Certificates::new(site.folder())?;
        let authority = certificates.authority();
        let own = certificates.issue("gateway", site.host(house::GATEWAY))?;
        let setup = house::setup(site);
        let setup = e2e::gateway::Setup {
            tls: Some(&own),
            ..setup
        };
        let gateway = Gateway::start(&setup, site.folder())?;
        let capture = Capture::start(site.folder())?;
        let identity = |number: &str| -> Result<Identity> {
            certificates.issue(number, site.host(house::host_of(number)))
        };
        let (caller_identity, callee_identity) = (identity("102")?, identity("103")?);
        let caller = secure(site, &gateway, "102", &caller_identity, &authority);
        let callee = secure(site, &gateway, "103", &callee_identity, &authority);
        let callee = Setup {
            answers: Answers::ByItself,
            ..callee
        };
        let mut caller = Baresip::start(&caller, site.folder())?;
        let mut callee = Baresip::start(&callee, site.folder())?;
        let contacts = gateway.contacts("102")?;
        assert!(contacts[0].to_lowercase().contains("tls"), "{contacts:?}");
        caller.dial(&format!("sip:103@{};transport=tls", gateway.address))?;
        caller.event("CALL_ESTABLISHED")?;
        callee.event("CALL_ESTABLISHED")?;
        caller.wait_until_heard(1.0)?;
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;

        let wire = capture.stop()?;
        assert_eq!(wire.count("sip")?, 0, "SIP went over the wire in the open");
        assert!(wire.count("tls.handshake.type == 2")? >= 2);
        Ok(())
    });
}

#[test]
fn where_client_certificates_are_wanted_a_foreign_one_is_refused() {
    at_site(|site| {
        let certificates = Certificates::new(site.folder())?;
        let own = certificates.issue("gateway", site.host(house::GATEWAY))?;
        let setup = house::setup(site);
        let setup = e2e::gateway::Setup {
            tls: Some(&own),
            client_authorities: Some(certificates.authority()),
            ..setup
        };
        let gateway = Gateway::start(&setup, site.folder())?;
        let elsewhere = Certificates::new(&site.folder().join("elsewhere"))?;
        let authority = certificates.authority();
        let foreign = elsewhere.issue("102", site.host(2))?;
        let known = certificates.issue("103", site.host(3))?;
        let foreign = secure(site, &gateway, "102", &foreign, &authority);
        let known = secure(site, &gateway, "103", &known, &authority);
        let _foreign = Baresip::start_unregistered(&foreign, site.folder())?;
        let _known = Baresip::start(&known, site.folder())?;
        gateway.wait_for_metric(&["connections_refused", "handshake"], 1.0)?;
        assert_eq!(gateway.contacts("102")?.len(), 0);
        assert_eq!(gateway.contacts("103")?.len(), 1);
        Ok(())
    });
}
