//! Measures how many registrations a second the store keeps, and what one costs in CPU time.
//!
//! `cargo run --release -p gateway-daemon --example store_rate [FOLDER]`; FOLDER is made and removed
//! in the system's folder for temporary files unless given. Closed loop: so many registrations are
//! on their way at a time, as with so many stations that wait for their answer.
#![expect(clippy::print_stdout, reason = "prints a table")]

use std::path::Path;
use std::time::{Duration, Instant};

use gateway_daemon::store::{BINDINGS, BindingsWrite, Store, StoreOptions, StoredBinding, Sync};
use model::Timestamp;

const STATIONS: usize = 5_000;
const WRITES: usize = 60_000;

fn main() -> anyhow::Result<()> {
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => folder.into(),
        None => std::env::temp_dir().join(format!("store-rate-{}", std::process::id())),
    };
    println!("sync    load           writes/s  thread us/write  p50 us  p99 us  writes/commit");
    for (name, sync) in [("power", Sync::Power), ("crash", Sync::Crash)] {
        for window in [1, 20, 200, 2_000] {
            let line = measure(&folder, sync, Load::Window(window))?;
            println!("{name:6}  {window:5} waiting  {line}");
        }
        for every in [1_000, 200, 50] {
            let line = measure(&folder, sync, Load::Every(Duration::from_micros(every)))?;
            println!("{name:6}  every {every:4} us  {line}");
        }
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[derive(Clone, Copy)]
enum Load {
    /// So many registrations wait for their answer at any time.
    Window(usize),
    /// One comes after each such time, answered or not.
    Every(Duration),
}

fn measure(folder: &Path, sync: Sync, load: Load) -> anyhow::Result<String> {
    let options = StoreOptions {
        registrations: sync,
        keep_records: Duration::from_secs(86_400),
    };
    let (mut store, _) = Store::open(folder, options)?;
    let rounds = match load {
        Load::Window(1) | Load::Every(_) => WRITES / 20,
        Load::Window(_) => WRITES,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut times = Vec::with_capacity(rounds);
    let (begin, cpu) = (Instant::now(), writer_time()?);
    runtime.block_on(async {
        let mut sent: Vec<Instant> = Vec::with_capacity(rounds);
        while times.len() < rounds {
            let due = |sent: usize| match load {
                Load::Window(window) => sent - times.len() < window,
                Load::Every(every) => begin.elapsed() >= every * u32::try_from(sent).unwrap_or(0),
            };
            while sent.len() < rounds && due(sent.len()) {
                store.write_bindings(registration(sent.len()))?;
                sent.push(Instant::now());
            }
            let answer = match load {
                Load::Window(_) => store.answered().await,
                // Looks again and again, so that the pause is exact; only the writer is measured.
                Load::Every(_) => tokio::select! {
                    biased;
                    answer = store.answered() => answer,
                    () = tokio::task::yield_now() => continue,
                },
            };
            let Some(answer) = answer else {
                anyhow::bail!("the store has ended");
            };
            if answer.lane == BINDINGS {
                let through = usize::try_from(answer.through.0)?;
                times.extend(sent[times.len()..through].iter().map(Instant::elapsed));
            }
        }
        Ok(())
    })?;
    let (wall, cpu) = (begin.elapsed(), writer_time()? - cpu);
    let commits = store
        .figures()
        .bindings
        .commits
        .load(std::sync::atomic::Ordering::Relaxed);
    store.finish();
    times.sort_unstable();
    Ok(format!(
        "{:9.0} {:16.1} {:7} {:7} {:14.1}",
        rounds as f64 / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / rounds as f64,
        times[rounds / 2].as_micros(),
        times[rounds * 99 / 100].as_micros(),
        rounds as f64 / commits as f64,
    ))
}

fn registration(number: usize) -> BindingsWrite {
    let station = number % STATIONS;
    BindingsWrite {
        aor: format!("sip:{station}").into(),
        bindings: vec![StoredBinding {
            expires: Timestamp::from_unix_ms(1_900_000_000_000),
            data: vec![7; 110].into(),
        }],
    }
}

/// Processor time that the writing thread has used.
fn writer_time() -> anyhow::Result<Duration> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim() == "store-bindings" {
            let figures = std::fs::read_to_string(task.join("schedstat"))?;
            let nanoseconds = figures.split(' ').next().unwrap_or_default();
            return Ok(Duration::from_nanos(nanoseconds.parse()?));
        }
    }
    anyhow::bail!("there is no writing thread")
}
