//! Sessions of kube, the client library: what its own calls ask for, written in Rust where a tool has a script.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, EvictParams, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams, Preconditions, WatchEvent, WatchParams,
};
use kube::core::Selector;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

/// What a session has to say besides what it asked.
pub(crate) type Said = BoxFuture<'static, Result<String, kube::Error>>;

/// A session: what it is about, and what it does in a namespace.
pub(crate) struct Session {
    pub(crate) name: &'static str,
    /// Whether it needs a node to run pods on.
    pub(crate) nodes: bool,
    pub(crate) run: fn(Client, String) -> Said,
}

/// All of them, by name.
pub(crate) const SESSIONS: [Session; 7] = [
    Session {
        name: "kube-custom-resources",
        nodes: false,
        run: |client, at| Box::pin(custom_resources(client, at)),
    },
    Session { name: "kube-deployment", nodes: true, run: |client, at| Box::pin(deployment(client, at)) },
    Session { name: "kube-eviction", nodes: true, run: |client, at| Box::pin(eviction(client, at)) },
    Session { name: "kube-pages", nodes: false, run: |client, at| Box::pin(pages(client, at)) },
    Session { name: "kube-replace", nodes: false, run: |client, at| Box::pin(replace(client, at)) },
    Session {
        name: "kube-server-side-apply",
        nodes: false,
        run: |client, at| Box::pin(server_side_apply(client, at)),
    },
    Session { name: "kube-watch", nodes: false, run: |client, at| Box::pin(watch(client, at)) },
];

fn api(client: &Client, namespace: &str, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

fn maps(client: &Client, namespace: &str) -> Api<DynamicObject> {
    api(client, namespace, "", "v1", "ConfigMap")
}

/// An object of ours; what is not one is a mistake in a session.
fn object(value: Value) -> Result<DynamicObject, kube::Error> {
    serde_json::from_value(value).map_err(kube::Error::SerdeError)
}

fn map(name: &str, key: &str) -> Result<DynamicObject, kube::Error> {
    object(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "labels": { "app": "session", "name": name } }, "data": { "key": key },
    }))
}

/// A refusal that was looked for, in a line; any other error ends the session.
fn refused<T>(said: &mut String, what: &str, result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Ok(_) => writeln!(said, "{what}: done"),
        Err(kube::Error::Api(status)) => {
            writeln!(said, "{what}: {} {}: {}", status.code, status.reason, status.message)
        }
        Err(error) => return Err(error),
    }
    .map_err(|_| kube::Error::LinesCodecMaxLineLengthExceeded)
}

async fn replace(client: Client, namespace: String) -> Result<String, kube::Error> {
    let (maps, post, mut said) = (maps(&client, &namespace), PostParams::default(), String::new());
    let first = maps.create(&post, &map("a", "1")?).await?;
    refused(&mut said, "create it again", maps.create(&post, &map("a", "1")?).await)?;
    let mut next = first.clone();
    next.data["data"]["key"] = json!("2");
    let second = maps.replace("a", &post, &next).await?;
    refused(&mut said, "replace what has changed", maps.replace("a", &post, &next).await)?;
    let mut none = next.clone();
    none.metadata.resource_version = None;
    none.metadata.uid = None;
    none.metadata.name = Some("b".into());
    refused(&mut said, "replace what is not there", maps.replace("b", &post, &none).await)?;
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    refused(&mut said, "create without creating", maps.create(&dry, &map("c", "1")?).await)?;
    writeln!(said, "c is there: {}", maps.get_opt("c").await?.is_some()).ok();
    let of = |object: &DynamicObject| Preconditions {
        resource_version: object.resource_version(),
        uid: object.uid(),
    };
    let stale = DeleteParams::default().preconditions(of(&first));
    refused(&mut said, "delete what has changed", maps.delete("a", &stale).await)?;
    let now = DeleteParams::default().preconditions(of(&second));
    refused(&mut said, "delete", maps.delete("a", &now).await)?;
    refused(&mut said, "get", maps.get("a").await)?;
    Ok(said)
}

