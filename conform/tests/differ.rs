//! The comparison itself, held against a second embedded cluster: like does not differ from like, and what is
//! planted is found.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use conform::known::List;
use conform::side::Side;
use conform::{Options, Planted, replay, run};

/// What is known to differ from a real server differs from no second of one's like: nothing is passed over here.
fn known() -> List {
    List::default()
}

async fn embedded() -> Side {
    drop(rustls::crypto::ring::default_provider().install_default());
    Side::embedded(37).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_does_not_differ_from_its_like() {
    let (one, other) = (embedded().await, embedded().await);
    let options = Options { sequences: 40, values: true, ..Options::default() };
    let report = run(&options, &one, &other, &known()).await.unwrap();
    assert_eq!(report.total().new, 0, "{}", report.told());
    assert!(report.total().operations > 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_divergence_is_found_shrunk_and_played_again() {
    for (sequences, values) in [(30, false), (0, true)] {
        plant_and_find(sequences, values).await;
    }
}

async fn plant_and_find(sequences: u32, values: bool) {
    let (one, other) = (embedded().await, embedded().await);
    let keep = tempfile::tempdir().unwrap();
    let planted = Planted { area: "replace".into(), pointer: "/code".into() };
    let options = Options {
        sequences,
        values,
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
