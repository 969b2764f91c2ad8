//! The same load on the gateway and its peers in turn, medians and ratios of one run.
//!
//! Every measurement is a fresh process of this tool; peers and gateway are started before their
//! scenario and ended after it. Rounds are interleaved (A B A B), so that a change of the
//! machine's mood meets everybody. Invariant: what was started here is ended here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::subjects::{
    FLOOR_PORT, GATEWAY_PORT, KAMAILIO_PORT, RTPENGINE_PORT, Subject, Subjects, World,
};

/// How long a call of the overload lasts, and between how many pairs of stations: at three times
/// the capacity the next call of a station comes after the last one has ended.
const OVERLOAD_HOLD_MS: f64 = 100.0;
const OVERLOAD_PAIRS: usize = 3_000;

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// Relayed audio: CPU, delay, memory.
    Relay,
    /// Audio between a leg with SRTP (AES-CM 128, HMAC-SHA1-80) and a plain one: CPU, delay.
    Encrypt,
    /// The same by AES-GCM 128.
    EncryptGcm,
    /// Calls between G.722 and Opus: CPU, added delay, memory.
    TranscodeG722Opus,
    /// Calls between PCMA and Opus.
    TranscodePcmaOpus,
    /// Calls between G.722 and PCMA.
    TranscodeG722Pcma,
    /// All channels of a whole legacy server at once: 112 calls between G.722 with SRTP and Opus.
    Bridge,
    /// Calls per second and core, time to ring and to answer.
    Calls,
    /// Registrations with digest.
    Register,
    /// One press that rings 32, and how fast the losers fall silent.
    Ring,
    /// CPU and memory at rest with 500 stations registered.
    Idle,
    /// From starting the program to its first answer.
    Start,
    /// Three times the capacity: goodput, refusals, emergency calls.
    Overload,
}

#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// The gateway's program; without it, the one that was built beside this tool.
    #[arg(long)]
    gateway: Option<PathBuf>,
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[arg(long, default_value_t = 6.0)]
    secs: f64,
    /// Put in front of every program, for a machine with other work on it: "chrt -f 5".
    #[arg(long, default_value = "")]
    run_with: String,
}

/// One measurement of a scenario: whom, with which words of this tool.
struct Run {
    /// `None`: the codecs alone, in this tool.
    subject: Option<Subject>,
    words: Vec<String>,
}

impl Run {
    fn name(&self) -> &'static str {
        self.subject.map_or("codecs alone", Subject::name)
    }
}

impl Compare {
    pub(crate) fn run(self) -> Result<()> {
        let gateway = self.gateway()?;
        ensure!(
            gateway.is_file(),
            "{} is not there: build it with cargo build --release -p gateway-daemon",
            gateway.display()
        );
        let all = Scenario::value_variants();
        let chosen = if self.only.is_empty() {
            all
        } else {
            &self.only
        };
        for scenario in chosen {
            self.scenario(*scenario)?;
        }
        Ok(())
    }

    fn gateway(&self) -> Result<PathBuf> {
        match &self.gateway {
            Some(path) => Ok(path.clone()),
            None => Ok(std::env::current_exe()?.with_file_name("antiphon-gateway")),
        }
    }

    fn scenario(&self, scenario: Scenario) -> Result<()> {
        if scenario == Scenario::Overload {
            return self.overload();
        }
        let world = World {
            // More than one core's work, and the tool needs the other one for little.
            media_threads: (scenario == Scenario::Bridge).then_some(2),
            ..World::default()
        };
        let mut subjects = self.subjects(world)?;
        let runs = self.runs(scenario, &mut subjects)?;
        self.rounds_of(scenario, &runs, &subjects)
    }

    fn subjects(&self, world: World) -> Result<Subjects> {
        let prefix: Vec<&str> = self.run_with.split_whitespace().collect();
        Subjects::new(&self.gateway()?, &prefix, world)
    }

    fn rounds_of(&self, scenario: Scenario, runs: &[Run], subjects: &Subjects) -> Result<()> {
        let mut lines: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
        for _ in 0..self.rounds.max(1) {
            for (index, run) in runs.iter().enumerate() {
                lines
                    .entry(index)
                    .or_default()
                    .push(self.measure(run, subjects)?);
            }
        }
        let named: Vec<(&str, Vec<Value>)> = runs
            .iter()
            .zip(lines.into_values())
            .map(|(run, lines)| (run.name(), lines))
            .collect();
        print_table(scenario, &named, self.rounds);
        Ok(())
    }

