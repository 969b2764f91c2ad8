//! Gives a unit to a site, takes it back, puts another in its place.

use std::time::Duration;

use cloud_logic::catalogue::{self, Mode, Refusal};
use cloud_logic::claims::{ClaimEnd, Epoch, Refused};
use cloud_logic::ids::{DeviceId, UserId};
use cloud_logic::rights::Scope;
use cloud_logic::subscriptions::{Missing, Outcome};
use contract::enrolment::{ClaimCode, Handle, ProofKey};
use model::Timestamp;
use serde_json::json;

use super::attempts::{self, Trying};
use super::pepper::Pepper;
use super::rows::{self, Bound, By, NewClaim, Place, Unit};
use crate::core::{Core, NewId};
use crate::keys::NamedSecretError;
use crate::keys::authority::{self, AuthorityError, Reason};
use crate::store::audit::{Actor, Audit};
use crate::store::changes::{Change, What};
use crate::store::{StoreError, Tx};
use crate::subscriptions;
use crate::tenancy;

/// Refused codes are answered no sooner, whatever was wrong.
const REFUSED_AFTER: Duration = Duration::from_millis(300);

/// What somebody claims.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) code: ClaimCode,
    pub(crate) place: Place,
    pub(crate) mode: Mode,
}

/// A device of the company's from now on, whether it has ever been online or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) device: DeviceId,
    pub(crate) epoch: Epoch,
    pub(crate) model: String,
    pub(crate) serial_number: String,
    /// What it lacks though it was claimed.
    pub(crate) lacks: Option<Missing>,
}

