//! What the installer asks of the API server besides reading: the few objects that it makes itself
//! (namespaces and service accounts), the claims that a clean-up deletes, and questions that are posed by
//! POST. All else is made by the tools.

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
        self.may_change(what)?;
        let (status, body) = self.exchange(what, Method::POST, path, Some(object)).await?;
        if status.is_success() || status == StatusCode::CONFLICT {
            return Ok(());
        }
        Err(ReadError::status(what, status, &self.said(status, &body), None))
    }

    /// Deletes an object, once. That it is gone already is as good.
    ///
    /// # Errors
    /// When the server refuses, or it is not known what came of it.
    pub async fn delete(&self, what: &str, path: &str) -> Result<(), ReadError> {
        self.may_change(what)?;
        let (status, body) = self.exchange(what, Method::DELETE, path, None).await?;
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(ReadError::status(what, status, &self.said(status, &body), None))
    }

    /// Poses a question by POST, such as an access review: nothing is kept of it, so it may be repeated.
    ///
    /// # Errors
    /// When the server could not be asked, refuses, or cannot be understood.
    pub async fn ask(&self, what: &str, path: &str, question: &Value) -> Result<Value, ReadError> {
        self.run
            .retrying(what, || async {
                let (status, body) = self.exchange(what, Method::POST, path, Some(question)).await?;
                if status.is_success() {
                    return super::parse(what, &body);
                }
                Err(ReadError::status(what, status, &self.said(status, &body), None))
            })
            .await
    }

    /// What an unsuccessful answer says, without secrets.
    fn said(&self, status: StatusCode, body: &[u8]) -> String {
        said(status, &self.run.ctx.redactor.text(&String::from_utf8_lossy(body)))
    }

    /// The last net: a dry run plans its writes, and one that is not planned is not made either.
    fn may_change(&self, what: &str) -> Result<(), ReadError> {
        if self.run.settings.dry_run {
            return Err(ReadError::Dry { what: what.to_owned() });
        }
        Ok(())
    }

    /// One request, and its answer whatever it says.
    async fn exchange(
        &self,
        what: &str,
        method: Method,
        path: &str,
        object: Option<&Value>,
    ) -> Result<(StatusCode, Vec<u8>), ReadError> {
        self.run.count(|telemetry| telemetry.api_requests += 1);
        let body = object.map_or_else(Body::empty, |object| Body::from(object.to_string().into_bytes()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, JSON)
            .header(header::CONTENT_TYPE, JSON)
            .body(body)
            .map_err(|error| ReadError::garbage(what, &error))?;
        let exchange = async {
            let answer = self.connection.client.send(request).await;
            let answer = answer.map_err(|error| ReadError::transport(what, &error))?;
            let status = answer.status();
            let body = answer.into_body().collect_bytes().await;
            let body = body.map_err(|error| ReadError::transport(what, &error))?;
            Ok((status, body.to_vec()))
        };
        self.limited(what, self.run.settings.limits.api_timeout, exchange).await
    }
}
