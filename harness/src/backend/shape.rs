//! What a cluster is like where a scenario does not say, on every backend alike.

use kubesim::kubelet::NodeShape;

use crate::scenario::ClusterShape;

/// The minor version: the newest that the Karpenter which installers install by default runs on.
pub(super) const KUBERNETES: u8 = 34;

/// How many nodes there are.
const NODES: u32 = 2;

/// The nodes of a cluster of this shape in a region.
pub(super) fn nodes(shape: &ClusterShape, region: &str) -> Vec<NodeShape> {
    let node = |number| {
        let plain = NodeShape::numbered(number, region);
        NodeShape {
            cpu: shape.cpu.clone().unwrap_or(plain.cpu),
            memory: shape.memory.clone().unwrap_or(plain.memory),
            pods: shape.pods.unwrap_or(plain.pods),
            labels: shape.labels.clone().unwrap_or(plain.labels),
            ..NodeShape::numbered(number, region)
        }
    };
    (0..shape.nodes.unwrap_or(NODES)).map(node).collect()
}
