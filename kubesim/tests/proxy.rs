//! What only a proxy has: credentials of the server behind, connections that are no longer HTTP, and a
//! server behind that goes away.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use crate::support::config_map;
use crate::support::control_plane::{ControlPlane, binaries};
use crate::support::wire::{FREE, Wire, get, send};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use kubesim::kubelet::remote::Remote;
use kubesim::tap::{Action, Rule, Tap, When};
use kubesim::transport::{ClientCertificate, ClusterIdentity, Proxy, Upstream, User};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn a_token_of_the_server_behind_is_judged_there() {
    let wire = Wire::new(true).await;
    let admin = wire.admin().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(admin, "default");
    let account = serde_json::from_value(json!({"metadata": {"name": "robot"}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let asked = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let issued = accounts.create_token_request("robot", &PostParams::default(), &asked).await.unwrap();
    let robot =
        wire.client(&wire.server().kubeconfig_with_token(&issued.status.unwrap().token.unwrap())).await;
    let maps: Api<ConfigMap> = Api::namespaced(robot, "default");
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(refused.to_string().contains("system:serviceaccount:default:robot"), "{refused}");
}

#[tokio::test]
async fn a_server_behind_that_is_gone_breaks_the_connection_and_is_found_again() {
    let wire = Wire::new(true).await;
    let maps: Api<ConfigMap> = Api::namespaced(wire.admin().await, "default");
    maps.list(&ListParams::default()).await.unwrap();
    wire.origin.close().await;
    let broken = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(!matches!(broken, kube::Error::Api(_)), "{broken:?}");
    assert_eq!(wire.tap().recordings().last().unwrap().status, 0);
    wire.origin.open().await.unwrap();
    maps.list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_url_that_is_no_api_server_is_refused_with_what_is_wrong() {
    let wire = Wire::new(false).await;
    let upstream = |url: &str| Upstream {
        url: url.to_owned(),
        ca_pem: wire.origin.ca_pem(),
        front_proxy: wire.origin.front_proxy().unwrap(),
    };
    for (url, why) in [("http://127.0.0.1:1", "https://"), ("https://", "empty string")] {
        let refused = Proxy::start(&upstream(url), Tap::new(), FREE, ClusterIdentity::default()).await;
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

/// A server that switches to whatever protocol is asked for, and then says everything back.
async fn echo() -> Upstream {
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![pair.cert.der().clone()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(FREE).await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                assert!(head.contains("connection: upgrade") && head.contains("upgrade: spdy/3.1"), "{head}");
                assert!(head.contains("x-remote-user: alice"), "{head}");
                let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
                    X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
                stream.write_all(answer.as_bytes()).await.unwrap();
                let (mut read, mut write) = tokio::io::split(stream);
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    Upstream { url, ca_pem: certificate.clone(), front_proxy: ClientCertificate { certificate, key } }
}

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways_until_the_endpoint_closes() {
    let upstream = echo().await;
    let proxy = Proxy::start(&upstream, Tap::new(), FREE, ClusterIdentity::default()).await.unwrap();
    let token = proxy.authenticator().issue_token(&User::new("alice", ["system:masters"]));
    let request = get("/api/v1/namespaces/default/pods/web/portforward", &token)
        .method("POST")
        .header("connection", "Upgrade")
        .header("upgrade", "SPDY/3.1");
    let answer = send(proxy.server(), request).await.unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.headers()["x-stream-protocol-version"], "portforward.k8s.io");
    let upgraded = hyper::upgrade::on(answer).await.unwrap();
    let mut stream = hyper_util::rt::TokioIo::new(upgraded);
    stream.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"ping");
    let recorded = proxy.tap().recordings();
    assert_eq!((recorded[0].full_resource().as_str(), recorded[0].status), ("pods/portforward", 101));
    proxy.server().close().await;
    let end = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut back)).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_a_real_api_server_users_keep_their_rights_and_faults_their_meaning() {
    let Some(binaries) = binaries() else { return };
    let kubelets = Remote::listen("us-west-2").await.unwrap();
    let real = ControlPlane::start(&binaries, &kubelets).await;
    let proxy = Proxy::start(&real.upstream(), Tap::new(), FREE, ClusterIdentity::default()).await.unwrap();
    let user = |name: &str, groups: &[&str]| {
        let user = User::new(name, groups.iter().copied());
        connect(proxy.server().kubeconfig(&user))
    };

    // Who asks is who is judged, there and here.
    let bob: Api<ConfigMap> = Api::namespaced(user("bob", &["builders"]).await, "default");
    let refused = bob.list(&ListParams::default()).await.unwrap_err().to_string();
    assert!(refused.contains("User \"bob\" cannot list resource \"configmaps\""), "{refused}");
    let alice: Api<ConfigMap> = Api::namespaced(user("alice", &["system:masters"]).await, "default");
    alice.create(&PostParams::default(), &config_map("a", "x")).await.unwrap();
    let seen = proxy.tap().recordings();
    assert_eq!(
        seen.iter().map(|one| (one.user.as_str(), one.status)).collect::<Vec<_>>(),
        [("bob", 403), ("alice", 201)]
    );

    // A list of the past comes from the server's own history.
    let only = ListParams::default().labels("kept!=no").fields("metadata.name!=kube-root-ca.crt");
    let names = |list: kube::api::ObjectList<ConfigMap>| -> Vec<String> {
        list.items.into_iter().filter_map(|map| map.metadata.name).collect()
    };
    let then = alice.list(&only).await.unwrap();
    alice.create(&PostParams::default(), &config_map("b", "x")).await.unwrap();
    let revision = then.metadata.resource_version.clone().unwrap();
    let rule = |verb: &str, action: Action| Rule {
        verbs: vec![verb.to_owned()],
        resources: vec!["configmaps".to_owned()],
        times: Some(1),
        ..Rule::new("broken", action)
    };
    proxy.tap().add(rule("list", Action::StaleList { revision: revision.clone() }));
    assert_eq!(names(alice.list(&only).await.unwrap()), ["a"]);
    assert_eq!(names(alice.list(&only).await.unwrap()), ["a", "b"]);

    // A write that is done, with its answer lost.
    proxy.tap().add(Rule { when: When::AfterCommit, ..rule("create", Action::Reset) });
    alice.create(&PostParams::default(), &config_map("c", "x")).await.unwrap_err();
    assert_eq!(names(alice.list(&only).await.unwrap()), ["a", "b", "c"]);

    // A watch that passes on one event and breaks, and one whose version is too old.
    proxy.tap().add(rule("watch", Action::DropWatch { events: 1 }));
    let mut watch = alice.watch(&WatchParams::default(), &revision).await.unwrap().boxed();
    let first = watch.next().await;
    assert!(
        matches!(&first, Some(Ok(WatchEvent::Added(map))) if map.metadata.name.as_deref() == Some("b")),
        "{first:?}"
    );
    let next = watch.next().await;
    assert!(matches!(next, None | Some(Err(_))), "{next:?}");
    proxy.tap().add(rule("watch", Action::Expire));
    let mut watch = alice.watch(&WatchParams::default(), &revision).await.unwrap().boxed();
    let first = watch.next().await;
    assert!(matches!(&first, Some(Ok(WatchEvent::Error(status))) if status.code == 410), "{first:?}");
}

async fn connect(kubeconfig: String) -> kube::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&kubeconfig).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    config.default_retry = false;
    kube::Client::try_from(config).unwrap()
}
