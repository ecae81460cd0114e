//! Times as Go prints them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `time.ANSIC`: `Fri Jan  2 03:04:05 2026`.
pub(super) fn ansic(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// `Time.String()`: `2026-01-02 03:04:05.12 +0000 UTC`, the fraction without trailing zeros.
pub(super) fn string(time: Timestamp) -> String {
    let zoned = time.to_zoned(TimeZone::UTC);
    let seconds = zoned.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let fraction = format!("{:09}", time.subsec_nanosecond());
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{seconds}{dot}{fraction} +0000 UTC")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_look_as_in_go() {
        let time: Timestamp = "2026-01-02T03:04:05.120Z".parse().unwrap();
        assert_eq!(ansic(time), "Fri Jan  2 03:04:05 2026");
        assert_eq!(string(time), "2026-01-02 03:04:05.12 +0000 UTC");
    }
}
