//! Forwarding rules as the interface writes them (C6).

use std::time::Duration;

use model::{DateRange, DayPeriod, ForwardWhen, ForwardingRule, Schedule, ScheduleError, Weekdays};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::target::Target;
use crate::api::check::Findings;

/// Where calls go instead, and when. The first rule that fits decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    when: When,
    /// With `no_answer`: after so many seconds of ringing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 600)]
    after_s: Option<u32>,
    /// On these days: `mon-fri`, `sat,sun`. Without it on all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "mon-fri", max_length = 64)]
    weekdays: Option<String>,
    /// From this day on, with `until_date`, that day included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-12-24", max_length = 10)]
    from_date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2027-01-06", max_length = 10)]
    until_date: Option<String>,
    /// From this time of the day, with `until`; over midnight where `until` is earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "18:00", max_length = 5)]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "07:00", max_length = 5)]
    until: Option<String>,
    pub(super) to: Target,
}

/// What must have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum When {
    Always,
    Busy,
    NoAnswer,
    /// She has nothing open.
    Unreachable,
}

impl Rule {
    /// The rule as calls follow it; what is wrong with it goes among the findings.
    pub(super) fn checked(&self, pointer: &str, findings: &mut Findings) -> Option<ForwardingRule> {
        let when = self.condition(pointer, findings)?;
        let schedule = self.schedule(pointer, findings)?;
        let to = self.to.checked(&format!("{pointer}/to"), findings)?;
        Some(ForwardingRule { when, schedule, to })
    }

    fn condition(&self, pointer: &str, findings: &mut Findings) -> Option<ForwardWhen> {
        let pointer = format!("{pointer}/after_s");
        match (self.when, self.after_s) {
            (When::NoAnswer, Some(seconds)) => Some(ForwardWhen::NoAnswer {
                after: Duration::from_secs(u64::from(seconds)),
            }),
            (When::NoAnswer, None) => {
                findings.add(&pointer, "missing", "Say after how many seconds.");
                None
            }
            (_, Some(_)) => {
                let detail = "Leave it out: it belongs to no_answer.";
                findings.add(&pointer, "not_here", detail);
                None
            }
            (When::Always, None) => Some(ForwardWhen::Always),
            (When::Busy, None) => Some(ForwardWhen::Busy),
            (When::Unreachable, None) => Some(ForwardWhen::Unreachable),
        }
    }

    /// `Some(None)`: at all times.
    fn schedule(&self, pointer: &str, findings: &mut Findings) -> Option<Option<Schedule>> {
        let weekdays = self.weekdays.as_deref().map(Weekdays::parse);
        let weekdays = told(weekdays, pointer, "weekdays", findings)?;
        let dates = both(&self.from_date, &self.until_date, DateRange::parse);
        let dates = told(dates, pointer, "from_date", findings)?;
        let period = both(&self.from, &self.until, DayPeriod::parse);
        let period = told(period, pointer, "from", findings)?;
        if weekdays.is_none() && dates.is_none() && period.is_none() {
            return Some(None);
        }
        Some(Some(Schedule {
            weekdays: weekdays.unwrap_or(Weekdays::ALL),
            dates,
            period,
        }))
    }
}

/// A pair of which one alone is wrong: the parser says so of the empty text.
fn both<T>(
    first: &Option<String>,
    second: &Option<String>,
    parse: impl Fn(&str, &str) -> Result<T, ScheduleError>,
) -> Option<Result<T, ScheduleError>> {
    match (first, second) {
        (None, None) => None,
        (first, second) => Some(parse(
            first.as_deref().unwrap_or_default(),
            second.as_deref().unwrap_or_default(),
        )),
    }
}

fn told<T>(
    parsed: Option<Result<T, ScheduleError>>,
    pointer: &str,
    field: &str,
    findings: &mut Findings,
) -> Option<Option<T>> {
    match parsed {
        None => Some(None),
        Some(Ok(value)) => Some(Some(value)),
        Some(Err(error)) => {
            findings.add(
                &format!("{pointer}/{field}"),
                "no_schedule",
                error.to_string(),
            );
            None
        }
    }
}
