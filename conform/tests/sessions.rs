//! The scripts of recorded sessions, and what a session records.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use conform::known::List;
use conform::session::{Script, Tools, run, scripts};
use conform::side::Side;

#[test]
fn every_script_says_what_it_needs_and_what_it_is_about() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sessions");
    let few = scripts(&folder, &Tools::new()).unwrap();
    assert!(few.len() >= 40, "{}", few.len());
    for tool in ["kubectl", "helm3", "helm4"] {
        assert!(few.iter().any(|script| script.tools.first().is_some_and(|first| first == tool)), "{tool}");
    }
    let more = scripts(&folder, &Tools::from([("kubectl-1-34".into(), "kubectl".into())])).unwrap();
    let count =
        |scripts: &[Script], tool: &str| scripts.iter().filter(|script| script.tools == [tool]).count();
    assert_eq!(count(&more, "kubectl-1-34"), count(&few, "kubectl"));
}

#[test]
fn a_script_that_does_not_say_so_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bare.sh"), "kubectl get pods\n").unwrap();
    let refused = scripts(folder.path(), &Tools::new()).unwrap_err().to_string();
    assert!(refused.contains("it begins with two comments"), "{refused}");
    std::fs::write(folder.path().join("bare.sh"), "# oc\n# Another tool.\n").unwrap();
    let refused = scripts(folder.path(), &Tools::new()).unwrap_err().to_string();
    assert!(refused.contains("there is no tool oc"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_embedded_clusters_say_the_same_to_a_script_and_a_script_that_fails_on_one_is_told() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (one, other) = (Side::embedded(37).await.unwrap(), Side::embedded(37).await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    // The port of its proxy is what differs between two of the same kind.
    std::fs::write(folder.path().join("same.sh"), "# kubectl\n# Says the same.\necho \"$NAMESPACE\"\n")
        .unwrap();
    let odd =
        "# kubectl\n# Says which server it is.\ngrep server kubeconfig | tr -d : | tr -dc 0-9 | tail -c 5\n";
    std::fs::write(folder.path().join("odd.sh"), odd).unwrap();
    let mut scripts = scripts(folder.path(), &Tools::new()).unwrap();
    scripts.retain(|script| script.tools == ["kubectl"]);
    let report = run(&scripts, &Tools::new(), &one, &other, &List::default()).await.unwrap();
    let told: Vec<&str> = report.places.values().map(|place| place.request.path.as_str()).collect();
    assert_eq!((report.total().operations, told), (2, vec!["odd.sh"]), "{}", report.places(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_embedded_clusters_say_the_same_to_kube() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (one, other) = (Side::embedded(37).await.unwrap(), Side::embedded(37).await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let scripts = scripts(folder.path(), &Tools::new()).unwrap();
    assert_eq!(scripts.len(), 7);
    let report = run(&scripts, &Tools::new(), &one, &other, &List::default()).await.unwrap();
    assert!(report.total().operations > 40, "{}", report.table());
    assert_eq!(report.total().known + report.total().new, 0, "{}", report.places(10));
}