/// Why a device cannot be claimed, released or replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// Unknown, taken, or lost to another at the same instant: one answer.
    #[error(
        "no device can be claimed with this code: compare it with the label, or ask whoever has the device to release it"
    )]
    NoSuchCode,
    #[error("too many wrong codes")]
    TooMany { until: Timestamp },
    #[error("the device cannot be run like this")]
    Catalogue(Vec<Refusal>),
    #[error("{found} cannot take the place of {wanted}: a replacement is of the same model")]
    OtherModel { found: String, wanted: String },
    #[error("there is no such device")]
    NoSuchDevice,
    /// It passed into other hands at this moment.
    #[error("there is no such site")]
    NoSuchSite,
    #[error(transparent)]
    Subscription(Missing),
    #[error(transparent)]
    Rule(#[from] Refused),
    #[error(transparent)]
    Pepper(#[from] NamedSecretError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Claims the unit with this code.
pub(crate) async fn claim(
    core: &Core,
    user: UserId,
    actor: &Actor,
    wanted: Wanted,
) -> Result<Claimed, BindError> {
    guarded(core, user, wanted.place, async |tx, now| {
        in_those_hands(tx, wanted.place).await?;
        let unit = free_unit(tx, core, &wanted.code).await?;
        check(&unit, wanted.mode)?;
        let device = DeviceId::new_at(now);
        let epoch = Epoch::after(unit.epoch, Epoch::default());
        let (place, mode) = (wanted.place, wanted.mode);
        let lacks = match subscriptions::check_claim(tx, core, place.company, mode).await? {
            Outcome::Covered => None,
            Outcome::Warned(missing) => Some(missing),
            Outcome::Refused(missing) => return Err(BindError::Subscription(missing)),
        };
        let mut claimed = write(
            tx,
            core,
            actor,
            &wanted.code,
            (device, epoch, &unit, place, mode),
        )
        .await?;
        claimed.lacks = lacks;
        told(
            tx,
            now,
            actor,
            "device.claim",
            (&claimed, place, What::Created),
        );
        Ok(claimed)
    })
    .await
}

/// Puts the unit with this code in the place of the one that a device has.
pub(crate) async fn replace(
    core: &Core,
    user: UserId,
    actor: &Actor,
    (device, place, code): (DeviceId, Place, ClaimCode),
) -> Result<Claimed, BindError> {
    guarded(core, user, place, async |tx, now| {
        in_those_hands(tx, place).await?;
        let old = bound(tx, device).await?;
        let unit = free_unit(tx, core, &code).await?;
        if unit.model != old.model {
            let (found, wanted) = (unit.model, old.model);
            return Err(BindError::OtherModel { found, wanted });
        }
        check(&unit, old.mode)?;
        end(tx, core, &old, (ClaimEnd::Replaced, Reason::Superseded)).await?;
        let epoch = Epoch::after(unit.epoch, old.claim.epoch());
        let claimed = write(
            tx,
            core,
            actor,
            &code,
            (device, epoch, &unit, old.place, old.mode),
        )
        .await?;
        told(
            tx,
            now,
            actor,
            "device.replace",
            (&claimed, old.place, What::Updated),
        );
        Ok(claimed)
    })
    .await
}

/// Whether the site is still of the company for which the caller was asked; until this transaction
/// ends it stays so.
async fn in_those_hands(tx: &mut Tx, place: Place) -> Result<(), BindError> {
    let now = tenancy::of_site(tx, place.site).await?;
    let then = Scope::Site(place.company, place.project, place.site);
    if now == Some(then) {
        Ok(())
    } else {
        Err(BindError::NoSuchSite)
    }
}

/// Lets a unit go: its certificates are void, its code can be claimed again.
pub(crate) async fn release(core: &Core, actor: &Actor, device: DeviceId) -> Result<(), BindError> {
    let now = core.now();
    let mut tx = core.store.write().await?;
    let old = bound(&mut tx, device).await?;
    end(&mut tx, core, &old, (ClaimEnd::Released, Reason::Released)).await?;
    let ended = of(&old);
    told(
        &mut tx,
        now,
        actor,
        "device.release",
        (&ended, old.place, What::Deleted),
    );
    Ok(tx.commit().await?)
}

/// Makes all certificates of a device void; the claim stays. How many they were.
pub(crate) async fn revoke(
    core: &Core,
    actor: &Actor,
    device: DeviceId,
    reason: Reason,
) -> Result<usize, BindError> {
    let now = core.now();
    let mut tx = core.store.write().await?;
    let bound = bound(&mut tx, device).await?;
    let count = void(&mut tx, core, &bound, reason).await?;
    let about = of(&bound);
    told(
        &mut tx,
        now,
        actor,
        "device.revoke",
        (&about, bound.place, What::Updated),
    );
    tx.commit().await?;
    Ok(count)
}

/// Runs what takes a code: within the limits, and every refusal of a code is counted and answered
/// alike.
async fn guarded(
    core: &Core,
    user: UserId,
    place: Place,
    take: impl AsyncFnOnce(&mut Tx, Timestamp) -> Result<Claimed, BindError>,
) -> Result<Claimed, BindError> {
    let answer_at = tokio::time::Instant::now() + REFUSED_AFTER;
    let now = core.now();
    let company = place.company;
    let who = Trying { user, company };
    let mut tx = core.store.write().await?;
    if let Err(until) = attempts::one_more(&mut tx, who, now).await? {
        tracing::warn!(%user, %company, "too many wrong claim codes: somebody may be guessing");
        return Err(BindError::TooMany { until });
    }
    match take(&mut tx, now).await {
        Ok(claimed) => {
            tx.commit().await?;
            return Ok(claimed);
        }
        // Found out before anything was written; those who try beside this one still wait.
        Err(BindError::NoSuchCode) => {}
        // Another has claimed it at the same instant.
        Err(BindError::Store(StoreError::Duplicate(_))) => {
            drop(tx);
            tx = core.store.write().await?;
        }
        Err(other) => return Err(other),
    }
    attempts::was_wrong(&mut tx, who, now).await?;
    tx.commit().await?;
    tokio::time::sleep_until(answer_at).await;
    Err(BindError::NoSuchCode)
}

async fn free_unit(tx: &mut Tx, core: &Core, code: &ClaimCode) -> Result<Unit, BindError> {
    let pepper = Pepper::of(tx, core.keys.sealer()).await?;
    let unit = rows::unit_of_code(tx, pepper.mac(code)).await?;
    unit.filter(|unit| !unit.taken).ok_or(BindError::NoSuchCode)
}

/// What the device has not told yet is checked when it enrols.
fn check(unit: &Unit, mode: Mode) -> Result<(), BindError> {
    let checked = catalogue::compiled().check(&unit.model, unit.revision, None, mode);
    checked.map(|_later| ()).map_err(BindError::Catalogue)
}

async fn write(
    tx: &mut Tx,
    core: &Core,
    actor: &Actor,
    code: &ClaimCode,
    (device, epoch, unit, place, mode): (DeviceId, Epoch, &Unit, Place, Mode),
) -> Result<Claimed, BindError> {
    let claim = NewClaim {
        device,
        epoch,
        unit: unit.id,
        place,
        mode,
        by: &actor.name,
        handle: &Handle::of(code),
        proof_key: &ProofKey::of(code),
    };
    rows::insert(tx, core.keys.sealer(), core.now(), claim).await?;
    Ok(Claimed {
        device,
        epoch,
        model: unit.model.clone(),
        serial_number: unit.serial_number.clone(),
        lacks: None,
    })
}

async fn bound(tx: &mut Tx, device: DeviceId) -> Result<Bound, BindError> {
    let found = rows::bound(tx, By::Device(device)).await?;
    found.ok_or(BindError::NoSuchDevice)
}

async fn end(
    tx: &mut Tx,
    core: &Core,
    old: &Bound,
    (why, reason): (ClaimEnd, Reason),
) -> Result<(), BindError> {
    let mut claim = old.claim;
    claim.end(why)?;
    if !rows::end(tx, old, why, core.now()).await? {
        return Err(BindError::Rule(Refused::Ended));
    }
    void(tx, core, old, reason).await?;
    Ok(())
}

async fn void(tx: &mut Tx, core: &Core, bound: &Bound, reason: Reason) -> Result<usize, BindError> {
    let lists = core.keys.addresses().lists.as_str();
    let what = (bound.device, reason, lists, bound.place.whose());
    Ok(authority::revoke_device(tx, core.keys.sealer(), core.now(), what).await?)
}

fn told(
    tx: &mut Tx,
    now: Timestamp,
    actor: &Actor,
    action: &'static str,
    (about, place, what): (&Claimed, Place, What),
) {
    let entry = Audit {
        at: now,
        company: Some(place.company),
        actor: actor.clone(),
        action,
        object_kind: "device",
        object_id: about.device.to_string(),
        before: None,
        after: Some(json!({
            "site": place.site,
            "model": about.model,
            "serial_number": about.serial_number,
            "epoch": about.epoch,
        })),
    };
    tx.audit(entry);
    let change = Change {
        at: now,
        whose: place.whose(),
        kind: "device",
        id: about.device.to_string(),
        what,
    };
    tx.changed(change);
}

fn of(bound: &Bound) -> Claimed {
    Claimed {
        device: bound.device,
        epoch: bound.claim.epoch(),
        model: bound.model.clone(),
        serial_number: bound.serial_number.clone(),
        lacks: None,
    }
}
