//! What the scheduler says, read as a histogram of reasons.
//!
//! The message has one part a reason, each with the number of nodes that it rules out, sorted as
//! strings, and a preemption part after them. Wordings change between releases, above all those of
//! taints; the shape does not.

/// Why the scheduler found no node for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduling {
    /// Nodes that would do.
    pub available: u32,
    /// Nodes there are.
    pub total: u32,
    /// Reasons, each with the number of nodes that it rules out, in the message's order.
    pub reasons: Vec<(u32, Reason)>,
}

/// One reason that rules out nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Too little of a resource, such as `cpu`.
    Insufficient(String),
    /// The nodes run as many pods as they may.
    TooManyPods,
    /// Another pod on the node is not to be shared with.
    AntiAffinity,
    /// A pod that is wanted beside it is not on the node.
    PodAffinity,
    /// Node selector or affinity.
    NodeAffinity,
    /// Topology spread.
    TopologySpread,
    /// A taint, named where the release still names it, such as `dedicated: gpu`.
    Taint(Option<String>),
    /// The node is cordoned.
    Cordoned,
    /// Host ports are taken.
    HostPorts,
    /// A volume cannot be used from the node.
    Volume,
    /// Anything else, in the scheduler's words.
    Other(String),
}

impl Scheduling {
    /// Reads a scheduler's message; `None` when it is none.
    #[must_use]
    pub fn parse(message: &str) -> Option<Self> {
        let message = message.trim();
        if message.starts_with("no nodes available to schedule pods") {
            return Some(Self { available: 0, total: 0, reasons: Vec::new() });
        }
        let marker = " nodes are available";
        let at = message.find(marker)?;
        let counts = message[..at].rsplit(char::is_whitespace).next()?;
        let (available, total) = counts.split_once('/')?;
        let total: u32 = total.parse().ok()?;
        let rest = message[at + marker.len()..].trim_start_matches([':', ' ']);
        let reasons = parts(without_preemption(rest))
            .into_iter()
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                let counted =
                    part.split_once(' ').and_then(|(count, text)| Some((count.parse().ok()?, text)));
                // A reason that lies in the pod itself, such as a claim that is not there, is said once and
                // not counted: it rules out every node.
                let (count, text) = counted.unwrap_or((total, part));
                (count, Reason::of(text))
            })
            .collect();
        Some(Self { available: available.parse().ok()?, total, reasons })
    }

    /// The reasons of a kind, with the nodes that they rule out.
    pub fn of_kind<'s>(
        &'s self,
        kind: impl Fn(&Reason) -> bool + 's,
    ) -> impl Iterator<Item = &'s (u32, Reason)> + 's {
        self.reasons.iter().filter(move |(_, reason)| kind(reason))
    }

    /// Whether reasons of this kind alone rule out every node.
    #[must_use]
    pub fn all_nodes(&self, kind: impl Fn(&Reason) -> bool) -> bool {
        self.total > 0 && self.of_kind(kind).map(|(count, _)| count).sum::<u32>() >= self.total
    }
}

impl Reason {
    fn of(text: &str) -> Self {
        let text = text.trim().trim_end_matches('.');
        if let Some(resource) = text.strip_prefix("Insufficient ") {
            return Self::Insufficient(resource.trim().to_owned());
        }
        let lower = text.to_lowercase();
        let has = |sign: &str| lower.contains(sign);
        if has("too many pods") {
            Self::TooManyPods
        } else if has("taint") {
            let named = text.find('{').zip(text.rfind('}')).filter(|(open, close)| open < close);
            Self::Taint(named.map(|(open, close)| text[open + 1..close].trim().to_owned()))
        // Volumes first: theirs is a "volume node affinity conflict", too.
        } else if has("volume") || has("pvc(s)") || has("free storage") {
            Self::Volume
        } else if has("anti-affinity") || has("antiaffinity") {
            Self::AntiAffinity
        } else if has("pod affinity") || has("interpodaffinity") {
            Self::PodAffinity
        } else if has("topology spread") || has("podtopologyspread") {
            Self::TopologySpread
        } else if has("node affinity")
            || has("nodeaffinity")
            || has("node selector")
            || has("requested node name")
            || has("[nodename]")
        {
            Self::NodeAffinity
        } else if has("unschedulable") {
            // Also "node(s) didn't satisfy plugin(s) [NodeUnschedulable]".
            Self::Cordoned
        } else if has("free ports") || has("nodeports") {
            Self::HostPorts
        } else {
            Self::Other(text.to_owned())
        }
    }
}

