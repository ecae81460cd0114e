//! Sequences of requests, drawn by proptest: every verb, the four types of patch, selectors, field
//! validation, dry run, preconditions, and wrong input. Besides, every value that they are drawn from, once.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;
use serde_json::{Value, json};

use crate::kinds::{self, Kind};
use crate::operation::{CURRENT_UID, CURRENT_VERSION, NAMESPACE, Operation};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A sequence of up to `longest` requests about a few objects of one or two kinds. It begins by creating
/// one, so that what follows has something to be about.
pub fn sequence(longest: usize) -> impl Strategy<Value = Vec<Operation>> {
    let kinds: Vec<usize> = (0..kinds::all().len()).collect();
    (select(kinds.clone()), select(kinds)).prop_flat_map(move |(first, second)| {
        let (first, second) = (&kinds::all()[first], &kinds::all()[second]);
        let rest = prop::collection::vec(
            prop_oneof![4 => about(first), 1 => about(second), 1 => misdirected(first)],
            1..longest,
        );
        (create(first), rest).prop_map(|(first, mut rest)| {
            rest.insert(0, first);
            rest
        })
    })
}

/// Every value of every kind once, right or wrong: as it is created and as it takes the place of a valid one; and every
/// patch of it.
pub fn each_value() -> impl Iterator<Item = Vec<Operation>> {
    kinds::all().iter().flat_map(|kind| {
        let create = |body: Value| Operation::new("create", "POST", kind.collection()).with(JSON, body);
        let values = kind.values.iter().map(move |(pointer, value)| {
            let with = |name: &str| {
                let mut body = kind.body(name);
                kinds::put(&mut body, pointer, value);
                body
            };
            // Without a version: a controller may write between a read and the write that goes on from it.
            let replace = Operation::new("replace", "PUT", kind.object("a")).with(JSON, with("a"));
            // Last what may be stored by one side alone.
            vec![create(kind.body("a")), replace, create(with("b"))]
        });
        let patches = kind.patches.iter().map(move |patch| {
            let by = |media: &str, area: &str| {
                Operation::new(area, "PATCH", kind.object("a")).with(media, patch.clone())
            };
            vec![create(kind.body("a")), by(MERGE, "merge patch"), by(STRATEGIC, "strategic merge patch")]
        });
        values.chain(patches)
    })
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("a"), 2 => Just("b"), 1 => select(&["UPPER", "with.dot", "a_b", "-a"][..])]
}

fn known_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just("a"), 2 => Just("b"), 1 => Just("missing")]
}