    fn runs(&self, scenario: Scenario, subjects: &mut Subjects) -> Result<Vec<Run>> {
        let secs = self.secs.to_string();
        let sip = |port: u16| format!("127.0.0.1:{port}");
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let mut runs = Vec::new();
        let mut add = |subject: Subject, text: String| {
            runs.push(Run {
                subject: Some(subject),
                words: words(&text),
            });
        };
        let kamailio = format!("--target {}", sip(KAMAILIO_PORT));
        let gateway = format!("--target {}", sip(GATEWAY_PORT));
        match scenario {
            Scenario::Relay => {
                subjects.start(&[Subject::Gateway, Subject::Rtpengine, Subject::Floor])?;
                let load = format!("media --calls 100 --spread 100 --secs {secs}");
                add(
                    Subject::Gateway,
                    format!("{load} --via sip {gateway} --register uas:pw"),
                );
                add(
                    Subject::Rtpengine,
                    format!("{load} --via ng --target {}", sip(RTPENGINE_PORT)),
                );
                add(
                    Subject::Floor,
                    format!("{load} --via floor --target {}", sip(FLOOR_PORT)),
                );
            }
            Scenario::Encrypt | Scenario::EncryptGcm => {
                subjects.start(&[Subject::Gateway, Subject::Rtpengine])?;
                let srtp = match scenario {
                    Scenario::EncryptGcm => "gcm128",
                    _ => "cm128",
                };
                let load = format!("media --calls 100 --spread 100 --secs {secs} --srtp {srtp}");
                add(
                    Subject::Gateway,
                    format!("{load} --via sip {gateway} --register uas:pw"),
                );
                add(
                    Subject::Rtpengine,
                    format!("{load} --via ng --target {}", sip(RTPENGINE_PORT)),
                );
            }
            Scenario::TranscodeG722Opus
            | Scenario::TranscodePcmaOpus
            | Scenario::TranscodeG722Pcma => {
                let codecs = match scenario {
                    Scenario::TranscodePcmaOpus => "pcma,opus",
                    Scenario::TranscodeG722Pcma => "g722,pcma",
                    _ => "g722,opus",
                };
                subjects.start(&[Subject::Gateway, Subject::Rtpengine])?;
                let load = format!("media --calls 16 --spread 100 --secs {secs} --codecs {codecs}");
                add(
                    Subject::Gateway,
                    format!("{load} --via sip {gateway} --register uas:pw"),
                );
                let peer = format!("{load} --via ng --target {}", sip(RTPENGINE_PORT));
                add(
                    Subject::Rtpengine,
                    match scenario {
                        Scenario::TranscodeG722Pcma => peer,
                        // Our bit rate; nothing else of its encoder can be set.
                        _ => format!("{peer} --ng-callee opus/48000/2/24000"),
                    },
                );
                let alone = format!("bare --codecs {codecs}");
                runs.push(Run {
                    subject: None,
                    words: words(&alone),
                });
            }
            Scenario::Bridge => {
                subjects.start(&[Subject::Gateway])?;
                add(
                    Subject::Gateway,
                    format!(
                        "media --calls 112 --spread 112 --secs {secs} --codecs g722,opus \
                         --srtp cm128 --via sip {gateway} --register uas:pw"
                    ),
                );
            }
            Scenario::Calls => {
                subjects.start(&[Subject::Gateway, Subject::Kamailio])?;
                let load = format!("calls --rate 100 --spread 500 --secs {secs} --register uas:pw");
                add(Subject::Gateway, format!("{load} {gateway}"));
                add(Subject::Kamailio, format!("{load} {kamailio}"));
            }
            Scenario::Register => {
                subjects.start(&[Subject::Gateway, Subject::Kamailio])?;
                let load = "register --users 5000 --window 20";
                add(Subject::Gateway, format!("{load} {gateway}"));
                add(Subject::Kamailio, format!("{load} {kamailio}"));
            }
            Scenario::Ring => {
                subjects.start(&[Subject::Gateway, Subject::Kamailio])?;
                add(
                    Subject::Gateway,
                    format!("ring --n 32 --distinct --from uac1 --callee 9000 {gateway}"),
                );
                // Debian's Kamailio forks to 30 branches at most.
                add(
                    Subject::Kamailio,
                    format!("ring --n 30 --callee ring {kamailio}"),
                );
            }
            Scenario::Idle => {
                subjects.start(&[Subject::Gateway, Subject::Kamailio, Subject::Rtpengine])?;
                for (subject, target) in
                    [(Subject::Gateway, &gateway), (Subject::Kamailio, &kamailio)]
                {
                    let register = words(&format!("register --users 500 {target}"));
                    self.measure(
                        &Run {
                            subject: Some(subject),
                            words: register,
                        },
                        subjects,
                    )?;
                }
                for subject in [Subject::Gateway, Subject::Kamailio, Subject::Rtpengine] {
                    add(subject, format!("idle --secs {secs}"));
                }
            }
            Scenario::Start => {
                subjects.start(&[Subject::Gateway])?;
                let fill = words(&format!("register --users 5000 {gateway}"));
                self.measure(
                    &Run {
                        subject: Some(Subject::Gateway),
                        words: fill,
                    },
                    subjects,
                )?;
                subjects.end_all();
                let command = subjects.command(Subject::Gateway).join(" ");
                add(Subject::Gateway, format!("start {gateway} -- {command}"));
                let command = subjects.command(Subject::Kamailio).join(" ");
                add(Subject::Kamailio, format!("start {kamailio} -- {command}"));
            }
            Scenario::Overload => {}
        }
        Ok(runs)
    }

