//! The control's situation: the scenario with what the control says laid over it.

use super::model::{ClusterShape, EksShape, Scenario, Step, StepKind};
use crate::fault::FaultSpec;
use crate::run::KillPoint;

impl Scenario {
    /// The scenario as its control has it. Steps that would inject or heal a fault that the control leaves
    /// out are left out.
    #[must_use]
    pub fn controlled(&self) -> Self {
        let control = self.control.value.clone();
        let mut other = self.clone();
        if let Some(cluster) = control.cluster {
            other.cluster = cluster.over(other.cluster);
        }
        if let Some(eks) = control.eks {
            other.eks = eks.over(other.eks);
        }
        if control.config.is_some() {
            other.config = control.config;
        }
        if let Some(faults) = control.faults {
            other.faults = faults;
        }
        if let Some(env) = control.env {
            other.env.extend(env);
        }
        if let Some(args) = control.args {
            for run in other.steps.iter_mut().filter_map(|step| step.value.run.as_mut()) {
                run.args.clone_from(&args);
            }
        }
        let left_out = control.without.unwrap_or_default();
        let left_out = |label: &str| left_out.iter().any(|it| it == label);
        other.faults.retain(|fault| !left_out(fault.label()));
        other.steps.retain(|step| match step.kind() {
            Some(StepKind::Inject(fault)) => !left_out(fault.label()),
            Some(StepKind::Heal(label)) => !left_out(label),
            _ => true,
        });
        other
    }

    /// Whether one of its runs is killed after each of its writes.
    #[must_use]
    pub fn is_sweep(&self) -> bool {
        self.steps.iter().any(|step| step.run.as_ref().is_some_and(|run| run.kill_after.is_some()))
    }

    /// The scenario up to the run that a sweep kills, which is left alone.
    #[must_use]
    pub fn left_alone(&self) -> Self {
        let mut other = self.clone();
        let swept = |step: &Step| step.run.as_ref().is_some_and(|run| run.kill_after.is_some());
        let end = other.steps.iter().position(|step| swept(step)).map_or(0, |index| index + 1);
        other.steps.truncate(end);
        other
    }

    /// The scenario with the run that a sweep kills being killed at this point.
    #[must_use]
    pub fn killed_at(&self, point: &KillPoint) -> Self {
        let mut other = self.clone();
        let runs = other.steps.iter_mut().filter_map(|step| step.value.run.as_mut());
        for run in runs.filter(|run| run.kill_after.is_some()) {
            run.killed_at = Some(point.clone());
        }
        other
    }

    /// Every fault that is injected in the scenario, in one of its steps, or in its control.
    pub fn every_fault(&self) -> impl Iterator<Item = &FaultSpec> {
        let injected = self.steps.iter().filter_map(|step| step.inject.as_ref());
        self.faults.iter().chain(injected).chain(self.control.faults.iter().flatten())
    }

    /// Labels of every fault that the scenario or one of its steps injects.
    pub fn fault_labels(&self) -> impl Iterator<Item = &str> {
        let injected = self.steps.iter().filter_map(|step| step.inject.as_ref());
        self.faults.iter().chain(injected).map(|fault| fault.label())
    }
}

impl ClusterShape {
    fn over(self, under: Self) -> Self {
        Self {
            nodes: self.nodes.or(under.nodes),
            cpu: self.cpu.or(under.cpu),
            memory: self.memory.or(under.memory),
            pods: self.pods.or(under.pods),
            labels: self.labels.or(under.labels),
            kubernetes: self.kubernetes.or(under.kubernetes),
            clock: self.clock.or(under.clock),
        }
    }
}

impl EksShape {
    fn over(self, under: Self) -> Self {
        Self {
            exists: self.exists.or(under.exists),
            status: self.status.or(under.status),
            node_groups: self.node_groups.or(under.node_groups),
            joining: self.joining.or(under.joining),
            tags: self.tags.or(under.tags),
        }
    }
}
