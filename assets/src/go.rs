//! The Go toolchain: whether it is there and new enough.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Minor;
use crate::error::Error;
use crate::pins::Pin;
use crate::places::Places;
use crate::tool::Tool;

/// Go 1.21 was the first that fetches a newer toolchain when a module asks for one.
const FETCHES_TOOLCHAINS: &str = "1.21";

/// Finds a Go that can build this pin.
pub(crate) fn find(places: &Places, pin: &Pin, tool: Tool) -> Result<PathBuf, Error> {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let go = which::which_in("go", places.path.as_ref(), here).map_err(|_| Error::NoGo(tool))?;
    let Some(has) = version(&go) else {
        // A Go built from its own sources calls itself "devel"; whether it will do, the build shows.
        return Ok(go);
    };
    let is_older = |than: &str| Minor::of(&has) < Minor::of(than);
    if is_older(pin.go()) && (is_older(FETCHES_TOOLCHAINS) || !may_fetch(&go)) {
        return Err(Error::OldGo { tool, has, needs: pin.go().to_owned() });
    }
    Ok(go)
}

/// Its version, as `1.26.8`.
fn version(go: &Path) -> Option<String> {
    let output =
        Command::new(go).arg("version").current_dir("/").env("GOTOOLCHAIN", "local").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let mut words = said.split_whitespace();
    words.find_map(|word| word.strip_prefix("go1").map(|rest| format!("1{rest}")))
}

/// Whether its settings let it fetch a newer toolchain.
fn may_fetch(go: &Path) -> bool {
    let output = Command::new(go).args(["env", "GOTOOLCHAIN"]).current_dir("/").output();
    output.is_ok_and(|it| {
        let setting = String::from_utf8_lossy(&it.stdout).trim().to_owned();
        setting.contains("auto") || setting == "path" || setting.ends_with("+path")
    })
}
