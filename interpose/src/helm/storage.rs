//! Releases in Secrets, as Helm 3 and 4 keep them.
//!
//! `data.release` is base64 (Helm's own) of gzip of the release's JSON, and on the wire base64 once
//! more, since it is a Secret's value. Facts: helm pkg/storage/driver (secrets.go, util.go).

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Failure;
use super::release::{Release, Status};
use crate::cluster::{Api, ApiError};

/// Type of the storage Secret.
pub const SECRET_TYPE: &str = "helm.sh/release.v1";

const SYSTEM_LABELS: &[&str] = &["name", "owner", "status", "version", "createdAt", "modifiedAt"];

/// Most bytes that a release may have when unpacked; a Secret holds 1 MiB packed.
const UNPACKED_CAP: u64 = 64 << 20;

/// Why a Secret is not a release.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// There is no `data.release`.
    #[error("the Secret has no data.release")]
    Missing,
    /// The value is not base64 of base64.
    #[error("data.release: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The value does not unpack.
    #[error("data.release: {0}")]
    Gzip(#[from] std::io::Error),
    /// What is inside is not a release.
    #[error("data.release: {0}")]
    Json(#[from] serde_json::Error),
}

/// Name of the Secret of one revision.
pub fn secret_name(release: &str, version: i64) -> String {
    format!("sh.helm.release.v1.{release}.v{version}")
}

/// The Secret of a release as Helm writes it first, in seconds' time of `now`.
pub fn encode(release: &Release, now: Timestamp) -> Value {
    secret(release, ("createdAt", now))
}

fn secret(release: &Release, (stamp, at): (&str, Timestamp)) -> Value {
    let mut labels = release.labels.clone();
    labels.extend([
        ("name".to_owned(), release.name.clone()),
        ("owner".to_owned(), "helm".to_owned()),
        ("status".to_owned(), release.info.status.word().to_owned()),
        ("version".to_owned(), release.version.to_string()),
        (stamp.to_owned(), at.as_second().to_string()),
    ]);
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(&release.name, release.version),
            "namespace": release.namespace,
            "labels": labels,
        },
        "type": SECRET_TYPE,
        "data": { "release": STANDARD.encode(pack(release)) },
    })
}

fn pack(release: &Release) -> String {
    let text = serde_json::to_vec(release).unwrap_or_default();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Writing into memory does not fail.
    let packed = gzip.write_all(&text).and_then(|()| gzip.finish()).unwrap_or_default();
    STANDARD.encode(packed)
}

/// The release in a Secret.
///
/// # Errors
/// It is not one: no data, or not packed as Helm packs.
pub fn decode(secret: &Value) -> Result<Release, DecodeError> {
    let outer = secret["data"]["release"].as_str().ok_or(DecodeError::Missing)?;
    let bytes = STANDARD.decode(STANDARD.decode(outer)?)?;
    let mut text = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
        GzDecoder::new(bytes.as_slice()).take(UNPACKED_CAP).read_to_end(&mut text)?;
    } else {
        // Helm reads unpacked ones too.
        text = bytes;
    }
    let mut release: Release = serde_json::from_slice(&text)?;
    let labels = secret["metadata"]["labels"].as_object();
    release.labels = labels
        .into_iter()
        .flatten()
        .filter(|(name, _)| !SYSTEM_LABELS.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    Ok(release)
}

/// The releases of one namespace, or of all.
pub(super) struct Storage<'a> {
    api: &'a Api,
    namespace: &'a str,
}

impl<'a> Storage<'a> {
    /// Storage in a namespace.
    pub(super) fn new(api: &'a Api, namespace: &'a str) -> Self {
        Self { api, namespace }
    }

    /// All revisions of a release, oldest first. None is an error, `release: not found`.
    pub(super) async fn history(&self, name: &str) -> Result<Vec<Release>, Failure> {
        let selector = format!("name={name},owner=helm");
        let secrets = self
            .api
            .list("v1", "secrets", Some(self.namespace), Some(&selector))
            .await
            .map_err(|error| Failure::said(format!("query: failed to query with labels: {error}")))?;
        if secrets.is_empty() {
            return Err(Failure::NotFound);
        }
        let mut releases: Vec<Release> = secrets.iter().filter_map(|it| decode(it).ok()).collect();
        releases.sort_by_key(|release| release.version);
        Ok(releases)
    }

