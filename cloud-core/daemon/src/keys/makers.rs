//! Makers of devices whose factory certificates (IDevID of IEEE 802.1AR) show a device at its
//! enrolment. The operator of the core decides whom to trust.

use model::Timestamp;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::parse_x509_certificate;

use crate::store::audit::{Actor, Audit};
use crate::store::{StoreError, Tx, query};

const MOST_MAKERS: usize = 32;

/// Why a maker cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakerError {
    #[error("this is no certificate in PEM")]
    Form,
    #[error("this certificate signs no others: give the one of the maker's authority")]
    NoAuthority,
    #[error("{MOST_MAKERS} makers are trusted already")]
    Full,
    #[error("this maker is trusted already")]
    Known,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// From now on devices of this maker may enrol by the key they were born with.
pub(crate) async fn trust_maker(
    tx: &mut Tx,
    now: Timestamp,
    actor: &Actor,
    pem: &str,
) -> Result<(), MakerError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_error| MakerError::Form)?;
    let (_, read) = parse_x509_certificate(&der).map_err(|_error| MakerError::Form)?;
    if !read.is_ca() {
        return Err(MakerError::NoAuthority);
    }
    let name = read.subject().to_string();
    if anchors(tx).await?.len() >= MOST_MAKERS {
        return Err(MakerError::Full);
    }
    let hash = digest(&SHA256, &der);
    let insert = query(
        "INSERT INTO maker (certificate_hash, name, certificate, created) VALUES ($1, $2, $3, $4)
         ON CONFLICT (certificate_hash) DO NOTHING",
    )
    .bind(hash.as_ref())
    .bind(&name)
    .bind(der.as_ref())
    .bind(now);
    if tx.execute(insert).await? == 0 {
        return Err(MakerError::Known);
    }
    let entry = Audit {
        at: now,
        company: None,
        actor: actor.clone(),
        action: "maker.trust",
        object_kind: "maker",
        object_id: name,
        before: None,
        after: None,
    };
    tx.audit(entry);
    Ok(())
}

pub(super) async fn anchors(tx: &mut Tx) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let rows = tx
        .all(query(
            "SELECT certificate FROM maker ORDER BY certificate_hash",
        ))
        .await?;
    let read = rows.iter().map(|row| row.octets("certificate"));
    read.map(|der| der.map(CertificateDer::from)).collect()
}
