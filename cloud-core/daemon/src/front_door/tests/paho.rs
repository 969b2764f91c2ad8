//! Eclipse Paho as a device: a client that keeps what is not acknowledged and comes back by itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use cloud_logic::commands::State;
use contract::down::Operation;
use tokio::sync::mpsc;

use super::commands::{LIFE, order, state};
use super::outside::{BOTH, Version};
use super::*;

/// Paho with its wants.
struct Paho {
    program: Child,
    orders: ChildStdin,
    words: mpsc::UnboundedReceiver<String>,
}

/// Where `scripts/setup.sh test` puts it.
fn python() -> PathBuf {
    let state = std::env::var_os("ANTIPHON_STATE").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.antiphon");
    state.unwrap_or(root).join("paho-client/bin/python")
}

/// Whether it is on this machine; if not, the pipeline is told that the test did not run.
fn is_here() -> bool {
    if python().exists() {
        return true;
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let told = format!("{test}: no Paho: `scripts/setup.sh test` installs it");
    eprintln!("DID NOT RUN: {told}");
    if let Some(file) = std::env::var_os("ANTIPHON_NOT_RUN_FILE") {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(file).unwrap();
        writeln!(file, "{told}").unwrap();
    }
    false
}

impl Paho {
    fn start(house: &House, device: &Known, name: &str, version: Version) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/paho_device.py");
        let mut command = Command::new(python());
        command.arg(script);
        command.arg(house.door.address().port().to_string());
        command.arg(house.folder.path().join("root.pem"));
        command.args([&device.certificate, &device.key]);
        command.arg(name);
        command.arg(match version {
            Version::Three => "3",
            Version::Five => "5",
        });
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = command.spawn().unwrap();
        let orders = program.stdin.take().unwrap();
        let lines = BufReader::new(program.stdout.take().unwrap()).lines();
        let (said, words) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| said.send(line))
        });
        Self {
            program,
            orders,
            words,
        }
    }

    fn say(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// The next line that begins with `word`: the rest of it.
    async fn hears(&mut self, word: &str) -> String {
        loop {
            let line = timeout(Duration::from_secs(30), self.words.recv()).await;
            let line = line.unwrap_or_else(|_| panic!("{word} never came"));
            let line = line.unwrap_or_else(|| panic!("it ended before {word}"));
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for Paho {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_does_what_it_is_told_and_survives_a_restart_of_the_core_m4() {
    if !is_here() {
        return;
    }
    on_both(async |store| {
        let mut house = House::new(&store).await;
        for version in BOTH {
            let device = house.device().await;
            let name = device.id.to_string();
            let mut paho = Paho::start(&house, &device, &name, version);
            assert_eq!(paho.hears("connected").await, "new");
            paho.say(&format!(
                "subscribe {}",
                contract::topic::all_down(&device.name())
            ));
            paho.hears("granted").await;
            let say = |n| format!("publish {} {}", device.up(Up::Event), event(n));
            for n in 1..=50 {
                paho.say(&say(n));
            }
            for n in 1..=50 {
                let taken = paho.hears("taken").await;
                assert!(
                    taken.starts_with(&format!("{n} Success")),
                    "{version:?}: {taken}"
                );
            }
            let before = order(&house, &device, Operation::Identify, LIFE).await;
            until("done", async || {
                state(&house, &device, before).await == State::Done
            })
            .await;

            // The core goes; what is said and ordered meanwhile waits on either side.
            let address = house.door.address();
            house.door.close().await;
            paho.hears("lost").await;
            paho.say(&say(51));
            let settings = Settings {
                listen: address,
                ..settings()
            };
            house.door = open(house.core.clone(), settings).await.unwrap();
            let meanwhile = order(&house, &device, Operation::Identify, LIFE).await;
            assert_eq!(paho.hears("connected").await, "kept");
            assert!(paho.hears("taken").await.starts_with("51 Success"));
            until("done", async || {
                state(&house, &device, meanwhile).await == State::Done
            })
            .await;
            assert_eq!(house.events_of(&device).await, 51);
            paho.say("end");
        }
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_is_confined_to_its_own_topics_and_name_g2() {
    if !is_here() {
        return;
    }
    on_both(async |store| {
        let house = House::new(&store).await;
        let (device, other) = (house.device().await, house.device().await);
        for version in BOTH {
            let mut paho = Paho::start(&house, &device, &device.id.to_string(), version);
            paho.hears("connected").await;
            for filter in ["#", &contract::topic::all_down(&other.name())] {
                paho.say(&format!("subscribe {filter}"));
                let granted = paho.hears("granted").await;
                let refused = ["Not authorized", "Unspecified error"];
                assert!(
                    refused.contains(&granted.as_str()),
                    "{version:?}: {granted}"
                );
            }
            paho.say(&format!("publish {} {}", other.up(Up::Event), event(1)));
            match version {
                // It has no word for it but the end.
                Version::Three => drop(paho.hears("lost").await),
                Version::Five => assert_eq!(paho.hears("taken").await, "1 Not authorized"),
            }
            drop(paho);
            let mut foreign = Paho::start(&house, &device, &other.id.to_string(), version);
            let refused = foreign.hears("refused").await;
            let name = [
                "Client identifier not valid",
                "Unsupported client identifier",
            ];
            assert!(
                name.iter().any(|name| refused.starts_with(name)),
                "{refused}"
            );
        }
        assert_eq!(house.events_of(&other).await, 0);
        assert!(!house.is_online(&other).await);
        house.close().await;
    })
    .await;
}
