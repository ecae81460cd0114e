//! What a request asks for, read from its method, path and query.

use http::{Method, Uri};

/// A request's parts that decide who handles it, as the real server's RequestInfo has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestInfo {
    pub(crate) verb: String,
    pub(crate) path: String,
    /// Whether the path names a resource (and not discovery, health, version or OpenAPI).
    pub(crate) is_resource: bool,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// What follows the subresource, e.g. the path of a proxy request.
    pub(crate) rest: String,
    pub(crate) query: Query,
}

/// A decoded query string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter; `None` when it is absent or empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, v)| k == key && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Whether a parameter is there and true, as `strconv.ParseBool` and an empty value have it.
    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .is_some_and(|(_, v)| matches!(v.as_str(), "" | "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// Whether a parameter is there and not empty.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, v)| k == key && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }
}

fn decode(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = || -> Option<u8> { u8::from_str_radix(text.get(index + 1..index + 3)?, 16).ok() };
        match bytes[index] {
            b'%' => match hex() {
                Some(byte) => {
                    out.push(byte);
                    index += 2;
                }
                None => out.push(b'%'),
            },
            b'+' if plus => out.push(b' '),
            byte => out.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl RequestInfo {
    pub(crate) fn parse(method: &Method, uri: &Uri) -> Self {
        let query = Query::parse(uri.query().unwrap_or_default());
        let path = uri.path().to_owned();
        let mut info = Self { verb: plain_verb(method), path: path.clone(), query, ..Self::default() };
        let parts: Vec<String> =
            path.split('/').filter(|p| !p.is_empty()).map(|p| decode(p, false)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let rest = match parts.as_slice() {
            ["api", version, rest @ ..] => {
                info.version = (*version).to_owned();
                rest
            }
            ["apis", group, version, rest @ ..] => {
                info.group = (*group).to_owned();
                info.version = (*version).to_owned();
                rest
            }
            _ => return info,
        };
        let rest = match rest {
            [] => {
                info.group.clear();
                info.version.clear();
                return info;
            }
            // /namespaces/x and its own subresources are about the namespace itself.
            ["namespaces", name] => {
                info.namespace = (*name).to_owned();
                rest
            }
            ["namespaces", name, "status" | "finalize"] => {
                info.namespace = (*name).to_owned();
                rest
            }
            ["namespaces", name, rest @ ..] => {
                info.namespace = (*name).to_owned();
                rest
            }
            rest => rest,
        };
        info.is_resource = true;
        let at = |index: usize| rest.get(index).map(|part| (*part).to_owned()).unwrap_or_default();
        info.resource = at(0);
        info.name = at(1);
        info.subresource = at(2);
        info.rest = rest.get(3..).unwrap_or_default().join("/");
        info.verb = resource_verb(method, &info);
        info
    }

    pub(crate) fn dry_run(&self) -> bool {
        self.query.get("dryRun") == Some("All")
    }
}

fn plain_verb(method: &Method) -> String {
    method.as_str().to_lowercase()
}

fn resource_verb(method: &Method, info: &RequestInfo) -> String {
    let one = !info.name.is_empty();
    let verb = match *method {
        Method::GET | Method::HEAD if info.query.is_true("watch") && info.subresource.is_empty() => "watch",
        Method::GET | Method::HEAD if one => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if one => "delete",
        Method::DELETE => "deletecollection",
        _ => return plain_verb(method),
    };
    verb.to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn info(method: Method, uri: &str) -> (String, String, String, String, String) {
        let i = RequestInfo::parse(&method, &uri.parse().unwrap());
        (i.verb, i.resource, i.subresource, i.namespace, i.name)
    }

    fn s(
        verb: &str,
        resource: &str,
        sub: &str,
        ns: &str,
        name: &str,
    ) -> (String, String, String, String, String) {
        (verb.into(), resource.into(), sub.into(), ns.into(), name.into())
    }

    #[test]
    fn paths_read_as_the_real_server_reads_them() {
        assert_eq!(info(Method::GET, "/api/v1/nodes"), s("list", "nodes", "", "", ""));
        assert_eq!(info(Method::GET, "/api/v1/nodes?watch=1"), s("watch", "nodes", "", "", ""));
        assert_eq!(info(Method::GET, "/api/v1/namespaces/a"), s("get", "namespaces", "", "a", "a"));
        assert_eq!(
            info(Method::PUT, "/api/v1/namespaces/a/finalize"),
            s("update", "namespaces", "finalize", "a", "a")
        );
        assert_eq!(info(Method::POST, "/api/v1/namespaces/a/pods"), s("create", "pods", "", "a", ""));
        assert_eq!(
            info(Method::PATCH, "/apis/apps/v1/namespaces/a/deployments/b/status"),
            s("patch", "deployments", "status", "a", "b")
        );
        assert_eq!(
            info(Method::DELETE, "/api/v1/namespaces/a/pods"),
            s("deletecollection", "pods", "", "a", "")
        );
        assert_eq!(info(Method::GET, "/version"), s("get", "", "", "", ""));
        assert_eq!(info(Method::GET, "/api/v1"), s("get", "", "", "", ""));
    }

    #[test]
    fn queries_are_decoded() {
        let uri: Uri = "/api/v1/pods?labelSelector=a%3Db%2Cc+in+%28d%29&watch=false".parse().unwrap();
        let info = RequestInfo::parse(&Method::GET, &uri);
        assert_eq!(info.query.get("labelSelector"), Some("a=b,c in (d)"));
        assert!(!info.query.is_true("watch"));
    }
}
