//! Who gets a connection and who does not, with the listeners of both kinds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cloud_logic::claims::Epoch;
use cloud_logic::ids::DeviceId;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::core::Core;
use crate::keys::authority::{self, Holder, PublicKey, Reason};
use crate::keys::testing::{Shown, connect, keys, request, taken};
use crate::store::changes::Whose;
use crate::store::testing::on_both;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn device(core: &Core, number: u128) -> Shown {
    let key = KeyPair::generate().unwrap();
    let public = PublicKey::of_signing_request(&request(&key)).unwrap();
    let holder = Holder {
        device: DeviceId::from_bits(number),
        epoch: Epoch::new(1),
    };
    let mut tx = core.store.write().await.unwrap();
    let lists = &core.keys.addresses().lists;
    let what = (holder, &public, lists.as_str());
    let issued = authority::issue(&mut tx, core.keys.sealer(), core.now(), what)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    Shown {
        chain: vec![issued.certificate, issued.authority],
        key,
    }
}

/// Answers each connection that it takes with one octet.
async fn listen(newest: watch::Receiver<Arc<ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(newest.borrow().clone());
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut octet = [0];
                    if stream.read_exact(&mut octet).await.is_ok() {
                        stream.write_all(&octet).await.ok();
                    }
                }
            });
        }
    });
    address
}

/// By an authority that calls itself the same as ours.
async fn forged(core: &Core, like: &Shown) -> Shown {
    let mut tx = core.store.read().await.unwrap();
    let ours = authority::anchors(&mut tx, authority::Kind::Devices).await;
    let key = KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(&ours.unwrap()[0], KeyPair::generate().unwrap());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer.unwrap()).unwrap();
    Shown {
        chain: vec![certificate.der().clone(), like.chain[1].clone()],
        key,
    }
}

#[tokio::test]
async fn g2_the_front_door_opens_for_devices_of_ours_and_for_nobody_else() {
    on_both(async |store| {
        let world = keys(&store).await;
        let core = world.core(&store);
        let door = listen(core.keys.device_tls()).await;
        let shown = device(&core, 1).await;
        assert!(taken(connect(&core, door, Some(&shown)).await).await);
        assert!(
            !taken(connect(&core, door, None).await).await,
            "no certificate"
        );
        let forged = forged(&core, &shown).await;
        assert!(
            !taken(connect(&core, door, Some(&forged)).await).await,
            "forged"
        );
        let stolen = Shown {
            chain: shown.chain.clone(),
            key: KeyPair::generate().unwrap(),
        };
        assert!(
            !taken(connect(&core, door, Some(&stolen)).await).await,
            "another's"
        );
        core.clock.advance(91 * DAY);
        core.keys.tend_once(&core).await.unwrap();
        assert!(
            !taken(connect(&core, door, Some(&shown)).await).await,
            "expired"
        );
    })
    .await;
}

#[tokio::test]
async fn g2_an_expired_device_reaches_its_renewal_for_thirty_days() {
    on_both(async |store| {
        let world = keys(&store).await;
        let core = world.core(&store);
        let web = listen(core.keys.web_tls()).await;
        let shown = device(&core, 1).await;
        assert!(taken(connect(&core, web, None).await).await, "a browser");
        let forged = forged(&core, &shown).await;
        assert!(
            !taken(connect(&core, web, Some(&forged)).await).await,
            "forged"
        );
        core.clock.advance(119 * DAY);
        core.keys.tend_once(&core).await.unwrap();
        assert!(
            taken(connect(&core, web, Some(&shown)).await).await,
            "29 days late"
        );
        let mut tx = core.store.read().await.unwrap();
        let judged = identify(&mut tx, &shown.chain[0], core.now()).await;
        assert!(matches!(judged, Err(Barred::Expired)));
        drop(tx);
        core.clock.advance(2 * DAY);
        assert!(
            !taken(connect(&core, web, Some(&shown)).await).await,
            "31 days late"
        );
    })
    .await;
}

#[tokio::test]
async fn g2_the_row_says_at_once_that_a_certificate_is_void() {
    on_both(async |store| {
        let world = keys(&store).await;
        let core = world.core(&store);
        let shown = device(&core, 1).await;
        let other = device(&core, 2).await;
        let mut tx = core.store.write().await.unwrap();
        let known = identify(&mut tx, &shown.chain[0], core.now())
            .await
            .unwrap();
        assert_eq!(known.holder.device, DeviceId::from_bits(1));
        let lists = core.keys.addresses().lists.clone();
        let what = (
            known.holder.device,
            Reason::Withdrawn,
            lists.as_str(),
            Whose::default(),
        );
        let made_void =
            authority::revoke_device(&mut tx, core.keys.sealer(), core.now(), what).await;
        assert_eq!(made_void.unwrap(), 1);
        let judged = identify(&mut tx, &shown.chain[0], core.now()).await;
        assert!(matches!(judged, Err(Barred::Void(Reason::Withdrawn))));
        assert!(identify(&mut tx, &other.chain[0], core.now()).await.is_ok());
        let forged = forged(&core, &other).await;
        let judged = identify(&mut tx, &forged.chain[0], core.now()).await;
        assert!(matches!(judged, Err(Barred::Unknown)));
        let junk = rustls::pki_types::CertificateDer::from(vec![1, 2, 3]);
        assert!(matches!(
            identify(&mut tx, &junk, core.now()).await,
            Err(Barred::Unknown)
        ));
    })
    .await;
}
