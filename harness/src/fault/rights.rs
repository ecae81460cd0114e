//! An identity that may not do everything.

use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Done, Fault, Ground};
use crate::backend::{Capability, Cluster, ClusterError};

/// The installer may do what these rules say and nothing else: RBAC, as for an identity that is mapped to a
/// group of its own. Its kubeconfig says whom it acts as.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RightsLimited {
    /// Rules of a ClusterRole: `apiGroups`, `resources`, `verbs`.
    rules: Vec<Map<String, Value>>,
    #[serde(skip)]
    before: Option<String>,
}

/// Name of the role, of its binding, and of the group that is bound.
const NAME: &str = "seatrial:limited";

fn api(cluster: &dyn Cluster, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", kind);
    Api::all_with(cluster.admin(), &ApiResource::from_gvk(&kind))
}

impl RightsLimited {
    fn objects(&self) -> [(&'static str, Value); 2] {
        let group = "rbac.authorization.k8s.io";
        let object = |kind: &str| json!({ "apiVersion": format!("{group}/v1"), "kind": kind, "metadata": { "name": NAME } });
        let (mut role, mut binding) = (object("ClusterRole"), object("ClusterRoleBinding"));
        role["rules"] = json!(self.rules);
        binding["roleRef"] = json!({ "apiGroup": group, "kind": "ClusterRole", "name": NAME });
        binding["subjects"] = json!([{ "apiGroup": group, "kind": "Group", "name": NAME }]);
        [("ClusterRole", role), ("ClusterRoleBinding", binding)]
    }
}

/// The kubeconfig with every user of it acting as a member of the group.
fn acting(kubeconfig: &str, user: &str) -> Result<String, ClusterError> {
    let failed = |error: &dyn std::fmt::Display| ClusterError::new(format!("read the kubeconfig: {error}"));
    let mut file: Value = serde_saphyr::from_str(kubeconfig).map_err(|error| failed(&error))?;
    for entry in file["users"].as_array_mut().into_iter().flatten() {
        entry["user"]["as"] = json!(user);
        entry["user"]["as-groups"] = json!([NAME]);
    }
    serde_saphyr::to_string(&file).map_err(|error| failed(&error))
}

impl Fault for RightsLimited {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Objects]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            for (kind, object) in self.objects() {
                let failed = |error: &dyn std::fmt::Display| {
                    ClusterError::new(format!("create {kind} {NAME}: {error}"))
                };
                let object = serde_json::from_value(object).map_err(|error| failed(&error))?;
                let made = api(ground.cluster, kind).create(&PostParams::default(), &object).await;
                made.map_err(|error| failed(&error))?;
            }
            let path = ground.kubeconfig;
            let failed =
                |error: std::io::Error| ClusterError::new(format!("change {}: {error}", path.display()));
            let before = std::fs::read_to_string(path).map_err(failed)?;
            std::fs::write(path, acting(&before, "seatrial:installer")?).map_err(failed)?;
            self.before = Some(before);
            Ok(())
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let Some(before) = self.before.take() else { return Ok(()) };
            let path = ground.kubeconfig;
            std::fs::write(path, before)
                .map_err(|error| ClusterError::new(format!("change {}: {error}", path.display())))?;
            for (kind, _) in self.objects() {
                match api(ground.cluster, kind).delete(NAME, &DeleteParams::default()).await {
                    Ok(_) => {}
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    Err(error) => return Err(ClusterError::new(format!("remove {kind} {NAME}: {error}"))),
                }
            }
            Ok(())
        })
    }
}
