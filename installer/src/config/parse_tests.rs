#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::config::Span;

const WHOLE: &str = r#"
cluster:
  name: shop
  region: eu-central-1
  account: 011122223333
  version: 1.33
  nodeGroups:
    - { name: base, instanceType: m6i.large, desired: 3, max: 5 }
karpenter:
  version: 1.8.3
  namespace: karpenter
  replicas: 2
  values:
    settings: { interruptionQueue: shop }
storage:
  bucket: shop-data
  namespace: data
  serviceAccount: store
core:
  releases:
    - name: api
      chart: oci://charts.example/api
      namespace: shop
      values: { password: hunter2 }
      workloads: [{ kind: StatefulSet, name: queue }]
timeouts: { nodeWait: 90, helm: 15m }
"#;

fn wrong(text: &str) -> String {
    read("shop.yaml", text).unwrap_err().to_string()
}

#[test]
fn everything_that_can_be_configured_is_read() {
    let config = read("shop.yaml", WHOLE).unwrap();
    assert_eq!(config.cluster.account.as_deref(), Some("011122223333"), "an unquoted account keeps its zero");
    assert_eq!(config.cluster.version.as_deref(), Some("1.33"));
    assert_eq!(config.cluster.node_groups[0].max, Some(5));
    assert_eq!(config.karpenter.values.unwrap()["settings"]["interruptionQueue"], "shop");
    assert_eq!(config.storage.unwrap().service_account, "store");
    assert_eq!(config.core.releases[0].workloads[0].kind, "StatefulSet");
    assert_eq!(config.timeouts.node_wait, Some(Span(Duration::from_secs(90))));
    assert_eq!(config.timeouts.helm, Some(Span(Duration::from_secs(900))));
}

#[test]
fn an_empty_file_configures_nothing() {
    for text in ["", "# nothing yet\n", "\n\n"] {
        assert_eq!(read("shop.yaml", text).unwrap(), Config::default());
    }
}

#[test]
fn an_unknown_word_is_told_with_its_place_and_the_word_that_was_meant() {
    let told = wrong("cluster:\n  nmae: shop\n");
    assert!(told.starts_with("shop.yaml:2:3: "), "{told}");
    assert!(told.ends_with("did you mean `name`?"), "{told}");
    let told = wrong("storage: { bucket: shop-data, namespace: data, serviceaccount: store }\n");
    assert!(told.starts_with("shop.yaml:1:"), "{told}");
    assert!(told.ends_with("did you mean `serviceAccount`?"), "{told}");
}

#[test]
fn a_value_that_would_be_refused_later_is_refused_where_it_stands() {
    for (text, place, why) in [
        ("cluster:\n  account: 12\n", "2:12", "twelve digits"),
        ("cluster:\n  region: Frankfurt\n", "2:11", "eu-central-1"),
        ("karpenter:\n  version: v1.8.3\n", "2:12", "no v in front"),
        ("timeouts:\n  api: soonish\n", "2:8", "not a duration"),
        (
            "storage:\n  bucket: Shop_Data\n  namespace: a\n  serviceAccount: b\n",
            "2:11",
            "3 to 63 lower-case",
        ),
        ("storage:\n  bucket: 10.0.0.1\n  namespace: a\n  serviceAccount: b\n", "2:11", "no address"),
        ("karpenter:\n  replicas: two\n", "2:13", ""),
    ] {
        let told = wrong(text);
        assert!(told.starts_with(&format!("shop.yaml:{place}: ")), "{told}");
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let told = wrong("cluster:\n  nodeGroups:\n  - { name: base, desired: 4, max: 2 }\n");
    assert_eq!(told, "shop.yaml:3:13: node group \"base\": 4 to 2 nodes, and 4 are desired");
    let told = wrong("cluster:\n  eksctlConfig: eks.yaml\n  version: \"1.33\"\n");
    assert!(told.contains("eksctlConfig"), "{told}");
    let release = "{ name: api, chart: c, namespace: shop }";
    let told = wrong(&format!("core:\n  releases:\n  - {release}\n  - {release}\n"));
    assert!(told.starts_with("shop.yaml:4:"), "{told}");
}

#[test]
fn paths_are_relative_to_the_file_that_names_them() {
    let folder = std::env::temp_dir().join(format!("eks-installer-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("shop.yaml");
    std::fs::write(&path, "karpenter: { valuesFile: values.yaml }\n").unwrap();
    let config = load(path.to_str().unwrap()).unwrap();
    assert_eq!(config.karpenter.values_file.unwrap(), folder.join("values.yaml").to_str().unwrap());
    std::fs::remove_dir_all(&folder).unwrap();
    let told = load(path.to_str().unwrap()).unwrap_err().to_string();
    assert!(told.contains("No such file"), "{told}");
}
