//! Time from starting a program until it answers a REGISTER.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::agent::{EXPIRES, Registration, socket};
use crate::process::Usage;
use crate::report::{Line, Samples};
use crate::text::random;
use crate::{Parties, Peer};

#[derive(Args, Debug)]
pub(crate) struct Start {
    #[command(flatten)]
    peer: Peer,
    #[command(flatten)]
    parties: Parties,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl Start {
    pub(crate) fn run(self) -> Result<()> {
        let (mut took, mut rss_kb) = (Samples::default(), 0);
        for _ in 0..self.rounds.clamp(1, 20) {
            let began = Instant::now();
            let mut child = Command::new(&self.command[0])
                .args(&self.command[1..])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .with_context(|| format!("cannot start {}", self.command[0]))?;
            let answered = self.answered(began);
            rss_kb = Usage::of(&[child.id() as i32]).rss_kb;
            end(&mut child)?;
            took.push(answered?);
        }
        Line::new("start", &self.peer.name)
            .with("rounds", took.len())
            .milliseconds("start_ms_median", &mut took, 0.5)
            .milliseconds("start_ms_max", &mut took, 1.0)
            .with("rss_kb", rss_kb)
            .print();
        Ok(())
    }

    fn answered(&self, began: Instant) -> Result<Duration> {
        let socket = socket(*self.parties.target.ip())?;
        let port = socket.local_addr()?.port();
        let mut buffer = [0; 4096];
        loop {
            ensure!(
                began.elapsed() < Duration::from_secs(60),
                "no answer within a minute"
            );
            let request = Registration {
                parties: &self.parties,
                user: "probe",
                contact: &format!("sip:probe@{}:{port}", self.parties.target.ip()),
                via_port: port,
                call_id: &format!("{:x}", random()),
                cseq: 1,
                expires: EXPIRES,
                credentials: "",
            }
            .request();
            // Refused until the program listens: that is what is waited for.
            let _ = socket.send_to(request.as_bytes(), self.parties.target);
            let again = Instant::now() + Duration::from_millis(2);
            while Instant::now() < again {
                if socket.recv(&mut buffer).is_ok() {
                    return Ok(began.elapsed());
                }
                std::thread::yield_now();
            }
        }
    }
}

fn end(child: &mut Child) -> Result<()> {
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
