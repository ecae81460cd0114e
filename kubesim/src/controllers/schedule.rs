//! Cron schedules: five fields, or a word such as `@hourly`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

/// When to run.
pub(super) struct Schedule {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    weekdays: BTreeSet<i8>,
    /// With both a day of the month and a weekday given, either will do.
    either: bool,
    /// `@every`, in seconds.
    every: Option<i64>,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("@every ") {
            let seconds = duration(rest.trim())?;
            return Some(Self { every: Some(seconds), ..Self::parse("* * * * *")? });
        }
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            text => text,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else { return None };
        let given = |field: &str| !field.starts_with('*') && !field.starts_with('?');
        let mut weekday_set = field(weekdays, 0, 7, &WEEKDAYS, 0)?;
        if weekday_set.remove(&7) {
            weekday_set.insert(0);
        }
        Some(Self {
            minutes: field(minutes, 0, 59, &[], 0)?,
            hours: field(hours, 0, 23, &[], 0)?,
            days: field(days, 1, 31, &[], 0)?,
            months: field(months, 1, 12, &MONTHS, 1)?,
            weekdays: weekday_set,
            either: given(days) && given(weekdays),
            every: None,
        })
    }

    /// The first time after `since`.
    pub(super) fn after(&self, since: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if let Some(seconds) = self.every {
            return since.checked_add(jiff::SignedDuration::from_secs(seconds)).ok();
        }
        let start = zone.to_datetime(since);
        let mut day = start.date();
        let end = super::cronjob::horizon(day);
        while day < end {
            if self.months.contains(&day.month())
                && self.is_day(day.day(), day.weekday().to_sunday_zero_offset())
            {
                for hour in &self.hours {
                    for minute in &self.minutes {
                        let Ok(time) = Time::new(*hour, *minute, 0, 0) else { continue };
                        let Ok(at) = zone.to_timestamp(DateTime::from_parts(day, time)) else { continue };
                        if at > since {
                            return Some(at);
                        }
                    }
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn is_day(&self, day: i8, weekday: i8) -> bool {
        let (by_day, by_weekday) = (self.days.contains(&day), self.weekdays.contains(&weekday));
        if self.either { by_day || by_weekday } else { by_day && by_weekday }
    }
}

/// One field: `*`, `*/5`, `1-5`, `1,3`, `mon-fri`. `names` begin at `first`.
fn field(text: &str, least: i8, most: i8, names: &[&str], first: i8) -> Option<BTreeSet<i8>> {
    let number = |text: &str| -> Option<i8> {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let value = match named {
            Some(index) => i8::try_from(index).ok()? + first,
            None => text.parse().ok()?,
        };
        (least..=most).contains(&value).then_some(value)
    };
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range {
            "*" | "?" => (least, most),
            range => match range.split_once('-') {
                Some((from, to)) => (number(from)?, number(to)?),
                // `5/15` goes on to the end.
                None if part.contains('/') => (number(range)?, most),
                None => (number(range)?, number(range)?),
            },
        };
        if from > to {
            return None;
        }
        all.extend((from..=to).step_by(step));
    }
    Some(all)
}

/// A Go duration of whole seconds such as `1h30m`.
fn duration(text: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut digits = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' => digits.push(c),
            unit => {
                let size = match unit {
                    'h' => 3600,
                    'm' => 60,
                    's' => 1,
                    _ => return None,
                };
                total = total.checked_add(digits.parse::<i64>().ok()?.checked_mul(size)?)?;
                digits.clear();
            }
        }
    }
    (digits.is_empty() && total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn next(schedule: &str, since: &str) -> String {
        let at = Schedule::parse(schedule).unwrap().after(since.parse().unwrap(), &TimeZone::UTC).unwrap();
        at.to_string()
    }

    #[test]
    fn the_next_run_is_the_first_minute_that_every_field_agrees_to() {
        for (schedule, since, then) in [
            ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
            ("*/15 * * * *", "2026-01-01T00:50:01Z", "2026-01-01T01:00:00Z"),
            ("30 4 1 * *", "2026-01-01T04:30:00Z", "2026-02-01T04:30:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 9 * * mon-fri", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z"),
            ("0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
            ("@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
            ("@every 1h30m", "2026-01-01T00:00:00Z", "2026-01-01T01:30:00Z"),
        ] {
            assert_eq!(next(schedule, since), then, "{schedule}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_none() {
        for text in ["", "* * * *", "60 * * * *", "* * * * mondays", "*/0 * * * *", "5-1 * * * *", "@often"] {
            assert!(Schedule::parse(text).is_none(), "{text}");
        }
    }
}