    /// First the highest rate that the gateway carries whole, then that rate and three times as
    /// much on one that takes no more calls at once than this rate makes.
    fn overload(&self) -> Result<()> {
        let run = |rate: f64, secs: f64, emergency: &str| {
            let text = format!(
                "calls --rate {rate} --secs {secs} --hold-ms {OVERLOAD_HOLD_MS} \
                 --spread {OVERLOAD_PAIRS} --register uas:pw --target 127.0.0.1:{GATEWAY_PORT}\
                 {emergency}"
            );
            Run {
                subject: Some(Subject::Gateway),
                words: text.split_whitespace().map(str::to_owned).collect(),
            }
        };
        let world = |calls_at_once| World {
            pairs: OVERLOAD_PAIRS,
            stations: 0,
            calls_at_once,
            media_threads: None,
        };
        let mut subjects = self.subjects(world(20_000))?;
        subjects.start(&[Subject::Gateway])?;
        let mut capacity = 0.0;
        for rate in (1..=20).map(|step| f64::from(step) * 500.0) {
            let line = self.measure(&run(rate, 2.0, ""), &subjects)?;
            let figure = |name: &str| line[name].as_f64().unwrap_or(0.0);
            if figure("retx") > 0.0 || figure("ok") < figure("sent") {
                break;
            }
            capacity = rate;
        }
        ensure!(capacity > 0.0, "not even 500 calls a second get through");
        drop(subjects);
        // The rest is for setting up and clearing.
        let at_once = capacity * (OVERLOAD_HOLD_MS + 10.0) / 1e3;
        let mut subjects = self.subjects(world(at_once as usize))?;
        subjects.start(&[Subject::Gateway])?;
        let emergency = " --emergency-rate 10 --emergency-callee 112 --emergency-desk desk:pw:32";
        let runs = [1.0, 3.0].map(|factor| run(capacity * factor, self.secs, emergency));
        self.rounds_of(Scenario::Overload, &runs, &subjects)
    }

    fn measure(&self, run: &Run, subjects: &Subjects) -> Result<Value> {
        let tool = std::env::current_exe()?;
        let mut words: Vec<String> = self
            .run_with
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        words.push(tool.display().to_string());
        let end = run
            .words
            .iter()
            .position(|word| word == "--")
            .unwrap_or(run.words.len());
        words.extend_from_slice(&run.words[..end]);
        words.extend(["--name".into(), run.name().into()]);
        if let Some(pid) = run.subject.and_then(|subject| subjects.pid(subject)) {
            words.extend(["--pid".into(), pid.to_string()]);
        }
        words.extend_from_slice(&run.words[end..]);
        let output = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {}", words[0]))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text
            .lines()
            .find(|line| line.starts_with('{'))
            .with_context(|| format!("{} said nothing to: {}", run.name(), run.words.join(" ")))?;
        Ok(serde_json::from_str(line)?)
    }
}

/// Memory that a process takes for what it has not had before: only the first round shows it.
const GROWTH: [&str; 2] = ["pss_bytes_per_reg", "rss_kb_per_call"];

/// Where the goodput stands among the figures of the overload.
const GOODPUT: usize = 1;

