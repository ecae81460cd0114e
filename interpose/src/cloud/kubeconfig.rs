//! Writing a kubeconfig as `aws eks update-kubeconfig` and `eksctl utils write-kubeconfig` do:
//! merged into the file that is there, its names those of the tool.
//!
//! Real ones carry an exec plugin that asks AWS for a token; these carry credentials of their own, since
//! there is no AWS to ask: the caller's, or else the administrator's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Admin, Cloud};

/// Names within the kubeconfig.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    pub(crate) context: String,
    pub(crate) cluster: String,
    pub(crate) user: String,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    /// Whether the cluster had an entry already.
    pub(crate) updated: bool,
}

/// Writes the entries into the file of the flag, or the first of the variable, or the one in the home
/// folder; with `select` the context becomes the current one.
pub(crate) fn write_kubeconfig(
    cloud: &Cloud,
    naming: &Naming,
    explicit: Option<&str>,
    env: &BTreeMap<String, String>,
    select: bool,
) -> Result<Written, String> {
    let Admin::Kubeconfig(admin) = &cloud.admin else {
        return Err("there is no administrator's kubeconfig to take credentials from".into());
    };
    let source = cloud.kubeconfig.as_ref().unwrap_or(admin);
    let admin = read(source)?.ok_or("the kubeconfig to take credentials from is missing")?;
    let path = target(explicit, env).ok_or("there is no KUBECONFIG, and no HOME to put one in")?;
    let mut file = read(&path)?.unwrap_or_else(|| {
        json!({ "apiVersion": "v1", "kind": "Config", "preferences": {}, "clusters": [], "contexts": [], "users": [] })
    });
    let first = |list: &str, entry: &str| admin[list][0][entry].clone();
    let context = json!({ "cluster": naming.cluster, "user": naming.user });
    let mut updated = false;
    for (list, entry, name, value) in [
        ("clusters", "cluster", &naming.cluster, first("clusters", "cluster")),
        ("users", "user", &naming.user, first("users", "user")),
        ("contexts", "context", &naming.context, context),
    ] {
        let known = put(&mut file, list, entry, name, value);
        updated |= known && list == "clusters";
    }
    if select {
        file["current-context"] = naming.context.clone().into();
    }
    let text = serde_saphyr::to_string(&file).map_err(|error| error.to_string())?;
    save(&path, &text).map_err(|error| format!("write {}: {error}", path.display()))?;
    Ok(Written { path, updated })
}

fn target(explicit: Option<&str>, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let variable = || {
        let paths = env.get("KUBECONFIG")?;
        std::env::split_paths(paths).find(|it| !it.as_os_str().is_empty())
    };
    let home = || env.get("HOME").map(|home| Path::new(home).join(".kube/config"));
    explicit.map(PathBuf::from).or_else(variable).or_else(home)
}

fn read(path: &Path) -> Result<Option<Value>, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("read {}: {error}", path.display())),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    serde_saphyr::from_str(&text).map(Some).map_err(|error| format!("read {}: {error}", path.display()))
}

/// Sets a named entry of a list; says whether it was there.
fn put(file: &mut Value, list: &str, entry: &str, name: &str, value: Value) -> bool {
    if !file[list].is_array() {
        file[list] = json!([]);
    }
    let mut fresh = Map::new();
    fresh.insert("name".into(), name.into());
    fresh.insert(entry.into(), value);
    let Some(entries) = file[list].as_array_mut() else { return false };
    match entries.iter_mut().find(|it| it["name"] == name) {
        Some(known) => {
            *known = fresh.into();
            true
        }
        None => {
            entries.push(fresh.into());
            false
        }
    }
}

/// Writes in one step, readable by its owner alone: it holds credentials.
fn save(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let mut file =
        std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    drop(file);
    std::fs::rename(draft, path)
}
