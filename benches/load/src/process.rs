//! CPU and memory of a process tree, as the kernel counts them, so that other load on the machine does not count.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::Peer;
use crate::report::Line;

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) rss_kb: u64,
    pub(crate) pss_kb: u64,
    pub(crate) threads: u64,
}

impl Usage {
    /// The whole tree below these processes.
    pub(crate) fn of(roots: &[i32]) -> Self {
        let mut usage = Self::default();
        for pid in tree(roots) {
            usage.add(pid);
        }
        usage
    }

    fn add(&mut self, pid: i32) {
        self.cpu_seconds += cpu_seconds(pid).unwrap_or(0.0);
        let threads = stat(pid).and_then(|fields| fields.get(17)?.parse::<u64>().ok());
        self.threads += threads.unwrap_or(0);
        let memory = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        for line in memory.lines() {
            let mut words = line.split_whitespace();
            let (key, value) = (
                words.next(),
                words.next().and_then(|v| v.parse::<u64>().ok()),
            );
            match key {
                Some("Rss:") => self.rss_kb += value.unwrap_or(0),
                Some("Pss:") => self.pss_kb += value.unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// Of all its threads, those that have ended too. /proc counts in hundredths of a second, which
/// is a tenth of what some runs take.
fn cpu_seconds(pid: i32) -> Option<f64> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid)).ok()?;
    let time = clock_gettime(clock).ok()?;
    Some(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

/// Fields of /proc/PID/stat after the name, which may hold blanks itself.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &text[text.rfind(')')? + 2..];
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn tree(roots: &[i32]) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse::<i32>().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = roots.to_vec();
    let mut next = 0;
    while next < all.len() {
        for child in children.get(&all[next]).into_iter().flatten() {
            if !all.contains(child) {
                all.push(*child);
            }
        }
        next += 1;
    }
    all
}

/// Thousands of legs need thousands of descriptors.
pub(crate) fn raise_open_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Refused only where the limit is already hard: then the run says so at its first socket.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[derive(Args, Debug)]
pub(crate) struct Idle {
    #[command(flatten)]
    peer: Peer,
    #[arg(long, default_value_t = 5.0)]
    secs: f64,
}

impl Idle {
    pub(crate) fn run(self) -> Result<()> {
        let secs = self.secs.clamp(0.1, 120.0);
        let before = Usage::of(&self.peer.pid);
        thread::sleep(Duration::from_secs_f64(secs));
        let after = Usage::of(&self.peer.pid);
        Line::new("idle", &self.peer.name)
            .with(
                "cpu_pct_of_core",
                (after.cpu_seconds - before.cpu_seconds) / secs * 100.0,
            )
            .with("rss_kb", after.rss_kb)
            .with("pss_kb", after.pss_kb)
            .with("threads", after.threads)
            .print();
        Ok(())
    }
}
