//! baresip: the main independent client, driven over its control socket.
//!
//! Configuration as Debian 12's baresip 1.0 wants it. Events are waited for by
//! their names in baresip (`REGISTER_OK`, `CALL_ESTABLISHED`, ...).

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::certificates::Identity;
use crate::{PATIENCE, Program, sound, wait};

/// A station to be.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    pub user: &'a str,
    /// Empty: none.
    pub password: String,
    /// Its own address, where it also listens for commands.
    pub address: IpAddr,
    /// Its port for SIP; TLS is on the next one, commands on the one after.
    pub port: u16,
    /// The registrar, as `127.0.0.1`; `None`: it registers nowhere.
    pub registrar: Option<String>,
    pub transport: Transport<'a>,
    /// With baresip's full names: `PCMA/8000/1`, `G722/16000/1`.
    pub codecs: &'a str,
    /// `srtp-mand` and the like; empty for plain RTP.
    pub encryption: &'a str,
    /// Answers calls by itself.
    pub answers: Answers,
    /// The tone that it says.
    pub hertz: u32,
    /// A file of its codec's rate that it says in place of the tone.
    pub says: Option<&'a Path>,
    /// Offers and takes video.
    pub video: Video,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    ByItself,
    WhenTold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Video {
    Without,
    /// A moving test picture as VP8.
    TestPicture,
}

#[derive(Debug, Clone)]
pub enum Transport<'a> {
    Udp,
    Tcp,
    Tls {
        own: &'a Identity,
        authority: &'a Path,
    },
}

impl<'a> Setup<'a> {
    /// A plain station: UDP, a-law, answers when told, says 440 Hz.
    pub fn new(user: &'a str, address: IpAddr) -> Self {
        Self {
            user,
            password: String::new(),
            address,
            port: 5060,
            registrar: None,
            transport: Transport::Udp,
            codecs: "PCMA/8000/1",
            encryption: "",
            answers: Answers::WhenTold,
            hertz: 440,
            says: None,
            video: Video::Without,
        }
    }
}

#[derive(Debug)]
pub struct Baresip {
    program: Program,
    control: Control,
    folder: PathBuf,
    user: String,
}

impl Baresip {
    /// Starts it; with a registrar, returns once it is registered.
    pub fn start(setup: &Setup<'_>, folder: &Path) -> Result<Self> {
        let station = Self::start_unregistered(setup, folder)?;
        if setup.registrar.is_some() {
            station.wait_until_registered()?;
        }
        Ok(station)
    }

