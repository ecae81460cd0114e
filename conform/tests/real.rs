//! The comparison with a real API server, started here.
//!
//! Without executables (`cargo xtask assets`) it skips in sight; with `SEATRIAL_REQUIRE_CONTROL_PLANE=1` it fails
//! instead.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::Path;

use assets::Places;
use conform::known::List;
use conform::report::Place;
use conform::side::Side;
use conform::{Options, Planted, run};
use harness::backend::{Backend as _, Cluster, ControlPlane};
use harness::scenario::ClusterShape;

/// A control plane without nodes; `None` where there is none to be had.
async fn plane(state: &Path) -> Option<Box<dyn Cluster>> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let backend = ControlPlane::new(Places::from_env(), state);
    let kubernetes = Some("1.37".to_owned());
    let shape = ClusterShape { nodes: Some(0), kubernetes, ..ClusterShape::default() };
    if let Some(missing) = backend.lacks(&shape) {
        let required = std::env::var("SEATRIAL_REQUIRE_CONTROL_PLANE").as_deref() == Ok("1");
        assert!(!required, "{missing}");
        // Past the test harness, which would keep a `println!` to itself.
        let line = format!("SKIPPED: {missing}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    }
    Some(backend.provision(&shape, 0).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lie_about_what_a_real_api_server_says_is_found() {
    let state = tempfile::tempdir().unwrap();
    let Some(plane) = plane(state.path()).await else { return };
    let embedded = Side::embedded(37).await.unwrap();
    let reference = Side::reference(&plane.owner_kubeconfig(), plane.nodes().cloned()).await.unwrap();
    let known = List::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("known.yaml")).unwrap();
    let planted = Planted { area: "replace".into(), pointer: "/code".into() };
    let options = Options { sequences: 12, most: 0, planted: Some(planted), ..Options::default() };
    let report = run(&options, &embedded, &reference, &known).await.unwrap();
    assert!(report.reference.starts_with("v1."), "{}", report.reference);
    assert!(report.total().operations > 12, "{}", report.table());
    let lie = |it: &&Place| it.difference.embedded.as_str().is_some_and(|said| said.contains("planted"));
    let lies = report.places.values().filter(lie).count();
    let replaced = report.areas["replace"];
    assert!(lies > 0, "{}", report.places(20));
    assert_eq!(replaced.new, replaced.operations, "{}", report.places(20));
    plane.down().await.unwrap();
}
