//! Power cuts of gateway and core, and a link that goes silent: nothing is lost, nothing doubled.

use e2e::{at_site, house};

use super::Linked;

#[test]
fn b8_power_cuts_of_gateway_and_core_lose_and_double_nothing() {
    at_site(|site| {
        let mut linked = Linked::new(site)?;
        for cut in 0..6 {
            let mut caller = house::station(site, &linked.gateway, "102")?;
            let mut callee = house::answering_station(site, &linked.gateway, "103")?;
            for _ in 0..3 {
                house::must_serve(&linked.gateway, &mut caller, &mut callee)?;
            }
            // Some records are on their way, some are not written yet.
            match cut % 3 {
                0 => linked.gateway.kill_and_restart()?,
                1 => linked.cloud.kill_and_restart()?,
                _ => {
                    linked.cloud.kill_and_restart()?;
                    linked.gateway.kill_and_restart()?;
                }
            }
            caller.program().end()?;
            callee.program().end()?;
        }
        linked.must_be_connected()?;
        let recorded = linked.must_agree(site)?;
        assert!(recorded > 12, "only {recorded} records");
        Ok(())
    });
}

#[test]
fn b8_calls_of_an_island_are_told_when_the_core_is_back() {
    at_site(|site| {
        let mut linked = Linked::new(site)?;
        linked
            .cloud
            .program()
            .signal(nix::sys::signal::Signal::SIGSTOP)?;
        let mut caller = house::station(site, &linked.gateway, "102")?;
        let mut callee = house::answering_station(site, &linked.gateway, "103")?;
        for _ in 0..4 {
            house::must_serve(&linked.gateway, &mut caller, &mut callee)?;
        }
        e2e::wait::until_true(
            "eight legs are recorded",
            || Ok(linked.recorded(site)? == 8),
        )?;
        linked
            .cloud
            .program()
            .signal(nix::sys::signal::Signal::SIGCONT)?;
        linked.must_be_connected()?;
        linked.must_agree(site)?;
        Ok(())
    });
}
