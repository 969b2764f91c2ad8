//! The two stations that must not notice, and the memory that must not grow.

use anyhow::{Result, ensure};
use e2e::{Baresip, Gateway, Site, house};

/// What an attack may cost in resident memory. The gateway keeps less than this
/// for all its tables at their caps in these tests; a leak per message would be
/// more within a second of a flood.
const ALLOWED_KIB: u64 = 24 * 1024;

pub(crate) struct Victims {
    caller: Baresip,
    callee: Baresip,
    resident_kib: u64,
}

impl Victims {
    /// Two stations that have called each other once.
    pub(crate) fn new(site: &Site, gateway: &Gateway) -> Result<Self> {
        let mut caller = house::station(site, gateway, "102")?;
        let mut callee = house::answering_station(site, gateway, "103")?;
        house::must_serve(gateway, &mut caller, &mut callee)?;
        Ok(Self {
            caller,
            callee,
            resident_kib: gateway.resident_kib()?,
        })
    }

    /// They call each other while the attack goes on.
    pub(crate) fn must_be_served(&mut self, gateway: &Gateway) -> Result<()> {
        house::must_serve(gateway, &mut self.caller, &mut self.callee)
    }

    pub(crate) fn caller(&mut self) -> &mut Baresip {
        &mut self.caller
    }

    pub(crate) fn callee(&mut self) -> &mut Baresip {
        &mut self.callee
    }

    /// Afterwards: nothing left behind, and no more memory than allowed.
    pub(crate) fn must_be_bounded(&self, gateway: &Gateway) -> Result<()> {
        let now = gateway.resident_kib()?;
        let before = self.resident_kib;
        ensure!(
            now <= before + ALLOWED_KIB,
            "memory grew from {before} to {now} KiB"
        );
        Ok(())
    }
}
