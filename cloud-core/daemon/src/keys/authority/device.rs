//! Certificates of devices: issued, looked up, made void.

use std::str::FromStr;
use std::time::Duration;

use cloud_logic::claims::Epoch;
use cloud_logic::ids::{AuthorityId, DeviceId};
use model::Timestamp;
use rustls::pki_types::CertificateDer;

use super::crl;
use super::ground::{self, AuthorityError, Kind, two_thirds};
use super::public_key::PublicKey;
use super::serial::Serial;
use super::signing::{self, DeviceCertificate, Life};
use crate::keys::Sealer;
use crate::store::changes::{Change, What, Whose};
use crate::store::{Row, StoreError, Tx, query};

const LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) device: DeviceId,
    pub(crate) epoch: Epoch,
}

/// A certificate as it is handed out.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) certificate: CertificateDer<'static>,
    /// Who signed it.
    pub(crate) authority: CertificateDer<'static>,
    /// At two thirds of its life.
    pub(crate) renew_after: Timestamp,
    pub(crate) not_after: Timestamp,
}

/// A certificate as the core knows it.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) serial: Serial,
    pub(crate) holder: Holder,
    pub(crate) issued: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) void: Option<Reason>,
    pub(super) authority: AuthorityId,
    pub(super) shard: i64,
    der: Vec<u8>,
}

/// Why a certificate is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    KeyCompromise,
    Superseded,
    Released,
    Withdrawn,
}

impl Reason {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KeyCompromise => "key_compromise",
            Self::Superseded => "superseded",
            Self::Released => "released",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl FromStr for Reason {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [
            Self::KeyCompromise,
            Self::Superseded,
            Self::Released,
            Self::Withdrawn,
        ]
        .into_iter()
        .find(|reason| reason.name() == text)
        .ok_or("no such reason")
    }
}

/// Why a device gets no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    #[error("this key was certified before: make a new one")]
    KeyUsed,
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        Self::Authority(AuthorityError::Store(error))
    }
}

/// Certifies a key. `lists` is the address below which void certificates are published.
pub(crate) async fn issue(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    (holder, key, lists): (Holder, &PublicKey, &str),
) -> Result<Issued, IssueError> {
    if certificate_of_key(tx, &key.hash()).await?.is_some() {
        return Err(IssueError::KeyUsed);
    }
    let by = ground::issuing(tx, sealer, Kind::Devices).await?;
    let mut life = Life::starting(now, LIFE);
    life.until = life.until.min(by.not_after);
    let shard = crl::shard_for(tx, (&by, lists), now, life.until).await?;
    let serial = Serial::random();
    let name = holder.device.to_string();
    let what = DeviceCertificate {
        name: &name,
        serial,
        life,
        crl: &crl::address(lists, by.id, shard),
    };
    let certificate = signing::device(what, key, &by.signer).map_err(AuthorityError::from)?;
    let insert = query(
        "INSERT INTO certificate (serial, authority_id, shard, device_id, epoch, key_hash,
                                  certificate, issued, not_after)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(serial)
    .bind(by.id)
    .bind(shard)
    .bind(holder.device)
    .bind(number(holder.epoch))
    .bind(key.hash().as_slice())
    .bind(certificate.as_ref())
    .bind(now)
    .bind(life.until);
    tx.execute(insert).await.map_err(|error| match error {
        // Two requests with one key at the same instant.
        StoreError::Duplicate(_) => IssueError::KeyUsed,
        other => other.into(),
    })?;
    Ok(Issued {
        certificate,
        authority: by.signer.certificate.clone(),
        renew_after: two_thirds(now, life.until),
        not_after: life.until,
    })
}

/// What the core knows of the certificate with this serial number.
pub(crate) async fn certificate(
    tx: &mut Tx,
    serial: Serial,
) -> Result<Option<Certificate>, StoreError> {
    let wanted = query("SELECT * FROM certificate WHERE serial = $1").bind(serial);
    tx.optional(wanted).await?.as_ref().map(read).transpose()
}

