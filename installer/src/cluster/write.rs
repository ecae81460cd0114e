//! The few objects that the installer makes itself: namespaces and service accounts. All else is made
//! by the tools.

use http::{Method, Request, StatusCode, header};
use kube::client::Body;
use serde_json::Value;

use super::{Cluster, JSON, ReadError, said};

impl Cluster<'_> {
    /// Makes an object, once. That there is one already is as good.
    ///
    /// # Errors
    /// When the server refuses, or it is not known what came of it.
    pub async fn create(&self, what: &str, path: &str, object: &Value) -> Result<(), ReadError> {
        self.run.count(|telemetry| telemetry.api_requests += 1);
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::ACCEPT, JSON)
            .header(header::CONTENT_TYPE, JSON)
            .body(Body::from(object.to_string().into_bytes()))
            .map_err(|error| ReadError::garbage(what, &error))?;
        let exchange = async {
            let answer = self.connection.client.send(request).await;
            let answer = answer.map_err(|error| ReadError::transport(what, &error))?;
            let status = answer.status();
            if status.is_success() || status == StatusCode::CONFLICT {
                return Ok(());
            }
            let body = answer.into_body().collect_bytes().await.unwrap_or_default();
            Err(ReadError::status(what, status, &said(status, &body), None))
        };
        self.limited(what, self.run.settings.limits.api_timeout, exchange).await
    }
}
