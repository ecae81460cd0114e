//! Reading a configuration file, with errors that point at the place and say what was meant.

use std::collections::BTreeSet;
use std::path::Path;

use super::model::Config;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// Why a configuration file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read at all.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// It says something that no configuration says.
    #[error("{path}:{line}:{column}: {problem}{}", meant.as_deref().map_or_else(String::new, |it| format!("; did you mean `{it}`?")))]
    Wrong {
        /// The file.
        path: String,
        /// Line, from 1; 0 when it is not known.
        line: u64,
        /// Column, from 1; 0 when it is not known.
        column: u64,
        /// What is wrong there.
        problem: String,
        /// What would have been understood.
        meant: Option<String>,
    },
}

/// Reads a configuration file. Relative paths in it become relative to its folder.
///
/// # Errors
/// The file cannot be read, is no YAML, or says something that no configuration says.
pub fn load(path: &str) -> Result<Config, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable { path: path.to_owned(), reason };
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > LARGEST {
        return Err(unreadable(format!("it has {size} bytes, and a configuration has at most {LARGEST}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let mut config = read(path, &text)?;
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    for file in files(&mut config) {
        *file = folder.join(&*file).to_string_lossy().into_owned();
    }
    Ok(config)
}

/// Every path in a configuration.
fn files(config: &mut Config) -> impl Iterator<Item = &mut String> {
    let releases = config.core.releases.iter_mut().filter_map(|release| release.values_file.as_mut());
    config.cluster.eksctl_config.iter_mut().chain(config.karpenter.values_file.iter_mut()).chain(releases)
}

/// Reads a configuration from a text; `path` stands for its file in errors.
///
/// # Errors
/// It is no YAML, or says something that no configuration says.
pub fn read(path: &str, text: &str) -> Result<Config, ConfigError> {
    // A file of comments only configures nothing; that is not wrong.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Config::default());
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! { max_events: 100_000, max_aliases: 100, max_anchors: 100 },
    };
    let config: Config = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location();
        ConfigError::Wrong {
            path: path.to_owned(),
            line: place.map_or(0, |it| it.line()),
            column: place.map_or(0, |it| it.column()),
            problem: bare(&error.to_string()),
            meant: meant(&error),
        }
    })?;
    match contradiction(&config) {
        None => Ok(config),
        Some((word, problem)) => {
            let (line, column) = find(text, &word);
            Err(ConfigError::Wrong { path: path.to_owned(), line, column, problem, meant: None })
        }
    }
}

/// The parser's words without the place that it appends.
fn bare(words: &str) -> String {
    let first = words.lines().next().unwrap_or(words);
    let first = first.strip_prefix("error: ").unwrap_or(first);
    match first.rfind(" at line ") {
        Some(at) => first[..at].to_owned(),
        None => first.to_owned(),
    }
}

/// The known word that is nearest to the unknown one, if it is near at all.
fn meant(error: &serde_saphyr::Error) -> Option<String> {
    use serde_saphyr::Error::{SerdeUnknownField, SerdeUnknownVariant};
    let (wrong, known) = match error.without_snippet() {
        SerdeUnknownField { field, expected, .. } => (field, expected),
        SerdeUnknownVariant { variant, expected, .. } => (variant, expected),
        _ => return None,
    };
    let lower = wrong.to_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&known.to_lowercase(), &lower);
    let near = known.iter().map(|known| (distance(known), *known)).min()?;
    (near.0 <= 1 + wrong.len() / 3).then(|| near.1.to_owned())
}

/// What the types cannot say: the word that it is about, and what is wrong with it.
fn contradiction(config: &Config) -> Option<(String, String)> {
    if let Some(file) = &config.cluster.eksctl_config
        && (config.cluster.version.is_some() || !config.cluster.node_groups.is_empty())
    {
        let problem =
            format!("eksctlConfig {file:?} says all about a new cluster: leave out version and nodeGroups");
        return Some(("eksctlConfig".to_owned(), problem));
    }
    let mut groups = BTreeSet::new();
    for group in &config.cluster.node_groups {
        if !groups.insert(&group.name) {
            return Some((group.name.clone(), format!("there are two node groups named {:?}", group.name)));
        }
        let (min, max) = (group.min.unwrap_or(group.desired), group.max.unwrap_or(group.desired));
        if min > group.desired || max < group.desired {
            let problem = format!(
                "node group {:?}: {min} to {max} nodes, and {} are desired",
                group.name, group.desired
            );
            return Some((group.name.clone(), problem));
        }
    }
    let mut releases = BTreeSet::new();
    for release in &config.core.releases {
        if !releases.insert((&release.namespace, &release.name)) {
            let problem =
                format!("there are two releases {:?} in namespace {:?}", release.name, release.namespace);
            return Some((release.name.clone(), problem));
        }
    }
    None
}

/// Where a word last stands in a text: line and column from 1.
fn find(text: &str, word: &str) -> (u64, u64) {
    let Some(at) = text.rfind(word) else { return (0, 0) };
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    (u64::try_from(line).unwrap_or(0), u64::try_from(column).unwrap_or(0))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