    /// Starts it, and does not wait for its registration.
    pub fn start_unregistered(setup: &Setup<'_>, folder: &Path) -> Result<Self> {
        let folder = folder.join(format!("baresip-{}-{}", setup.user, setup.address));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("config"), configuration(setup, &folder))?;
        std::fs::write(folder.join("accounts"), account(setup))?;
        std::fs::write(folder.join("contacts"), "")?;
        let said = folder.join("said.wav");
        match setup.says {
            Some(file) => drop(std::fs::copy(file, said)?),
            None => sound::tone(&said, rate(setup), 60, setup.hertz)?,
        }
        let mut command = Command::new("baresip");
        command.arg("-f").arg(&folder).arg("-v");
        let program = Program::start(&format!("baresip {}", setup.user), setup.address, &command)?;
        program.wait_for("baresip is ready")?;
        // It would take all that it has.
        let unknown = |line: &String| line.contains("audio codec not found");
        if let Some(line) = program.said().iter().find(|line| unknown(line)) {
            bail!("baresip {}: {line}", setup.user);
        }
        let control = Control::open(SocketAddr::new(setup.address, setup.port + 2))?;
        Ok(Self {
            program,
            control,
            folder,
            user: setup.user.to_owned(),
        })
    }

    /// Waits for the registrar's 200. In the log, because its event may come
    /// before anybody can listen.
    pub fn wait_until_registered(&self) -> Result<()> {
        let is_success =
            |line: &str| (line.contains(" 200 ") && line.contains("binding")).then_some(());
        self.program
            .wait_where(0, "that it is registered", is_success)
    }

    /// Waits until its registration failed for good: refused, or no connection.
    pub fn wait_until_refused(&self) -> Result<()> {
        let is_failure = |line: &str| {
            let refused = [" 401 ", " 403 ", "Register: "]
                .iter()
                .any(|word| line.contains(word));
            (refused && !line.contains(" 200 ")).then_some(())
        };
        self.program
            .wait_where(0, "that it was refused", is_failure)
    }

    /// Waits for a digit, pressed at the other side; digits before it are passed over.
    pub fn digit_heard(&mut self, digit: char) -> Result<()> {
        let digit = digit.to_string();
        while self.event("CALL_DTMF_START")?["param"] != digit.as_str() {}
        Ok(())
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    pub fn dial(&mut self, uri: &str) -> Result<()> {
        self.command("dial", uri)
    }

    pub fn answer(&mut self) -> Result<()> {
        self.command("accept", "")
    }

    pub fn hang_up(&mut self) -> Result<()> {
        self.command("hangup", "")
    }

    pub fn hold(&mut self) -> Result<()> {
        self.command("hold", "")
    }

    pub fn resume(&mut self) -> Result<()> {
        self.command("resume", "")
    }

    pub fn transfer(&mut self, uri: &str) -> Result<()> {
        self.command("transfer", uri)
    }

    /// Sends a digit as a telephone event, long enough to be one.
    pub fn digit(&mut self, digit: char) -> Result<()> {
        self.command("sndcode", &digit.to_string())?;
        // End of transmission releases the key.
        self.command("sndcode", "\u{4}")
    }

    /// Runs a command of baresip's menu.
    pub fn command(&mut self, command: &str, parameters: &str) -> Result<()> {
        self.control
            .command(command, parameters)
            .with_context(|| format!("baresip {}: {command} {parameters}", self.user))
    }

    /// Waits for the next event of this name; events before it are passed over.
    pub fn event(&mut self, name: &str) -> Result<Value> {
        self.control
            .event(name)
            .with_context(|| format!("baresip {} waited for {name}", self.user))
    }

    /// The names of the events that arrived and were not waited for, so far.
    pub fn events_so_far(&mut self) -> Vec<String> {
        let events = self.control.events.iter();
        events
            .filter_map(|event| event["type"].as_str().map(str::to_owned))
            .collect()
    }

    /// Waits until it has recorded this much speech of the other side, in its
    /// newest call.
    pub fn wait_until_heard(&self, seconds: f64) -> Result<()> {
        wait::until_true("enough of a recording", || {
            Ok(self.seconds_heard()? >= seconds)
        })
    }

    /// How much it has recorded so far, in its newest call.
    pub fn seconds_heard(&self) -> Result<f64> {
        self.newest_recording()?
            .map_or(Ok(0.0), |file| sound::seconds_recorded(&file))
    }

    /// The recording of what it heard in its newest call; complete after the call.
    pub fn heard(&self) -> Result<PathBuf> {
        wait::until("a recording of baresip", || self.newest_recording())
    }

    fn newest_recording(&self) -> Result<Option<PathBuf>> {
        let entries = std::fs::read_dir(&self.folder)?
            .flatten()
            .map(|entry| entry.path());
        let is_heard = |path: &PathBuf| path.to_string_lossy().ends_with("-dec.wav");
        // The names begin with the time.
        Ok(entries.filter(is_heard).max())
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }
}

fn configuration(setup: &Setup<'_>, folder: &Path) -> String {
    let (address, port, control) = (setup.address, setup.port, setup.port + 2);
    let folder = folder.display();
    let rate = rate(setup);
    let mut text = format!(
        "poll_method epoll\n\
         sip_listen {address}:{port}\n\
         module_path {}\n\
         audio_source aufile,{folder}/said.wav\n\
         audio_player aufile,/dev/null\n\
         audio_alert aufile,/dev/null\n\
         ausrc_srate {rate}\n\
         auplay_srate {rate}\n\
         net_interface {address}\n\
         rtp_ports 40000-40100\n\
         module g711.so\n\
         module g722.so\n\
         module opus.so\n\
         opus_stereo no\n\
         ausrc_channels 1\n\
         auplay_channels 1\n\
         module aufile.so\n\
         module srtp.so\n\
         module sndfile.so\n\
         snd_path {folder}\n\
         module_tmp account.so\n\
         module_app menu.so\n\
         module_app ctrl_tcp.so\n\
         ctrl_tcp_listen {address}:{control}\n",
        module_folder(),
    );
    if let Transport::Tls { own, authority } = &setup.transport {
        text += &format!(
            "sip_certificate {}\nsip_cafile {}\n",
            own.both.display(),
            authority.display()
        );
    }
    if setup.video == Video::TestPicture {
        text += "module vp8.so\nmodule fakevideo.so\n\
                 video_source fakevideo,nil\nvideo_display fakevideo,nil\n\
                 video_size 160x120\nvideo_bitrate 100000\nvideo_fps 10\n";
    }
    text
}