/// The certificate that was made for a key.
pub(crate) async fn certificate_of_key(
    tx: &mut Tx,
    hash: &[u8; 32],
) -> Result<Option<Certificate>, StoreError> {
    let wanted = query("SELECT * FROM certificate WHERE key_hash = $1").bind(hash.as_slice());
    tx.optional(wanted).await?.as_ref().map(read).transpose()
}

/// A device's certificates that have not ended, the newest first.
pub(crate) async fn certificates_of(
    tx: &mut Tx,
    device: DeviceId,
    now: Timestamp,
) -> Result<Vec<Certificate>, StoreError> {
    let wanted = query(
        "SELECT * FROM certificate WHERE device_id = $1 AND not_after >= $2
         ORDER BY issued DESC, serial LIMIT 100",
    );
    let rows = tx.all(wanted.bind(device).bind(now)).await?;
    rows.iter().map(read).collect()
}

impl Certificate {
    /// As it was handed out, to be handed out again.
    pub(crate) async fn issued_again(&self, tx: &mut Tx) -> Result<Issued, AuthorityError> {
        let by = query("SELECT certificate FROM authority WHERE id = $1").bind(self.authority);
        Ok(Issued {
            certificate: CertificateDer::from(self.der.clone()),
            authority: CertificateDer::from(tx.one(by).await?.octets("certificate")?),
            renew_after: two_thirds(self.issued, self.not_after),
            not_after: self.not_after,
        })
    }

    /// Whether this is the very certificate, and not another with its number.
    pub(crate) fn is(&self, der: &[u8]) -> bool {
        self.der == der
    }
}

/// Makes one certificate void, publishes the list and tells whoever holds a connection of it.
/// Void already is well.
#[cfg(test)]
pub(crate) async fn revoke(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    (serial, reason, lists, whose): (Serial, Reason, &str, Whose),
) -> Result<(), AuthorityError> {
    let mark = query(
        "UPDATE certificate SET revoked = $2, reason = $3
         WHERE serial = $1 AND revoked IS NULL RETURNING *",
    )
    .bind(serial)
    .bind(now)
    .bind(reason.name());
    let Some(row) = tx.optional(mark).await? else {
        return Ok(());
    };
    told_void(tx, sealer, now, (vec![read(&row)?], lists, whose)).await
}

/// Makes all certificates of a device void that still live. How many they were.
pub(crate) async fn revoke_device(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    (device, reason, lists, whose): (DeviceId, Reason, &str, Whose),
) -> Result<usize, AuthorityError> {
    let mark = query(
        "UPDATE certificate SET revoked = $2, reason = $3
         WHERE device_id = $1 AND revoked IS NULL RETURNING *",
    )
    .bind(device)
    .bind(now)
    .bind(reason.name());
    let rows = tx.all(mark).await?;
    let void = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let count = void.len();
    told_void(tx, sealer, now, (void, lists, whose)).await?;
    Ok(count)
}

async fn told_void(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    (void, lists, whose): (Vec<Certificate>, &str, Whose),
) -> Result<(), AuthorityError> {
    let mut shards: Vec<_> = void.iter().map(|one| (one.authority, one.shard)).collect();
    shards.sort_unstable();
    shards.dedup();
    for (authority, shard) in shards {
        crl::publish(tx, sealer, now, (authority, shard, lists)).await?;
    }
    for certificate in void {
        let change = Change {
            at: now,
            whose,
            kind: "certificate",
            id: certificate.holder.device.to_string(),
            what: What::Deleted,
        };
        tx.changed(change);
    }
    Ok(())
}

fn read(row: &Row) -> Result<Certificate, StoreError> {
    let reason: Option<Reason> = row.maybe_parsed("reason")?;
    Ok(Certificate {
        serial: row.parsed("serial")?,
        holder: Holder {
            device: row.parsed("device_id")?,
            epoch: Epoch::new(row.int("epoch")?.max(0).unsigned_abs()),
        },
        issued: row.time("issued")?,
        not_after: row.time("not_after")?,
        void: reason,
        authority: row.parsed("authority_id")?,
        shard: row.int("shard")?,
        der: row.octets("certificate")?,
    })
}

pub(crate) fn number(epoch: Epoch) -> i64 {
    i64::try_from(epoch.number()).unwrap_or(i64::MAX)
}
