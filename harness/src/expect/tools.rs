//! What the interposers saw.

use interpose::plan::{Action, ToolFault, When};
use interpose::record::Call;
use serde_json::Value;

use super::{At, Judged};
use crate::scenario::{Expect, Matcher};

pub(super) fn judge(judged: &mut Judged, file: &str, expect: &Expect, calls: &[Call]) {
    for (tool, expected) in &expect.tools {
        let at = At::of(file, expected);
        let all: Vec<&Call> = calls.iter().filter(|call| call.tool == *tool).collect();
        if let Some(matcher) = &expected.total {
            count(judged, &at, &format!("tools.{tool}.total"), matcher, &all);
        }
        if let Some(matcher) = &expected.mutating {
            let mutating: Vec<&Call> = all.iter().copied().filter(|call| call.mutating).collect();
            count(judged, &at, &format!("tools.{tool}.mutating"), matcher, &mutating);
        }
        for wanted in &expected.calls {
            let found: Vec<&Call> =
                all.iter().copied().filter(|call| matches(tool, &wanted.args, call)).collect();
            let matcher = wanted.count.clone().unwrap_or_else(|| Matcher::at_least(1));
            count(judged, &at, &format!("calls of {tool} {}", wanted.args.join(" ")), &matcher, &found);
            if let Some(exit) = &wanted.exit {
                for call in found {
                    let name = format!("exit of {tool} {}", call.argv.join(" "));
                    judged.check(&at, &name, exit, call.exit.map(Value::from).as_ref());
                }
            }
        }
    }
}

fn count(judged: &mut Judged, at: &At<'_>, name: &str, matcher: &Matcher, found: &[&Call]) {
    judged.checked += 1;
    if !matcher.holds(Some(&Value::from(found.len()))) {
        judged.fail(at, name, matcher.to_string(), listed(found));
    }
}

/// Whether a call has these words among its arguments, as the interposers' own faults match them.
pub(crate) fn matches(tool: &str, args: &[String], call: &Call) -> bool {
    let pattern = ToolFault {
        label: String::new(),
        tool: tool.to_owned(),
        args: args.to_vec(),
        skip: 0,
        times: None,
        when: When::Before,
        action: Action::Hang,
    };
    pattern.matches(&call.tool, &call.argv)
}

fn listed(calls: &[&Call]) -> String {
    if calls.is_empty() {
        return "0".to_owned();
    }
    let shown: Vec<String> =
        calls.iter().take(6).map(|it| format!("{} {}", it.tool, it.argv.join(" "))).collect();
    format!("{}: {}", calls.len(), shown.join("; "))
}