fn rate(setup: &Setup<'_>) -> u32 {
    match setup.codecs.split('/').next() {
        Some("opus") => 48_000,
        Some("G722") => 16_000,
        Some(_) | None => 8_000,
    }
}

/// Debian keeps the modules below the processor's folder on some releases.
fn module_folder() -> String {
    let candidates = [
        "/usr/lib/baresip/modules",
        "/usr/lib/x86_64-linux-gnu/baresip/modules",
    ];
    let found = candidates.iter().find(|folder| Path::new(folder).is_dir());
    (*found.unwrap_or(&candidates[0])).to_owned()
}

fn account(setup: &Setup<'_>) -> String {
    let host = setup
        .registrar
        .clone()
        .unwrap_or_else(|| setup.address.to_string());
    let transport = match setup.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls { .. } => "tls",
    };
    let interval = if setup.registrar.is_some() { 60 } else { 0 };
    let answers = match setup.answers {
        Answers::ByItself => "auto",
        Answers::WhenTold => "manual",
    };
    let mut text = format!(
        "<sip:{}@{host};transport={transport}>;regint={interval};answermode={answers};audio_codecs={};ptime=20",
        setup.user, setup.codecs
    );
    if !setup.password.is_empty() {
        text += &format!(";auth_pass={}", setup.password);
    }
    if !setup.encryption.is_empty() {
        text += &format!(";mediaenc={}", setup.encryption);
    }
    text + "\n"
}

/// The control socket: JSON objects framed as `LENGTH:OBJECT,`.
#[derive(Debug)]
struct Control {
    stream: TcpStream,
    received: Vec<u8>,
    /// Events that nobody has waited for yet.
    events: Vec<Value>,
    commands: u64,
}

impl Control {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = wait::until("baresip's control socket", || {
            Ok(TcpStream::connect(address).ok())
        })?;
        Ok(Self {
            stream,
            received: Vec::new(),
            events: Vec::new(),
            commands: 0,
        })
    }

    fn command(&mut self, command: &str, parameters: &str) -> Result<()> {
        self.commands += 1;
        let token = self.commands.to_string();
        let object = serde_json::json!({"command": command, "params": parameters, "token": token});
        let object = object.to_string();
        write!(self.stream, "{}:{object},", object.len())?;
        let given_up = Instant::now() + PATIENCE;
        loop {
            let message = self.next(given_up)?;
            if message["event"] == true {
                self.events.push(message);
            } else if message["token"] == token.as_str() {
                ensure!(message["ok"] == true, "refused: {}", message["data"]);
                return Ok(());
            }
        }
    }

    fn event(&mut self, name: &str) -> Result<Value> {
        let given_up = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.events.iter().position(|event| event["type"] == name) {
                let event = self.events[at].clone();
                self.events.drain(..=at);
                return Ok(event);
            }
            let message = self.next(given_up).with_context(|| {
                let seen: Vec<_> = self.events.iter().map(|event| &event["type"]).collect();
                format!("seen instead: {seen:?}")
            })?;
            if message["event"] == true {
                self.events.push(message);
            }
        }
    }

    fn next(&mut self, given_up: Instant) -> Result<Value> {
        loop {
            if let Some(message) = self.take_frame()? {
                return Ok(message);
            }
            let left = given_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("nothing came within {PATIENCE:?}");
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => bail!("the control socket was closed"),
                Ok(read) => self.received.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<Value>> {
        let Some(colon) = self.received.iter().position(|byte| *byte == b':') else {
            return Ok(None);
        };
        let length: usize = std::str::from_utf8(&self.received[..colon])?.parse()?;
        let end = colon + 1 + length;
        if self.received.len() <= end {
            return Ok(None);
        }
        let message = serde_json::from_slice(&self.received[colon + 1..end])?;
        self.received.drain(..=end);
        Ok(Some(message))
    }
}
