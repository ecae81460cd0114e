//! What containers have written, for `kubectl logs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::Value;

use super::{containers, locked, pods};
use crate::handlers::{LogRequest, Logs};
use crate::status::Status;
use crate::store::Store;

type Lines = Vec<(Timestamp, String)>;

#[derive(Default)]
struct Log {
    current: Lines,
    previous: Option<Lines>,
    begun: bool,
}

type Book = BTreeMap<(String, String), BTreeMap<String, Log>>;

/// The logs of every container. Cloning shares them.
#[derive(Clone)]
pub struct ContainerLogs {
    store: Store,
    book: Arc<Mutex<Book>>,
}

impl ContainerLogs {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, book: Arc::default() }
    }

    pub(super) fn write(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        at: Timestamp,
        text: &str,
        new_instance: bool,
    ) {
        let mut book = locked(&self.book);
        let logs = book.entry((namespace.to_owned(), pod.to_owned())).or_default();
        let log = logs.entry(container.to_owned()).or_default();
        if new_instance {
            let before = std::mem::take(&mut log.current);
            log.previous = log.begun.then_some(before);
            log.begun = true;
        }
        log.current.extend(text.lines().map(|line| (at, line.to_owned())));
    }

    pub(super) fn forget(&self, namespace: &str, pod: &str) {
        locked(&self.book).remove(&(namespace.to_owned(), pod.to_owned()));
    }
}

impl Logs for ContainerLogs {
    fn log(&self, namespace: &str, pod: &str, request: &LogRequest) -> Result<String, Status> {
        let object = self.store.get(&pods(), namespace, pod);
        let object = object.ok_or_else(|| Status::not_found("", "pods", pod))?;
        let name = container_name(&object, pod, request.container.as_deref())?;
        let book = locked(&self.book);
        let log = book.get(&(namespace.to_owned(), pod.to_owned())).and_then(|logs| logs.get(&name));
        let lines = match (log, request.previous) {
            (Some(log), true) => log.previous.as_ref().ok_or_else(|| {
                Status::bad_request(format!(
                    "previous terminated container \"{name}\" in pod \"{pod}\" not found"
                ))
            })?,
            (Some(log), false) => &log.current,
            (None, true) => {
                return Err(Status::bad_request(format!(
                    "previous terminated container \"{name}\" in pod \"{pod}\" not found"
                )));
            }
            (None, false) => return Err(Status::bad_request(why_waiting(&object, &name, pod))),
        };
        Ok(render(lines, request, self.store.clock().now()))
    }
}

fn container_name(object: &Value, pod: &str, asked: Option<&str>) -> Result<String, Status> {
    let main: Vec<&str> = containers(object, "containers").filter_map(|c| c["name"].as_str()).collect();
    let init: Vec<&str> = containers(object, "initContainers").filter_map(|c| c["name"].as_str()).collect();
    match asked {
        Some(name) if main.contains(&name) || init.contains(&name) => Ok(name.to_owned()),
        Some(name) => Err(Status::bad_request(format!("container {name} is not valid for pod {pod}"))),
        None => match main[..] {
            [one] if init.is_empty() => Ok(one.to_owned()),
            _ => {
                let inits = if init.is_empty() {
                    String::new()
                } else {
                    format!(" or one of the init containers: [{}]", init.join(" "))
                };
                Err(Status::bad_request(format!(
                    "a container name must be specified for pod {pod}, choose one of: [{}]{inits}",
                    main.join(" ")
                )))
            }
        },
    }
}

/// The kubelet's words for a container that has not written anything because it has not started.
fn why_waiting(object: &Value, name: &str, pod: &str) -> String {
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| object["status"][*list].as_array().into_iter().flatten());
    let status = statuses.find(|status| status["name"] == name);
    let Some(status) = status else {
        return if object["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
            format!("pod {pod} does not have a host assigned")
        } else {
            format!("container \"{name}\" in pod \"{pod}\" is not available")
        };
    };
    let why = match status["state"]["waiting"]["reason"].as_str() {
        Some("ErrImagePull") => "image can't be pulled",
        Some("ImagePullBackOff") => "trying and failing to pull image",
        Some(reason) => reason,
        None => return format!("container \"{name}\" in pod \"{pod}\" is waiting to start - no logs yet"),
    };
    format!("container \"{name}\" in pod \"{pod}\" is waiting to start: {why}")
}

fn render(lines: &Lines, request: &LogRequest, now: Timestamp) -> String {
    let oldest = request.since.and_then(|since| now.checked_sub(since).ok()).unwrap_or(Timestamp::MIN);
    let recent: Vec<&(Timestamp, String)> = lines.iter().filter(|(at, _)| *at >= oldest).collect();
    let skip = request.tail.map_or(0, |tail| recent.len().saturating_sub(tail));
    let mut text = String::new();
    for (at, line) in recent.into_iter().skip(skip) {
        if request.timestamps {
            text.push_str(&at.strftime("%Y-%m-%dT%H:%M:%S%.9fZ ").to_string());
        }
        text.push_str(line);
        text.push('\n');
    }
    if let Some(limit) = request.limit_bytes
        && text.len() > limit
    {
        let cut = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
    }
    text
}
