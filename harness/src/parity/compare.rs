//! Where two courses differ.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::trace::{Course, Trace};
use crate::verdict::Verdict;

/// What one backend made of a scenario.
#[derive(Clone, Debug)]
pub struct Side {
    /// Name of the backend.
    pub backend: String,
    /// How the scenario ended.
    pub verdict: Verdict,
    /// The scenario itself.
    pub main: Course,
    /// Its negative control.
    pub control: Course,
}

/// What comparing two sides came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parity {
    /// Names of the two backends.
    pub backends: [String; 2],
    /// Where they differ.
    pub differences: Vec<Difference>,
}

/// Something that two backends do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// What it is about, such as `run 1: evidence.phase3.karpenter.controllerReady`.
    pub what: String,
    /// What was seen on each, in the order of the backends.
    pub seen: [String; 2],
}

impl Parity {
    /// Compares two sides.
    #[must_use]
    pub fn of(first: &Side, second: &Side) -> Self {
        let mut differences = Vec::new();
        let verdicts = [first.verdict.word(), second.verdict.word()];
        note(&mut differences, || "verdict".to_owned(), verdicts);
        courses(&mut differences, "", &first.main, &second.main);
        courses(&mut differences, "control: ", &first.control, &second.control);
        Self { backends: [first.backend.clone(), second.backend.clone()], differences }
    }
}

fn note(differences: &mut Vec<Difference>, what: impl Fn() -> String, seen: [&str; 2]) {
    if seen[0] != seen[1] {
        differences.push(Difference { what: what(), seen: seen.map(str::to_owned) });
    }
}

fn courses(differences: &mut Vec<Difference>, prefix: &str, first: &Course, second: &Course) {
    let runs = [first.runs.len().to_string(), second.runs.len().to_string()];
    note(differences, || format!("{prefix}runs"), [&runs[0], &runs[1]]);
    for (index, (first, second)) in first.runs.iter().zip(&second.runs).enumerate() {
        let named = if first.run.is_empty() { String::new() } else { format!(", {}", first.run) };
        let prefix = format!("{prefix}run {}{named}: ", index + 1);
        note(differences, || format!("{prefix}point"), [&first.run, &second.run]);
        traces(differences, &prefix, first, second);
    }
    let all: BTreeSet<&String> = first.events.keys().chain(second.events.keys()).collect();
    for words in all {
        let [one, other] = [first, second].map(|it| it.events.get(words).copied().unwrap_or(0));
        if one != other {
            let seen = [one, other].map(|count| format!("of {count} objects"));
            differences.push(Difference { what: format!("{prefix}event {words}"), seen });
        }
    }
}

fn traces(differences: &mut Vec<Difference>, prefix: &str, first: &Trace, second: &Trace) {
    let all: BTreeSet<&String> = first.said.keys().chain(second.said.keys()).collect();
    for path in all {
        let [one, other] = [first, second].map(|it| it.said.get(path).map_or("absent", String::as_str));
        note(differences, || format!("{prefix}{path}"), [one, other]);
    }
    if first.requests != second.requests {
        let same =
            first.requests.iter().zip(&second.requests).take_while(|(one, other)| one == other).count();
        let seen = [first, second].map(|it| from(&it.requests, same));
        differences.push(Difference { what: format!("{prefix}requests for a change"), seen });
    }
}

/// A sequence from where it differs on.
fn from(requests: &[String], same: usize) -> String {
    const SHOWN: usize = 4;
    let mut words: Vec<String> = requests
        .iter()
        .enumerate()
        .skip(same)
        .take(SHOWN)
        .map(|(at, it)| format!("{}. {it}", at + 1))
        .collect();
    if requests.len() > same + SHOWN {
        words.push("…".to_owned());
    }
    if words.is_empty() {
        words.push("no more".to_owned());
    }
    format!("{} in all: {}", requests.len(), words.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn side(backend: &str) -> Side {
        let said = [("ending", "exit code 0"), ("evidence.phase3.karpenter.controllerReady", "true")];
        let run = Trace {
            run: String::new(),
            said: said.map(|(path, value)| (path.to_owned(), value.to_owned())).into(),
            requests: vec![
                "create secrets kube-system/a (201)".into(),
                "create pods kube-system/b (201)".into(),
            ],
        };
        let main = Course { runs: vec![run], events: BTreeMap::from([("Pod Scheduled".to_owned(), 2)]) };
        Side { backend: backend.to_owned(), verdict: Verdict::Passed, main, control: Course::default() }
    }

    fn differences(change: impl Fn(&mut Side)) -> Vec<(String, [String; 2])> {
        let mut other = side("control-plane");
        change(&mut other);
        let parity = Parity::of(&side("sim"), &other);
        assert_eq!(parity.backends, ["sim", "control-plane"]);
        parity.differences.into_iter().map(|it| (it.what, it.seen)).collect()
    }

    #[test]
    fn the_same_course_differs_in_nothing() {
        assert_eq!(differences(|_| {}), []);
    }

    #[test]
    fn each_kind_of_difference_is_named_with_both_sides() {
        let seen = |one: &str, other: &str| [one.to_owned(), other.to_owned()];
        let verdict = differences(|side| side.verdict = Verdict::Failed);
        assert_eq!(verdict, [("verdict".to_owned(), seen("passed", "failed"))]);
        let evidence = differences(|side| {
            side.main.runs[0].said.remove("evidence.phase3.karpenter.controllerReady");
        });
        let what = "run 1: evidence.phase3.karpenter.controllerReady".to_owned();
        assert_eq!(evidence, [(what, seen("true", "absent"))]);
        let requests = differences(|side| _ = side.main.runs[0].requests.pop());
        let both = seen("2 in all: 2. create pods kube-system/b (201)", "1 in all: no more");
        assert_eq!(requests, [("run 1: requests for a change".to_owned(), both)]);
        let events = differences(|side| _ = side.main.events.insert("Pod Killing".into(), 1));
        assert_eq!(events, [("event Pod Killing".to_owned(), seen("of 0 objects", "of 1 objects"))]);
        let runs = differences(|side| side.main.runs.clear());
        assert_eq!(runs, [("runs".to_owned(), seen("1", "0"))]);
        let control = differences(|side| side.control = side.main.clone());
        assert_eq!(control[0].0, "control: runs");
    }
}