/// A body, more often right than not.
fn body(kind: &'static Kind) -> BoxedStrategy<Value> {
    let values: Vec<usize> = (0..kind.values.len()).collect();
    let meta = prop_oneof![
        8 => Just(Value::Null),
        1 => Just(json!(["/metadata/labels/a b", "x"])),
        1 => Just(json!(["/metadata/labels/team", "not a value!"])),
        1 => Just(json!(["/metadata/annotations", {"note": "x"}])),
        1 => Just(json!(["/metadata/finalizers", ["example.com/hold"]])),
        1 => Just(json!(["/metadata/finalizers", ["nodomain"]])),
        1 => Just(json!(["/metadata/ownerReferences", [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": ""}]])),
        1 => Just(json!(["/metadata/namespace", "elsewhere"])),
        1 => Just(json!(["/metadata/unknown", 1])),
        1 => Just(json!(["/metadata/name", null])),
        1 => Just(json!(["/apiVersion", "wrong/v9"])),
        1 => Just(json!(["/kind", "Wrong"])),
    ];
    (name(), prop::option::weighted(0.6, select(values)), meta)
        .prop_map(move |(name, value, meta)| {
            let mut body = kind.body(name);
            if let Some((pointer, value)) = value.and_then(|index| kind.values.get(index)) {
                kinds::put(&mut body, pointer, value);
            }
            if let Some(pointer) = meta[0].as_str() {
                kinds::put(&mut body, pointer, &meta[1]);
            }
            body
        })
        .boxed()
}

/// The parameters of a write.
fn writing() -> BoxedStrategy<Vec<(&'static str, &'static str)>> {
    prop_oneof![
        10 => Just(vec![]),
        2 => Just(vec![("dryRun", "All")]),
        1 => Just(vec![("dryRun", "Some")]),
        2 => Just(vec![("fieldValidation", "Strict")]),
        2 => Just(vec![("fieldValidation", "Warn")]),
        1 => Just(vec![("fieldValidation", "Ignore")]),
        1 => Just(vec![("fieldValidation", "Loose")]),
        1 => Just(vec![("fieldManager", "somebody")]),
    ]
    .boxed()
}

fn asking(operation: Operation, query: &[(&'static str, &'static str)]) -> Operation {
    query.iter().fold(operation, |operation, (key, value)| operation.asking(key, *value))
}

fn create(kind: &'static Kind) -> BoxedStrategy<Operation> {
    (body(kind), writing())
        .prop_map(|(body, query)| {
            let create = Operation::new("create", "POST", kind.collection()).with(JSON, body);
            asking(create, &query)
        })
        .boxed()
}

fn about(kind: &'static Kind) -> BoxedStrategy<Operation> {
    prop_oneof![
        4 => create(kind),
        1 => generated_name(kind),
        3 => read(kind),
        4 => list(kind),
        4 => replace(kind),
        4 => merge_patch(kind),
        3 => json_patch(kind),
        3 => apply(kind),
        3 => subresource(kind),
        4 => delete(kind),
    ]
    .boxed()
}

fn generated_name(kind: &'static Kind) -> BoxedStrategy<Operation> {
    body(kind)
        .prop_map(|mut body| {
            kinds::put(&mut body, "/metadata/name", &Value::Null);
            kinds::put(&mut body, "/metadata/generateName", &json!("made-"));
            Operation::new("create", "POST", kind.collection()).with(JSON, body).asking("dryRun", "All")
        })
        .boxed()
}

fn accept() -> BoxedStrategy<(Option<&'static str>, &'static str)> {
    prop_oneof![
        5 => Just((None, "")),
        2 => Just((Some("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"), " as table")),
        1 => Just((Some("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"), " as metadata")),
        1 => Just((Some("text/html"), "")),
    ]
    .boxed()
}

fn read(kind: &'static Kind) -> BoxedStrategy<Operation> {
    (known_name(), accept())
        .prop_map(|(name, (accept, form))| Operation {
            accept: accept.map(str::to_owned),
            ..Operation::new(&format!("get{form}"), "GET", kind.object(name))
        })
        .boxed()
}

fn list(kind: &'static Kind) -> BoxedStrategy<Operation> {
    let query = prop_oneof![
        4 => Just(vec![]),
        1 => Just(vec![("labelSelector", "app=web")]),
        1 => Just(vec![("labelSelector", "name in (a,c),app!=x")]),
        1 => Just(vec![("labelSelector", "!app")]),
        1 => Just(vec![("labelSelector", "app=")]),
        1 => Just(vec![("labelSelector", "app in web")]),
        1 => Just(vec![("labelSelector", "a b=c")]),
        1 => Just(vec![("labelSelector", "app=not a value")]),
        1 => Just(vec![("fieldSelector", "metadata.name=a")]),
        1 => Just(vec![("fieldSelector", "metadata.name!=a")]),
        1 => Just(vec![("fieldSelector", "spec.unknown=a")]),
        1 => Just(vec![("fieldSelector", "metadata.name")]),
        1 => Just(vec![("fieldSelector", "status.phase=Pending")]),
        1 => Just(vec![("limit", "1")]),
        1 => Just(vec![("limit", "-1")]),
        1 => Just(vec![("limit", "x")]),
        1 => Just(vec![("continue", "nonsense")]),
        1 => Just(vec![("resourceVersion", "0")]),
        1 => Just(vec![("resourceVersion", "abc")]),
        1 => Just(vec![("resourceVersionMatch", "Exact")]),
        1 => Just(vec![("resourceVersion", "0"), ("resourceVersionMatch", "Exact")]),
        1 => Just(vec![("resourceVersion", "1"), ("resourceVersionMatch", "Nearly")]),
        1 => Just(vec![("watch", "true"), ("sendInitialEvents", "true"), ("timeoutSeconds", "1")]),
    ];
    (query, accept())
        .prop_map(|(query, (accept, form))| {
            let form = form.replace("metadata", "metadata list");
            let accept =
                accept.map(|accept| accept.replace("PartialObjectMetadata", "PartialObjectMetadataList"));
            let list =
                Operation { accept, ..Operation::new(&format!("list{form}"), "GET", kind.collection()) };
            asking(list, &query)
        })
        .boxed()
}

fn replace(kind: &'static Kind) -> BoxedStrategy<Operation> {
    let version = prop_oneof![
        6 => Just(json!({"resourceVersion": CURRENT_VERSION})),
        2 => Just(json!({})),
        2 => Just(json!({"resourceVersion": "1"})),
        1 => Just(json!({"resourceVersion": "abc"})),
        1 => Just(json!({"resourceVersion": CURRENT_VERSION, "uid": CURRENT_UID})),
        1 => Just(json!({"uid": "00000000-0000-4000-8000-000000000000"})),
    ];
    (known_name(), body(kind), version, writing())
        .prop_map(|(name, mut body, version, query)| {
            for (field, value) in version.as_object().into_iter().flatten() {
                body["metadata"][field] = value.clone();
            }
            let replace = Operation::new("replace", "PUT", kind.object(name)).with(JSON, body);
            asking(replace, &query)
        })
        .boxed()
}

fn patch_body(kind: &'static Kind) -> BoxedStrategy<Value> {
    let own = select(kind.patches.clone());
    prop_oneof![
        6 => own,
        1 => Just(json!({"metadata": {"labels": {"team": "x", "app": null}}})),
        1 => Just(json!({"metadata": {"labels": {"bad key": "x"}}})),
        1 => Just(json!({"metadata": {"annotations": {"note": "y"}}})),
        1 => Just(json!({"metadata": {"finalizers": ["example.com/hold"]}})),
        1 => Just(json!({"metadata": {"finalizers": null}})),
        1 => Just(json!({"metadata": {"name": "other"}})),
        1 => Just(json!({"metadata": {"resourceVersion": "1"}})),
        1 => Just(json!({"unknown": {"x": 1}})),
        1 => Just(json!({})),
        1 => Just(json!("{broken")),
    ]
    .boxed()
}

fn merge_patch(kind: &'static Kind) -> BoxedStrategy<Operation> {
    let media = prop_oneof![Just((MERGE, "merge patch")), Just((STRATEGIC, "strategic merge patch")),];
    (known_name(), media, patch_body(kind), writing())
        .prop_map(|(name, (media, area), body, query)| {
            asking(Operation::new(area, "PATCH", kind.object(name)).with(media, body), &query)
        })
        .boxed()
}

fn json_patch(kind: &'static Kind) -> BoxedStrategy<Operation> {
    let steps = prop_oneof![
        Just(json!([{"op": "add", "path": "/metadata/labels/team", "value": "x"}])),
        Just(json!([{"op": "remove", "path": "/metadata/labels/app"}])),
        Just(json!([{"op": "remove", "path": "/metadata/labels/missing"}])),
        Just(
            json!([{"op": "test", "path": "/metadata/name", "value": "a"}, {"op": "add", "path": "/metadata/annotations", "value": {"x": "y"}}])
        ),
        Just(json!([{"op": "test", "path": "/metadata/name", "value": "zzz"}])),
        Just(json!([{"op": "replace", "path": "/metadata/labels", "value": {"only": "this"}}])),
        Just(json!([{"op": "replace", "path": "/nowhere/at/all", "value": 1}])),
        Just(json!([{"op": "copy", "from": "/metadata/labels/app", "path": "/metadata/labels/copy"}])),
        Just(json!([{"op": "move", "from": "/metadata/labels/app", "path": "/metadata/labels/moved"}])),
        Just(json!([{"op": "jump", "path": "/metadata"}])),
        Just(json!({"op": "add"})),
        Just(json!([])),
    ];
    (known_name(), steps, writing())
        .prop_map(|(name, steps, query)| {
            asking(Operation::new("json patch", "PATCH", kind.object(name)).with(PATCH, steps), &query)
        })
        .boxed()
}

fn apply(kind: &'static Kind) -> BoxedStrategy<Operation> {
    let query = prop_oneof![
        4 => Just(vec![("fieldManager", "one")]),
        2 => Just(vec![("fieldManager", "two")]),
        2 => Just(vec![("fieldManager", "two"), ("force", "true")]),
        1 => Just(vec![]),
        1 => Just(vec![("fieldManager", "one"), ("dryRun", "All")]),
        1 => Just(vec![("fieldManager", "one"), ("force", "maybe")]),
    ];
    (known_name(), body(kind), query)
        .prop_map(|(name, body, query)| {
            asking(Operation::new("apply", "PATCH", kind.object(name)).with(APPLY, body), &query)
        })
        .boxed()
}

fn subresource(kind: &'static Kind) -> BoxedStrategy<Operation> {
    let status = known_name()
        .prop_map(|name| Operation::new("status", "GET", format!("{}/status", kind.object(name))));
    let status_patch = (known_name(), patch_body(kind)).prop_map(|(name, body)| {
        Operation::new("status", "PATCH", format!("{}/status", kind.object(name))).with(MERGE, body)
    });
    if !kind.scale {
        return prop_oneof![1 => status, 1 => status_patch].boxed();
    }
    let scale =
        known_name().prop_map(|name| Operation::new("scale", "GET", format!("{}/scale", kind.object(name))));
    let replicas = select(&[0, 1, -1][..]);
    let scale_patch = (known_name(), replicas).prop_map(|(name, replicas)| {
        Operation::new("scale", "PATCH", format!("{}/scale", kind.object(name)))
            .with(MERGE, json!({"spec": {"replicas": replicas}}))
    });
    prop_oneof![1 => status, 1 => status_patch, 2 => scale, 2 => scale_patch].boxed()
}

fn delete(kind: &'static Kind) -> BoxedStrategy<Operation> {
    let options = prop_oneof![
        6 => Just(Value::Null),
        1 => Just(json!({"propagationPolicy": "Background"})),
        1 => Just(json!({"propagationPolicy": "Foreground"})),
        1 => Just(json!({"propagationPolicy": "Orphan"})),
        1 => Just(json!({"propagationPolicy": "Sideways"})),
        1 => Just(json!({"gracePeriodSeconds": 0})),
        1 => Just(json!({"gracePeriodSeconds": -5})),
        1 => Just(json!({"preconditions": {"uid": "00000000-0000-4000-8000-000000000000"}})),
        1 => Just(json!({"preconditions": {"uid": CURRENT_UID}})),
        1 => Just(json!({"preconditions": {"resourceVersion": "1"}})),
        1 => Just(json!({"dryRun": ["All"]})),
        1 => Just(json!({"dryRun": ["Maybe"]})),
    ];
    let one = (known_name(), options).prop_map(|(name, options)| {
        let delete = Operation::new("delete", "DELETE", kind.object(name));
        match options {
            Value::Object(mut options) => {
                options.insert("apiVersion".into(), json!("v1"));
                options.insert("kind".into(), json!("DeleteOptions"));
                delete.with(JSON, Value::Object(options))
            }
            _ => delete,
        }
    });
    let several = select(&["name=a", "name=zzz", "name in x"][..]).prop_map(|selector| {
        Operation::new("delete collection", "DELETE", kind.collection()).asking("labelSelector", selector)
    });
    prop_oneof![4 => one, 1 => several].boxed()
}

/// Requests that are wrong as a whole.
fn misdirected(kind: &'static Kind) -> BoxedStrategy<Operation> {
    let wrong = |method: &str, path: String| Operation::new("wrong request", method, path);
    let elsewhere = kind.collection().replace(NAMESPACE, "no-such-namespace");
    prop_oneof![
        Just(wrong("POST", elsewhere.clone()).with(JSON, kind.body("a"))),
        Just(wrong("GET", elsewhere)),
        Just(wrong("POST", kind.collection()).with(JSON, json!("{broken"))),
        Just(wrong("POST", kind.collection()).with("text/plain", kind.body("a"))),
        Just(wrong("POST", kind.collection()).with(JSON, json!("[1, 2]"))),
        Just(wrong("PATCH", kind.object("a")).with("application/strange", json!({}))),
        Just(wrong("POST", kind.object("a")).with(JSON, kind.body("a"))),
        Just(wrong("PUT", kind.collection()).with(JSON, kind.body("a"))),
        Just(wrong("GET", format!("{}/nothing", kind.object("a")))),
        Just(wrong("GET", format!("{}s", kind.collection()))),
        Just(wrong("GET", kind.collection().replace("/v1/", "/v7/"))),
        Just(wrong("DELETE", kind.object("a")).with(JSON, json!("{broken"))),
        Just(wrong("PUT", kind.object("b")).with(JSON, kind.body("a"))),
    ]
    .boxed()
}
