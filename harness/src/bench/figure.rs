//! One figure: its samples, its goal, and what follows from them.

use std::time::Duration;

use serde::Serialize;

/// What samples are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// So many a second.
    PerSecond,
    /// A number of things.
    Count,
    /// Megabytes of resident memory.
    Megabytes,
    /// Kilobytes of resident memory.
    Kilobytes,
    /// So many times as much as something else.
    Times,
}

impl Unit {
    /// How it is written behind a number.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::PerSecond => "/s",
            Self::Count => "",
            Self::Megabytes => "MB",
            Self::Kilobytes => "kB",
            Self::Times => "×",
        }
    }
}

/// What was measured, several times.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name, such as `start to ready`.
    pub name: String,
    /// What the samples are counted in.
    pub unit: Unit,
    /// The samples, in the order in which they were taken.
    pub samples: Vec<f64>,
    /// What the median should be at most.
    pub goal: Option<f64>,
}

impl Figure {
    /// A figure without samples and without a goal.
    pub fn new(name: impl Into<String>, unit: Unit) -> Self {
        Self { name: name.into(), unit, samples: Vec::new(), goal: None }
    }

    /// With a goal for the median.
    #[must_use]
    pub fn at_most(mut self, goal: f64) -> Self {
        self.goal = Some(goal);
        self
    }

    /// Adds a sample that is a length of time, in the figure's own unit.
    pub fn took(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        self.samples.push(if self.unit == Unit::Milliseconds { seconds * 1000.0 } else { seconds });
    }

    /// Adds a sample of so many things in a time.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn rate(&mut self, things: usize, time: Duration) {
        self.samples.push(things as f64 / time.as_secs_f64().max(f64::EPSILON));
    }

    /// The sample in the middle; of an even number, the mean of the two.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        if sorted.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(*sorted.get(middle - 1)?, upper)) }
    }

    /// The smallest and the largest sample.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        let smallest = self.samples.iter().copied().min_by(f64::total_cmp)?;
        let largest = self.samples.iter().copied().max_by(f64::total_cmp)?;
        Some((smallest, largest))
    }

    /// Whether the median reaches the goal; `None` without a goal or without samples.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        Some(self.median()? <= self.goal?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(samples: &[f64]) -> Figure {
        Figure { samples: samples.to_vec(), ..Figure::new("x", Unit::Milliseconds) }
    }

    #[test]
    fn the_median_is_the_sample_in_the_middle_and_not_the_mean() {
        assert_eq!(figure(&[100.0, 1.0, 2.0]).median(), Some(2.0));
        assert_eq!(figure(&[4.0, 1.0, 2.0, 100.0]).median(), Some(3.0));
        assert_eq!(figure(&[]).median(), None);
        assert_eq!(figure(&[3.0, 1.0, 2.0]).range(), Some((1.0, 3.0)));
    }

    #[test]
    fn a_goal_is_reached_by_the_median() {
        assert_eq!(figure(&[9.0, 10.0, 500.0]).at_most(10.0).holds(), Some(true));
        assert_eq!(figure(&[9.0, 10.1, 10.2]).at_most(10.0).holds(), Some(false));
        assert_eq!(figure(&[1.0]).holds(), None);
        assert_eq!(figure(&[]).at_most(1.0).holds(), None);
    }

    #[test]
    fn a_time_is_kept_in_the_unit_of_the_figure() {
        let mut millis = Figure::new("x", Unit::Milliseconds);
        millis.took(Duration::from_millis(250));
        let mut seconds = Figure::new("x", Unit::Seconds);
        seconds.took(Duration::from_millis(250));
        assert_eq!((millis.samples[0], seconds.samples[0]), (250.0, 0.25));
    }
}