    /// The newest revision.
    pub(super) async fn last(&self, name: &str) -> Result<Release, Failure> {
        let newest = self.history(name).await?.pop();
        newest.ok_or_else(|| Failure::said(format!("no revision for release \"{name}\"")))
    }

    /// One revision, or the newest for 0.
    pub(super) async fn get(&self, name: &str, version: i64) -> Result<Release, Failure> {
        if version <= 0 {
            return self.last(name).await;
        }
        let key = secret_name(name, version);
        match self.api.get("v1", "secrets", Some(self.namespace), &key).await {
            Ok(secret) => decode(&secret)
                .map_err(|error| Failure::said(format!("get: failed to decode data \"{key}\": {error}"))),
            Err(error) if error.code() == Some(404) => Err(Failure::NotFound),
            Err(error) => Err(Failure::said(format!("get: failed to get \"{key}\": {error}"))),
        }
    }

    /// Every release's every revision.
    pub(super) async fn list(&self, everywhere: bool) -> Result<Vec<Release>, Failure> {
        let namespace = (!everywhere).then_some(self.namespace);
        let secrets = self
            .api
            .list("v1", "secrets", namespace, Some("owner=helm"))
            .await
            .map_err(|error| Failure::said(format!("list: failed to list: {error}")))?;
        Ok(secrets.iter().filter_map(|it| decode(it).ok()).collect())
    }

    /// Revisions in state `deployed`, newest last.
    pub(super) async fn deployed(&self, name: &str) -> Result<Vec<Release>, Failure> {
        let selector = format!("name={name},owner=helm,status=deployed");
        let secrets = self
            .api
            .list("v1", "secrets", Some(self.namespace), Some(&selector))
            .await
            .map_err(|error| Failure::said(format!("query: failed to query with labels: {error}")))?;
        let mut releases: Vec<Release> = secrets.iter().filter_map(|it| decode(it).ok()).collect();
        releases.sort_by_key(|release| release.version);
        Ok(releases)
    }

    /// Stores a new revision. That somebody else has stored the same one meanwhile is Helm's lock.
    pub(super) async fn create(&self, release: &Release, now: Timestamp, keep: i64) -> Result<(), Failure> {
        if keep > 0 {
            self.make_room(&release.name, keep).await?;
        }
        let secret = encode(release, now);
        match self.api.create("v1", "secrets", Some(&release.namespace), &secret).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(409) => Err(Failure::said("release: already exists")),
            Err(error) => Err(Failure::said(format!("create: failed to create: {error}"))),
        }
    }

    /// Drops the oldest revisions, never the deployed one, until one more fits.
    async fn make_room(&self, name: &str, keep: i64) -> Result<(), Failure> {
        let history = match self.history(name).await {
            Ok(history) => history,
            Err(Failure::NotFound) => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let room = usize::try_from(keep - 1).unwrap_or(0);
        let surplus = history.len().saturating_sub(room);
        let deployed = history.iter().filter(|r| r.info.status == Status::Deployed).map(|r| r.version).max();
        let old = history.iter().filter(|release| Some(release.version) != deployed).take(surplus);
        for release in old {
            self.delete(release).await?;
        }
        Ok(())
    }

    /// Rewrites a revision.
    pub(super) async fn update(&self, release: &Release, now: Timestamp) -> Result<(), Failure> {
        let secret = secret(release, ("modifiedAt", now));
        let name = secret_name(&release.name, release.version);
        let done = self.api.replace("v1", "secrets", Some(&release.namespace), &name, &secret).await;
        done.map(drop).map_err(|error| Failure::said(format!("update: failed to update: {error}")))
    }

    /// Forgets a revision.
    pub(super) async fn delete(&self, release: &Release) -> Result<(), Failure> {
        let name = secret_name(&release.name, release.version);
        match self.api.delete("v1", "secrets", Some(&release.namespace), &name, None).await {
            Ok(()) => Ok(()),
            Err(error) if error.code() == Some(404) => Err(Failure::NotFound),
            Err(error) => Err(Failure::said(ApiError::to_string(&error))),
        }
    }
}

/// Labels of a Secret as a map, for those who look at one.
pub fn labels(secret: &Value) -> BTreeMap<String, String> {
    let labels = secret["metadata"]["labels"].as_object();
    labels
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}
