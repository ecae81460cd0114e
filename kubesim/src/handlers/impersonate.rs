//! Acting as somebody else: the `Impersonate-…` headers behind `kubectl --as`.

use std::sync::Arc;

use http::HeaderMap;

use super::{Core, header};
use crate::admission::{Attributes, require};
use crate::status::Status;
use crate::transport::User;

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";

/// The user that a request runs as: the one who sent it, or the one whom it names if its sender may.
pub(super) fn user(core: &Core, sender: Arc<User>, headers: &HeaderMap) -> Result<Arc<User>, Status> {
    let name = header(headers, USER);
    let groups: Vec<&str> = headers.get_all(GROUP).iter().filter_map(|group| group.to_str().ok()).collect();
    if name.is_empty() {
        if groups.is_empty() {
            return Ok(sender);
        }
        return Err(Status::new(
            500,
            "InternalError",
            format!(
                "Internal error occurred: requested [{{Group  {}    }}] without impersonating a user",
                groups[0]
            ),
        ));
    }
    let asked = |resource: &str, namespace: &str, name: &str| Attributes {
        verb: "impersonate".to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    match account {
        Some((namespace, account)) => require(core, &sender, &asked("serviceaccounts", namespace, account))?,
        None => require(core, &sender, &asked("users", "", name))?,
    }
    for group in &groups {
        require(core, &sender, &asked("groups", "", group))?;
    }
    let user = match account {
        Some((namespace, account)) if groups.is_empty() => User::service_account(namespace, account),
        // Whoever is nobody is not authenticated either.
        _ if name == "system:anonymous" => {
            User { name: name.to_owned(), groups: vec!["system:unauthenticated".to_owned()] }
        }
        _ => User::new(name, groups.into_iter().filter(|group| *group != "system:authenticated")),
    };
    Ok(Arc::new(user))
}
