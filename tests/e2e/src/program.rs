//! A process that a test started: what it says is kept and can be waited for.
//!
//! Invariant: when a `Program` is gone, so is its process; also when the test
//! itself is killed, because the kernel ends it with the thread that started it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{PATIENCE, network, site};

/// Lines kept of each program; beyond, the oldest go.
const KEPT: usize = 20_000;

#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    said: Arc<Said>,
}

/// Everything the program wrote, both outputs in the order of arrival.
#[derive(Debug, Default)]
struct Said {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    kept: Vec<String>,
    /// Lines that are no longer kept.
    dropped: usize,
    open_outputs: usize,
}

impl Program {
    /// Starts it at the host with this address. Its standard input is empty.
    pub fn start(name: &str, at: IpAddr, command: &Command) -> Result<Self> {
        Self::start_with_input(name, at, command, Stdio::null())
    }

    /// Starts it with a pipe to its standard input; see [`Program::say`].
    pub fn start_listening(name: &str, at: IpAddr, command: &Command) -> Result<Self> {
        Self::start_with_input(name, at, command, Stdio::piped())
    }

    fn start_with_input(name: &str, at: IpAddr, command: &Command, input: Stdio) -> Result<Self> {
        let mut child = wrapped(at, command)?
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("could not run setpriv")?;
        let said = Arc::new(Said::default());
        if let Some(output) = child.stdout.take() {
            said.listen_to(output);
        }
        if let Some(output) = child.stderr.take() {
            said.listen_to(output);
        }
        site::remember(Transcript {
            name: name.to_owned(),
            said: Arc::clone(&said),
        });
        Ok(Self {
            name: name.to_owned(),
            child,
            said,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let input = self
            .child
            .stdin
            .as_mut()
            .context("started without an input")?;
        writeln!(input, "{line}").with_context(|| format!("{} no longer listens", self.name))?;
        input.flush().context("flushing")
    }

    /// How much it has said; a place to start looking from.
    pub fn mark(&self) -> usize {
        let lines = self.said.lock();
        lines.dropped + lines.kept.len()
    }

    /// Waits for a line with `text` in it, from anything it ever said.
    pub fn wait_for(&self, text: &str) -> Result<String> {
        self.wait_after(0, text)
    }

    /// Waits for a line with `text` in it, said after `mark`.
    pub fn wait_after(&self, mark: usize, text: &str) -> Result<String> {
        self.wait_where(mark, &format!("'{text}'"), |line| {
            line.contains(text).then(|| line.to_owned())
        })
    }

    /// Waits for a line after `mark` in which `look` finds something.
    pub fn wait_where<T>(
        &self,
        mark: usize,
        what: &str,
        look: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let given_up = Instant::now() + PATIENCE;
        let mut lines = self.said.lock();
        let mut next = mark;
        loop {
            let from = next.saturating_sub(lines.dropped).min(lines.kept.len());
            if let Some(found) = lines.kept[from..].iter().find_map(|line| look(line)) {
                return Ok(found);
            }
            next = lines.dropped + lines.kept.len();
            let left = given_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{} did not say {what} within {PATIENCE:?}", self.name);
            }
            if lines.open_outputs == 0 {
                let last = lines.kept.last().cloned().unwrap_or_default();
                bail!(
                    "{} ended without saying {what}; its last words: {last}",
                    self.name
                );
            }
            (lines, _) = self
                .said
                .more
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Everything it said so far (as far as it is kept).
    pub fn said(&self) -> Vec<String> {
        self.said.lock().kept.clone()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits until it ends by itself.
    pub fn finish(&mut self, within: Duration) -> Result<ExitStatus> {
        let given_up = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= given_up {
                bail!("{} still runs after {within:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context("a process id")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("{signal} to {}", self.name))
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.finish(PATIENCE)
    }

    /// Makes sure that it ends, in order if it can; it may have ended already.
    pub fn end(&mut self) -> Result<()> {
        if self.runs()? {
            self.signal(Signal::SIGTERM)?;
        }
        self.finish(2 * PATIENCE).map(|_| ())
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .context("no VmRSS; has it ended?")?
            .parse()
            .context("VmRSS")
    }
}

/// The same command at its host, run so that the kernel ends it with the calling thread.
fn wrapped(at: IpAddr, command: &Command) -> Result<Command> {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL", "--"]);
    if let Some(namespace) = network::namespace(at)? {
        bound
            .arg("nsenter")
            .arg(format!("--net={}", namespace.display()))
            .arg("--");
    }
    bound.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    Ok(bound)
}

/// What a program said, also after it is gone.
#[derive(Debug)]
pub(crate) struct Transcript {
    name: String,
    said: Arc<Said>,
}

impl Transcript {
    pub(crate) fn print_end(&self) {
        let lines = self.said.lock();
        let from = lines.kept.len().saturating_sub(60);
        eprintln!(
            "---- the last {} lines of {}",
            lines.kept.len() - from,
            self.name
        );
        for line in &lines.kept[from..] {
            eprintln!("{line}");
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Ended by its own id, and waited for, so that no zombie stays.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            let lines = self.said.lock();
            let from = lines.kept.len().saturating_sub(60);
            eprintln!(
                "---- the last {} lines of {}",
                lines.kept.len() - from,
                self.name
            );
            for line in &lines.kept[from..] {
                eprintln!("{line}");
            }
        }
    }
}

impl Said {
    fn lock(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads an output to its end on a thread of its own.
    fn listen_to(self: &Arc<Self>, output: impl Read + Send + 'static) {
        self.lock().open_outputs += 1;
        let said = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { break };
                let mut lines = said.lock();
                if lines.kept.len() == KEPT {
                    lines.kept.drain(..KEPT / 2);
                    lines.dropped += KEPT / 2;
                }
                lines
                    .kept
                    .push(String::from_utf8_lossy(&line).trim_end().to_owned());
                said.more.notify_all();
            }
            said.lock().open_outputs -= 1;
            said.more.notify_all();
        });
    }
}
