//! The catalogue: every scenario file of a folder, and how one is chosen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use super::model::Scenario;
use super::parse::{self, ScenarioError};
use crate::names::nearest;

/// A scenario and the file that it stands in.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the file says.
    pub scenario: Scenario,
    /// The file.
    pub path: PathBuf,
    /// Name of the folder that it stands in, such as `platform`.
    pub area: String,
    /// Whether it is one of the catalogue, and so known by its name alone.
    pub catalogued: bool,
}

impl Found {
    /// The scenario's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.scenario.name
    }
}

/// Every scenario, ordered by area and name.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The scenarios.
    pub scenarios: Vec<Found>,
}

/// Why there is nothing to run.
#[derive(Debug, Error, Diagnostic)]
pub enum CatalogueError {
    /// A file is no scenario.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Scenario(#[from] ScenarioError),
    /// The folder cannot be read.
    #[error("failed to read the catalogue in {}: {source}", path.display())]
    Unreadable {
        /// The folder or one of its entries.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two files have one name.
    #[error("two scenarios are named {name}: {} and {}", first.display(), second.display())]
    #[diagnostic(help("rename one of them"))]
    Duplicate {
        /// The name.
        name: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// No scenario has this name.
    #[error("there is no scenario {name:?}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What was perhaps meant.
        #[help]
        help: String,
    },
    /// Several scenarios begin so.
    #[error("{name:?} could be any of {}", candidates.join(", "))]
    #[diagnostic(help("write more of the name"))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What it could be.
        candidates: Vec<String>,
    },
    /// Nothing has this tag.
    #[error("no scenario is tagged {tag:?}")]
    UnknownTag {
        /// What was asked for.
        tag: String,
        /// The tags that there are.
        #[help]
        help: String,
    },
}

impl CatalogueError {
    /// Whether nothing was selected, as opposed to something being wrong.
    #[must_use]
    pub fn nothing_selected(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::UnknownTag { .. })
    }
}

impl Catalogue {
    /// Reads every `*.yaml` below a folder.
    ///
    /// # Errors
    /// A file that is no scenario, or two of one name.
    pub fn read(folder: &Path) -> Result<Self, CatalogueError> {
        let mut files = Vec::new();
        collect(folder, &mut files)?;
        files.sort();
        let mut scenarios = Vec::new();
        for path in files {
            scenarios.push(Found { catalogued: true, ..found(path)? });
        }
        Self::of(scenarios)
    }

    fn of(mut scenarios: Vec<Found>) -> Result<Self, CatalogueError> {
        scenarios.sort_by(|a, b| (&a.area, a.name()).cmp(&(&b.area, b.name())));
        let mut seen: BTreeMap<&str, &Path> = BTreeMap::new();
        for found in &scenarios {
            if let Some(first) = seen.insert(found.name(), &found.path) {
                return Err(CatalogueError::Duplicate {
                    name: found.name().to_owned(),
                    first: first.to_owned(),
                    second: found.path.clone(),
                });
            }
        }
        Ok(Self { scenarios })
    }

    /// The scenarios of these names, unique prefixes or paths of files and folders, and of these tags; all
    /// without either. They come in the catalogue's order, files that are not in it last.
    ///
    /// # Errors
    /// A name or a tag that nothing has; a prefix of several names; a file that is no scenario.
    pub fn select(&self, wanted: &[String], tags: &[String]) -> Result<Vec<Found>, CatalogueError> {
        let mut chosen: Vec<usize> = Vec::new();
        let mut files = Vec::new();
        for name in wanted {
            if name.contains('/') || name.ends_with(".yaml") || name.ends_with(".yml") {
                files.extend(below(Path::new(name))?);
            } else {
                chosen.push(self.index_of(name)?);
            }
        }
        for tag in tags {
            let tagged = |found: &Found| found.scenario.tags.iter().any(|it| it == tag) || found.area == *tag;
            if !self.scenarios.iter().any(tagged) {
                return Err(self.unknown_tag(tag));
            }
        }
        let tagged =
            |found: &Found| tags.iter().all(|tag| found.scenario.tags.contains(tag) || found.area == *tag);
        if wanted.is_empty() {
            return Ok(self.scenarios.iter().filter(|found| tagged(found)).cloned().collect());
        }
        chosen.sort_unstable();
        chosen.dedup();
        let named = chosen.into_iter().filter_map(|index| self.scenarios.get(index).cloned());
        let mut all: Vec<Found> = named.filter(tagged).collect();
        for file in files.into_iter().filter(tagged) {
            if !all.iter().any(|it| same_file(&it.path, &file.path)) {
                all.push(file);
            }
        }
        let names: Vec<Found> = all.clone();
        Self::of(names)?;
        Ok(all)
    }