async fn server_side_apply(client: Client, namespace: String) -> Result<String, kube::Error> {
    let (maps, mut said) = (maps(&client, &namespace), String::new());
    let with = |data: Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "shared" }, "data": data });
    let apply = |manager: &str| PatchParams::apply(manager);
    maps.patch("shared", &apply("one"), &Patch::Apply(with(json!({ "a": "1", "b": "1" })))).await?;
    let theirs = Patch::Apply(with(json!({ "b": "2", "c": "2" })));
    refused(&mut said, "a field of another", maps.patch("shared", &apply("two"), &theirs).await)?;
    maps.patch("shared", &apply("two").force(), &theirs).await?;
    maps.patch("shared", &apply("one"), &Patch::Apply(with(json!({})))).await?;
    let merge = Patch::Merge(json!({ "metadata": { "labels": { "merged": "yes" } } }));
    maps.patch("shared", &PatchParams::default(), &merge).await?;
    let left = maps.get("shared").await?;
    writeln!(said, "left: {}", left.data["data"]).ok();
    let wrong = Patch::Apply(with(json!({ "a": 1 })));
    refused(&mut said, "a number for a string", maps.patch("shared", &apply("one"), &wrong).await)?;
    Ok(said)
}

async fn pages(client: Client, namespace: String) -> Result<String, kube::Error> {
    let (maps, mut said) = (maps(&client, &namespace), String::new());
    for name in ["a", "b", "c", "d", "e"] {
        maps.create(&PostParams::default(), &map(name, name)?).await?;
    }
    let mut page = ListParams::default().labels("app=session").limit(2);
    loop {
        let part = maps.list_metadata(&page).await?;
        let names: Vec<String> = part.items.iter().map(|item| item.name_any()).collect();
        writeln!(said, "{names:?}, {} more", part.metadata.remaining_item_count.unwrap_or_default()).ok();
        match part.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    let chosen = Selector::from_iter(BTreeMap::from([("app".to_owned(), "session".to_owned())]));
    let of_one = ListParams::default().labels_from(&chosen).fields("metadata.name=c");
    writeln!(said, "chosen: {}", maps.list(&of_one).await?.items.len()).ok();
    let unknown = ListParams::default().fields("spec.unknown=c");
    refused(&mut said, "an unknown field", maps.list(&unknown).await)?;
    let all = ListParams::default().labels("name in (a, b)");
    maps.delete_collection(&DeleteParams::default(), &all).await?;
    writeln!(said, "left: {}", maps.list(&ListParams::default().labels("app")).await?.items.len()).ok();
    Ok(said)
}

async fn watch(client: Client, namespace: String) -> Result<String, kube::Error> {
    let (maps, mut said) = (maps(&client, &namespace), String::new());
    let from = maps.list(&ListParams::default().labels("app=session")).await?.metadata.resource_version;
    maps.create(&PostParams::default(), &map("a", "1")?).await?;
    let change = Patch::Merge(json!({ "data": { "key": "2" } }));
    maps.patch("a", &PatchParams::default(), &change).await?;
    maps.delete("a", &DeleteParams::default()).await?;
    let only = WatchParams::default().labels("app=session").timeout(30);
    let mut events = std::pin::pin!(maps.watch(&only, &from.unwrap_or_default()).await?);
    while let Some(event) = events.next().await {
        match event? {
            WatchEvent::Added(map) => writeln!(said, "added {}", map.data["data"]).ok(),
            WatchEvent::Modified(map) => writeln!(said, "modified {}", map.data["data"]).ok(),
            WatchEvent::Deleted(map) => {
                writeln!(said, "deleted {}", map.name_any()).ok();
                break;
            }
            WatchEvent::Error(status) => writeln!(said, "error {}", status.reason).ok(),
            WatchEvent::Bookmark(_) => None,
        };
    }
    Ok(said)
}

async fn custom_resources(client: Client, namespace: String) -> Result<String, kube::Error> {
    let mut said = String::new();
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let definitions: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let schema = json!({ "type": "object", "properties": {
        "spec": { "type": "object", "required": ["size"], "properties": { "size": { "type": "integer", "minimum": 1 } } },
        "status": { "type": "object", "properties": { "phase": { "type": "string" } } },
    }});
    let definition = object(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "gears.kube.example.com" },
        "spec": {
            "group": "kube.example.com", "scope": "Namespaced",
            "names": { "plural": "gears", "singular": "gear", "kind": "Gear", "listKind": "GearList" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
                           "schema": { "openAPIV3Schema": schema } }],
        },
    }))?;
    definitions.create(&PostParams::default(), &definition).await?;
    let established = |definition: &DynamicObject| {
        let conditions = definition.data["status"]["conditions"].as_array().into_iter().flatten();
        conditions.clone().any(|it| it["type"] == "Established" && it["status"] == "True")
    };
    until(&definitions, "gears.kube.example.com", established).await?;
    let gears = api(&client, &namespace, "kube.example.com", "v1", "Gear");
    let gear = |size: Value| {
        object(json!({ "apiVersion": "kube.example.com/v1", "kind": "Gear",
                       "metadata": { "name": "g" }, "spec": { "size": size } }))
    };
    refused(&mut said, "too small", gears.create(&PostParams::default(), &gear(json!(0))?).await)?;
    refused(&mut said, "a string", gears.create(&PostParams::default(), &gear(json!("big"))?).await)?;
    gears.create(&PostParams::default(), &gear(json!(3))?).await?;
    let status = Patch::Merge(json!({ "spec": { "size": 9 }, "status": { "phase": "Turning" } }));
    gears.patch_status("g", &PatchParams::default(), &status).await?;
    let seen = gears.get_status("g").await?;
    writeln!(said, "{} {}", seen.data["spec"], seen.data["status"]).ok();
    gears.delete("g", &DeleteParams::default()).await?;
    definitions.delete("gears.kube.example.com", &DeleteParams::background()).await?;
    Ok(said)
}

