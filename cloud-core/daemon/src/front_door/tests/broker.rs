//! Devices behind a broker: mosquitto with TLS, each device known by its certificate and confined.

use std::process::{Child, Command, Output, Stdio};

use cloud_logic::commands::State;
use contract::down::Operation;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::task::JoinHandle;

use super::commands::{LIFE, order, state};
use super::outside::{ended, said};
use super::*;

/// mosquitto, ended when it is dropped.
struct Mosquitto {
    folder: PathBuf,
    port: u16,
    running: Child,
}

/// A certificate of the operator's authority, in files.
fn certified(folder: &std::path::Path, name: &str, issuer: &Issuer<'_, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.signed_by(&key, issuer).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

impl Mosquitto {
    fn start(house: &House) -> Self {
        let folder = house.folder.path().to_owned();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "operator");
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        certified(&folder, "broker", &issuer);
        certified(&folder, "core", &issuer);
        std::fs::write(folder.join("operator.pem"), authority.pem()).unwrap();
        let devices = std::fs::read_to_string(folder.join("root.pem")).unwrap();
        std::fs::write(folder.join("both.pem"), authority.pem() + &devices).unwrap();
        std::fs::write(
            folder.join("acl"),
            "user core\ntopic read d/+/+/up/#\ntopic write d/+/1/down/#\n\
             pattern write d/%u/1/up/#\npattern read d/%u/1/down/#\n",
        )
        .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let at = |name: &str| folder.join(name).display().to_string();
        let config = format!(
            "user root\nallow_anonymous false\nlistener {port} 127.0.0.1\ncafile {}\n\
             certfile {}\nkeyfile {}\nrequire_certificate true\nuse_identity_as_username true\n\
             acl_file {}\npersistence true\npersistence_location {}/\nautosave_interval 1\n\
             autosave_on_changes true\nmax_queued_messages 10000\n",
            at("both.pem"),
            at("broker.pem"),
            at("broker.key"),
            at("acl"),
            folder.display(),
        );
        std::fs::write(folder.join("mosquitto.conf"), config).unwrap();
        let running = run(&folder);
        Self {
            folder,
            port,
            running,
        }
    }

    fn settings(&self) -> Settings {
        let at = |name: &str| self.folder.join(name);
        let broker = super::super::broker::Settings {
            host: "localhost".to_owned(),
            port: self.port,
            name: "antiphon-core".to_owned(),
            authority: at("operator.pem"),
            certificate: at("core.pem"),
            key: at("core.key"),
        };
        Settings {
            broker: Some(broker),
            ..settings()
        }
    }

    /// No farewell; then it is there again.
    fn kill_and_start(&mut self) {
        self.running.kill().unwrap();
        self.running.wait().unwrap();
        self.running = run(&self.folder);
    }

    fn program(&self, name: &str, device: &Known) -> Command {
        let mut command = Command::new("timeout");
        command.args(["20", name, "-V", "mqttv5", "-h", "localhost", "-p"]);
        command.arg(self.port.to_string()).stdin(Stdio::null());
        command
            .arg("--cafile")
            .arg(self.folder.join("operator.pem"));
        command.arg("--cert").arg(&device.certificate);
        command.arg("--key").arg(&device.key);
        command.args(["-i", &device.id.to_string()]);
        command
    }

    /// Until the broker has taken it: it may be just coming back.
    async fn publish(&self, device: &Known, topic: &str, payload: &str) {
        until("the broker takes it", async || {
            let mut command = self.program("mosquitto_pub", device);
            command.args(["-q", "1", "-t", topic, "-m", payload]);
            ended(command).await.status.success()
        })
        .await;
    }

    /// Hears `count` messages to the device.
    fn listen(&self, device: &Known, count: u32) -> JoinHandle<Output> {
        let mut command = self.program("mosquitto_sub", device);
        command.args(["-q", "1", "-v", "-t", &device.down(Down::Command)]);
        command.args(["-C", &count.to_string()]);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    }
}

