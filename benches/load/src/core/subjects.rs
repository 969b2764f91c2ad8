//! The core and the broker that stands beside it, as processes of their own on loopback.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::CertificateDer;
use serde_json::json;
use tokio::net::TcpStream;

use super::fleet::Identity;
use super::portal::{Portal, URL};
use crate::compare::end;

const OWNER: &str = "anna@example.com";

/// A running program, ended when it is dropped.
#[derive(Debug)]
pub(super) struct Running(Child);

impl Running {
    fn start(words: &[String], log: &Path) -> Result<Self> {
        let log = File::create(log)?;
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        Ok(Self(
            child.with_context(|| format!("{} does not start", words[0]))?,
        ))
    }

    pub(super) fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

/// The core, with devices that have their certificates.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) running: Running,
    pub(super) door: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) cookie: String,
    pub(super) fleet: Vec<Identity>,
    /// Above all their certificates.
    pub(super) root: CertificateDer<'static>,
}

/// How it is started.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) program: &'a Path,
    pub(super) folder: &'a Path,
    /// `None`: a file of SQLite.
    pub(super) postgres: Option<String>,
    pub(super) run_with: &'a [String],
    pub(super) devices: usize,
}

impl Cloud {
    pub(super) async fn start(start: Start<'_>) -> Result<Self> {
        let ports: Vec<u16> = (0..4).map(|_| free_port()).collect::<Result<_>>()?;
        let store = match &start.postgres {
            None => String::new(),
            Some(address) => format!("[store]\npostgres = \"{address}\"\n"),
        };
        let config = start.folder.join("core.toml");
        let text = format!(
            "folder = \"data\"\nurl = \"{URL}\"\n\
             [listen]\napi = \"127.0.0.1:{}\"\ndevices = \"127.0.0.1:{}\"\n\
             revocation = \"127.0.0.1:{}\"\nmetrics = \"127.0.0.1:{}\"\n\
             [limits]\nrequests_per_caller = 1000000\nrequests_per_address = 1000000\n\
             [log]\nlevel = \"warn\"\n{store}",
            ports[0], ports[1], ports[2], ports[3],
        );
        fs::write(&config, text)?;
        let words = |what: &str| {
            let program = [
                start.program,
                Path::new(what),
                Path::new("--config"),
                &config,
            ];
            program.map(|word| word.display().to_string())
        };
        let init = words("init");
        let made = Command::new(&init[0])
            .args(&init[1..])
            .args(["--company", "Load", "--owner", OWNER])
            .output()?;
        let told = String::from_utf8_lossy(&made.stdout).into_owned();
        ensure!(
            made.status.success(),
            "{told}{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let password = told
            .lines()
            .find_map(|line| line.trim().strip_prefix("password, shown only now: "))
            .context("init tells no password")?;
        let words: Vec<_> = start
            .run_with
            .iter()
            .cloned()
            .chain(words("serve"))
            .collect();
        let running = Running::start(&words, &start.folder.join("core.log"))?;
        let api = SocketAddr::from(([127, 0, 0, 1], ports[0]));
        listens(api).await?;

        let mut portal = Portal::open(api, "").await?;
        let cookie = portal.sign_in(OWNER, password).await?;
        let company = portal.company().await?;
        let path = format!("/api/v1/companies/{company}/projects");
        let (_, project) = portal.post(&path, "1", &json!({"name": "load"})).await?;
        let project = project["id"].as_str().context("no project")?;
        let path = format!("/api/v1/projects/{project}/sites");
        let site = json!({"name": "load", "time_zone": "UTC"});
        let (_, site) = portal.post(&path, "1", &site).await?;
        let site = site["id"].as_str().context("no site")?;
        let (mut fleet, mut root) = (Vec::new(), None);
        for _ in 0..start.devices {
            let (device, above) = portal.add_device(api, site).await?;
            fleet.push(device);
            root = Some(above);
        }
        Ok(Self {
            running,
            door: SocketAddr::from(([127, 0, 0, 1], ports[1])),
            api,
            cookie,
            fleet,
            root: root.context("no devices")?,
        })
    }
}

/// mosquitto for the same devices: TLS, who they are by certificate, their own topics only.
#[derive(Debug)]
pub(super) struct Mosquitto {
    pub(super) running: Running,
    pub(super) door: SocketAddr,
    /// Who may speak to all of them.
    pub(super) commander: Identity,
}

impl Mosquitto {
    pub(super) async fn start(
        folder: &Path,
        root_of_devices: &CertificateDer<'_>,
        run_with: &[String],
    ) -> Result<Self> {
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
        let name = "commander";
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let own = params.self_signed(&key)?;
        let port = free_port()?;
        let file = |name: &str| folder.join(name).display().to_string();
        fs::write(file("authorities.pem"), own.pem() + &pem(root_of_devices))?;
        fs::write(file("server.pem"), own.pem())?;
        fs::write(file("server.key"), key.serialize_pem())?;
        fs::write(
            file("acl"),
            "user commander\ntopic readwrite #\npattern write d/%u/1/up/#\npattern read d/%u/1/down/#\n",
        )?;
        let config = format!(
            "per_listener_settings false\nallow_anonymous false\nlistener {port} 127.0.0.1\n\
             cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n\
             use_identity_as_username true\nacl_file {}\nset_tcp_nodelay true\n\
             max_inflight_messages 20\nmax_queued_messages 0\nlog_type error\nuser root\n",
            file("authorities.pem"),
            file("server.pem"),
            file("server.key"),
            file("acl"),
        );
        fs::write(file("mosquitto.conf"), config)?;
        let program = ["/usr/sbin/mosquitto", "-c"].map(str::to_owned);
        let words = run_with.iter().cloned().chain(program);
        let words: Vec<_> = words.chain([file("mosquitto.conf")]).collect();
        let running = Running::start(&words, &folder.join("mosquitto.log"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        listens(address).await?;
        Ok(Self {
            running,
            door: address,
            commander: Identity {
                name: name.to_owned(),
                chain: vec![own.der().clone()],
                key: rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der())
                    .map_err(anyhow::Error::msg)?,
            },
        })
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

async fn listens(address: SocketAddr) -> Result<()> {
    let begin = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        if begin.elapsed() > Duration::from_secs(30) {
            bail!("nothing listens on {address}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
