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
        let rest = message[at + marker.len()..].trim_start_matches([':', ' ']);
        let reasons = parts(without_preemption(rest))
            .into_iter()
            .filter_map(|part| {
                let (count, text) = part.trim().split_once(' ')?;
                Some((count.parse().ok()?, Reason::of(text)))
            })
            .collect();
        Some(Self { available: available.parse().ok()?, total: total.parse().ok()?, reasons })
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
        } else if has("anti-affinity") || has("antiaffinity") {
            Self::AntiAffinity
        } else if has("pod affinity") || has("interpodaffinity") {
            Self::PodAffinity
        } else if has("topology spread") || has("podtopologyspread") {
            Self::TopologySpread
        } else if has("node affinity") || has("nodeaffinity") || has("node selector") {
            Self::NodeAffinity
        } else if has("unschedulable") {
            Self::Cordoned
        } else if has("free ports") || has("nodeports") {
            Self::HostPorts
        } else if has("volume") || has("persistentvolume") {
            Self::Volume
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
