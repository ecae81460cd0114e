//! `aws eks`: add-ons and Pod Identity associations.

use serde_json::{Value, json};

use super::{Failure, Operation, Session, broken, parameters};
use crate::cloud::flags::Flag;
use crate::cloud::{Addon, Association, Holdings};

const CLUSTER: &[Flag] = &[("cluster-name", None, true)];
const ADDON: &[Flag] = &[("cluster-name", None, true), ("addon-name", None, true)];
const CREATE_ADDON: &[Flag] = &[
    ("cluster-name", None, true),
    ("addon-name", None, true),
    ("addon-version", None, true),
    ("service-account-role-arn", None, true),
    ("resolve-conflicts", None, true),
    ("configuration-values", None, true),
    ("tags", None, true),
];
const LIST: &[Flag] =
    &[("cluster-name", None, true), ("namespace", None, true), ("service-account", None, true)];
const ASSOCIATION: &[Flag] = &[("cluster-name", None, true), ("association-id", None, true)];
const ASSOCIATE: &[Flag] = &[
    ("cluster-name", None, true),
    ("namespace", None, true),
    ("service-account", None, true),
    ("role-arn", None, true),
    ("client-request-token", None, true),
    ("tags", None, true),
];

pub(super) const OPERATIONS: &[Operation] = &[
    ("eks", "list-addons", CLUSTER, &["cluster-name"]),
    ("eks", "describe-addon", ADDON, &["cluster-name", "addon-name"]),
    ("eks", "create-addon", CREATE_ADDON, &["cluster-name", "addon-name"]),
    ("eks", "list-pod-identity-associations", LIST, &["cluster-name"]),
    ("eks", "describe-pod-identity-association", ASSOCIATION, &["cluster-name", "association-id"]),
    (
        "eks",
        "create-pod-identity-association",
        ASSOCIATE,
        &["cluster-name", "namespace", "service-account", "role-arn"],
    ),
    ("eks", "delete-pod-identity-association", ASSOCIATION, &["cluster-name", "association-id"]),
];

pub(super) fn run(session: &Session<'_>, operation: &str, region: &str) -> Result<String, Failure> {
    let api = match operation {
        "list-addons" => "ListAddons",
        "describe-addon" => "DescribeAddon",
        "create-addon" => "CreateAddon",
        "list-pod-identity-associations" => "ListPodIdentityAssociations",
        "describe-pod-identity-association" => "DescribePodIdentityAssociation",
        "create-pod-identity-association" => "CreatePodIdentityAssociation",
        _ => "DeletePodIdentityAssociation",
    };
    session.find(session.needed("cluster-name"), region, api)?;
    let number =
        if operation.starts_with("create-pod") { session.cloud.number().map_err(broken)? } else { 0 };
    let place = Place { session, region, api, number };
    let answer = session
        .cloud
        .alter(|holdings| match operation {
            "list-addons" => Ok(json!({ "addons": holdings.addons.keys().collect::<Vec<_>>() })),
            "describe-addon" => place.addon(holdings),
            "create-addon" => place.create_addon(holdings),
            "list-pod-identity-associations" => Ok(place.associations(holdings)),
            "describe-pod-identity-association" => place.association(holdings),
            "create-pod-identity-association" => place.associate(holdings),
            _ => place.dissociate(holdings),
        })
        .map_err(broken)??;
    session.print(&answer)
}

/// Where an operation is at work.
struct Place<'s> {
    session: &'s Session<'s>,
    region: &'s str,
    api: &'static str,
    number: u32,
}

