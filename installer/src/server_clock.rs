//! The API server's clock, as the `Date` of its answers shows it.
//!
//! Ages are told by that clock, since it wrote the times. It may be apart from ours, and it may be set while
//! the run goes on: then a time in the cluster is as old as it was by the clock that wrote it, and which one
//! that was shows in the time itself. Where both could have written it, the younger age is taken: too young a
//! lock is waited for, and too young a Ready controller is looked at for longer. Nothing here is a deadline;
//! those are on the monotonic clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Clocks that are no farther apart than this are the same: `Date` has whole seconds, and an answer is on
/// its way for some time.
pub(crate) const CLOSE: SignedDuration = SignedDuration::from_secs(5);

/// What `Date` cuts off.
const CUT_OFF: SignedDuration = SignedDuration::from_secs(1);

/// What an answer said of the server's clock that was not known before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is apart from ours by this much; ahead when positive.
    Apart(SignedDuration),
    /// It was set by this much since the last answer; forwards when positive.
    Jumped(SignedDuration),
}

/// The server's clock since the first answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerClock {
    /// Stretches in which it went as ours does, oldest first.
    stretches: Vec<Stretch>,
}

/// A time in which the server's clock was not set. Both ends are by our clock, which is never set.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// How far the server's clock is ahead of ours.
    skew: SignedDuration,
    /// When the first answer came that showed so.
    first: Timestamp,
    /// When the last such answer was asked for.
    last: Timestamp,
}

impl Stretch {
    /// Our time when the server's clock showed `theirs`.
    fn ours(&self, theirs: Timestamp) -> Option<Timestamp> {
        let skew = if self.skew.abs() > CLOSE { self.skew } else { SignedDuration::ZERO };
        theirs.checked_sub(skew).ok()
    }
}

impl ServerClock {
    /// An answer that was asked for at `sent` and was there at `came`, by our clock, was written at `date`
    /// by the server's. It may have been written at any moment in between.
    pub(crate) fn saw(&mut self, date: Timestamp, sent: Timestamp, came: Timestamp) -> Option<News> {
        let least = date.duration_since(came);
        let most = date.duration_since(sent).saturating_add(CUT_OFF).max(least);
        let known = self.stretches.last().map(|stretch| stretch.skew);
        let before = known.unwrap_or_default();
        let nearest = before.clamp(least, most);
        if (nearest.saturating_sub(before)).abs() <= CLOSE {
            match self.stretches.last_mut() {
                Some(stretch) => (stretch.skew, stretch.last) = (nearest, sent),
                None => self.stretches.push(Stretch { skew: nearest, first: came, last: sent }),
            }
            return None;
        }
        // The least of what it may be makes what it has written as young as it may be.
        self.stretches.push(Stretch { skew: least, first: came, last: sent });
        Some(match known {
            None => News::Apart(least),
            Some(known) => News::Jumped(least.saturating_sub(known)),
        })
    }

    /// How far it is ahead of ours now, when that is more than a request takes.
    pub(crate) fn skew(&self) -> Option<SignedDuration> {
        self.stretches.last().map(|stretch| stretch.skew).filter(|skew| skew.abs() > CLOSE)
    }

    /// By how much it was set since the first answer, all in all, and whether it was at all.
    pub(crate) fn jumped(&self) -> Option<SignedDuration> {
        let (first, last) = (self.stretches.first()?, self.stretches.last()?);
        (self.stretches.len() > 1).then(|| last.skew.saturating_sub(first.skew))
    }

