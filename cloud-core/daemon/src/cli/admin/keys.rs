//! Keys and authorities by hand.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::{operator, write_secret};
use crate::core::Core;
use crate::keys::{self, authority};
use crate::store::Tx;
use crate::store::audit::Audit;

pub(super) async fn rotate(core: &Core) -> Result<String> {
    let sealer = core.keys.sealer();
    let rotated = keys::rotate(&core.store, sealer).await?;
    audited(core, "key.rotate").await?;
    Ok(format!(
        "added a key to {} and sealed {} secrets with it\n  \
         copy the file to every node and to where you keep it, wait two minutes, then:\n  \
         antiphon-cloud admin rotate-key --drop-old\n",
        sealer.path().display(),
        rotated.resealed
    ))
}

pub(super) async fn drop_old(core: &Core) -> Result<String> {
    let sealer = core.keys.sealer();
    let rotated = keys::drop_old(&core.store, sealer).await?;
    audited(core, "key.drop_old").await?;
    Ok(format!(
        "sealed {} more secrets and dropped {} older keys from {}\n",
        rotated.resealed,
        rotated.keys_dropped,
        sealer.path().display()
    ))
}

pub(super) async fn roots(core: &Core) -> Result<String> {
    let mut tx = core.store.read().await?;
    let roots = authority::roots(&mut tx).await?;
    let pems = roots.iter().map(|root| pem("CERTIFICATE", root.as_ref()));
    Ok(pems.map(|pem| pem.to_string()).collect())
}

pub(super) async fn take_root_key(core: &Core, to: &Path) -> Result<String> {
    let mut tx = core.store.write().await?;
    let root = authority::remove_root_key(&mut tx, core.keys.sealer()).await?;
    let certificate = pem("CERTIFICATE", &root.certificate);
    let key = pem("PRIVATE KEY", &root.key);
    // Written before it is gone from the store.
    let both = Zeroizing::new(format!("{}{}", certificate.as_str(), key.as_str()));
    write_secret(to, &both)?;
    tell(core, &mut tx, "authority.take_root_key");
    tx.commit().await?;
    Ok(format!(
        "the key of the root is in {} and nowhere else: keep two copies, not on this machine\n",
        to.display()
    ))
}

pub(super) async fn renew_authority(core: &Core, root_key: &Path) -> Result<String> {
    let text = fs::read(root_key).with_context(|| format!("reading {}", root_key.display()))?;
    let text = Zeroizing::new(text);
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text)
        .with_context(|| format!("{} holds no private key in PEM", root_key.display()))?;
    let mut tx = core.store.write().await?;
    let (sealer, now) = (core.keys.sealer(), core.now());
    let made = authority::renew(&mut tx, sealer, now, Some(key.secret_pkcs8_der())).await?;
    if made == 0 {
        return Ok("no authority ends within a year; nothing was changed\n".to_owned());
    }
    tell(core, &mut tx, "authority.renew");
    tx.commit().await?;
    Ok(format!("{made} new authorities sign from now on\n"))
}

pub(super) async fn trust_maker(core: &Core, certificate: &Path) -> Result<String> {
    let text = fs::read_to_string(certificate)
        .with_context(|| format!("reading {}", certificate.display()))?;
    let mut tx = core.store.write().await?;
    keys::trust_maker(&mut tx, core.now(), &operator(), &text).await?;
    tx.commit().await?;
    Ok("devices of this maker may enrol by the key they were born with\n".to_owned())
}

async fn audited(core: &Core, action: &'static str) -> Result<()> {
    let mut tx = core.store.write().await?;
    tell(core, &mut tx, action);
    Ok(tx.commit().await?)
}

fn tell(core: &Core, tx: &mut Tx, action: &'static str) {
    tx.audit(Audit {
        at: core.now(),
        company: None,
        actor: operator(),
        action,
        object_kind: "installation",
        object_id: String::new(),
        before: None,
        after: None,
    });
}

fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(String::with_capacity(text.len() + text.len() / 32 + 80));
    pem.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|octet| char::from(*octet)));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}
