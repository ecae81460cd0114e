//! Where in the API an object lives.

use serde_json::Value;

use super::{Api, ApiError, kinds};

/// An object's place in the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) api_version: String,
    pub(crate) resource: String,
    pub(crate) namespace: Option<String>,
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl Place {
    /// Finds the place of an object; objects without a namespace of their own go into `namespace`.
    pub(crate) async fn of(api: &Api, object: &Value, namespace: &str) -> Result<Self, ApiError> {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let name = text(&object["metadata"]["name"]);
        let (resource, namespaced) = match kinds::known(&api_version, &kind) {
            Some((resource, namespaced)) => (resource.to_owned(), namespaced),
            None => {
                let missing = || ApiError::Status {
                    code: 404,
                    reason: "NotFound".into(),
                    message: format!(
                        "resource mapping not found for name: \"{name}\" namespace: \"\" from \"\": no matches for kind \"{kind}\" in version \"{api_version}\"\nensure CRDs are installed first"
                    ),
                };
                let resources = match api.discover(&api_version).await {
                    Ok(resources) => resources,
                    Err(error) if error.code() == Some(404) => return Err(missing()),
                    Err(error) => return Err(error),
                };
                let found = resources.iter().find(|it| {
                    it["kind"] == kind.as_str() && !it["name"].as_str().unwrap_or("/").contains('/')
                });
                let found = found.ok_or_else(missing)?;
                (text(&found["name"]), found["namespaced"] == true)
            }
        };
        let own = object["metadata"]["namespace"].as_str().map(str::to_owned);
        let namespace = namespaced.then(|| own.unwrap_or_else(|| namespace.to_owned()));
        Ok(Self { api_version, resource, namespace, kind, name })
    }
}
