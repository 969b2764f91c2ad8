//! The authorities themselves: made, renewed, told, retired.

use std::str::FromStr;
use std::time::Duration;

use cloud_logic::ids::AuthorityId;
use model::Timestamp;
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::serial::Serial;
use super::signing::{self, Life, SignError, Signer};
use crate::core::NewId;
use crate::keys::{Sealer, Secret, UnsealError};
use crate::random;
use crate::store::{Row, StoreError, Tx, query};

const DAY: Duration = Duration::from_secs(24 * 3600);
const ROOT_LIFE: Duration = DAY.saturating_mul(20 * 365);
const ISSUING_LIFE: Duration = DAY.saturating_mul(5 * 365);
/// An authority that ends sooner than this lets another sign.
const RENEWED_BEFORE: Duration = DAY.saturating_mul(365);
const SERVER_LIFE: Duration = DAY.saturating_mul(90);
const KEY_COLUMN: &str = "authority.key";

/// What an authority signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Root,
    Devices,
    Servers,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Devices => "devices",
            Self::Servers => "servers",
        }
    }
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Root, Self::Devices, Self::Servers]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or("no such kind of authority")
    }
}

/// Why the authority cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("there is no authority: `antiphon-cloud init` makes one")]
    None,
    #[error("there is an authority already, and it is left as it is")]
    Exists,
    #[error(
        "the key of the root is kept elsewhere: give it with --root-key to sign a new authority"
    )]
    RootAway,
    #[error("the key given is not the key of the root")]
    WrongRootKey,
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An authority that signs, ready to.
pub(super) struct Issuing {
    pub(super) id: AuthorityId,
    pub(super) signer: Signer,
    pub(super) not_after: Timestamp,
}

/// The root with its key, to be kept apart.
pub(crate) struct Root {
    pub(crate) certificate: CertificateDer<'static>,
    /// PKCS #8.
    pub(crate) key: Zeroizing<Vec<u8>>,
}

/// Makes the root and what signs below it.
pub(crate) async fn found(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
) -> Result<(), AuthorityError> {
    if issuing_row(tx, Kind::Root).await?.is_some() {
        return Err(AuthorityError::Exists);
    }
    let life = Life::starting(now, ROOT_LIFE);
    let root = signing::root(&name(Kind::Root), Serial::random(), life)?;
    insert(tx, sealer, now, (Kind::Root, &root, life)).await?;
    for kind in [Kind::Devices, Kind::Servers] {
        sign_issuing(tx, sealer, now, (kind, &root, life.until)).await?;
    }
    Ok(())
}

/// Lets a new authority sign where the present one ends within a year, and retires what has ended.
/// `root_key` is the key of a root that was taken away. How many are new.
pub(crate) async fn renew(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    root_key: Option<&[u8]>,
) -> Result<usize, AuthorityError> {
    let mut made = 0;
    let retire =
        query("UPDATE authority SET state = 'retired' WHERE state = 'trusted' AND not_after < $1");
    tx.execute(retire.bind(now)).await?;
    for kind in [Kind::Devices, Kind::Servers] {
        let row = issuing_row(tx, kind).await?.ok_or(AuthorityError::None)?;
        if row.time("not_after")? > now.saturating_add(RENEWED_BEFORE) {
            continue;
        }
        let root = issuing_row(tx, Kind::Root)
            .await?
            .ok_or(AuthorityError::None)?;
        let certificate = CertificateDer::from(root.octets("certificate")?);
        let key = match (open_key(&root, sealer)?, root_key) {
            (Some(key), _) => key,
            (None, Some(given)) => Zeroizing::new(given.to_vec()),
            (None, None) => return Err(AuthorityError::RootAway),
        };
        let signer = Signer { certificate, key };
        if !signer.key_fits() {
            return Err(AuthorityError::WrongRootKey);
        }
        let older =
            query("UPDATE authority SET state = 'trusted' WHERE kind = $1 AND state = 'issuing'");
        tx.execute(older.bind(kind.name())).await?;
        sign_issuing(tx, sealer, now, (kind, &signer, root.time("not_after")?)).await?;
        made += 1;
    }
    Ok(made)
}

/// The only certificates that devices trust.
pub(crate) async fn roots(tx: &mut Tx) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    certificates(tx, Kind::Root).await
}

/// Takes the root's key out of the store. Its holder brings it back to `renew`, every four years.
pub(crate) async fn remove_root_key(tx: &mut Tx, sealer: &Sealer) -> Result<Root, AuthorityError> {
    let row = issuing_row(tx, Kind::Root)
        .await?
        .ok_or(AuthorityError::None)?;
    let key = open_key(&row, sealer)?.ok_or(AuthorityError::RootAway)?;
    let certificate = CertificateDer::from(row.octets("certificate")?);
    let forget = query("UPDATE authority SET key = NULL WHERE id = $1");
    tx.execute(forget.bind(row.text("id")?)).await?;
    Ok(Root { certificate, key })
}

