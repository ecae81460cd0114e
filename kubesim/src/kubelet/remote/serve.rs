//! What a kubelet serves to the API server: container logs.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, header};

use super::super::{ContainerLogs, pods};
use crate::handlers::{Follower, LogRequest, Logs as _, Query};
use crate::status::Status;
use crate::store::Store;
use crate::transport::{Answer, Authenticator, Body, Front, Peer, User};

/// The kubelets' HTTPS endpoint, the same for every node.
pub(super) struct KubeletApi {
    store: Store,
    logs: ContainerLogs,
    authenticator: Authenticator,
}

impl KubeletApi {
    /// Answers whoever shows this certificate.
    pub(super) fn new(store: Store, logs: ContainerLogs, client: &[u8]) -> Self {
        let authenticator = Authenticator::default();
        let api_server = User::new("kube-apiserver-kubelet-client", ["system:masters"]);
        authenticator.accept_certificate(client, Peer::User(api_server));
        Self { store, logs, authenticator }
    }

    fn answer(&self, method: &Method, path: &str, query: &Query) -> (StatusCode, Body) {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match (method, &parts[..]) {
            (&Method::GET, ["healthz"]) => (StatusCode::OK, Body::whole("ok")),
            (&Method::GET, ["containerLogs", namespace, pod, container]) => {
                let request = LogRequest::parse(Some((*container).to_owned()), query);
                match self.log(namespace, pod, request, query.is_true("follow")) {
                    Ok(body) => (StatusCode::OK, body),
                    Err(status) => {
                        let code = StatusCode::from_u16(status.code);
                        (code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Body::whole(status.message))
                    }
                }
            }
            _ => (StatusCode::NOT_FOUND, Body::whole("404 page not found\n")),
        }
    }

    fn log(&self, namespace: &str, pod: &str, request: LogRequest, follow: bool) -> Result<Body, Status> {
        let text = self.logs.log(namespace, pod, &request)?;
        let pod = self.store.get(&pods(), namespace, pod).filter(|_| follow && !request.previous);
        let Some(pod) = pod else { return Ok(Body::whole(text)) };
        let (store, logs) = (self.store.clone(), Arc::new(self.logs.clone()));
        Ok(Follower { store, logs, pod, request }.stream(text))
    }
}

impl Front for KubeletApi {
    fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    fn serve(&self, peer: Option<&Peer>, request: Request<hyper::body::Incoming>) -> Answer {
        let (status, body) = match peer {
            None => (StatusCode::UNAUTHORIZED, Body::whole("Unauthorized")),
            Some(_) => {
                let query = Query::parse(request.uri().query().unwrap_or_default());
                self.answer(request.method(), request.uri().path(), &query)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let plain = header::HeaderValue::from_static("text/plain");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        Box::pin(std::future::ready(Ok(response)))
    }
}
