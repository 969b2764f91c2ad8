//! When a rule holds: weekdays, dates, a period of the day, in the site's own time zone (C6).
//!
//! All three must fit. A period that passes midnight belongs to the day on which it begins: Friday
//! 22:00-06:00 covers the small hours of Saturday. Times are those of the wall clock, so where the
//! clocks go back an hour, a period within that hour holds twice.

use jiff::ToSpan;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use crate::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub weekdays: Weekdays,
    pub dates: Option<DateRange>,
    pub period: Option<DayPeriod>,
}

/// A set of weekdays, not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays(u8);

/// From the first to the last day, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateRange {
    first: Date,
    last: Date,
}

/// From a time of the day up to, and not including, another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayPeriod {
    from: Time,
    until: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "{0:?} is not a weekday; write mon, tue, wed, thu, fri, sat, sun, a range like mon-fri, or a list of them"
    )]
    Weekday(String),
    #[error("{0:?} is not a date; write it like 2026-12-24")]
    Date(String),
    #[error("the last day {last} is before the first day {first}; exchange them")]
    DatesReversed { first: Date, last: Date },
    #[error("{0:?} is not a time of the day; write it like 07:30, or 24:00 for the end of the day")]
    Time(String),
    #[error(
        "a period from {0} to the same time is empty or a whole day; leave the period out for a whole day"
    )]
    EmptyPeriod(Time),
}

impl Schedule {
    pub const ALWAYS: Self = Self {
        weekdays: Weekdays::ALL,
        dates: None,
        period: None,
    };

    pub fn is_active(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let local = at.to_jiff().to_zoned(zone.clone());
        let (date, time) = (local.date(), local.time());
        let Some(period) = self.period else {
            return self.fits_day(date);
        };
        if period.passes_midnight() {
            (time >= period.from && self.fits_day(date))
                || (time < period.until && date.yesterday().is_ok_and(|d| self.fits_day(d)))
        } else {
            time >= period.from && time < period.until && self.fits_day(date)
        }
    }

    /// The first moment after `at` at which the schedule begins or ends to hold; None if it never
    /// changes again.
    pub fn next_change(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let now = self.is_active(at, zone);
        let mut moments = self.boundaries(at, zone);
        moments.sort_unstable();
        moments
            .into_iter()
            .find(|m| *m > at && self.is_active(*m, zone) != now)
    }

    fn fits_day(&self, date: Date) -> bool {
        self.weekdays.contains(date.weekday()) && self.dates.is_none_or(|d| d.contains(date))
    }

    /// Every moment near `at` at which something could change: the edges of the days and periods
    /// of the next week and of the dates' own ends, and the shifts of the clock among them.
    fn boundaries(&self, at: Timestamp, zone: &TimeZone) -> Vec<Timestamp> {
        let today = at.to_jiff().to_zoned(zone.clone()).date();
        let begin = match self.dates {
            Some(dates) if dates.first > today => dates.first,
            Some(_) | None => today,
        };
        let mut days = days_around(begin, 8);
        if let Some(dates) = self.dates {
            days.extend(days_around(dates.last, 2));
        }
        let edges = match self.period {
            Some(period) => [Time::midnight(), period.from, period.until],
            None => [Time::midnight(); 3],
        };
        let mut moments = Vec::new();
        for day in days {
            for edge in edges {
                let wall = zone.to_ambiguous_timestamp(day.to_datetime(edge));
                for moment in [wall.earlier(), wall.later()].into_iter().flatten() {
                    moments.push(Timestamp::from_jiff(moment));
                }
            }
        }
        let shifts = zone.following(at.to_jiff()).take(2);
        moments.extend(shifts.map(|shift| Timestamp::from_jiff(shift.timestamp())));
        moments
    }
}

/// The day before `day`, `day` itself and `after` days more.
fn days_around(day: Date, after: i32) -> Vec<Date> {
    (-1..=after)
        .filter_map(|n| day.checked_add(n.days()).ok())
        .collect()
}

impl Weekdays {
    pub const ALL: Self = Self(0x7f);

