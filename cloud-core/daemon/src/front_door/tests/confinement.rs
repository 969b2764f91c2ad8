//! What a device cannot do, tried with mosquitto's clients.

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::outside::{BOTH, Version, ended, program, publish, subscriber, text};
use super::*;
use crate::keys::authority::Reason;
use crate::store::changes::Whose;

#[tokio::test(flavor = "multi_thread")]
async fn a_device_speaks_on_its_own_topics_in_both_versions_b1() {
    on_both(async |store| {
        let house = House::new(&store).await;
        for version in BOTH {
            let device = house.device().await;
            let output = publish(&house, &device, version, &device.up(Up::Event), &event(1)).await;
            assert!(output.status.success(), "{version:?}: {}", text(&output));
            assert_eq!(house.events_of(&device).await, 1);
            assert!(house.is_online(&device).await);
        }
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_writes_into_no_other_g2() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let (device, other) = (house.device().await, house.device().await);
        for version in BOTH {
            let output = publish(&house, &device, version, &other.up(Up::Event), &event(1)).await;
            assert_eq!(house.events_of(&other).await, 0);
            assert_eq!(house.events_of(&device).await, 0);
            if matches!(version, Version::Five) {
                assert!(
                    text(&output).contains("Not authorized"),
                    "{}",
                    text(&output)
                );
            }
        }
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_hears_no_other_g2() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let (device, other) = (house.device().await, house.device().await);
        for version in BOTH {
            for filter in [
                "#",
                "$SYS/#",
                "+/+/1/down/#",
                &topic_of(&other),
                "$share/x/#",
            ] {
                let client = subscriber(&house, &device, version, filter, 1);
                let said = outside::said(client).await;
                assert!(
                    said.contains("denied") || said.contains("128"),
                    "{filter}: {said}"
                );
            }
        }
        house.close().await;
    })
    .await;
}

fn topic_of(device: &Known) -> String {
    contract::topic::all_down(&device.name())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_takes_no_other_name_and_leaves_no_foreign_will_g2() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let (device, other) = (house.device().await, house.device().await);
        for version in BOTH {
            let mut foreign_name = program(&house, "mosquitto_pub", None, version);
            foreign_name
                .arg("--cert")
                .arg(&device.certificate)
                .arg("--key")
                .arg(&device.key);
            foreign_name.args(["-i", &other.id.to_string(), "-q", "1", "-m", &event(1)]);
            foreign_name.args(["-t", &device.up(Up::Event)]);
            assert!(!ended(foreign_name).await.status.success());

            let mut foreign_will = program(&house, "mosquitto_pub", Some(&device), version);
            foreign_will.args(["--will-topic", &other.up(Up::Will)]);
            foreign_will.args(["--will-payload", r#"{"boot":1,"conn":1}"#]);
            foreign_will.args(["-q", "1", "-m", &event(1), "-t", &device.up(Up::Event)]);
            let output = ended(foreign_will).await;
            assert!(!output.status.success(), "{}", text(&output));
        }
        assert_eq!(house.events_of(&device).await, 0);
        assert!(!house.is_online(&other).await);
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_a_certificate_of_ours_g2() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut nameless = program(&house, "mosquitto_pub", None, Version::Five);
        nameless.args([
            "-i",
            &device.id.to_string(),
            "-q",
            "1",
            "-m",
            "x",
            "-t",
            "x",
        ]);
        assert!(!ended(nameless).await.status.success());

        // Of another authority, with the right name in it.
        let pair = rcgen::KeyPair::generate().unwrap();
        let mut forged = rcgen::CertificateParams::default();
        let name = device.id.to_string();
        forged
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let forged = forged.self_signed(&pair).unwrap();
        std::fs::write(&device.certificate, forged.pem()).unwrap();
        std::fs::write(&device.key, pair.serialize_pem()).unwrap();
        let topic = device.up(Up::Event);
        let output = publish(&house, &device, Version::Five, &topic, &event(1)).await;
        assert!(!output.status.success());
        assert_eq!(house.events_of(&device).await, 0);
        assert!(!house.is_online(&device).await);
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_certificate_is_out_at_once_and_stays_out_g2() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let client = subscriber(&house, &device, Version::Five, &topic_of(&device), 1);
        until("connected", async || house.door.figures().devices() == 1).await;
        let mut tx = house.write().await;
        let whose = Whose {
            company: Some(house.company),
            ..Whose::default()
        };
        let order = (device.id, Reason::KeyCompromise, "http://lists", whose);
        let now = house.core.now();
        authority::revoke_device(&mut tx, house.core.keys.sealer(), now, order)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        until("kicked", async || house.door.figures().devices() == 0).await;
        until("offline", async || !house.is_online(&device).await).await;
        let ended = client.await.unwrap();
        assert!(ended.stdout.is_empty(), "{}", text(&ended));
        let topic = device.up(Up::Event);
        let output = publish(&house, &device, Version::Five, &topic, &event(1)).await;
        assert!(!output.status.success(), "{}", text(&output));
        assert_eq!(house.events_of(&device).await, 0);
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_nobody_owns_stays_outside_d1() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut tx = house.write().await;
        let release = query("UPDATE device SET company_id = NULL WHERE id = $1");
        tx.execute(release.bind(device.id)).await.unwrap();
        tx.commit().await.unwrap();
        let topic = device.up(Up::Event);
        let output = publish(&house, &device, Version::Five, &topic, &event(1)).await;
        assert!(!output.status.success());
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_sockets_hold_up_nobody_and_are_closed_g6() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(TcpStream::connect(house.door.address()).await.unwrap());
        }
        let device = house.device().await;
        let topic = device.up(Up::Event);
        let output = publish(&house, &device, Version::Five, &topic, &event(1)).await;
        assert!(output.status.success(), "{}", text(&output));
        for mut socket in silent {
            let mut octets = Vec::new();
            let closed = timeout(Duration::from_secs(20), socket.read_to_end(&mut octets)).await;
            let _ = closed.expect("a silent socket is closed");
        }
        house.close().await;
    })
    .await;
}