fn run(folder: &std::path::Path) -> Child {
    let log = std::fs::File::create(folder.join("mosquitto.log")).unwrap();
    Command::new("/usr/sbin/mosquitto")
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("mosquitto is installed")
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

impl House {
    /// Opens its door anew, with a broker beside it.
    async fn behind(mut self, mosquitto: &Mosquitto) -> Self {
        self.door.close().await;
        self.door = open(self.core.clone(), mosquitto.settings()).await.unwrap();
        self.reaches().await;
        self
    }

    async fn reaches(&self) {
        let broker = self.door.ground.broker.as_ref().unwrap();
        until("the broker is reached", async || broker.is_reached()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_behind_a_broker_is_heard_and_told_as_one_of_our_own_b1() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let mosquitto = Mosquitto::start(&house);
        let house = house.behind(&mosquitto).await;
        let device = house.device().await;
        mosquitto
            .publish(&device, &device.up(Up::Hello), HELLO)
            .await;
        until("online", async || house.is_online(&device).await).await;
        for seq in [1, 2, 2, 3] {
            let topic = device.up(Up::Event);
            mosquitto.publish(&device, &topic, &event(seq)).await;
        }
        until("stored", async || house.events_of(&device).await == 3).await;

        let client = mosquitto.listen(&device, 1);
        let ordered = loop {
            let id = order(&house, &device, Operation::Identify, LIFE).await;
            // Nobody knows when the client has subscribed; commands may be repeated.
            let come = timeout(Duration::from_secs(1), async {
                while !client.is_finished() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
            if come.await.is_ok() {
                break id;
            }
        };
        let heard = said(client).await;
        let document: serde_json::Value =
            serde_json::from_str(heard.trim().split_once(' ').unwrap().1).unwrap();
        let command = document["cmd"].as_str().unwrap();
        assert!(command <= ordered.to_string().as_str(), "{heard}");
        let done = format!(r#"{{"cmd":"{command}","state":"done"}}"#);
        mosquitto
            .publish(&device, &device.up(Up::Result), &done)
            .await;
        let id = command.parse().unwrap();
        until("done", async || {
            state(&house, &device, id).await == State::Done
        })
        .await;
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_core_or_broker_are_away_is_stored_once_m4() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let mut mosquitto = Mosquitto::start(&house);
        let mut house = house.behind(&mosquitto).await;
        let device = house.device().await;
        let topic = device.up(Up::Event);
        mosquitto
            .publish(&device, &device.up(Up::Hello), HELLO)
            .await;
        mosquitto.publish(&device, &topic, &event(1)).await;
        until("stored", async || house.events_of(&device).await == 1).await;

        mosquitto.kill_and_start();
        until("the loss is seen", async || {
            let figures = house.door.figures().all();
            figures
                .iter()
                .any(|(name, count)| *name == "broker_lost" && *count > 0)
        })
        .await;
        house.reaches().await;
        // A broker that was killed may have forgotten whom it has to tell: a device says it again until
        // the core has it.
        until("stored", async || {
            mosquitto.publish(&device, &topic, &event(2)).await;
            house.events_of(&device).await == 2
        })
        .await;

        let settings = mosquitto.settings();
        house.door.close().await;
        for seq in 3..=5 {
            mosquitto.publish(&device, &topic, &event(seq)).await;
        }
        house.door = open(house.core.clone(), settings).await.unwrap();
        until("stored", async || house.events_of(&device).await == 5).await;
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_behind_a_broker_is_offline_by_its_will_or_by_its_silence_d2() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let mosquitto = Mosquitto::start(&house);
        let house = house.behind(&mosquitto).await;
        let (device, silent) = (house.device().await, house.device().await);
        for device in [&device, &silent] {
            mosquitto
                .publish(device, &device.up(Up::Hello), HELLO)
                .await;
            until("online", async || house.is_online(device).await).await;
        }
        let will = |conn| format!(r#"{{"boot":1,"conn":{conn}}}"#);
        // Of an earlier connection: it ends nothing. The one that counts may come before the hello
        // has been told to all parts, so it is said until it is heard.
        mosquitto
            .publish(&device, &device.up(Up::Will), &will(0))
            .await;
        assert!(house.is_online(&device).await);
        until("offline by its will", async || {
            mosquitto
                .publish(&device, &device.up(Up::Will), &will(1))
                .await;
            !house.is_online(&device).await
        })
        .await;
        assert!(house.is_online(&silent).await);
        house.core.clock.advance(Duration::from_secs(200));
        until("offline by its silence", async || {
            !house.is_online(&silent).await
        })
        .await;
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_nobody_behind_a_broker_holds_up_nobody_g2() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let mosquitto = Mosquitto::start(&house);
        let house = house.behind(&mosquitto).await;
        let (stray, device) = (house.device().await, house.device().await);
        let mut tx = house.write().await;
        let release = query("UPDATE device SET company_id = NULL WHERE id = $1");
        tx.execute(release.bind(stray.id)).await.unwrap();
        tx.commit().await.unwrap();
        mosquitto.publish(&stray, &stray.up(Up::Hello), HELLO).await;
        mosquitto
            .publish(&stray, &stray.up(Up::Event), &event(1))
            .await;
        mosquitto
            .publish(&device, &device.up(Up::Event), "no document")
            .await;
        mosquitto
            .publish(&device, &device.up(Up::Event), &event(1))
            .await;
        until("stored", async || house.events_of(&device).await == 1).await;
        assert_eq!(house.events_of(&stray).await, 0);
        assert!(!house.is_online(&stray).await);
        house.close().await;
    })
    .await;
}