    /// How old a time in the cluster is now, at the least; `None` of one that the server's clock has not
    /// shown yet.
    pub(crate) fn age(&self, theirs: Timestamp, now: Timestamp) -> Option<Duration> {
        let unseen = Stretch { skew: SignedDuration::ZERO, first: now, last: now };
        let stretches =
            if self.stretches.is_empty() { std::slice::from_ref(&unseen) } else { &self.stretches };
        let written = stretches.iter().enumerate().rev().find_map(|(index, stretch)| {
            let ours = stretch.ours(theirs)?;
            // It was set somewhere between the last answer of one stretch and the first of the next.
            let begins = index.checked_sub(1).map_or(Timestamp::MIN, |before| stretches[before].last);
            let ends = stretches.get(index + 1).map_or(now, |next| next.first);
            let close = |at: Timestamp, by: SignedDuration| at.saturating_add(by).unwrap_or(at);
            (ours >= close(begins, -CUT_OFF) && ours <= close(ends, CLOSE)).then_some(ours)
        })?;
        Some(Duration::try_from(now.duration_since(written)).unwrap_or(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::new(1_800_000_000 + second, 0).unwrap_or_default()
    }

    fn old(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    /// A server's clock that was right at second 0 and shows this much more from second 10 on.
    fn set(by: SignedDuration) -> ServerClock {
        let mut clock = ServerClock::default();
        assert_eq!(clock.saw(at(0), at(0), at(0)), None);
        assert_eq!(clock.saw(at(10) + by, at(10), at(10)), Some(News::Jumped(by)));
        clock
    }

    #[test]
    fn a_server_that_is_apart_tells_the_ages_by_its_own_clock() {
        let mut clock = ServerClock::default();
        assert_eq!(clock.saw(at(3600), at(0), at(0)), Some(News::Apart(HOUR)));
        assert_eq!(clock.saw(at(3610), at(10), at(10)), None);
        assert_eq!((clock.skew(), clock.jumped()), (Some(HOUR), None));
        assert_eq!(clock.age(at(3610 - 60), at(10)), old(60));
        assert_eq!(clock.age(at(3610 + 60), at(10)), None);
    }

    #[test]
    fn forwards_what_was_written_before_is_no_older_for_it() {
        let clock = set(HOUR);
        assert_eq!(clock.age(at(-60), at(20)), old(80));
        assert_eq!(clock.age(at(9), at(20)), old(11));
        assert_eq!(clock.age(at(15) + HOUR, at(20)), old(5));
        // No clock of the server's has shown it: somebody else's has.
        assert_eq!(clock.age(at(1800), at(20)), None);
        assert_eq!(clock.jumped(), Some(HOUR));
    }

    #[test]
    fn backwards_what_was_written_before_does_not_lie_in_the_future() {
        let clock = set(-HOUR);
        assert_eq!(clock.age(at(-60), at(20)), old(80));
        assert_eq!(clock.age(at(5), at(20)), old(15));
        assert_eq!(clock.age(at(15) - HOUR, at(20)), old(5));
        assert_eq!(clock.age(at(3600), at(20)), None);
    }

    #[test]
    fn what_either_clock_may_have_written_is_as_young_as_it_can_be() {
        let mut clock = set(-SignedDuration::from_secs(8));
        // By the first clock at second 5, by the second at second 13.
        assert_eq!(clock.age(at(5), at(20)), old(7));
        assert_eq!(clock.saw(at(30), at(30), at(30)), Some(News::Jumped(SignedDuration::from_secs(8))));
        assert_eq!(clock.jumped(), Some(SignedDuration::ZERO));
    }

    #[test]
    fn a_slow_answer_is_no_jump() {
        let mut clock = ServerClock::default();
        assert_eq!(clock.saw(at(0), at(0), at(40)), None);
        assert_eq!(clock.saw(at(99), at(50), at(99)), None);
        assert_eq!(clock.saw(at(100), at(100), at(160)), None);
        assert_eq!((clock.skew(), clock.jumped()), (None, None));
    }

    #[test]
    fn before_the_first_answer_ours_is_taken() {
        let clock = ServerClock::default();
        assert_eq!(clock.age(at(-5), at(0)), old(5));
        assert_eq!(clock.age(at(60), at(0)), None);
    }
}