    fn index_of(&self, name: &str) -> Result<usize, CatalogueError> {
        if let Some(exact) = self.scenarios.iter().position(|found| found.name() == name) {
            return Ok(exact);
        }
        let starting: Vec<usize> =
            (0..self.scenarios.len()).filter(|&at| self.scenarios[at].name().starts_with(name)).collect();
        match starting.as_slice() {
            [one] => Ok(*one),
            [] => {
                let near = nearest(name, self.scenarios.iter().map(Found::name));
                let meant = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
                let help = format!("{meant}`cargo xtask list` shows them all");
                Err(CatalogueError::Unknown { name: name.to_owned(), help })
            }
            several => {
                let candidates = several.iter().map(|&at| self.scenarios[at].name().to_owned()).collect();
                Err(CatalogueError::Ambiguous { name: name.to_owned(), candidates })
            }
        }
    }

    fn unknown_tag(&self, tag: &str) -> CatalogueError {
        let distinct = |words: &mut dyn Iterator<Item = &str>| {
            let words: std::collections::BTreeSet<String> = words.map(str::to_owned).collect();
            words.into_iter().collect::<Vec<_>>()
        };
        let tags = distinct(&mut self.scenarios.iter().flat_map(|it| &it.scenario.tags).map(String::as_str));
        let areas = distinct(&mut self.scenarios.iter().map(|it| it.area.as_str()));
        let near = nearest(tag, tags.iter().chain(&areas).map(String::as_str))
            .map_or_else(String::new, |it| format!("did you mean {it}? "));
        CatalogueError::UnknownTag {
            tag: tag.to_owned(),
            help: format!("{near}the tags are {}; the areas are {}", tags.join(", "), areas.join(", ")),
        }
    }
}

/// The scenario of a file, or those of every file below a folder.
fn below(path: &Path) -> Result<Vec<Found>, CatalogueError> {
    if !path.is_dir() {
        return Ok(vec![found(path.to_owned())?]);
    }
    let read = Catalogue::read(path)?.scenarios;
    Ok(read.into_iter().map(|it| Found { catalogued: false, ..it }).collect())
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn found(path: PathBuf) -> Result<Found, CatalogueError> {
    let scenario = parse::parse(&path)?;
    let folder = path.parent().and_then(Path::file_name);
    let area = folder.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Found { scenario, path, area, catalogued: false })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), CatalogueError> {
    let unreadable = |source| CatalogueError::Unreadable { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        if entry.file_type().map_err(unreadable)?.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn catalogue(names: &[(&str, &str)]) -> (tempfile::TempDir, Result<Catalogue, CatalogueError>) {
        let folder = tempfile::tempdir().unwrap();
        for (file, name) in names {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = format!(
                "name: {name}\nsummary: x\ntags: [seed]\nsteps:\n  - run: {{}}\n    expect: {{ exit: 0 }}\ncontrol: {{}}\n"
            );
            std::fs::write(path, text).unwrap();
        }
        let read = Catalogue::read(folder.path());
        (folder, read)
    }

    #[test]
    fn a_unique_prefix_selects_and_a_wrong_name_is_answered_with_the_nearest() {
        let (_folder, read) = catalogue(&[("a/one.yaml", "no-nodes"), ("a/two.yaml", "nodes-tainted")]);
        let catalogue = read.unwrap();
        let name = |wanted: &str| catalogue.select(&[wanted.to_owned()], &[]);
        assert_eq!(name("no-").unwrap()[0].name(), "no-nodes");
        assert!(matches!(name("no"), Err(CatalogueError::Ambiguous { .. })));
        match name("no-node-s") {
            Err(CatalogueError::Unknown { help, .. }) => {
                assert!(help.contains("did you mean no-nodes?"), "{help}")
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(catalogue.select(&[], &["seed".to_owned()]).unwrap().len(), 2);
        assert!(catalogue.select(&[], &["sead".to_owned()]).unwrap_err().nothing_selected());
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        let (_folder, read) = catalogue(&[("a/one.yaml", "same"), ("b/two.yaml", "same")]);
        assert!(read.unwrap_err().to_string().contains("two scenarios are named same"));
    }
}
