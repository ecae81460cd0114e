//! A few scenarios that stand for all: where there is no time for the whole catalogue.

use std::collections::BTreeSet;

use super::catalogue::Found;

/// Of these, in their order, each that is the first of its area or the first in which some kind of fault is
/// injected. What is chosen so follows from the files alone, and never from how a scenario ends.
///
/// Sweeps are left out: one is as many scenarios as its run has writes.
#[must_use]
pub fn spread(scenarios: Vec<Found>) -> Vec<Found> {
    let mut areas: BTreeSet<String> = BTreeSet::new();
    let mut kinds: BTreeSet<&'static str> = BTreeSet::new();
    let mut is_new = |found: &Found| {
        let before = kinds.len();
        kinds.extend(found.scenario.every_fault().map(|fault| fault.kind()));
        areas.insert(found.area.clone()) || kinds.len() > before
    };
    scenarios.into_iter().filter(|found| !found.scenario.is_sweep() && is_new(found)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::scenario::Catalogue;

    /// Names of those that are chosen of files: path, faults, and the first steps, if it has others than its run.
    fn chosen(files: &[(&str, &str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (file, faults, steps) in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let text = format!(
                "name: {name}\nsummary: x\nfaults: [{faults}]\nsteps:\n{steps}  - run: {{}}\n    \
                 expect: {{ exit: 0 }}\ncontrol: {{ faults: [] }}\n"
            );
            std::fs::write(path, text).unwrap();
        }
        let all = Catalogue::read(folder.path()).unwrap().scenarios;
        spread(all).iter().map(|found| found.name().to_owned()).collect()
    }

    #[test]
    fn each_area_and_each_kind_of_fault_is_there_and_nothing_twice() {
        let (closed, refused) = ("{ api-unreachable: {} }", "{ api-unauthorized: {} }");
        let files = [
            ("a/one.yaml", closed, ""),
            ("a/three.yaml", refused, ""),
            ("a/two.yaml", closed, ""),
            ("b/four.yaml", refused, ""),
            ("b/zero.yaml", "", ""),
        ];
        assert_eq!(chosen(&files), ["one", "three", "four"]);
    }

    #[test]
    fn a_sweep_is_left_out_and_stands_for_nothing() {
        let swept = "  - run: { killAfter: each-write }\n";
        let files = [("a/one.yaml", "", swept), ("a/two.yaml", "", "")];
        assert_eq!(chosen(&files), ["two"]);
    }
}
