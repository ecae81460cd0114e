//! The one clock of a cluster.
//!
//! Everything that waits, waits on tokio time through this type, so that a cluster on a paused tokio
//! clock lives through ten minutes in microseconds, and one behind a socket can run at a stated factor.
//!
//! It shows two times. What the API writes is what a wall clock shows, and that may be set. What is waited for
//! goes by a time that is never set, as Go's timers do: a container that takes a minute to start takes a
//! minute, whatever the wall clock does meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Where cluster time comes from: an origin, and tokio time since then multiplied by a factor. Clones are the
/// same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Timestamp,
    started: Instant,
    factor: f64,
    /// By how many microseconds the wall clock was set since, all in all.
    set: Arc<AtomicI64>,
}

/// A moment by both times. Moments are in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// By the time that is never set.
    pub steady: Timestamp,
    /// By the wall clock, as it was set then.
    pub shown: Timestamp,
}

impl Moment {
    /// Before all others.
    pub const MIN: Self = Self { steady: Timestamp::MIN, shown: Timestamp::MIN };

    /// This much later, if nobody sets the clock meanwhile.
    #[must_use]
    pub fn later(self, wait: Duration) -> Self {
        let later = |at: Timestamp| at.checked_add(wait).unwrap_or(Timestamp::MAX);
        Self { steady: later(self.steady), shown: later(self.shown) }
    }
}

impl Clock {
    /// A clock that reads `origin` now and runs `factor` times as fast as tokio time.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled, as every tokio timer does.
    #[must_use]
    pub fn new(origin: Timestamp, factor: f64) -> Self {
        let factor = if factor.is_finite() && factor > 0.0 { factor } else { 1.0 };
        Self { origin, started: Instant::now(), factor, set: Arc::default() }
    }

    /// Cluster time now, as a wall clock shows it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.moment().shown
    }

    /// Cluster time now by the time that is never set, to measure and to wait by.
    #[must_use]
    pub fn steady(&self) -> Timestamp {
        let elapsed = self.started.elapsed().mul_f64(self.factor);
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        self.origin.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Now, by both times.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let steady = self.steady();
        Moment { steady, shown: moved(steady, self.set()) }
    }

    /// The steady time when the wall clock will show `shown`, if nobody sets it meanwhile. The same for as long
    /// as nobody does, so that asking twice for a moment is asking for one.
    #[must_use]
    pub fn steady_when(&self, shown: Timestamp) -> Timestamp {
        moved(shown, -self.set())
    }

    fn set(&self) -> SignedDuration {
        SignedDuration::from_micros(self.set.load(Ordering::Relaxed))
    }

    /// Sets the wall clock forwards, or back by a negative span. Nothing that is waited for comes earlier or
    /// later for it.
    pub fn set_by(&self, span: SignedDuration) {
        // What no such number holds is no time that a clock is set by.
        let micros = i64::try_from(span.as_micros()).unwrap_or_default();
        self.set.fetch_add(micros, Ordering::Relaxed);
    }

    /// Cluster time now as the API writes it in `metav1.Time`: RFC 3339, whole seconds, `Z`.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        rfc3339(self.now())
    }

    /// Cluster time now as the API writes it in `metav1.MicroTime`: RFC 3339 with six decimals.
    #[must_use]
    pub fn rfc3339_micro(&self) -> String {
        rfc3339_micro(self.now())
    }

    /// Waits for `duration` of cluster time.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.div_f64(self.factor)).await;
    }
}

/// A time moved by a span, no farther than times go.
fn moved(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

/// A time as the API writes `metav1.Time`. Every status has some, so it is written by hand: a general formatter takes
/// ten times as long in a debug build.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = Civil::of(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A time as the API writes `metav1.MicroTime`.
#[must_use]
pub fn rfc3339_micro(at: Timestamp) -> String {
    let Civil { year, month, day, hour, minute, second, micros, .. } = Civil::of(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// A time as HTTP writes it in `Date`.
#[must_use]
pub fn http_date(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Civil { year, month, day, weekday, hour, minute, second, .. } = Civil::of(at);
    let (weekday, month) = (DAYS[weekday], MONTHS[month - 1]);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// A moment in the calendar, in UTC.
struct Civil {
    year: i64,
    /// From 1.
    month: usize,
    day: i64,
    /// From Thursday, which 1 January 1970 was.
    weekday: usize,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

impl Civil {
    /// Source: Howard Hinnant, `chrono`-Compatible Low-Level Date Algorithms, `civil_from_days`.
    fn of(at: Timestamp) -> Self {
        // Rounded down, also before 1970.
        let micros = i64::try_from(at.as_nanosecond().div_euclid(1_000)).unwrap_or(0);
        let seconds = micros.div_euclid(1_000_000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Counted in eras of 400 years from 1 March of the year 0, so that the leap day is the last of its year.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: year + era * 400 + i64::from(month <= 2),
            month: usize::try_from(month).unwrap_or(1),
            day: of_year - (153 * from_march + 2) / 5 + 1,
            weekday: usize::try_from(days.rem_euclid(7)).unwrap_or(0),
            hour: second / 3_600,
            minute: second / 60 % 60,
            second: second % 60,
            micros: micros.rem_euclid(1_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn setting_the_wall_clock_leaves_what_is_waited_for_alone() {
        let clock = Clock::new(Timestamp::UNIX_EPOCH, 1.0);
        let (same, hour) = (clock.clone(), SignedDuration::from_hours(1));
        let before = clock.moment();
        same.set_by(hour);
        clock.sleep(Duration::from_secs(5)).await;
        let after = clock.moment();
        assert_eq!(after.steady.duration_since(before.steady), SignedDuration::from_secs(5));
        assert_eq!(after.shown.duration_since(before.shown), SignedDuration::from_secs(3605));
        same.set_by(-hour - hour);
        assert_eq!(clock.now().duration_since(clock.steady()), -hour);
        assert_eq!(clock.steady_when(clock.now()), clock.steady());
        clock.sleep(Duration::from_millis(1)).await;
        assert!(clock.moment() > after && clock.now() < after.shown);
    }

    #[test]
    fn every_day_is_written_as_a_general_formatter_writes_it() {
        let step = 86_400 * 7 + 3_671;
        for second in (-5_000_000_000_i64..9_000_000_000).step_by(step) {
            let at = Timestamp::new(second, 123_456_789).unwrap_or(Timestamp::UNIX_EPOCH);
            assert_eq!(rfc3339(at), at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            assert_eq!(rfc3339_micro(at), at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
            assert_eq!(http_date(at), at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        }
    }

    #[test]
    fn a_leap_day_is_a_day() {
        for text in
            ["2024-02-29T23:59:59Z", "2000-02-29T00:00:00Z", "1969-12-31T23:59:59Z", "2100-03-01T00:00:00Z"]
        {
            assert_eq!(text.parse::<Timestamp>().map(rfc3339).ok().as_deref(), Some(text));
        }
    }
}
