//! The dependency graph keeps the black box black, and every member keeps the workspace's rules.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;
use std::sync::OnceLock;

use rstest::rstest;
use seatrial_tests::workspace;
use serde_json::Value;

/// What `cargo metadata` says of the workspace on this machine's platform.
struct Graph {
    /// Names of packages by id.
    names: BTreeMap<String, String>,
    /// Ids of the members.
    members: BTreeSet<String>,
    /// Direct dependencies by id: of the library and its executables, and of its tests besides.
    edges: BTreeMap<String, Vec<Edge>>,
}

struct Edge {
    to: String,
    for_tests_only: bool,
}

fn graph() -> &'static Graph {
    static GRAPH: OnceLock<Graph> = OnceLock::new();
    GRAPH.get_or_init(|| {
        let host = stdout(Command::new("rustc").arg("-vV"));
        let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
        let wanted = ["metadata", "--format-version=1", "--locked", "--filter-platform", &host];
        let metadata = stdout(workspace::cargo().args(wanted));
        read(&serde_json::from_str(&metadata).unwrap())
    })
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn read(metadata: &Value) -> Graph {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let edge = |dependency: &Value| Edge {
        to: text(&dependency["pkg"]),
        for_tests_only: list(&dependency["dep_kinds"]).iter().all(|it| it["kind"] == "dev"),
    };
    Graph {
        names: list(&metadata["packages"]).iter().map(|it| (text(&it["id"]), text(&it["name"]))).collect(),
        members: list(&metadata["workspace_members"]).iter().map(text).collect(),
        edges: list(&metadata["resolve"]["nodes"])
            .iter()
            .map(|node| (text(&node["id"]), list(&node["deps"]).iter().map(edge).collect()))
            .collect(),
    }
}

impl Graph {
    fn id(&self, member: &str) -> &str {
        let mut ids = self.members.iter().filter(|id| self.names[*id] == member);
        ids.next().unwrap_or_else(|| panic!("there is no member {member}"))
    }

    /// Names of the members that `member` is built from, at any distance; its tests may see more.
    fn built_from(&self, member: &str) -> BTreeSet<&str> {
        let start = self.id(member);
        let mut seen = BTreeSet::from([start]);
        let mut queue = VecDeque::from([start]);
        while let Some(id) = queue.pop_front() {
            for edge in self.edges[id].iter().filter(|edge| !edge.for_tests_only) {
                if seen.insert(&edge.to) {
                    queue.push_back(&edge.to);
                }
            }
        }
        let members = seen.into_iter().filter(|id| *id != start && self.members.contains(*id));
        members.map(|id| self.names[id].as_str()).collect()
    }

    /// Everything that any member needs, its tests included.
    fn everything(&self) -> BTreeSet<&str> {
        self.edges.keys().map(|id| self.names[id].as_str()).collect()
    }
}

#[rstest]
#[case::the_installer("eks-installer")]
#[case::the_embedded_cluster("kubesim")]
#[case::the_interposers("interpose")]
#[case::the_real_executables("assets")]
fn depends_on_nothing_of_ours(#[case] member: &str) {
    assert_eq!(graph().built_from(member), BTreeSet::new());
}

#[test]
fn the_harness_sees_an_installer_only_from_outside() {
    // The command line could smuggle it in as well.
    for member in ["harness", "xtask"] {
        let parts = graph().built_from(member);
        assert!(parts.contains("kubesim"), "{member}: {parts:?}");
        assert!(!parts.contains("eks-installer"), "{member}: {parts:?}");
    }
}

#[test]
fn only_the_explorer_is_built_from_both_the_installer_and_a_cluster() {
    let graph = graph();
    let both = graph.members.iter().map(|id| graph.names[id].as_str()).filter(|member| {
        let parts = graph.built_from(member);
        parts.contains("eks-installer") && parts.contains("kubesim")
    });
    assert_eq!(both.collect::<Vec<_>>(), ["explore"]);
}

#[test]
fn tls_has_exactly_one_crypto_provider() {
    let everything = graph().everything();
    assert!(everything.contains("rustls") && everything.contains("ring"), "ring is the provider");
    for other in
        ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls", "rustls-openssl", "boring"]
    {
        assert!(!everything.contains(other), "{other} is a second crypto provider");
    }
}

#[test]
fn there_is_one_yaml_reader_and_one_version_of_what_must_agree() {
    let graph = graph();
    for other in ["serde_yaml", "serde_yml", "serde_norway", "yaml-rust", "yaml-rust2"] {
        assert!(!graph.everything().contains(other), "{other} beside serde-saphyr");
    }
    for single in ["kube", "k8s-openapi", "rustls", "tokio", "hyper", "serde_json"] {
        let versions = graph.edges.keys().filter(|id| graph.names[*id] == single);
        assert_eq!(versions.count(), 1, "versions of {single}");
    }
}

#[test]
fn every_member_keeps_the_workspace_lints_and_unsafe_code_is_forbidden() {
    let root = manifest("Cargo.toml");
    assert!(section(&root, "[workspace.lints.rust]").contains(&"unsafe_code = \"forbid\""));
    let listed = root.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members: Vec<String> = serde_json::from_str(listed).unwrap();
    assert_eq!(members.len(), graph().members.len());
    for member in members {
        let manifest = manifest(&format!("{member}/Cargo.toml"));
        assert!(section(&manifest, "[lints]").contains(&"workspace = true"), "{member} has lints of its own");
        for inherited in ["version", "edition", "rust-version", "license", "publish"] {
            let line = format!("{inherited}.workspace = true");
            assert!(section(&manifest, "[package]").contains(&line.as_str()), "{member}: {line}");
        }
    }
}

/// A version that only one member names is a version that two members may disagree on later.
#[test]
fn every_dependency_takes_its_version_from_the_workspace() {
    let root = manifest("Cargo.toml");
    let listed = root.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members: Vec<String> = serde_json::from_str(listed).unwrap();
    for member in members {
        let manifest = manifest(&format!("{member}/Cargo.toml"));
        for part in ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"] {
            for line in section(&manifest, part) {
                let inherited = line.contains(".workspace = true") || line.contains("workspace = true");
                assert!(inherited, "{member} {part}: {line}");
            }
        }
    }
}

fn manifest(path: &str) -> String {
    std::fs::read_to_string(workspace::root().join(path)).unwrap()
}

/// The lines of one table of a manifest.
fn section<'m>(manifest: &'m str, header: &str) -> Vec<&'m str> {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    let lines = lines.by_ref().take_while(|line| !line.starts_with('['));
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Packages with the features that they are built with, for a choice of packages.
fn built_with(choice: &[&str]) -> BTreeSet<String> {
    let form = ["tree", "--locked", "--prefix", "none", "--format", "{p} [{f}]"];
    let tree = stdout(workspace::cargo().args(form).args(choice));
    tree.lines()
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn what_is_built_for_the_first_verdict_serves_the_tests_too() {
    let first = built_with(&["--package", "xtask", "--edges", "normal,build"]);
    let tests = built_with(&["--workspace", "--edges", "normal,build,dev"]);
    let twice: Vec<&String> = first.difference(&tests).collect();
    assert!(
        twice.is_empty(),
        "the tests ask other features of {twice:#?}, so these and all that stands on them are built twice; \
         name what is missing at the end of xtask/Cargo.toml"
    );
}