/// Waits until an object is as it should be.
async fn until(
    api: &Api<DynamicObject>,
    name: &str,
    is_so: impl Fn(&DynamicObject) -> bool,
) -> Result<(), kube::Error> {
    let only = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(60);
    let mut events = std::pin::pin!(api.watch(&only, "0").await?);
    while let Some(event) = events.next().await {
        if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event?
            && is_so(&object)
        {
            break;
        }
    }
    Ok(())
}

fn template(app: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": app } },
        "spec": { "terminationGracePeriodSeconds": 0,
                  "containers": [{ "name": "main", "image": "registry.example/web:1" }] },
    })
}

async fn deployment(client: Client, namespace: String) -> Result<String, kube::Error> {
    let mut said = String::new();
    let deployments = api(&client, &namespace, "apps", "v1", "Deployment");
    let web = object(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "web" } }, "template": template("web") },
    }))?;
    deployments.create(&PostParams::default(), &web).await?;
    let ready = |count: u64| move |web: &DynamicObject| web.data["status"]["readyReplicas"] == count;
    until(&deployments, "web", ready(1)).await?;
    let scale = deployments.get_scale("web").await?;
    writeln!(said, "scale: {}", json!(scale.spec)).ok();
    let two = Patch::Merge(json!({ "spec": { "replicas": 2 } }));
    deployments.patch_scale("web", &PatchParams::default(), &two).await?;
    until(&deployments, "web", ready(2)).await?;
    let pods = api(&client, &namespace, "", "v1", "Pod");
    writeln!(said, "pods: {}", pods.list(&ListParams::default().labels("app=web")).await?.items.len()).ok();
    deployments.delete("web", &DeleteParams::background()).await?;
    refused(&mut said, "get", deployments.get("web").await)?;
    Ok(said)
}

async fn eviction(client: Client, namespace: String) -> Result<String, kube::Error> {
    let mut said = String::new();
    let pods = api(&client, &namespace, "", "v1", "Pod");
    let mut pod = template("kept");
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("kept");
    pods.create(&PostParams::default(), &object(pod)?).await?;
    let runs = |pod: &DynamicObject| pod.data["status"]["phase"] == "Running";
    until(&pods, "kept", runs).await?;
    let budgets = api(&client, &namespace, "policy", "v1", "PodDisruptionBudget");
    let budget = object(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "kept" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "kept" } } },
    }))?;
    budgets.create(&PostParams::default(), &budget).await?;
    let counted = |budget: &DynamicObject| budget.data["status"]["currentHealthy"] == 1;
    until(&budgets, "kept", counted).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    refused(&mut said, "evict what the budget keeps", pods.evict("kept", &EvictParams::default()).await)?;
    budgets.delete("kept", &DeleteParams::default()).await?;
    refused(&mut said, "evict", pods.evict("kept", &EvictParams::default()).await)?;
    refused(&mut said, "evict what is not there", pods.evict("none", &EvictParams::default()).await)?;
    Ok(said)
}
