//! A scenario that is killed after each of its writes: once left alone, to learn what it writes and where
//! it ends, and then once for every write, on a cluster of its own, killed there and run again.
//!
//! All of it is one attempt at one scenario: each point is told as a step.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::BoxFuture;

use super::attempt::{self, Attempted, Setting, millis};
use super::kill::KillPoint;
use crate::event::{Event, Mismatch};
use crate::expect::{self, End};
use crate::scenario::Scenario;

/// How many points are tried at the same time: they mostly wait for a lock to grow stale.
const AT_ONCE: usize = 6;

/// Makes the attempt.
pub(super) async fn attempt(setting: &Setting<'_>, scenario: &Scenario) -> Attempted {
    let began = Instant::now();
    let name = setting.label.to_owned();
    let (told, listen) = told_shape();
    let whole =
        attempt::attempt(&Setting { emit: &listen, ..setting.within("whole") }, &scenario.left_alone()).await;
    if let Some(event) = told.lock().ok().and_then(|mut told| told.take()) {
        (setting.emit)(event);
    }
    let mut step = 1;
    let tell = |step: usize, what: String, elapsed_ms: u64, attempted: &Attempted| {
        (setting.emit)(Event::StepFinished {
            scenario: name.clone(),
            attempt: setting.which,
            step,
            what,
            elapsed_ms,
            checked: attempted.checked,
            mismatches: attempted.mismatches.iter().chain(&attempted.violations).cloned().collect(),
        });
    };
    let mut points = whole.run.as_ref().map(KillPoint::of).unwrap_or_default();
    let mut sum = whole;
    let ended = sum.run.as_ref().map_or_else(|| "it did not run".to_owned(), |run| run.ending.words());
    if points.is_empty() {
        sum.checked += 1;
        sum.mismatches.push(Mismatch {
            expectation: "sweep".into(),
            expected: "the run that is left alone writes something".into(),
            observed: format!("it wrote nothing: {ended}"),
            place: None,
        });
    }
    tell(step, format!("left alone: {ended}"), millis(began.elapsed()), &sum);
    // One that is wrong when it is left alone is not made clearer by killing it.
    if sum.trouble.is_some() || !sum.mismatches.is_empty() || !sum.violations.is_empty() {
        return sum;
    }
    // The control has to differ somewhere, not everywhere, and a known-bad installer likewise.
    if setting.sampled {
        points = points.into_iter().skip(1).step_by(4).take(2).collect();
    }
    let whole = sum.run.as_ref().map(|run| (run.after.clone(), run.account.clone())).unwrap_or_default();
    let silent = |_: Event| {};
    let mut tries: Vec<BoxFuture<'_, (usize, KillPoint, Duration, Attempted)>> = Vec::new();
    for (index, point) in points.into_iter().enumerate() {
        let setting = Setting { emit: &silent, ..setting.within(&format!("kill-{}", index + 1)) };
        let scenario = scenario.killed_at(&point);
        tries.push(Box::pin(async move {
            let began = Instant::now();
            let killed = attempt::attempt(&setting, &scenario).await;
            (index, point, began.elapsed(), killed)
        }));
    }
    let mut tried: Vec<_> = futures::stream::iter(tries).buffer_unordered(AT_ONCE).collect().await;
    tried.sort_by_key(|(index, ..)| *index);
    for (_, point, elapsed, mut killed) in tried {
        if let Some(run) = &killed.run {
            let whole = End { cluster: &whole.0, account: &whole.1 };
            let judged = expect::resumed(whole, End { cluster: &run.after, account: &run.account });
            killed.checked += judged.checked;
            killed.violations.extend(judged.mismatches);
        }
        for trace in &mut killed.course.runs {
            trace.run = format!("killed after {}", point.words);
        }
        for mismatch in killed.mismatches.iter_mut().chain(&mut killed.violations) {
            mismatch.expectation = format!("killed after {}: {}", point.words, mismatch.expectation);
        }
        step += 1;
        let ended = killed.run.as_ref().map_or_else(|| "no run".to_owned(), |run| run.ending.words());
        tell(step, format!("SIGKILL after {}; again: {ended}", point.words), millis(elapsed), &killed);
        sum.and(killed);
    }
    sum
}

/// Keeps what the first cluster was like, for the report, and nothing else.
fn told_shape() -> (std::sync::Arc<Mutex<Option<Event>>>, impl Fn(Event) + Send + Sync) {
    let told = std::sync::Arc::new(Mutex::new(None));
    let keep = told.clone();
    let listen = move |event: Event| {
        if let (Event::ClusterReady { .. }, Ok(mut told)) = (&event, keep.lock()) {
            *told = Some(event);
        }
    };
    (told, listen)
}
