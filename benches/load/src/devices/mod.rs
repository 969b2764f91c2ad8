//! A company of 100,000 devices: how long the cloud core takes for a page of its list, a search, its
//! figures, on both engines.
//!
//! The real program over HTTP on loopback, with rows that were put into its store before it started.
//! Beside each answer, in the same run, stands what the engine alone takes for the same question as a
//! prepared statement: SQLite in this process, PostgreSQL by `psql`. Invariant: what was started here
//! is ended here.

mod core;
mod rows;
mod web;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use self::core::{Core, Engine};
use self::web::Web;
use crate::report::{Line, Samples};

/// A list, a search and an overview are answered within this, 95 of 100 times.
const GOAL: Duration = Duration::from_millis(100);

#[derive(Args, Debug)]
pub(crate) struct Devices {
    /// The cloud core's program; without it, the one that was built beside this tool.
    #[arg(long)]
    core: Option<PathBuf>,
    #[arg(long, default_value_t = 100_000)]
    devices: u32,
    /// How often each question is asked.
    #[arg(long, default_value_t = 100)]
    times: u32,
}

/// A question over HTTP, and the statement that answers it.
struct Question {
    name: &'static str,
    /// After the company's address.
    path: String,
    /// With the company's id at `$1`.
    statement: String,
}

/// The columns a list shows.
const SHOWN: &str = "d.*, s.name AS site_name, t.desired_rev, t.applied_rev";

fn page(conditions: &str, order: &str) -> String {
    let outer = order
        .replace("name_key", "d.name_key")
        .replace("since", "d.since");
    let outer = outer.replace(" id", " d.id");
    format!(
        "SELECT {SHOWN} FROM (SELECT id FROM device WHERE company_id = $1 {conditions}
         ORDER BY {order} LIMIT 51) p JOIN device d ON d.id = p.id
         JOIN site s ON s.id = d.site_id LEFT JOIN twin t ON t.device_id = d.id ORDER BY {outer}"
    )
}

fn questions() -> Vec<Question> {
    let named = |name, path: &str, conditions: &str| Question {
        name,
        path: format!("/devices?{path}"),
        statement: page(conditions, "name_key, id"),
    };
    let like = |text: &str| format!("AND search LIKE '%{text}%' ESCAPE '!'");
    vec![
        named("list, first page", "limit=50", ""),
        Question {
            name: "list, longest offline first",
            path: "/devices?presence=offline&sort=since".to_owned(),
            statement: page("AND presence = 'offline'", "since, id"),
        },
        named(
            "list, four filters, none fits",
            "presence=never_seen&attention=true&mode=managed&firmware=1.1.1.1",
            "AND mode = 'managed' AND firmware = '1.1.1.1' AND presence = 'never_seen'
             AND attention <> 0",
        ),
        named("search, frequent word", "q=west", &like("west")),
        named(
            "search, one serial number",
            "q=sn0099999",
            &like("sn0099999"),
        ),
        named("search, found nowhere", "q=nowhere", &like("nowhere")),
        Question {
            name: "overview",
            path: "/overview".to_owned(),
            statement: "SELECT model, firmware, presence, attention, count(*) AS n FROM device
                        WHERE company_id = $1
                        GROUP BY model, mode, firmware, presence, attention"
                .to_owned(),
        },
    ]
}

impl Devices {
    /// Whether every figure met the goal is for the reader: each line has both.
    pub(crate) fn run(self) -> Result<()> {
        let program = match &self.core {
            Some(program) => program.clone(),
            None => beside_us("antiphon-cloud")?,
        };
        for engine in [Engine::Sqlite, Engine::Postgres] {
            let folder = tempfile::tempdir()?;
            let mut core = Core::prepare(&program, folder.path(), engine)?;
            core.fill(&rows::Rows::of(self.devices))?;
            let mut web = core.serve()?;
            for question in questions() {
                self.ask(&core, &mut web, &question)?;
            }
        }
        Ok(())
    }

    fn ask(&self, core: &Core, web: &mut Web, question: &Question) -> Result<()> {
        let path = format!("/api/v1/companies/{}{}", core.company, question.path);
        let mut ours = Samples::default();
        // Once without counting: statements are prepared, pages are in memory.
        web.get(&path)?;
        for _ in 0..self.times {
            let begun = Instant::now();
            web.get(&path).with_context(|| question.name.to_owned())?;
            ours.push(begun.elapsed());
        }
        let mut bare = core.bare(&question.statement, self.times)?;
        let p50 = |samples: &mut Samples| samples.percentile(0.5).unwrap_or_default();
        let ratio = p50(&mut ours).as_secs_f64() / p50(&mut bare).as_secs_f64().max(1e-6);
        let met = ours.percentile(0.95).unwrap_or_default() <= GOAL;
        Line::new("devices", question.name)
            .with("engine", core.engine.name())
            .with("devices", self.devices)
            .milliseconds("p50_ms", &mut ours, 0.5)
            .milliseconds("p95_ms", &mut ours, 0.95)
            .with("goal_p95_ms", 100)
            .with("met", met)
            .milliseconds("engine_alone_p50_ms", &mut bare, 0.5)
            .milliseconds("engine_alone_p95_ms", &mut bare, 0.95)
            .with("ratio_p50", ratio)
            .print();
        Ok(())
    }
}

fn beside_us(name: &str) -> Result<PathBuf> {
    let us = std::env::current_exe()?;
    let folder = us.parent().unwrap_or(Path::new("."));
    Ok(folder.join(name))
}
