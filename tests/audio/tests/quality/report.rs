//! The material, the folder, and a table of what was judged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use audio::judge::{self, Job, Score, Verdict};
use audio::speech::{Length, speak};
use audio::wav::Sound;
use audio::{Spoken, not_run};

/// The files and verdicts of one test.
pub(crate) struct Report {
    folder: PathBuf,
    pub(crate) speech: Sound,
    jobs: Vec<Job>,
}

/// The figures of all files, by name.
pub(crate) struct Verdicts {
    title: &'static str,
    folder: PathBuf,
    by_name: BTreeMap<String, Verdict>,
    failures: Vec<String>,
}

impl Report {
    /// None: nothing can be judged here, which is noted.
    pub(crate) fn begin(name: &str) -> Option<Report> {
        if let Some(why) = judge::missing() {
            not_run::note(why);
            return None;
        }
        let folder = folder(name);
        let speech = speak(length(), &folder).expect("flite speaks");
        speech
            .write(&folder.join("reference.wav"))
            .expect("the folder can be written to");
        Some(Report {
            folder,
            speech,
            jobs: Vec::new(),
        })
    }

    pub(crate) fn add(&mut self, name: &str, heard: &Sound, score: Score) {
        let path = self.folder.join(format!("{name}.wav"));
        heard.write(&path).expect("the folder can be written to");
        self.jobs.push(Job {
            name: name.to_owned(),
            reference: self.folder.join("reference.wav"),
            heard: path,
            scores: vec![score],
        });
    }

    pub(crate) fn judge(self, title: &'static str) -> Verdicts {
        let by_name = judge::judge(&self.jobs).expect("the judge judges");
        assert_eq!(by_name.len(), self.jobs.len());
        Verdicts {
            title,
            folder: self.folder,
            by_name,
            failures: Vec::new(),
        }
    }
}

/// Sound from the near to the far end has this score.
pub(crate) fn score_of(from: Spoken, to: Spoken) -> Score {
    match from.is_narrow() || to.is_narrow() {
        true => Score::Narrow,
        false => Score::Wide,
    }
}

pub(crate) fn length() -> Length {
    match std::env::var("ANTIPHON_AUDIO").as_deref() {
        Ok("whole") => Length::Whole,
        Ok(_) | Err(_) => Length::Short,
    }
}

pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("audio")
        .join(name);
    std::fs::create_dir_all(&folder).expect("the target folder can be written to");
    folder
}

impl Verdicts {
    pub(crate) fn of(&self, name: &str) -> Verdict {
        self.by_name[name]
    }

    /// PESQ of the band that was asked for.
    pub(crate) fn pesq(&self, name: &str) -> judge::Pesq {
        let verdict = self.of(name);
        let asked = verdict.wide.or(verdict.narrow);
        asked.expect("each job asks for one score")
    }

    /// Notes a failure unless `what` is at least `gate`.
    pub(crate) fn at_least(&mut self, name: &str, what: &str, value: f64, gate: f64) {
        if value < gate {
            let failure = format!("{name}: {what} {value:.3} is below {gate:.3}");
            self.failures.push(failure);
        }
    }

    pub(crate) fn must(&mut self, good: bool, failure: String) {
        if !good {
            self.failures.push(failure);
        }
    }

    /// Prints the table, then fails if a gate did.
    pub(crate) fn close(self) {
        let mut text = format!(
            "\n{}\n{:<28} {:>4} {:>6} {:>6} {:>6} {:>9} {:>13} {:>5} {:>8}\n",
            self.title,
            "",
            "band",
            "PESQ",
            "least",
            "STOI",
            "delay ms",
            "of segments",
            "gaps",
            "longest"
        );
        for (name, verdict) in &self.by_name {
            let band = if verdict.wide.is_some() { "WB" } else { "NB" };
            let pesq = self.pesq(name);
            text += &format!(
                "{name:<28} {band:>4} {:>6.2} {:>6.2} {:>6.3} {:>9.1} {:>6.1}-{:<6.1} {:>5} {:>8}\n",
                pesq.mean,
                pesq.least,
                verdict.stoi,
                verdict.delay_ms,
                verdict.least_delay_ms,
                verdict.greatest_delay_ms,
                verdict.gaps,
                verdict.longest_gap_ms,
            );
        }
        text += &format!("files: {}\n", self.folder.display());
        println!("{text}");
        assert!(self.failures.is_empty(), "{:#?}", self.failures);
    }
}