fn figures(scenario: Scenario) -> &'static [&'static str] {
    match scenario {
        Scenario::Relay | Scenario::Encrypt | Scenario::EncryptGcm => &[
            "cpu_pct_per_100_calls",
            "calls_per_core",
            "delay_ms_p50",
            "delay_ms_p99",
            "gap_ms_p99",
            "delivered_pct",
            "rss_kb_per_call",
        ],
        Scenario::TranscodeG722Opus | Scenario::TranscodePcmaOpus | Scenario::TranscodeG722Pcma => {
            &[
                "cpu_pct_per_100_calls",
                "calls_per_core",
                "delay_ms_p50",
                "delay_ms_p99",
                "gap_ms_p99",
                "delivered_pct",
                "lost_by_seq",
                "opus_kbit_per_s",
                "rss_kb_per_call",
            ]
        }
        Scenario::Bridge => &[
            "cores",
            "calls",
            "delay_ms_p50",
            "delay_ms_p99",
            "gap_ms_p99",
            "delivered_pct",
            "lost_by_seq",
            "rss_kb_per_call",
        ],
        Scenario::Calls => &[
            "calls_per_s_per_core",
            "peer_cpu_ms_per_call",
            "ring_ms_p50",
            "ring_ms_p99",
            "setup_ms_p50",
            "setup_ms_p99",
            "invite_retx",
            "ok",
            "sent",
        ],
        Scenario::Register => &[
            "per_s",
            "regs_per_s_per_core",
            "ms_p50",
            "ms_p99",
            "pss_bytes_per_reg",
            "retx",
            "ok",
        ],
        Scenario::Ring => &[
            "first_ring_ms_p50",
            "last_ring_ms_p50",
            "last_ring_ms_max",
            "last_cancel_after_answer_ms_p50",
            "peer_cpu_ms_per_press",
            "reached_median",
            "cancelled_median",
            "answered_ok",
        ],
        Scenario::Idle => &["cpu_pct_of_core", "rss_kb", "pss_kb", "threads"],
        Scenario::Start => &["start_ms_median", "start_ms_max", "rss_kb"],
        Scenario::Overload => &[
            "rate",
            "goodput_per_s",
            "ok",
            "refused_503_ms_p99",
            "emergency_sent",
            "emergency_ok",
            "emergency_ring_ms_p99",
            "peer_rss_kb",
        ],
    }
}

/// A table of medians, growth of the first round, and what the gateway has of each peer.
fn print_table(scenario: Scenario, lines: &[(&str, Vec<Value>)], rounds: usize) {
    let figures = figures(scenario);
    println!("\n### {scenario:?} (median of {rounds})\n");
    println!("| | {} |", figures.join(" | "));
    println!("|---{}|", "|---:".repeat(figures.len()));
    let medians: Vec<Vec<Option<f64>>> = lines
        .iter()
        .map(|(_, lines)| {
            figures
                .iter()
                .map(|figure| typical(lines, figure))
                .collect()
        })
        .collect();
    let cell = |value: Option<f64>| value.map_or("-".into(), significant);
    for ((name, _), row) in lines.iter().zip(&medians) {
        let cells: Vec<String> = row.iter().map(|value| cell(*value)).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
    if scenario == Scenario::Overload {
        let goodput = |row: &[Option<f64>]| row.get(GOODPUT).copied().flatten();
        if let [one, three] = &medians[..]
            && let (Some(one), Some(three)) = (goodput(one), goodput(three))
        {
            println!("| goodput at three times the rate | {:.3}x |", three / one);
        }
    }
    let ours = lines[0].0;
    for ((name, _), row) in lines
        .iter()
        .zip(&medians)
        .skip(1)
        .filter(|((name, _), _)| *name != ours)
    {
        let ratios: Vec<String> = medians[0]
            .iter()
            .zip(row)
            .map(|(ours, theirs)| match (ours, theirs) {
                (Some(ours), Some(theirs)) if *theirs != 0.0 => format!("{:.2}x", ours / theirs),
                _ => "-".into(),
            })
            .collect();
        println!("| **{ours} / {name}** | {} |", ratios.join(" | "));
    }
}

fn typical(lines: &[Value], figure: &str) -> Option<f64> {
    match GROWTH.contains(&figure) {
        true => lines.first()?[figure].as_f64(),
        false => median(lines, figure),
    }
}

fn median(lines: &[Value], figure: &str) -> Option<f64> {
    let mut values: Vec<f64> = lines
        .iter()
        .filter_map(|line| line[figure].as_f64())
        .collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn significant(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// Ends a program that was started here, by its id.
pub(crate) fn end(child: &mut Child) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    // Both fail only when it has ended already.
    let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while matches!(child.try_wait(), Ok(None)) {
        if std::time::Instant::now() > deadline {
            let _ = child.kill();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
