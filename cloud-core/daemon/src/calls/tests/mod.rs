//! Calls over the core with real TLS, real media and certificates of its own authority.

mod gateway;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_logic::claims;
use cloud_logic::ids::{CompanyId, DeviceId};
use cloud_logic::rights::{Role, Scope};
use model::EndCause;
use serde_json::{Value, json};

use self::gateway::Gateway;
use super::*;
use crate::keys::authority::{self, Holder, PublicKey, Reason};
use crate::people::testing::{Place, World};
use crate::store::changes::Whose;
use crate::store::query;
use crate::store::testing::on_both;

/// A device with its certificate in files.
struct Known {
    id: DeviceId,
    certificate: PathBuf,
    key: PathBuf,
}

/// A core with its calls open.
struct House {
    world: World,
    calls: SocketAddr,
    figures: Arc<Figures>,
    stop: CancellationToken,
    running: JoinHandle<()>,
    to_pages: mpsc::Receiver<ToPage>,
    from_pages: mpsc::Sender<FromPage>,
    folder: tempfile::TempDir,
}

impl House {
    /// Media of each house, and of each gateway at it, have ports of their own: `ports` is the first.
    async fn new(store: crate::store::Store, ports: u16) -> Self {
        let world = World::new(store).await;
        let folder = tempfile::tempdir().unwrap();
        let mut tx = world.core.store.read().await.unwrap();
        let root = authority::roots(&mut tx).await.unwrap().remove(0);
        drop(tx);
        write_pem(&folder.path().join("root.pem"), &[root.as_ref()]);
        let settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            addresses: vec![[127, 0, 0, 1].into()],
            ports: ports..=ports + 399,
            threads: 1,
            host: "core.example".to_owned(),
        };
        let (pages, to_pages) = mpsc::channel(64);
        let calls = open(world.core.clone(), settings, Some(pages))
            .await
            .unwrap();
        let (address, figures) = (calls.address(), calls.figures());
        let stop = CancellationToken::new();
        Self {
            world,
            calls: address,
            figures,
            to_pages,
            from_pages: calls.pages(),
            running: tokio::spawn(calls.run(stop.clone())),
            stop,
            folder,
        }
    }

    fn core(&self) -> &Core {
        &self.world.core
    }

    /// A gateway of a company, with a certificate.
    async fn device(&self, place: Place) -> Known {
        let id = self.world.device(place).await;
        let pair = rcgen::KeyPair::generate().unwrap();
        let asked = rcgen::CertificateParams::default();
        let asked = asked.serialize_request(&pair).unwrap();
        let key = PublicKey::of_signing_request(&asked.pem().unwrap()).unwrap();
        let holder = Holder {
            device: id,
            epoch: claims::Epoch::new(1),
        };
        let mut tx = self.core().store.write().await.unwrap();
        let (sealer, now) = (self.core().keys.sealer(), self.core().now());
        let issued = authority::issue(&mut tx, sealer, now, (holder, &key, "http://lists"));
        let issued = issued.await.unwrap();
        tx.commit().await.unwrap();
        let certificate = self.folder.path().join(format!("{id}.pem"));
        let chain = [issued.certificate.as_ref(), issued.authority.as_ref()];
        write_pem(&certificate, &chain);
        let key = self.folder.path().join(format!("{id}.key"));
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        Known {
            id,
            certificate,
            key,
        }
    }

    async fn gateway(&self, device: &Known, ports: u16) -> Gateway {
        let root = self.folder.path().join("root.pem");
        Gateway::connect(device, root, self.calls, ports..=ports + 199).await
    }

    /// A group of stations of gateways.
    async fn group(&self, place: Place, number: &str, devices: &[&Known]) {
        let members: Vec<_> = (devices.iter())
            .map(|device| json!({"kind": "station", "device": device.id, "number": "101"}))
            .collect();
        let wish = json!({"name": number, "number": number, "members": members});
        let mail = format!("{number}-{}@a.test", place.company);
        let scope = Scope::Company(place.company);
        let owner = self.world.holder(Role::Owner, scope, &mail).await;
        let path = format!("/api/v1/companies/{}/ring-groups", place.company);
        self.world.post(&owner, &path, &wish).await.is(201);
    }

    /// The records of a company, the caller's first.
    async fn records(&self, company: CompanyId) -> Vec<(String, String, Value, Value)> {
        let asked = query("SELECT * FROM call_record WHERE company_id = $1 ORDER BY leg_id");
        let mut tx = self.core().store.read().await.unwrap();
        let rows = tx.all(asked.bind(company)).await.unwrap();
        let one = |row: &crate::store::Row| {
            (
                row.text("role").unwrap(),
                row.text("status").unwrap(),
                row.json("party").unwrap(),
                row.json("audio").unwrap_or_default(),
            )
        };
        rows.iter().map(one).collect()
    }

    /// The call stands in the report: with its people for the owner, without them for the others.
    async fn reads_its_call(&self, place: Place, caller: &Known) {
        let scope = Scope::Company(place.company);
        let owner = self.world.holder(Role::Owner, scope, "report@a.test").await;
        let path = format!("/api/v1/companies/{}/calls", place.company);
        let listed = self
            .world
            .get(&owner, &format!("{path}?status=answered"))
            .await;
        let listed = listed.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 2);
        let call = listed["items"][0]["call"].as_str().unwrap();
        let one = self
            .world
            .get(&owner, &format!("{path}/{call}"))
            .await
            .json();
        assert_eq!(one["legs"][0]["party"]["device"], json!(caller.id));
        assert_eq!(one["legs"][0]["dialled"]["number"], "500");
        assert_eq!(one["legs"][0]["site"], json!(place.site));
        assert_eq!(one["legs"][0]["talked_with"], one["legs"][1]["leg"]);
        let none = format!("{path}?until=2020-01-01T00:00:00Z");
        assert_eq!(
            self.world.get(&owner, &none).await.json()["items"],
            json!([])
        );
        let billing = Scope::Project(place.company, place.other_project);
        let beside = self
            .world
            .holder(Role::Owner, billing, "beside@a.test")
            .await;
        let seen = self.world.get(&beside, &path).await;
        assert_eq!(seen.json()["items"], json!([]));
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

