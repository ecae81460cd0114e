//! Which form of answer a client asked for.

use http::HeaderMap;

use super::header;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Objects as they are.
    Json,
    /// Objects as they are, in YAML.
    Yaml,
    /// A `Table`; `v1` or `v1beta1`.
    Table(&'static str),
    /// `PartialObjectMetadata` or its list; `v1` or `v1beta1`.
    Metadata(&'static str),
}

impl Format {
    /// The first form in `Accept` that is served; JSON when none is.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        accepted(headers).iter().find_map(Self::from_media).unwrap_or(Self::Json)
    }

    fn from_media(media: &Media) -> Option<Self> {
        let meta = media.param("g").is_none_or(|group| group == "meta.k8s.io");
        let version = match media.param("v") {
            Some("v1beta1") => "v1beta1",
            _ => "v1",
        };
        match (media.name.as_str(), media.param("as")) {
            ("application/json", Some("Table")) if meta => Some(Self::Table(version)),
            ("application/json", Some("PartialObjectMetadata" | "PartialObjectMetadataList")) if meta => {
                Some(Self::Metadata(version))
            }
            ("application/json" | "*/*" | "application/*", None) => Some(Self::Json),
            ("application/yaml", None) => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// One entry of an `Accept` header.
#[derive(Clone, Debug)]
pub(crate) struct Media {
    pub(crate) name: String,
    params: Vec<(String, String)>,
}

impl Media {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let params = parts.filter_map(|part| part.split_once('='));
        Self {
            name,
            params: params
                .map(|(k, v)| (k.trim().to_owned(), v.trim().trim_matches('"').to_owned()))
                .collect(),
        }
    }

    pub(crate) fn param(&self, key: &str) -> Option<&str> {
        self.params.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    fn quality(&self) -> f32 {
        self.param("q").and_then(|q| q.parse().ok()).unwrap_or(1.0)
    }
}

/// The entries of `Accept`, best first.
pub(crate) fn accepted(headers: &HeaderMap) -> Vec<Media> {
    let mut media: Vec<Media> = header(headers, "accept")
        .split(',')
        .filter(|part| !part.trim().is_empty())
        .map(Media::parse)
        .collect();
    media.sort_by(|a, b| b.quality().total_cmp(&a.quality()));
    media
}
