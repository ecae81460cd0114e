//! What a CSI driver of the cloud does, for a control plane that has no cloud: it makes the volumes that claims wait
//! for, and takes away those that nobody claims any more.
//!
//! As in the embedded cluster a driver is there as soon as its `CSIDriver` object is.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use http::Request;
use kube::Client;
use kube::core::WatchEvent;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

const CLAIMS: &str = "/api/v1/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const DRIVERS: &str = "/apis/storage.k8s.io/v1/csidrivers";

const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_millis(200);

/// Every driver. Dropping it ends them.
pub(super) struct Drivers {
    _tasks: JoinSet<()>,
}

impl Drivers {
    /// Begins the work, as whoever `client` is.
    pub(super) fn start(client: &Client) -> Self {
        let changed = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        for path in [CLAIMS, VOLUMES, DRIVERS] {
            tasks.spawn(follow(client.clone(), path, changed.clone()));
        }
        let client = client.clone();
        tasks.spawn(async move {
            loop {
                changed.notified().await;
                // Whoever could not be asked is asked again: the wish is still there.
                if serve(&client).await.is_err() {
                    tokio::time::sleep(AGAIN).await;
                    changed.notify_one();
                }
            }
        });
        Self { _tasks: tasks }
    }
}

fn read(path: &str) -> Result<Request<Vec<u8>>, kube::Error> {
    Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)
}

/// Tells of every change of a collection, for ever.
async fn follow(client: Client, path: &'static str, changed: Arc<Notify>) {
    loop {
        if watch(&client, path, &changed).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn watch(client: &Client, path: &str, changed: &Notify) -> Result<(), kube::Error> {
    let list: Value = client.request(read(&format!("{path}?limit=1"))?).await?;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    changed.notify_one();
    let request = read(&format!("{path}?watch=1&resourceVersion={version}"))?;
    let mut events = std::pin::pin!(client.request_events::<Value>(request).await?);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Error(status) = event {
            return Err(kube::Error::Api(status));
        }
        changed.notify_one();
    }
    Ok(())
}

/// Does what is to be done now.
async fn serve(client: &Client) -> Result<(), kube::Error> {
    let mut drivers = items(client, DRIVERS).await?;
    drivers.retain(|driver| !driver["metadata"]["name"].is_null());
    let is_there = |name: &Value| drivers.iter().any(|driver| driver["metadata"]["name"] == *name);
    for claim in items(client, CLAIMS).await? {
        let driver = &claim["metadata"]["annotations"][PROVISIONER];
        let waits = claim["status"]["phase"] == "Pending" && claim["spec"]["volumeName"].is_null();
        if waits && is_there(driver) {
            provision(client, &claim, driver).await?;
        }
    }
    for volume in items(client, VOLUMES).await? {
        let spec = &volume["spec"];
        let unclaimed =
            volume["status"]["phase"] == "Released" && spec["persistentVolumeReclaimPolicy"] == "Delete";
        let ours = is_there(&volume["metadata"]["annotations"][PROVISIONED_BY]);
        if unclaimed && ours && volume["metadata"]["deletionTimestamp"].is_null() {
            let name = volume["metadata"]["name"].as_str().unwrap_or_default();
            let request = Request::delete(format!("{VOLUMES}/{name}")).body(Vec::new());
            accept(client.request::<Value>(request.map_err(kube::Error::HttpError)?).await, 404)?;
        }
    }
    Ok(())
}

async fn items(client: &Client, path: &str) -> Result<Vec<Value>, kube::Error> {
    let mut list: Value = client.request(read(path)?).await?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Ok(Vec::new()),
    }
}

/// An answer with this code is as good as one that it was done.
fn accept(answer: Result<Value, kube::Error>, code: u16) -> Result<(), kube::Error> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == code => Ok(()),
        other => other.map(drop),
    }
}

async fn post(client: &Client, path: &str, object: &Value) -> Result<(), kube::Error> {
    let request = Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(object.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    accept(client.request(request).await, 409)
}

/// Makes the volume of a claim; the cluster's own controller binds the two.
async fn provision(client: &Client, claim: &Value, driver: &Value) -> Result<(), kube::Error> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (metadata, spec) = (&claim["metadata"], &claim["spec"]);
    let (namespace, uid) = (text(&metadata["namespace"]), text(&metadata["uid"]));
    let class = text(&spec["storageClassName"]);
    let found = items(client, "/apis/storage.k8s.io/v1/storageclasses").await?;
    let policy = found.iter().find(|it| it["metadata"]["name"] == class).map(|it| &it["reclaimPolicy"]);
    let reference = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": metadata["name"], "namespace": namespace,
        "uid": uid, "resourceVersion": metadata["resourceVersion"],
    });
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": format!("pvc-{uid}"), "annotations": {PROVISIONED_BY: driver}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": reference,
            "csi": {
                "driver": driver, "fsType": "ext4",
                "volumeHandle": format!("vol-0{}", uid.replace('-', "").get(..16).unwrap_or_default()),
            },
            "persistentVolumeReclaimPolicy": policy.filter(|it| !it.is_null()).unwrap_or(&json!("Delete")),
            "storageClassName": class,
            "volumeMode": spec["volumeMode"],
        },
    });
    let who = format!("{}_{}-controller", text(driver), text(driver));
    let name = text(&metadata["name"]);
    let said = [
        (
            "Provisioning",
            format!("External provisioner is provisioning volume for claim \"{namespace}/{name}\""),
        ),
        ("ProvisioningSucceeded", format!("Successfully provisioned volume pvc-{uid}")),
    ];
    post(client, VOLUMES, &volume).await?;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for (reason, message) in said {
        // Named by what it says, so that saying it twice says it once.
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{name}.{}", reason.to_lowercase()), "namespace": namespace},
            "involvedObject": reference, "reason": reason, "message": message, "type": "Normal", "count": 1,
            "firstTimestamp": now, "lastTimestamp": now,
            "source": {"component": who}, "reportingComponent": who,
        });
        post(client, &format!("/api/v1/namespaces/{namespace}/events"), &event).await?;
    }
    Ok(())
}
