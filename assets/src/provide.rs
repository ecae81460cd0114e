//! Finding executables, and building those that are nowhere.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::build::build;
use crate::cache::{self, Workshop};
use crate::error::{Error, Unusable};
use crate::pins::{Minor, Pin};
use crate::places::Places;
use crate::probe;
use crate::tool::Tool;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Minor version of Kubernetes; when `None`, that of `KUBEBUILDER_ASSETS`, else the newest.
    pub kubernetes: Option<Minor>,
    /// Which executables.
    pub tools: Vec<Tool>,
}

impl Wanted {
    /// A whole control plane.
    #[must_use]
    pub fn control_plane(kubernetes: Option<Minor>) -> Self {
        Self { kubernetes, tools: Tool::CONTROL_PLANE.to_vec() }
    }
}

/// Where an executable came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `KUBEBUILDER_ASSETS`.
    Assets,
    /// `PATH`.
    Path,
    /// Built earlier.
    Cache,
    /// Built just now.
    Built,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assets => "KUBEBUILDER_ASSETS",
            Self::Path => "PATH",
            Self::Cache => "cache",
            Self::Built => "built",
        })
    }
}

/// Executables that can be used.
#[derive(Clone, Debug)]
pub struct Found {
    /// Minor version of Kubernetes.
    pub kubernetes: Minor,
    tools: BTreeMap<Tool, (PathBuf, Origin)>,
}

impl Found {
    /// The path of a tool; `None` when it was not wanted.
    #[must_use]
    pub fn path(&self, tool: Tool) -> Option<&Path> {
        self.tools.get(&tool).map(|(path, _)| path.as_path())
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (Tool, &Path, Origin)> {
        self.tools.iter().map(|(tool, (path, origin))| (*tool, path.as_path(), *origin))
    }

    /// The one folder that holds the whole control plane, if there is one: what `KUBEBUILDER_ASSETS` can name.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        let mut folders = Tool::CONTROL_PLANE.iter().map(|tool| self.path(*tool).and_then(Path::parent));
        let first = folders.next()??;
        folders.all(|folder| folder == Some(first)).then_some(first)
    }
}

/// What is told while executables are provided.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'p> {
    /// One on `PATH` will not do.
    PassedOver {
        /// Which.
        tool: Tool,
        /// Where.
        path: &'p Path,
        /// Why.
        why: &'p Unusable,
    },
    /// Another process is building the same; its end is waited for.
    Waiting(Tool),
    /// A build begins.
    Building {
        /// Which.
        tool: Tool,
        /// Its version.
        version: &'p str,
    },
    /// A module is being downloaded.
    Downloading {
        /// For which tool.
        tool: Tool,
        /// Name and version.
        module: &'p str,
    },
    /// A package was compiled.
    Compiled {
        /// For which tool.
        tool: Tool,
        /// How many so far.
        packages: usize,
        /// The newest of them.
        newest: &'p str,
    },
    /// A build has ended well.
    Built {
        /// Which.
        tool: Tool,
        /// How long it took.
        elapsed: Duration,
    },
}

/// Finds executables without building any.
///
/// # Errors
/// One is nowhere, or `KUBEBUILDER_ASSETS` names something that cannot be used.
pub fn find(places: &Places, wanted: &Wanted, tell: &mut dyn FnMut(Progress<'_>)) -> Result<Found, Error> {
    let (found, lacking) = look(places, wanted, tell)?;
    match lacking.first() {
        None => Ok(found),
        Some(tool) => Err(match pin(*tool, found.kubernetes) {
            Ok(_) => Error::Nowhere { tool: *tool, kubernetes: found.kubernetes },
            Err(error) => error,
        }),
    }
}

/// Finds executables, and builds those that are nowhere.
///
/// # Errors
/// `KUBEBUILDER_ASSETS` names something that cannot be used, or a build failed.
pub fn provide(places: &Places, wanted: &Wanted, tell: &mut dyn FnMut(Progress<'_>)) -> Result<Found, Error> {
    let (mut found, lacking) = look(places, wanted, tell)?;
    for tool in lacking {
        let pin = pin(tool, found.kubernetes)?;
        let workshop = Workshop::open(&places.cache, pin, &mut || tell(Progress::Waiting(tool)))?;
        // Whoever held the lock may have built it meanwhile.
        let one = match cache::built(&places.cache, pin, tool) {
            Some(path) => (path, Origin::Cache),
            None => (build(places, &workshop, pin, tool, tell)?, Origin::Built),
        };
        found.tools.insert(tool, one);
    }
    Ok(found)
}

/// What a tool is built from.
fn pin(tool: Tool, kubernetes: Minor) -> Result<&'static Pin, Error> {
    tool.pin(kubernetes).ok_or(Error::Unpinned { tool, kubernetes })
}

/// What is found, and what is not.
fn look(
    places: &Places,
    wanted: &Wanted,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<(Found, Vec<Tool>), Error> {
    let kubernetes = match wanted.kubernetes {
        Some(minor) => minor,
        None => given(places, &wanted.tools)?.unwrap_or_else(Minor::newest),
    };
    let mut found = Found { kubernetes, tools: BTreeMap::new() };
    let mut lacking = Vec::new();
    for tool in &wanted.tools {
        match one(places, *tool, kubernetes, tell)? {
            Some(one) => _ = found.tools.insert(*tool, one),
            None => lacking.push(*tool),
        }
    }
    Ok((found, lacking))
}

/// The minor version of `KUBEBUILDER_ASSETS`.
fn given(places: &Places, tools: &[Tool]) -> Result<Option<Minor>, Error> {
    let Some(folder) = &places.assets else { return Ok(None) };
    if !tools.iter().any(|tool| tool.follows_kubernetes()) {
        return Ok(None);
    }
    let path = folder.join(Tool::ApiServer.file());
    let said = probe::version(Tool::ApiServer, &path);
    let version = said.map_err(|why| Error::Named { path: path.clone(), why })?;
    Ok(Minor::of(&version))
}

fn one(
    places: &Places,
    tool: Tool,
    kubernetes: Minor,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<(PathBuf, Origin)>, Error> {
    let check =
        |path: &Path| probe::version(tool, path).and_then(|version| probe::suits(tool, &version, kubernetes));
    let is_bundled = tool == Tool::Kubectl || Tool::CONTROL_PLANE.contains(&tool);
    if let Some(folder) = places.assets.as_ref().filter(|_| is_bundled) {
        let path = folder.join(tool.file());
        match check(&path) {
            Ok(()) => return Ok(Some((path, Origin::Assets))),
            // Bundles for envtest have no controllers and no scheduler.
            Err(Unusable::Missing) if !tool.always_bundled() => {}
            // What somebody has named is not passed over in silence.
            Err(why) => return Err(Error::Named { path, why }),
        }
    }
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let on_path = which::which_in_all(tool.file(), places.path.as_ref(), here);
    for path in on_path.into_iter().flatten() {
        match check(&path) {
            Ok(()) => return Ok(Some((path, Origin::Path))),
            Err(why) => tell(Progress::PassedOver { tool, path: &path, why: &why }),
        }
    }
    let cached = tool.pin(kubernetes).and_then(|pin| cache::built(&places.cache, pin, tool));
    Ok(cached.map(|path| (path, Origin::Cache)))
}
