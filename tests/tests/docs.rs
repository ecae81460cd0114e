//! What the documentation says is so: its scenarios are scenarios and hold, its links lead somewhere, and the
//! README shows what one sees.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use seatrial_tests::page::{Block, Page};
use seatrial_tests::{Sandbox, workspace};

/// What a fragment leaves out.
const FRAME: [(&str, &str); 4] = [
    ("name", "name: fragment\n"),
    ("summary", "summary: A fragment of the documentation.\n"),
    ("steps", "steps:\n  - run: { phase: compute }\n    expect: { exit: 0 }\n"),
    ("control", "control: { cluster: { nodes: 0 } }\n"),
];

/// A fragment, made whole by what it leaves out; and whether it said all of it itself.
fn whole(block: &Block<'_>, name: &str) -> (String, bool) {
    let says = |key: &str| block.text.lines().any(|line| line.starts_with(&format!("{key}:")));
    let complete = says("steps") && says("control");
    let mut text = block.text.clone();
    for (key, frame) in FRAME.iter().filter(|(key, _)| !says(key)) {
        text.push_str(&if *key == "name" { format!("name: {name}\n") } else { (*frame).to_owned() });
    }
    (text, complete)
}

/// The scenarios and fragments of the guide and the README: where they stand, and whether they are complete.
fn scenarios(sandbox: &Sandbox) -> Vec<(String, bool, String)> {
    let pages = [Page::read("README.md"), Page::read("docs/writing-a-scenario.md")];
    let mut found = Vec::new();
    for page in &pages {
        for block in page.blocks().into_iter().filter(|block| block.language == "yaml") {
            let stem = page.path.file_stem().unwrap().to_string_lossy().to_lowercase();
            let name = format!("{stem}-line-{}", block.line);
            let (text, complete) = whole(&block, &name);
            found.push((sandbox.file(&format!("{name}.yaml"), text), complete, block.text));
        }
    }
    found
}

#[test]
fn every_fragment_of_a_scenario_is_one() {
    let sandbox = Sandbox::new();
    let all = scenarios(&sandbox);
    assert!(all.len() > 10, "{} fragments", all.len());
    for (path, _, text) in all {
        if let Err(error) = harness::scenario::parse(Path::new(&path)) {
            panic!("{error:?}\nin {text}");
        }
    }
}

#[test]
fn every_complete_scenario_of_the_documentation_holds() {
    let sandbox = Sandbox::new();
    let complete: Vec<String> =
        scenarios(&sandbox).into_iter().filter(|(_, complete, _)| *complete).map(|(path, ..)| path).collect();
    assert!(complete.len() >= 4, "{complete:?}");
    let mut args = vec!["scenario"];
    args.extend(complete.iter().map(String::as_str));
    let output = sandbox.output(&args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut links = 0;
    for page in Page::all() {
        let prose = page.prose();
        for link in prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            links += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = page.path.parent().unwrap();
            let target = if path.is_empty() { page.path.clone() } else { folder.join(path) };
            assert!(workspace::root().join(&target).exists(), "{} of {}", link, page.path.display());
            if !anchor.is_empty() {
                let anchors = Page::read(target.to_str().unwrap()).anchors();
                assert!(
                    anchors.iter().any(|it| it == anchor),
                    "{link} of {}: {anchors:?}",
                    page.path.display()
                );
            }
        }
    }
    assert!(links > 10, "{links} links");
}

/// A text with every number that differs from run to run put out of the way.
fn timeless(text: &str) -> String {
    let words = text.split(' ').collect::<Vec<_>>();
    let unit =
        |word: &str| ["s", "ms", "ms)", "ms);", "s\n"].iter().any(|it| word.trim_end() == it.trim_end());
    let mut kept = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let next = words.get(index + 1).map_or("", |next| next.split('\n').next().unwrap_or_default());
        let number = word.trim_start_matches('(').parse::<f64>().is_ok();
        kept.push(if number && unit(next) { "N" } else { word });
    }
    kept.join(" ")
}

/// The rows of a page's tables, without heads and rules: their cells.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = lines.map(|line| line.split(" | ").map(str::to_owned).collect::<Vec<_>>());
    rows.filter(|row| !matches!(row[0].as_str(), "clause" | "number")).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_clause_of_the_contract_names_what_proves_it() {
    let page = Page::read("docs/contract.md").text;
    let catalogue = harness::scenario::Catalogue::read(&workspace::root().join("scenarios")).unwrap();
    let known: BTreeSet<&str> = catalogue.scenarios.iter().map(|found| found.name()).collect();
    let rows = rows(&page);
    assert!(rows.len() > 70, "{} rows", rows.len());
    for row in &rows {
        let proof = row.last().unwrap();
        let named = quoted(proof);
        assert!(!named.is_empty() || proof.contains("]("), "nothing proves {row:?}");
        for name in named {
            assert!(known.contains(name), "{name} is no scenario, in {row:?}");
        }
    }
    let numbers: Vec<&str> = rows.iter().filter(|row| row.len() == 3).map(|row| row[0].as_str()).collect();
    let all: Vec<String> = (1..=12).map(|number| number.to_string()).collect();
    assert_eq!(numbers, all, "the invariants");
    let (_, open) = page.split_once("## What is not proven").unwrap();
    assert!(open.lines().filter(|line| line.starts_with("- **")).count() > 2, "{open}");
}

#[test]
fn the_readme_shows_what_the_first_command_prints() {
    let readme = Page::read("README.md");
    let blocks = readme.blocks();
    let (command, shown) = blocks[0].text.split_once('\n').unwrap();
    assert_eq!(command, "$ cargo xtask scenario no-nodes");
    assert_eq!(blocks[1].text, "$ cargo xtask test\n", "the two commands come first");
    let output = Sandbox::new().output(&["scenario", "no-nodes"]);
    assert_eq!(timeless(&String::from_utf8(output.stdout).unwrap()), timeless(shown));
}

#[test]
fn the_readme_names_every_command_and_every_exit_code() {
    let readme = Page::read("README.md").text;
    let help = String::from_utf8(Sandbox::new().output(&["--help"]).stdout).unwrap();
    let part = |title: &str| {
        let lines = help.lines().skip_while(|line| *line != title).skip(1);
        lines.take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>()
    };
    let commands = part("Commands:");
    assert!(commands.len() > 5, "{help}");
    for command in commands {
        let name = command.split_whitespace().next().unwrap();
        assert!(readme.contains(&format!("| `cargo xtask {name}")), "{name}");
    }
    let codes = part("Exit codes:");
    assert!(codes.len() > 5, "{help}");
    for line in codes {
        let (code, meaning) = line.split_once(' ').unwrap();
        assert!(readme.contains(&format!("| {code} | {}", meaning.trim())), "{line}");
    }
}
