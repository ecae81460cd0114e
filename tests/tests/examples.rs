//! The example installers of the documentation are judged as the documentation says.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use seatrial_tests::page::Page;
use seatrial_tests::{Sandbox, tool};
use serde_json::Value;

/// Verdict and names of the expectations that did not hold, by scenario.
type Judged = BTreeMap<String, (String, Vec<String>)>;

/// Runs scenarios with an installer and reads the report; and the exit code.
fn judged(scenarios: &[String], options: &[&str]) -> (Judged, i32) {
    let sandbox = Sandbox::new();
    let mut args = vec!["scenario", "--format", "json"];
    args.extend(scenarios.iter().map(String::as_str));
    args.extend(options);
    let output = sandbox.output(&args);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let all = list(&report["scenarios"]).into_iter().map(|it| {
        let steps = list(&it["steps"]);
        let wrong = steps.iter().flat_map(|step| list(&step["mismatches"]));
        (text(&it["name"]), (text(&it["verdict"]), wrong.map(|it| text(&it["expectation"])).collect()))
    });
    (all.collect(), output.status.code().unwrap())
}

/// What the page says below a mark, up to the next heading.
fn below(mark: &str) -> String {
    let page = Page::read("docs/bringing-your-own-installer.md").text;
    let rest = page.split(&format!("<!-- {mark} -->")).nth(1).expect("the page has this mark").to_owned();
    rest.split("\n\n").next().unwrap_or_default().to_owned()
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_shell_installer_passes_what_the_documentation_says() {
    let Some(kubectl) = tool::real("SEATRIAL_KUBECTL") else { return };
    let kubectl = format!("kubectl={}", kubectl.display());
    let installer = ["--tool", &kubectl, "--installer", "docs/examples/install.sh"];
    let passes = quoted(&below("passes"));
    assert!(passes.contains(&"no-nodes".to_owned()), "{passes:?}");
    let (judged_so, exit) = judged(&passes, &installer);
    let wrong: Judged = judged_so.into_iter().filter(|(_, (verdict, _))| verdict != "passed").collect();
    assert_eq!((wrong, exit), (Judged::new(), 0));
    // It is not that nothing could fail it.
    let (judged_so, exit) = judged(&["coredns-missing".to_owned()], &installer);
    assert_eq!((judged_so["coredns-missing"].0.as_str(), exit), ("failed", 100));
}

#[test]
fn the_naive_installer_is_judged_wrong_where_it_is_wrong() {
    // A row is: scenario, the expectation that does not hold, and why.
    let rows: Vec<Vec<String>> = below("naive").lines().map(quoted).filter(|row| row.len() >= 2).collect();
    assert!(rows.len() >= 5, "{rows:?}");
    let scenarios: Vec<String> = rows.iter().map(|row| row[0].clone()).collect();
    let (judged_so, exit) = judged(&scenarios, &["--installer", "docs/examples/naive.sh 2s"]);
    assert_eq!(exit, 100);
    for row in rows {
        let (verdict, wrong) = &judged_so[&row[0]];
        assert_eq!(verdict, "failed", "{}", row[0]);
        assert!(wrong.contains(&row[1]), "{}: {} is not among {wrong:?}", row[0], row[1]);
    }
}
