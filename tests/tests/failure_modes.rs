//! Every way in which installing Karpenter is known to fail has a scenario: the tag `row-NN` names the row of
//! the table of failure modes that a scenario plays.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use seatrial_tests::workspace;

/// The rows that the table has; its numbers have gaps.
const ROWS: [u8; 35] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 17, 18, 19, 20, 21, 22, 23, 25, 26, 28, 29, 30, 32, 34, 35,
    36, 37, 38, 40, 41, 42, 43,
];

/// The rows that the tags of a scenario name.
fn rows(text: &str) -> BTreeSet<u8> {
    let tags = text.lines().find_map(|line| line.strip_prefix("tags:")).unwrap_or("");
    let words = tags.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter_map(|word| word.strip_prefix("row-")?.parse().ok()).collect()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_row_of_the_failure_modes_is_a_scenario() {
    let areas = files(&workspace::root().join("scenarios"));
    let scenarios = areas.iter().filter(|area| area.is_dir()).flat_map(|area| files(area));
    let yaml = scenarios.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let played: BTreeSet<u8> = yaml.flat_map(|path| rows(&std::fs::read_to_string(path).unwrap())).collect();
    assert_eq!(played, BTreeSet::from(ROWS));
}

#[test]
fn rows_are_read_from_the_tags_and_from_nowhere_else() {
    assert_eq!(rows("summary: row-07\ntags: [platform-gate, row-04, row-12]\n"), BTreeSet::from([4, 12]));
    assert!(rows("tags: [seed]\nname: row-01\n").is_empty());
}