impl Place<'_> {
    fn arn(&self, what: &str) -> String {
        format!("arn:aws:eks:{}:{}:{what}", self.region, self.session.cloud.account())
    }

    fn addon_value(&self, name: &str, addon: &Addon) -> Value {
        let cluster = self.session.needed("cluster-name");
        json!({ "addon": {
            "addonName": name,
            "clusterName": cluster,
            "status": addon.status,
            "addonVersion": "v1.3.9-eksbuild.5",
            "health": { "issues": super::eks::issues(&addon.issues, &[]) },
            "addonArn": self.arn(&format!("addon/{cluster}/{name}/example")),
            "tags": {},
        } })
    }

    fn addon(&self, holdings: &Holdings) -> Result<Value, Failure> {
        let name = self.session.needed("addon-name");
        let addon = holdings.addons.get(name).ok_or_else(|| {
            let words = format!("No addon: {name} found in cluster: {}", self.session.needed("cluster-name"));
            Failure::service("ResourceNotFoundException", self.api, &words)
        })?;
        Ok(self.addon_value(name, addon))
    }

    fn create_addon(&self, holdings: &mut Holdings) -> Result<Value, Failure> {
        let name = self.session.needed("addon-name");
        if holdings.addons.contains_key(name) {
            return Err(Failure::service("ResourceInUseException", self.api, "Addon already exists."));
        }
        let addon = Addon { status: "ACTIVE".into(), issues: Vec::new() };
        let value = self.addon_value(name, &addon);
        holdings.addons.insert(name.to_owned(), addon);
        Ok(value)
    }

    fn association_value(&self, id: &str, association: &Association, whole: bool) -> Value {
        let cluster = self.session.needed("cluster-name");
        let mut value = json!({
            "clusterName": cluster,
            "namespace": association.namespace,
            "serviceAccount": association.service_account,
            "associationArn": self.arn(&format!("podidentityassociation/{cluster}/{id}")),
            "associationId": id,
        });
        if whole {
            value["roleArn"] = json!(association.role_arn);
            value["tags"] = json!(association.tags);
        }
        value
    }

    /// Only what the filters ask for; roles are told by the description alone.
    fn associations(&self, holdings: &Holdings) -> Value {
        let asked = |flag: &str, value: &str| self.session.given.one(flag).is_none_or(|it| it == value);
        let found: Vec<Value> = holdings
            .associations
            .iter()
            .filter(|(_, it)| {
                asked("namespace", &it.namespace) && asked("service-account", &it.service_account)
            })
            .map(|(id, it)| self.association_value(id, it, false))
            .collect();
        json!({ "associations": found })
    }

    fn missing(&self) -> Failure {
        let id = self.session.needed("association-id");
        let words = format!("The specified association ID {id} does not exist.");
        Failure::service("ResourceNotFoundException", self.api, &words)
    }

    fn association(&self, holdings: &Holdings) -> Result<Value, Failure> {
        let id = self.session.needed("association-id");
        let found = holdings.associations.get(id).ok_or_else(|| self.missing())?;
        Ok(json!({ "association": self.association_value(id, found, true) }))
    }

    fn associate(&self, holdings: &mut Holdings) -> Result<Value, Failure> {
        let given = |flag: &str| self.session.needed(flag).to_owned();
        let tags = match self.session.given.one("tags") {
            Some(text) => parameters::structure("tags", text)?,
            None => Default::default(),
        };
        let made = Association {
            namespace: given("namespace"),
            service_account: given("service-account"),
            role_arn: given("role-arn"),
            tags,
        };
        if !made.role_arn.starts_with("arn:") {
            let words = format!("Role ARN {} is not valid.", made.role_arn);
            return Err(Failure::service("InvalidParameterException", self.api, &words));
        }
        let same =
            |it: &Association| it.namespace == made.namespace && it.service_account == made.service_account;
        if let Some((id, _)) = holdings.associations.iter().find(|(_, it)| same(it)) {
            let words = format!("Association already exists: {id}");
            return Err(Failure::service("ResourceInUseException", self.api, &words));
        }
        let id = format!("a-{:017x}", self.number);
        let value = self.association_value(&id, &made, true);
        holdings.associations.insert(id, made);
        Ok(json!({ "association": value }))
    }

    fn dissociate(&self, holdings: &mut Holdings) -> Result<Value, Failure> {
        let id = self.session.needed("association-id");
        let gone = holdings.associations.remove(id).ok_or_else(|| self.missing())?;
        Ok(json!({ "association": self.association_value(id, &gone, true) }))
    }
}
