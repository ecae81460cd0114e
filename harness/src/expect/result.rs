//! What the installer said: its exit, its result, its output.

use serde_json::{Value, json};

use super::{At, Judged};
use crate::observe::{Ending, Observation, ResultDocument};
use crate::scenario::{Expect, ExpectBlocker, Matcher, Placed};

pub(super) fn judge(judged: &mut Judged, file: &str, expect: &Expect, run: &Observation) {
    ending(judged, file, expect, run);
    let document = run.result.value();
    let mut field = |name: &str, matcher: &Option<Placed<Matcher>>| {
        if let Some(matcher) = matcher {
            let found = document.and_then(|it| it.get(name));
            judged.check(&At::of(file, matcher), name, matcher, found);
        }
    };
    field("status", &expect.status);
    field("phase", &expect.phase);
    if let Some(ok) = &expect.ok {
        let found = document.and_then(|it| it.get("ok"));
        judged.check(&At::of(file, ok), "ok", &Matcher::Equal(json!(ok.value)), found);
    }
    if let Some(next) = &expect.next {
        let at = At::of(file, next);
        for (name, matcher) in [("action", &next.action), ("phase", &next.phase)] {
            if let Some(matcher) = matcher {
                let found = document.and_then(|it| it.get("next")?.get(name));
                judged.check(&at, &format!("next.{name}"), matcher, found);
            }
        }
    }
    if let Some(expected) = &expect.blockers {
        blockers(judged, file, expected, document);
    }
    for (path, matcher) in &expect.evidence {
        let found =
            document.and_then(|it| it.get("evidence")).and_then(|it| crate::scenario::at_path(it, path));
        judged.check(&At::of(file, matcher), &format!("evidence.{path}"), matcher, found);
    }
    for (path, matcher) in &expect.result {
        let found = document.and_then(|it| crate::scenario::at_path(it, path));
        judged.check(&At::of(file, matcher), path, matcher, found);
    }
    for (name, matcher, output) in
        [("stdout", &expect.stdout, &run.stdout), ("stderr", &expect.stderr, &run.stderr)]
    {
        if let Some(matcher) = matcher {
            judged.check(&At::of(file, matcher), name, matcher, Some(&Value::from(output.text.as_str())));
        }
    }
    // Why nothing of the result could be compared is said once, where it would otherwise be a riddle.
    if let (Some(first), ResultDocument::Nothing | ResultDocument::Wrong(_)) =
        (judged.mismatches.iter_mut().find(|it| it.observed == "absent"), &run.result)
    {
        first.observed = match &run.result {
            ResultDocument::Wrong(how) => format!("absent: {how}"),
            _ => "absent: nothing on standard output".to_owned(),
        };
    }
}

fn ending(judged: &mut Judged, file: &str, expect: &Expect, run: &Observation) {
    let mut check = |name: &str, matcher: &Option<Placed<Matcher>>, number: Option<i32>| {
        let Some(matcher) = matcher else { return };
        judged.checked += 1;
        let found = number.map(Value::from);
        if !matcher.holds(found.as_ref()) {
            let at = At::of(file, matcher);
            judged.fail(&at, name, matcher.value.to_string(), run.ending.words());
        }
    };
    let (exit, signal) = match run.ending {
        Ending::Exit(code) => (Some(code), None),
        Ending::Signal(number) => (None, Some(number)),
        Ending::Overdue { .. } => (None, None),
    };
    check("exit", &expect.exit, exit);
    check("signal", &expect.signal, signal);
}

/// Every expected blocker must be there; an empty list is a list of none.
fn blockers(
    judged: &mut Judged,
    file: &str,
    expected: &Placed<Vec<Placed<ExpectBlocker>>>,
    document: Option<&Value>,
) {
    let found = document.and_then(|it| it.get("blockers")).and_then(Value::as_array);
    let none = Vec::new();
    let all = found.unwrap_or(&none);
    let codes = || {
        if found.is_none() {
            return "absent".to_owned();
        }
        let codes: Vec<&str> = all.iter().filter_map(|it| it["code"].as_str()).collect();
        if codes.is_empty() { "no blocker".to_owned() } else { codes.join(", ") }
    };
    if expected.value.is_empty() {
        judged.checked += 1;
        if found.is_none_or(|all| !all.is_empty()) {
            judged.fail(&At::of(file, expected), "blockers", "no blocker", codes());
        }
    }
    for blocker in &expected.value {
        let at = At::of(file, blocker);
        let same: Vec<&Value> = all.iter().filter(|it| it["code"] == blocker.code.as_str()).collect();
        let Some(first) = same.first() else {
            judged.checked += 1;
            judged.fail(&at, "blockers", blocker.code.clone(), codes());
            continue;
        };
        let fields = [
            ("message", &blocker.message),
            ("remediation", &blocker.remediation),
            ("commands", &blocker.commands),
            ("cause", &blocker.cause),
        ];
        let fits = |it: &Value| {
            fields
                .iter()
                .all(|(name, matcher)| matcher.as_ref().is_none_or(|matcher| matcher.holds(it.get(name))))
        };
        // Several blockers may have one code; one that fits is enough, else the first shows what is wrong.
        let shown = same.iter().copied().find(|it| fits(it)).unwrap_or(*first);
        judged.checked += 1;
        for (name, matcher) in fields {
            if let Some(matcher) = matcher {
                judged.check(&at, &format!("blockers.{}.{name}", blocker.code), matcher, shown.get(name));
            }
        }
    }
}
