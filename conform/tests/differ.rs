//! The comparison, against a real API server where `SEATRIAL_CONFORM_REFERENCE` names the kubeconfig of one,
//! and against a second embedded cluster always.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::Path;

use conform::known::List;
use conform::side::Side;
use conform::{Options, Planted, replay, run};

fn known() -> List {
    List::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("known.yaml")).unwrap()
}

async fn embedded() -> Side {
    drop(rustls::crypto::ring::default_provider().install_default());
    Side::embedded(37).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_does_not_differ_from_its_like() {
    let (one, other) = (embedded().await, embedded().await);
    let options = Options { sequences: 40, ..Options::default() };
    let report = run(&options, &one, &other, &known()).await.unwrap();
    assert_eq!(report.total().new, 0, "{}", report.told());
    assert!(report.total().operations > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_divergence_is_found_shrunk_and_played_again() {
    let (one, other) = (embedded().await, embedded().await);
    let keep = tempfile::tempdir().unwrap();
    let planted = Planted { area: "replace".into(), pointer: "/code".into() };
    let options = Options {
        sequences: 30,
        keep: Some(keep.path().to_path_buf()),
        planted: Some(planted),
        ..Options::default()
    };
    let report = run(&options, &one, &other, &known()).await.unwrap();
    assert_eq!(report.divergences.len(), 1, "{}", report.told());
    let found = &report.divergences[0];
    assert!(found.sequence.len() <= 2, "{}", report.told());
    assert_eq!(found.sequence.last().unwrap().area, "replace");
    assert_eq!(found.differences[0].pointer, "/code");
    let again = replay::read(Path::new(found.file.as_ref().unwrap())).unwrap();
    assert_eq!(again, found.sequence);
    // Nothing is planted now, so nothing differs.
    let report = conform::play(&again, &one, &other, &known()).await.unwrap();
    assert_eq!(report.total().new, 0, "{}", report.told());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_api_server_can_be_compared_with() {
    let Some(path) = std::env::var_os("SEATRIAL_CONFORM_REFERENCE") else {
        assert_ne!(
            std::env::var("SEATRIAL_REQUIRE_CONTROL_PLANE").as_deref(),
            Ok("1"),
            "SEATRIAL_CONFORM_REFERENCE names no kubeconfig, and SEATRIAL_REQUIRE_CONTROL_PLANE wants one"
        );
        // Past the test harness, which would keep a `println!` to itself.
        let line = "SKIPPED: SEATRIAL_CONFORM_REFERENCE names no kubeconfig of a reference\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    };
    let kubeconfig = std::fs::read_to_string(path).unwrap();
    let ours = embedded().await;
    let reference = Side::reference(&kubeconfig, None).await.unwrap();
    let options = Options { sequences: 5, shrinking: 0, seed: 99, ..Options::default() };
    let report = run(&options, &ours, &reference, &known()).await.unwrap();
    assert!(report.total().operations >= 10);
}
