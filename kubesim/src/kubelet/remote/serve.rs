//! What a kubelet serves to the API server: container logs.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};

use super::super::ContainerLogs;
use crate::handlers::{LogRequest, Logs as _, Query};
use crate::transport::{Answer, Authenticator, Body, Front, Peer, User};

/// The kubelets' HTTPS endpoint, the same for every node.
pub(super) struct KubeletApi {
    logs: ContainerLogs,
    authenticator: Authenticator,
}

impl KubeletApi {
    /// Answers whoever shows this certificate.
    pub(super) fn new(logs: ContainerLogs, client: &[u8]) -> Self {
        let authenticator = Authenticator::default();
        let api_server = User::new("kube-apiserver-kubelet-client", ["system:masters"]);
        authenticator.accept_certificate(client, Peer::User(api_server));
        Self { logs, authenticator }
    }

    fn answer(&self, method: &Method, path: &str, query: &Query) -> (StatusCode, String) {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match (method, &parts[..]) {
            (&Method::GET, ["healthz"]) => (StatusCode::OK, "ok".to_owned()),
            (&Method::GET, ["containerLogs", namespace, pod, container]) => {
                let request = LogRequest::parse(Some((*container).to_owned()), query);
                match self.logs.log(namespace, pod, &request) {
                    Ok(text) => (StatusCode::OK, text),
                    Err(status) => {
                        let code = StatusCode::from_u16(status.code);
                        (code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), status.message)
                    }
                }
            }
            _ => (StatusCode::NOT_FOUND, "404 page not found\n".to_owned()),
        }
    }
}

impl Front for KubeletApi {
    fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    fn serve(&self, peer: Option<&Peer>, request: Request<hyper::body::Incoming>) -> Answer {
        let (status, text) = match peer {
            None => (StatusCode::UNAUTHORIZED, "Unauthorized".to_owned()),
            Some(_) => {
                let query = Query::parse(request.uri().query().unwrap_or_default());
                self.answer(request.method(), request.uri().path(), &query)
            }
        };
        let mut response = Response::new(Body::whole(Bytes::from(text)));
        *response.status_mut() = status;
        let plain = header::HeaderValue::from_static("text/plain");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        Box::pin(std::future::ready(Ok(response)))
    }
}
