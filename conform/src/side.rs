//! The two sides: the embedded cluster, and the reference.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kubesim::kubelet::Nodes;
use kubesim::kubelet::remote::Remote;
use kubesim::transport::User;
use kubesim::{Cluster, Config};
use serde_json::{Value, json};

use crate::Error;
use crate::operation::{Answer, CURRENT_UID, CURRENT_VERSION, NAMESPACE, Operation};

/// How long an answer, or an effect that is waited for, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One of the two.
pub struct Side {
    /// `embedded` or `reference`.
    pub name: &'static str,
    /// Its kubeconfig, for tools.
    pub kubeconfig: String,
    client: Client,
    nodes: Option<Nodes>,
    _keep: Keep,
}

/// What ends with a side.
type Keep = Option<Box<dyn std::any::Any + Send + Sync>>;

impl Side {
    /// A new embedded cluster of this minor version, without nodes.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn embedded(kubernetes: u8) -> Result<Self, Error> {
        let wrong = |error: kubesim::Error| Error::Embedded(error.to_string());
        let config = Config { nodes: Vec::new(), default_content: false, kubernetes, ..Config::default() };
        let cluster = Cluster::start(config).await.map_err(wrong)?;
        let server = cluster.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.map_err(wrong)?;
        let kubeconfig = server.kubeconfig(&User::admin());
        let client = connect(&kubeconfig).await.map_err(Error::Embedded)?;
        let nodes = Some(cluster.nodes().clone());
        let keep: Keep = Some(Box::new((cluster, server)));
        Ok(Self { name: "embedded", kubeconfig, client, nodes, _keep: keep })
    }

    /// The cluster that a kubeconfig names. `nodes` are those of its kubelets; without them kubelets of our
    /// own are started, if there is no node yet.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn reference(kubeconfig: &str, nodes: Option<Nodes>) -> Result<Self, Error> {
        let client = connect(kubeconfig).await.map_err(Error::Reference)?;
        let mut side =
            Self { name: "reference", kubeconfig: kubeconfig.to_owned(), client, nodes, _keep: None };
        if side.nodes.is_none() {
            let kubelets = Remote::listen("us-west-2").await;
            let kubelets = kubelets.map_err(|error| Error::Reference(error.to_string()))?;
            let started = kubelets.start(side.client.clone()).await;
            started.map_err(|error| Error::Reference(error.to_string()))?;
            side.nodes = Some(kubelets.nodes().clone());
            side._keep = Some(Box::new(kubelets));
        }
        Ok(side)
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Its nodes.
    #[must_use]
    pub fn nodes(&self) -> Option<&Nodes> {
        self.nodes.as_ref()
    }

    /// Asks, in a namespace.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, operation: &Operation, namespace: &str) -> Result<Answer, Error> {
        let path = operation.path.replace(NAMESPACE, namespace);
        let body = match &operation.body {
            None => Vec::new(),
            Some(Value::String(text)) => text.replace(NAMESPACE, namespace).into_bytes(),
            Some(body) => {
                let mut text = body.to_string().replace(NAMESPACE, namespace);
                if text.contains(CURRENT_VERSION) || text.contains(CURRENT_UID) {
                    let current =
                        self.get(path.trim_end_matches("/status").trim_end_matches("/scale")).await?;
                    let meta = |field: &str| current["metadata"][field].as_str().unwrap_or("1").to_owned();
                    text = text.replace(CURRENT_VERSION, &meta("resourceVersion"));
                    text = text.replace(CURRENT_UID, &meta("uid"));
                }
                text.into_bytes()
            }
        };
        let query: Vec<String> =
            operation.query.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
        let uri = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        let mut request = Request::builder()
            .method(operation.method.as_str())
            .uri(uri)
            .header("user-agent", "conform/1")
            .header("accept", operation.accept.as_deref().unwrap_or("application/json"));
        if let Some(media) = &operation.content_type {
            request = request.header("content-type", media);
        }
        let request = request.body(Body::from(body)).map_err(|error| self.broken(&error))?;
        let answer = async {
            let response = self.client.send(request).await.map_err(|error| self.broken(&error))?;
            let (head, body) = response.into_parts();
            let bytes = body.collect().await.map_err(|error| self.broken(&error))?.to_bytes();
            let text = |name: &str| {
                let values = head.headers.get_all(name).iter();
                values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect::<Vec<_>>()
            };
            let media = text("content-type").into_iter().next().unwrap_or_default();
            let media = media.split(';').next().unwrap_or_default().trim().to_owned();
            let body = serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
            Ok(Answer { code: head.status.as_u16(), content_type: media, warnings: text("warning"), body })
        };
        tokio::time::timeout(PATIENCE, answer).await.map_err(|late| self.broken(&late))?
    }

    pub(crate) fn broken(&self, error: &dyn std::fmt::Display) -> Error {
        match self.name {
            "embedded" => Error::Embedded(error.to_string()),
            _ => Error::Reference(error.to_string()),
        }
    }

    /// The object at a path, or what is said instead.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        let operation = Operation::new("", "GET", path);
        Ok(Box::pin(self.ask(&operation, "")).await?.body)
    }

    /// Makes a namespace, and waits until what the controllers put into one is there.
    ///
    /// # Errors
    /// When there is no answer, or that does not happen.
    pub async fn make_namespace(&self, name: &str) -> Result<(), Error> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let create = Operation::new("", "POST", "/api/v1/namespaces").with("application/json", body);
        self.ask(&create, "").await?;
        for path in ["serviceaccounts/default", "configmaps/kube-root-ca.crt"] {
            let path = format!("/api/v1/namespaces/{name}/{path}");
            self.until(&path, |found| found["metadata"]["uid"].is_string()).await?;
        }
        Ok(())
    }

    /// Deletes a namespace; what is in it goes by and by.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn drop_namespace(&self, name: &str) -> Result<(), Error> {
        self.ask(&Operation::new("", "DELETE", format!("/api/v1/namespaces/{name}")), "").await.map(drop)
    }

    /// Asks for an object until it is as it should be.
    ///
    /// # Errors
    /// When there is no answer, or it does not become so; what was seen last is in the error.
    pub async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Result<Value, Error> {
        let began = tokio::time::Instant::now();
        loop {
            let found = self.get(path).await?;
            if holds(&found) {
                return Ok(found);
            }
            if began.elapsed() > PATIENCE {
                return Err(self.broken(&format!("waited {PATIENCE:?} for {path}, which is {found}")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn connect(kubeconfig: &str) -> Result<Client, String> {
    let parsed = Kubeconfig::from_yaml(kubeconfig).map_err(|error| error.to_string())?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(parsed, &options).await;
    let mut config = config.map_err(|error| error.to_string())?;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| error.to_string())
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