/// The authorities of a kind whose certificates hold.
pub(crate) async fn anchors(
    tx: &mut Tx,
    kind: Kind,
) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    certificates(tx, kind).await
}

/// A certificate for our own listeners.
pub(crate) struct Server {
    /// Its own, then the authority's.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// PKCS #8.
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) renew_after: Timestamp,
}

/// A certificate for our own listeners with the authority that signed it, and its key. Lives in
/// memory: every node, at every start, takes a new one.
pub(crate) async fn issue_server(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    names: &[String],
) -> Result<Server, AuthorityError> {
    let by = issuing(tx, sealer, Kind::Servers).await?;
    let mut life = Life::starting(now, SERVER_LIFE);
    life.until = life.until.min(by.not_after);
    let server = signing::server(names, Serial::random(), life, &by.signer)?;
    Ok(Server {
        chain: vec![server.certificate, by.signer.certificate],
        key: server.key,
        renew_after: two_thirds(now, life.until),
    })
}

/// The authority of a kind that signs at present.
pub(super) async fn issuing(
    tx: &mut Tx,
    sealer: &Sealer,
    kind: Kind,
) -> Result<Issuing, AuthorityError> {
    let row = issuing_row(tx, kind).await?.ok_or(AuthorityError::None)?;
    of_row(&row, sealer)
}

/// One of ours, whether it signs at present or not.
pub(super) async fn with_id(
    tx: &mut Tx,
    sealer: &Sealer,
    id: AuthorityId,
) -> Result<Issuing, AuthorityError> {
    let row = tx.optional(query("SELECT * FROM authority WHERE id = $1").bind(id));
    of_row(&row.await?.ok_or(AuthorityError::None)?, sealer)
}

fn of_row(row: &Row, sealer: &Sealer) -> Result<Issuing, AuthorityError> {
    let key = open_key(row, sealer)?.ok_or(AuthorityError::RootAway)?;
    let certificate = CertificateDer::from(row.octets("certificate")?);
    Ok(Issuing {
        id: row.parsed("id")?,
        signer: Signer { certificate, key },
        not_after: row.time("not_after")?,
    })
}

async fn issuing_row(tx: &mut Tx, kind: Kind) -> Result<Option<Row>, StoreError> {
    let wanted = query("SELECT * FROM authority WHERE kind = $1 AND state = 'issuing'");
    tx.optional(wanted.bind(kind.name())).await
}

async fn certificates(
    tx: &mut Tx,
    kind: Kind,
) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    let wanted = query(
        "SELECT certificate FROM authority WHERE kind = $1 AND state <> 'retired' ORDER BY id",
    );
    let rows = tx.all(wanted.bind(kind.name())).await?;
    let read = rows.iter().map(|row| row.octets("certificate"));
    Ok(read
        .map(|der| der.map(CertificateDer::from))
        .collect::<Result<_, _>>()?)
}

async fn sign_issuing(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    (kind, root, latest): (Kind, &Signer, Timestamp),
) -> Result<(), AuthorityError> {
    let mut life = Life::starting(now, ISSUING_LIFE);
    life.until = life.until.min(latest);
    let signer = signing::issuing(kind, &name(kind), Serial::random(), life, root)?;
    insert(tx, sealer, now, (kind, &signer, life)).await
}

async fn insert(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    (kind, signer, life): (Kind, &Signer, Life),
) -> Result<(), AuthorityError> {
    let id = AuthorityId::new_at(now);
    let row = id.to_string();
    let place = Secret {
        column: KEY_COLUMN,
        row: &row,
    };
    let insert = query(
        "INSERT INTO authority (id, kind, state, certificate, key, not_before, not_after)
         VALUES ($1, $2, 'issuing', $3, $4, $5, $6)",
    )
    .bind(id)
    .bind(kind.name())
    .bind(signer.certificate.as_ref())
    .bind(sealer.seal(place, &signer.key))
    .bind(life.from)
    .bind(life.until);
    tx.execute(insert).await?;
    Ok(())
}

fn open_key(row: &Row, sealer: &Sealer) -> Result<Option<Zeroizing<Vec<u8>>>, AuthorityError> {
    let Some(sealed) = row.maybe_octets("key")? else {
        return Ok(None);
    };
    let id = row.text("id")?;
    let place = Secret {
        column: KEY_COLUMN,
        row: &id,
    };
    Ok(Some(sealer.unseal(place, &sealed)?))
}

/// When what is given out at `from` is to be replaced.
pub(super) fn two_thirds(from: Timestamp, until: Timestamp) -> Timestamp {
    let length = until.unix_ms().saturating_sub(from.unix_ms());
    Timestamp::from_unix_ms(from.unix_ms().saturating_add(length / 3 * 2))
}

/// Names are never the same, so that a chain is never built over the wrong one.
fn name(kind: Kind) -> String {
    let [a, b, c, d] = random::octets();
    format!("Antiphon {} {a:02x}{b:02x}{c:02x}{d:02x}", kind.name())
}
