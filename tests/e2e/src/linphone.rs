//! linphone: the second independent client (belle-sip, mediastreamer), driven
//! over the standard input of `linphone-daemon`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::encrypted::Encrypted;
use crate::{Codec, Program, sound, wait};

#[derive(Debug)]
pub struct Linphone {
    program: Program,
    tone: PathBuf,
    /// What stands behind the registrar.
    transport: &'static str,
}

/// What linphone says, once it speaks.
pub const HERTZ: u32 = 600;

impl Linphone {
    /// Starts it at `address`, SIP over UDP on port 5060, a-law only.
    pub fn start(address: IpAddr, folder: &Path) -> Result<Self> {
        Self::start_configured(address, folder, &configuration(address))
    }

    /// Starts it with SIP over TLS and SRTP only.
    pub fn start_encrypted(address: IpAddr, folder: &Path, how: &Encrypted<'_>) -> Result<Self> {
        let mut linphone =
            Self::start_configured(address, folder, &encrypted_configuration(address, how))?;
        linphone.transport = ";transport=tls";
        Ok(linphone)
    }

    fn start_configured(address: IpAddr, folder: &Path, text: &str) -> Result<Self> {
        let home = folder.join(format!("linphone-{address}"));
        std::fs::create_dir_all(home.join(".local/share/linphone"))?;
        let config = home.join("rc");
        std::fs::write(&config, text)?;
        let mut command = Command::new("linphone-daemon");
        command
            .arg("--config")
            .arg(&config)
            .arg("--disable-stats-events");
        command.env("HOME", &home);
        let program = Program::start_listening("linphone", address, &command)?;
        let tone = home.join("tone.wav");
        sound::tone(&tone, 16_000, 30, HERTZ)?;
        let mut linphone = Self {
            program,
            tone,
            transport: "",
        };
        // Its SDP would offer an IPv6 address for audio, also where there is none.
        linphone.command("ipv6 disable")?;
        linphone.speak_only(Codec::Pcma)?;
        Ok(linphone)
    }

    /// From the next call on, it has this codec and no other.
    pub fn speak_only(&mut self, codec: Codec) -> Result<()> {
        self.command("audio-codec-disable ALL")?;
        self.command(&format!("audio-codec-enable {}", codec.in_linphone()))?;
        Ok(())
    }

    /// Registers, and waits for it.
    pub fn register(&mut self, user: &str, password: &str, registrar: &str) -> Result<()> {
        let password = if password.is_empty() {
            "NULL"
        } else {
            password
        };
        let id = self
            .command(&format!(
                "register sip:{user}@{registrar} sip:{registrar}{} {password}",
                self.transport
            ))?
            .id()?;
        wait::until_true("linphone's registration", || {
            let answer = self.command(&format!("register-status {id}"))?;
            if answer.has("State: LinphoneRegistrationFailed") {
                bail!("refused: {answer:?}");
            }
            Ok(answer.has("State: LinphoneRegistrationOk"))
        })
    }

    /// Places a call; returns its number within linphone.
    pub fn dial(&mut self, uri: &str) -> Result<u32> {
        self.command(&format!("call {uri}"))?.id()
    }

    /// Waits until a call is in a state: `StreamsRunning`, `IncomingReceived`,
    /// `PausedByRemote`, `Released`...
    pub fn wait_for_state(&mut self, call: u32, state: &str) -> Result<()> {
        let wanted = format!("State: LinphoneCall{state}");
        let mut last = Answer::default();
        let reached = wait::until_true("a state of a call", || {
            match self.try_command(&format!("call-status {call}"))? {
                Ok(answer) => last = answer,
                // Linphone forgets a call that has ended, and knows none before it arrives.
                Err(_) if state == "Released" => return Ok(true),
                Err(_) => return Ok(false),
            }
            Ok(last.has(&wanted))
        });
        reached.with_context(|| format!("linphone: {wanted}, last {last:?}"))
    }

    pub fn answer(&mut self, call: u32) -> Result<()> {
        self.command(&format!("answer {call}")).map(|_| ())
    }

    pub fn digit(&mut self, digit: char) -> Result<()> {
        self.command(&format!("dtmf {digit}")).map(|_| ())
    }

    pub fn hold(&mut self, call: u32) -> Result<()> {
        self.command(&format!("call-pause {call}")).map(|_| ())
    }

    pub fn resume(&mut self, call: u32) -> Result<()> {
        self.command(&format!("call-resume {call}")).map(|_| ())
    }

    pub fn transfer(&mut self, call: u32, uri: &str) -> Result<()> {
        self.command(&format!("call-transfer {call} {uri}"))
            .map(|_| ())
    }

    pub fn hang_up(&mut self, call: u32) -> Result<()> {
        self.command(&format!("terminate {call}")).map(|_| ())
    }

    /// Says its tone. Until then it sends no packets, nor any digits: it has no
    /// microphone.
    pub fn speak(&mut self, call: u32) -> Result<()> {
        let file = self.tone.display().to_string();
        self.command(&format!("incall-player-start {file} {call}"))
            .map(|_| ())
    }

    fn command(&mut self, line: &str) -> Result<Answer> {
        match self.try_command(line)? {
            Ok(answer) => Ok(answer),
            Err(why) => bail!("linphone refused '{line}': {why}"),
        }
    }

    /// Sends a line; the answer begins with a line `Status: Ok` or `Status: Error`.
    fn try_command(&mut self, line: &str) -> Result<Result<Answer, String>> {
        let mark = self.program.mark();
        self.program.say(line)?;
        // The answer to `version` marks the end of the answer before it.
        self.program.say("version")?;
        self.program.wait_after(mark, "Version: ")?;
        let said = self.program.said();
        let answer = Answer {
            lines: said.into_iter().skip(mark).collect(),
        };
        if answer.has("Status: Error") {
            let reason = answer.lines.iter().find(|line| line.contains("Reason:"));
            return Ok(Err(reason.cloned().unwrap_or_default()));
        }
        Ok(Ok(answer))
    }
}

#[derive(Debug, Default)]
struct Answer {
    lines: Vec<String>,
}

impl Answer {
    fn has(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    fn id(&self) -> Result<u32> {
        let id = self.lines.iter().find_map(|line| line.strip_prefix("Id: "));
        id.with_context(|| format!("no id in {self:?}"))?
            .trim()
            .parse()
            .context("an id")
    }
}

fn encrypted_configuration(address: IpAddr, how: &Encrypted<'_>) -> String {
    let tls = format!(
        "sip_tls_port=5061\nroot_ca={}\nmedia_encryption=srtp\nmedia_encryption_mandatory=1\n\
         srtp_crypto_suites={}\n",
        how.authority.display(),
        how.suites
    );
    configuration(address)
        .replace("sip_port=5060", "sip_port=-1")
        .replace("sip_tls_port=-1\n", &tls)
}

fn configuration(address: IpAddr) -> String {
    format!(
        "[sip]\nsip_port=5060\nsip_tcp_port=-1\nsip_tls_port=-1\nbind_address={address}\n\
         guess_hostname=0\nverify_server_certs=0\ncontact=sip:linphone@{address}\n\
         register_only_when_network_is_up=0\n\
         [rtp]\naudio_rtp_port=42000\n\
         [sound]\nuse_files=1\n\
         [video]\nenabled=0\ncapture=0\ndisplay=0\n"
    )
}