    /// Like "mon-fri", "sat,sun", "fri-mon" (over the week's end).
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let mut set = 0;
        for part in text.split(',').map(str::trim) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (weekday(first)?, weekday(last)?);
            let mut day = first;
            loop {
                set |= bit(day);
                if day == last {
                    break;
                }
                day = day.next();
            }
        }
        Ok(Self(set))
    }

    pub fn contains(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

fn weekday(text: &str) -> Result<Weekday, ScheduleError> {
    match text.trim().to_ascii_lowercase().as_str() {
        "mon" | "monday" => Ok(Weekday::Monday),
        "tue" | "tuesday" => Ok(Weekday::Tuesday),
        "wed" | "wednesday" => Ok(Weekday::Wednesday),
        "thu" | "thursday" => Ok(Weekday::Thursday),
        "fri" | "friday" => Ok(Weekday::Friday),
        "sat" | "saturday" => Ok(Weekday::Saturday),
        "sun" | "sunday" => Ok(Weekday::Sunday),
        _ => Err(ScheduleError::Weekday(text.to_owned())),
    }
}

impl DateRange {
    pub fn parse(first: &str, last: &str) -> Result<Self, ScheduleError> {
        let date = |text: &str| {
            text.parse()
                .map_err(|_| ScheduleError::Date(text.to_owned()))
        };
        let (first, last) = (date(first)?, date(last)?);
        if last < first {
            return Err(ScheduleError::DatesReversed { first, last });
        }
        Ok(Self { first, last })
    }

    fn contains(self, date: Date) -> bool {
        self.first <= date && date <= self.last
    }
}

impl DayPeriod {
    /// From and until as "HH:MM"; `until` may be "24:00", and may lie before `from` (over midnight).
    pub fn parse(from: &str, until: &str) -> Result<Self, ScheduleError> {
        let (from, until) = (time_of_day(from)?, time_of_day(until)?);
        if from == until {
            return Err(ScheduleError::EmptyPeriod(from));
        }
        Ok(Self { from, until })
    }

    fn passes_midnight(self) -> bool {
        self.until <= self.from
    }
}

/// "24:00" is midnight: as an end it is the end of the day, because it lies before any `from`.
fn time_of_day(text: &str) -> Result<Time, ScheduleError> {
    let bad = || ScheduleError::Time(text.to_owned());
    let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
    if hour.len() > 2 || minute.len() != 2 {
        return Err(bad());
    }
    let number = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        if plain {
            digits.parse::<i8>().ok()
        } else {
            None
        }
    };
    match (
        number(hour).ok_or_else(bad)?,
        number(minute).ok_or_else(bad)?,
    ) {
        (24, 0) => Ok(Time::midnight()),
        (hour, minute) => Time::new(hour, minute, 0, 0).map_err(|_| bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIENNA: &str = "Europe/Vienna";

    fn at(text: &str) -> Timestamp {
        let local: jiff::civil::DateTime = text.parse().unwrap();
        let zone = TimeZone::get(VIENNA).unwrap();
        Timestamp::from_jiff(local.to_zoned(zone).unwrap().timestamp())
    }

    fn schedule(
        weekdays: &str,
        dates: Option<(&str, &str)>,
        period: Option<(&str, &str)>,
    ) -> Schedule {
        Schedule {
            weekdays: Weekdays::parse(weekdays).unwrap(),
            dates: dates.map(|(first, last)| DateRange::parse(first, last).unwrap()),
            period: period.map(|(from, until)| DayPeriod::parse(from, until).unwrap()),
        }
    }

    /// Whether it holds at a moment, and until when that stays so.
    fn check(schedule: Schedule, moment: &str, active: bool, until: Option<&str>) {
        let zone = TimeZone::get(VIENNA).unwrap();
        assert_eq!(schedule.is_active(at(moment), &zone), active, "{moment}");
        assert_eq!(
            schedule.next_change(at(moment), &zone),
            until.map(at),
            "after {moment}"
        );
    }

    #[test]
    fn a_working_week() {
        let office = schedule("mon-fri", None, Some(("08:00", "17:00")));
        check(
            office,
            "2026-01-05T07:59:59",
            false,
            Some("2026-01-05T08:00"),
        );
        check(office, "2026-01-05T08:00", true, Some("2026-01-05T17:00"));
        check(office, "2026-01-09T17:00", false, Some("2026-01-12T08:00"));
        check(
            schedule("sat,sun", None, None),
            "2026-01-09T12:00",
            false,
            Some("2026-01-10T00:00"),
        );
        check(
            schedule("sat,sun", None, None),
            "2026-01-10T12:00",
            true,
            Some("2026-01-12T00:00"),
        );
    }

    #[test]
    fn a_period_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let friday_night = schedule("fri", None, Some(("22:00", "06:00")));
        check(
            friday_night,
            "2026-01-09T05:00",
            false,
            Some("2026-01-09T22:00"),
        );
        check(
            friday_night,
            "2026-01-10T05:59",
            true,
            Some("2026-01-10T06:00"),
        );
        check(
            friday_night,
            "2026-01-10T22:30",
            false,
            Some("2026-01-16T22:00"),
        );
        let until_midnight = schedule("mon-sun", None, Some(("20:00", "24:00")));
        check(
            until_midnight,
            "2026-01-10T23:59",
            true,
            Some("2026-01-11T00:00"),
        );
    }

    #[test]
    fn dates_begin_and_end() {
        let holidays = schedule("mon-sun", Some(("2026-12-24", "2027-01-06")), None);
        check(
            holidays,
            "2026-03-01T00:00",
            false,
            Some("2026-12-24T00:00"),
        );
        check(holidays, "2026-12-31T23:59", true, Some("2027-01-07T00:00"));
        check(holidays, "2027-01-07T00:00", false, None);
        let nights = schedule(
            "mon-sun",
            Some(("2026-12-24", "2026-12-24")),
            Some(("22:00", "06:00")),
        );
        check(nights, "2026-12-25T05:00", true, Some("2026-12-25T06:00"));
        check(nights, "2026-12-25T06:00", false, None);
    }

    #[test]
    fn always_never_changes() {
        check(Schedule::ALWAYS, "2026-06-01T00:00", true, None);
    }

    #[test]
    fn when_the_clocks_go_forward_a_missing_hour_is_missing() {
        // 2026-03-29: 02:00 becomes 03:00.
        let early = schedule("sun", None, Some(("02:15", "02:45")));
        check(early, "2026-03-29T01:59", false, Some("2026-04-05T02:15"));
        let longer = schedule("sun", None, Some(("02:15", "04:00")));
        check(longer, "2026-03-29T01:59", false, Some("2026-03-29T03:00"));
    }

    #[test]
    fn when_the_clocks_go_back_an_hour_holds_twice() {
        // 2026-10-25: 03:00 becomes 02:00 once more.
        let zone = TimeZone::get(VIENNA).unwrap();
        let early = schedule("sun", None, Some(("02:15", "02:45")));
        let changes = |mut moment| {
            let mut active = std::time::Duration::ZERO;
            for _ in 0..4 {
                let next = early.next_change(moment, &zone).unwrap();
                if early.is_active(moment, &zone) {
                    let ms = u64::try_from(next.unix_ms() - moment.unix_ms()).unwrap();
                    active += std::time::Duration::from_millis(ms);
                }
                moment = next;
            }
            active
        };
        assert_eq!(changes(at("2026-10-25T01:00")).as_secs(), 2 * 30 * 60);
    }

    #[test]
    fn the_next_change_is_the_first_one() {
        // Compared with looking at every quarter of an hour for five weeks.
        let zone = TimeZone::get(VIENNA).unwrap();
        let quarter = std::time::Duration::from_secs(900);
        for schedule in [
            schedule("mon-fri", None, Some(("08:00", "17:00"))),
            schedule(
                "fri,sun",
                Some(("2026-03-20", "2026-04-10")),
                Some(("22:00", "06:15")),
            ),
            schedule("wed", Some(("2026-03-25", "2026-03-25")), None),
        ] {
            let mut moment = at("2026-03-15T00:00");
            let mut next = schedule.next_change(moment, &zone);
            for _ in 0..5 * 7 * 96 {
                let before = schedule.is_active(moment, &zone);
                moment = moment.saturating_add(quarter);
                if schedule.is_active(moment, &zone) != before {
                    assert_eq!(next, Some(moment));
                    next = schedule.next_change(moment, &zone);
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, good) in [
            ("mon", true),
            ("Sat - mon", true),
            ("", false),
            ("mo", false),
            ("mon-", false),
        ] {
            assert_eq!(Weekdays::parse(text).is_ok(), good, "{text:?}");
        }
        let week_end = Weekdays::parse("sat-mon").unwrap();
        assert!(week_end.contains(Weekday::Sunday) && !week_end.contains(Weekday::Tuesday));
        assert!(matches!(
            DateRange::parse("2026-02-30", "2026-03-01"),
            Err(ScheduleError::Date(_))
        ));
        assert!(matches!(
            DateRange::parse("2026-03-02", "2026-03-01"),
            Err(ScheduleError::DatesReversed { .. })
        ));
        for bad in [
            "24:01", "8", "08:0", "8:60", "-1:00", "+1:00", "08:00:00", "aa:bb",
        ] {
            assert!(
                matches!(DayPeriod::parse(bad, "09:00"), Err(ScheduleError::Time(_))),
                "{bad}"
            );
        }
        assert!(matches!(
            DayPeriod::parse("00:00", "24:00"),
            Err(ScheduleError::EmptyPeriod(_))
        ));
    }
}
