//! Which calls are broken, counted as the executable counts them: by label, each matching call for every
//! fault that it matches, the first fault whose occurrences include it deciding.

use std::collections::BTreeMap;

use interpose::plan::ToolFault;

/// The faults of all tools, and how many calls each has seen.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    faults: Vec<ToolFault>,
    seen: BTreeMap<String, u32>,
}

impl Faults {
    /// From the next call on this fault holds.
    pub fn add(&mut self, fault: ToolFault) {
        self.faults.push(fault);
    }

    /// From the next call on no fault of this label holds. What it has seen is not forgotten.
    pub fn remove(&mut self, label: &str) {
        self.faults.retain(|fault| fault.label != label);
    }

    /// Counts a call, and says what breaks it. `argv` is without the tool's name.
    pub fn next(&mut self, tool: &str, argv: &[String]) -> Option<ToolFault> {
        let mut chosen = None;
        for fault in self.faults.iter().filter(|fault| fault.matches(tool, argv)) {
            let seen = self.seen.entry(fault.label.clone()).or_default();
            if chosen.is_none() && fault.holds(*seen) {
                chosen = Some(fault.clone());
            }
            *seen = seen.saturating_add(1);
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use interpose::plan::{Action, When};
    use interpose::state::State;

    use super::*;

    /// Random faults over random calls: the executable's own count, kept on disk, is the reference.
    #[test]
    fn calls_are_counted_as_the_executable_counts_them() {
        let mut rng = fastrand::Rng::with_seed(11);
        for _ in 0..50 {
            let dir = tempfile::tempdir().unwrap();
            let mut words = |most: usize| {
                let all = ["upgrade", "status", "--wait", "-n"];
                (0..rng.usize(..=most)).map(|_| all[rng.usize(..all.len())].to_owned()).collect::<Vec<_>>()
            };
            let asked: Vec<Vec<String>> = (0..8).map(|_| words(3)).collect();
            let wanted: Vec<Vec<String>> = (0..3).map(|_| words(1)).collect();
            let mut ours = Faults::default();
            for (number, args) in wanted.into_iter().enumerate() {
                ours.add(ToolFault {
                    // Two faults of one label share their count.
                    label: format!("fault {}", number % 2),
                    tool: "helm".into(),
                    args,
                    skip: rng.u32(..3),
                    times: rng.bool().then(|| rng.u32(1..3)),
                    when: When::Before,
                    action: Action::Hang,
                });
            }
            for argv in &asked {
                let state = State::of(dir.path()).lock().unwrap();
                let theirs = state.fault(&ours.faults.clone(), "helm", argv).unwrap().cloned();
                assert_eq!(ours.next("helm", argv), theirs, "{argv:?} under {:?}", ours.faults);
            }
        }
    }
}
