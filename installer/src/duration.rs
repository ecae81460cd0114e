//! Durations as people type them, and as Helm and eksctl read them.

use std::time::Duration;

/// Reads `30s`, `10m`, `1h30m`, `250ms`, `1.5s`, or a bare number of seconds.
///
/// # Errors
/// A lowercase fragment that says what is wrong with the text.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty; write a duration such as 30s, 10m or 600 (seconds)".into());
    }
    let refused = || format!("{text:?} is not a duration; write 30s, 10m, 1h30m, 250ms or 600 (seconds)");
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|end| *end > 0)
            .ok_or_else(refused)?;
        let number: f64 = rest[..digits].parse().map_err(|_| refused())?;
        let unit_end =
            rest[digits..].find(|c: char| !c.is_ascii_alphabetic()).map_or(rest.len(), |end| digits + end);
        let seconds = match &rest[digits..unit_end] {
            "ms" => number / 1000.0,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            _ => return Err(refused()),
        };
        let part = Duration::try_from_secs_f64(seconds).map_err(|_| refused())?;
        total = total.checked_add(part).ok_or_else(refused)?;
        rest = &rest[unit_end..];
    }
    Ok(total)
}

/// Writes a duration the way Go prints and reads it: `10m`, `1m30s`, `1h`, `500ms`.
#[must_use]
pub fn go(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".into();
    }
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let (seconds, millis) = (millis / 1000 % 60, millis % 1000);
    let mut text = String::new();
    for (value, unit) in [(hours, "h"), (minutes, "m"), (seconds, "s"), (millis, "ms")] {
        if value > 0 {
            text.push_str(&format!("{value}{unit}"));
        }
    }
    text
}

/// ` after waiting 30s`, or nothing when nothing was waited for.
#[must_use]
pub fn waited(limit: Duration) -> String {
    if limit.is_zero() { String::new() } else { format!(" after waiting {}", go(limit)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_spelling_that_the_help_names_is_read() {
        for (text, millis) in [
            ("30s", 30_000),
            ("10m", 600_000),
            ("600", 600_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("1.5s", 1500),
            ("0", 0),
            (" 2s ", 2000),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["", "soon", "10 m", "-5s", "5x", "s", "1..2s", "99999999999999999999h", "1e9s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_go_prints_reads_back_the_same() {
        assert_eq!(go(Duration::from_secs(600)), "10m");
        assert_eq!(go(Duration::from_secs(90)), "1m30s");
        for millis in [0, 1, 999, 1000, 60_000, 61_001, 3_600_000, 86_400_123] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse(&go(duration)).unwrap(), duration);
        }
    }
}