/// Cuts off what follows the reasons: they end with a full stop.
fn without_preemption(text: &str) -> &str {
    let mut depth = 0_u32;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => {
                let rest = &text[at + 1..];
                if rest.is_empty() || rest.starts_with(' ') {
                    return &text[..at];
                }
            }
            _ => {}
        }
    }
    let end = text.find(" preemption:").unwrap_or(text.len());
    &text[..end]
}

/// Splits at the commas that a count follows. The oldest wording of taints has commas of its own.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_u32);
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let rest = text[at + 1..].trim_start();
                let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                if digits > 0 && rest[digits..].starts_with(' ') {
                    parts.push(&text[start..at]);
                    start = at + 1;
                }
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn reasons(message: &str) -> Vec<(u32, Reason)> {
        Scheduling::parse(message).unwrap().reasons
    }

    fn taint(text: &str) -> Reason {
        Reason::Taint(Some(text.into()))
    }

    #[test]
    fn every_wording_of_every_reason_is_read() {
        for (part, reason) in [
            ("Insufficient cpu", Reason::Insufficient("cpu".into())),
            (
                "Insufficient vpc.amazonaws.com/pod-eni",
                Reason::Insufficient("vpc.amazonaws.com/pod-eni".into()),
            ),
            ("Too many pods", Reason::TooManyPods),
            ("node(s) didn't match pod anti-affinity rules", Reason::AntiAffinity),
            ("node(s) didn't satisfy existing pods anti-affinity rules", Reason::AntiAffinity),
            ("node(s) didn't match Pod's node affinity/selector", Reason::NodeAffinity),
            ("node(s) didn't satisfy plugin(s) [NodeAffinity]", Reason::NodeAffinity),
            ("node(s) didn't match pod topology spread constraints", Reason::TopologySpread),
            (
                "node(s) didn't match pod topology spread constraints (missing required label)",
                Reason::TopologySpread,
            ),
            ("node(s) had taint {dedicated: gpu}, that the pod didn't tolerate", taint("dedicated: gpu")),
            ("node(s) had untolerated taint {dedicated: gpu}", taint("dedicated: gpu")),
            (
                "node(s) had untolerated taint {node.kubernetes.io/not-ready: }",
                taint("node.kubernetes.io/not-ready:"),
            ),
            ("node(s) had untolerated taint(s)", Reason::Taint(None)),
            ("node(s) were unschedulable", Reason::Cordoned),
            ("node(s) didn't have free ports for the requested pod ports", Reason::HostPorts),
        ] {
            let message = format!(
                "0/3 nodes are available: 3 {part}. preemption: 0/3 nodes are available: \
                 3 Preemption is not helpful for scheduling."
            );
            assert_eq!(reasons(&message), vec![(3, reason)], "{message}");
        }
    }

    /// Whole messages as each release words them: taints and the preemption part have changed most.
    #[test]
    fn every_release_from_1_28_to_1_37_is_read() {
        let named = |part: &str| vec![(1, Reason::Insufficient("cpu".into())), (2, taint(part))];
        let unnamed = vec![(1, Reason::Insufficient("cpu".into())), (2, Reason::Taint(None))];
        let old = "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {dedicated: gpu}. \
                   preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 \
                   Preemption is not helpful for scheduling..";
        let dotted = old.trim_end_matches("..").to_owned() + ".";
        let claims = dotted.replace("preemption:", "no new claims to deallocate, preemption:");
        let never = "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {dedicated: \
                     gpu}. preemption: not eligible due to preemptionPolicy=Never.";
        for (release, message, expected) in [
            ("1.28", old, named("dedicated: gpu")),
            ("1.29", old, named("dedicated: gpu")),
            ("1.30", dotted.as_str(), named("dedicated: gpu")),
            ("1.31", dotted.as_str(), named("dedicated: gpu")),
            ("1.32", never, named("dedicated: gpu")),
            ("1.33", claims.as_str(), named("dedicated: gpu")),
            ("1.34", claims.as_str(), named("dedicated: gpu")),
            (
                "1.35",
                "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). no new claims \
                 to deallocate, preemption: 0/3 nodes are available: 1 No preemption victims found for incoming \
                 pod, 2 Preemption is not helpful for scheduling.",
                unnamed.clone(),
            ),
            (
                "1.36",
                "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). preemption: 0/3 \
                 nodes are available: 3 Preemption is not helpful for scheduling.",
                unnamed.clone(),
            ),
            (
                "1.37",
                "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) \
                 [TaintToleration]. no new claims to deallocate, preemption: 0/3 nodes are available: 3 \
                 Preemption is not helpful for scheduling.",
                unnamed,
            ),
        ] {
            assert_eq!(reasons(message), expected, "{release}");
        }
    }

    #[test]
    fn what_rules_out_every_node_at_once_is_not_counted_and_still_read() {
        for part in [
            "pod has unbound immediate PersistentVolumeClaims",
            "persistentvolumeclaim \"data-db-0\" not found",
            "2 node(s) had volume node affinity conflict",
            "2 node(s) didn't find available persistent volumes to bind",
            "2 node(s) exceed max volume count",
            "2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
        ] {
            let message = format!(
                "0/2 nodes are available: {part}. preemption: 0/2 nodes are available: 2 Preemption is not \
                 helpful for scheduling."
            );
            assert_eq!(reasons(&message), vec![(2, Reason::Volume)], "{message}");
        }
        assert_eq!(
            reasons("0/2 nodes are available: 2 node(s) didn't match the requested node name."),
            vec![(2, Reason::NodeAffinity)]
        );
    }

    #[test]
    fn parts_sorted_as_strings_and_commas_inside_a_part_do_not_confuse_it() {
        let message = "0/14 nodes are available: 10 Insufficient cpu, 2 node(s) had taint {a: b}, that \
                       the pod didn't tolerate, 2 node(s) didn't match pod anti-affinity rules. no new \
                       claims to deallocate, preemption: 0/14 nodes are available: 4 Preemption is not \
                       helpful for scheduling.";
        let read = Scheduling::parse(message).unwrap();
        assert_eq!((read.available, read.total), (0, 14));
        assert_eq!(
            read.reasons,
            vec![(10, Reason::Insufficient("cpu".into())), (2, taint("a: b")), (2, Reason::AntiAffinity)]
        );
        assert!(!read.all_nodes(|reason| matches!(reason, Reason::Taint(_))));
    }

    #[test]
    fn no_node_at_all_has_a_sentence_of_its_own() {
        let read = Scheduling::parse("no nodes available to schedule pods").unwrap();
        assert_eq!((read.total, read.reasons.len()), (0, 0));
    }

    #[test]
    fn a_message_with_a_prefix_is_read_and_another_text_is_not() {
        assert_eq!(
            reasons("running PreFilter: 0/1 nodes are available: 1 Too many pods."),
            vec![(1, Reason::TooManyPods)]
        );
        assert_eq!(Scheduling::parse("Back-off restarting failed container"), None);
    }

    #[test]
    fn a_reason_that_nobody_knows_keeps_its_words() {
        assert_eq!(
            reasons("0/1 nodes are available: 1 node(s) are on strike."),
            vec![(1, Reason::Other("node(s) are on strike".into()))]
        );
    }
}