fn write_pem(path: &Path, parts: &[&[u8]]) {
    let mut text = String::new();
    for part in parts {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(part).as_bytes().chunks(64) {
            text.push_str(std::str::from_utf8(line).unwrap());
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    std::fs::write(path, text).unwrap();
}

/// Asks again until it is so; for what another thread does.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < limit, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Two gateways of a company, and a group that rings the second.
async fn two(house: &House, ports: u16) -> (Place, [Known; 2], Gateway, Gateway) {
    let place = house.world.company("Clinics").await;
    let (a, b) = (house.device(place).await, house.device(place).await);
    house.group(place, "500", &[&b]).await;
    let first = house.gateway(&a, ports).await;
    let second = house.gateway(&b, ports + 200).await;
    until("both are there", async || house.figures.of("flows") == 2).await;
    (place, [a, b], first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b1_two_gateways_of_a_company_talk_over_the_core_and_each_leg_has_one_record() {
    on_both(async |store| {
        let house = House::new(store, 52_000).await;
        let (place, [a, b], mut first, mut second) = two(&house, 53_000).await;
        let calling = first.dial("500").await;
        let (_, sound_of_second) = second.answer().await;
        let sound_of_first = first.accepted().await;
        first.speak_until_heard(sound_of_first, &second).await;
        second.speak_until_heard(sound_of_second, &first).await;
        first.hang_up(calling).await;
        second.over().await;
        until("both records are written", async || {
            house.records(place.company).await.len() == 2
        })
        .await;
        let records = house.records(place.company).await;
        for ((role, status, party, audio), device) in records.iter().zip([&a, &b]) {
            assert_eq!(status, "answered", "{role}");
            assert_eq!(party["device"], json!(device.id));
            // Nothing passes over this edge in the clear.
            assert!(audio["encryption"].is_string(), "{audio}");
            assert_eq!(audio["codec"], "pcma");
        }
        assert_eq!([&records[0].0, &records[1].0], ["caller", "callee"]);
        house.reads_its_call(place, &a).await;
        assert_eq!(house.figures.of("records"), 2);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_a_gateway_of_another_company_reaches_nobody_here() {
    on_both(async |store| {
        let house = House::new(store, 54_000).await;
        let (place, ..) = two(&house, 55_000).await;
        let other = house.world.company("Others").await;
        let stranger = house.device(other).await;
        let mut theirs = house.gateway(&stranger, 55_400).await;
        until("it is there", async || house.figures.of("companies") == 2).await;
        theirs.dial("500").await;
        assert_eq!(theirs.refused().await, EndCause::UnknownNumber);
        until("its call has a record", async || {
            !house.records(other.company).await.is_empty()
        })
        .await;
        assert_eq!(house.records(place.company).await, []);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_certificate_that_becomes_void_ends_its_flow_in_the_middle_of_a_call() {
    on_both(async |store| {
        let house = House::new(store, 56_000).await;
        let (place, [a, _], mut first, mut second) = two(&house, 57_000).await;
        first.dial("500").await;
        second.answer().await;
        first.accepted().await;
        let mut tx = house.core().store.write().await.unwrap();
        let now = house.core().now();
        let whose = Whose::from(Scope::Company(place.company));
        let order = (a.id, Reason::KeyCompromise, "http://lists", whose);
        authority::revoke_device(&mut tx, house.core().keys.sealer(), now, order)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        first.cut().await;
        assert_eq!(house.figures.of("flows_barred"), 1);
        let again = house.gateway(&a, 57_400).await;
        until("it is not let in again", async || {
            house.figures.of("flows_barred") == 2
        })
        .await;
        drop(again);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b1_somebody_at_a_gateway_rings_a_person_and_she_talks_with_a_page() {
    on_both(async |store| {
        let mut house = House::new(store, 58_000).await;
        let place = house.world.company("Clinics").await;
        let device = house.device(place).await;
        let scope = Scope::Company(place.company);
        let (anna, owner) = house
            .world
            .somebody(Role::Owner, scope, "anna@a.test")
            .await;
        let wish = json!({"number": "501", "user": anna});
        let path = format!("/api/v1/companies/{}/call-numbers", place.company);
        house.world.post(&owner, &path, &wish).await.is(201);
        // Its telephone is lent to the page.
        let lender = house.device(place).await;
        let caller = house.gateway(&lender, 59_000).await;
        let mut page = house.gateway(&device, 59_200).await;
        until("both are there", async || house.figures.of("flows") == 2).await;
        // A core that has only just begun may have no port to spare and says so: one tries again.
        let reached = async {
            loop {
                let calling = page.dial("501").await;
                tokio::select! {
                    told = house.to_pages.recv() => return (calling, told.unwrap()),
                    _ = page.refused() => {}
                }
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(20), reached).await;
        let (calling, (company, party, command)) = reached.expect("no page is told of the call");
        let exchange::WebCommand::Ring(ring) = command else {
            panic!("nobody rings: {command:?}");
        };
        assert_eq!((company, ring.user.get()), (place.company, anna.bits()));
        let answer = caller.description();
        let answered = exchange::WebEvent::Answered { answer };
        house
            .from_pages
            .send((company, party, answered))
            .await
            .unwrap();
        let sound = page.accepted().await;
        page.speak_until_heard(sound, &caller).await;
        caller
            .speak_until_heard(gateway::ours(&ring.offer), &page)
            .await;
        page.hang_up(calling).await;
        until("a record names her who answered", async || {
            let records = house.records(place.company).await;
            let hers = |record: &(String, String, Value, Value)| {
                record.1 == "answered" && record.2["user"] == json!(anna)
            };
            records.iter().any(hers)
        })
        .await;
        house.end().await;
    })
    .await;
}
