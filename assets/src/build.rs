//! Building one tool, and telling apart the ways in which Go fails.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::cache::Workshop;
use crate::error::{Error, Unusable};
use crate::pins::Pin;
use crate::places::Places;
use crate::provide::Progress;
use crate::tool::Tool;
use crate::{go, probe};

/// How many of Go's last lines an error carries.
const KEPT_LINES: usize = 12;

/// Builds a tool into its workshop. Whatever was compiled before a build was cut off is in Go's own cache, and
/// the next build goes on from there.
pub(crate) fn build(
    places: &Places,
    workshop: &Workshop,
    pin: &Pin,
    tool: Tool,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, Error> {
    let began = Instant::now();
    let go = go::find(places, pin, tool)?;
    tell(Progress::Building { tool, version: tool.version_in(pin) });
    let own = |source: io::Error| match source.kind() {
        io::ErrorKind::StorageFull => Error::DiskFull { tool, said: source.to_string() },
        _ => Error::Cache { what: format!("write {}", tool.name()), source },
    };
    let module = workshop.module(pin).map_err(own)?;
    let draft = workshop.draft(tool).map_err(own)?;
    let mut command = Command::new(go);
    command
        .args(["build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags"])
        .arg(tool.linker_flags(pin))
        .arg("-o")
        .arg(&draft)
        .arg(tool.package())
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GO111MODULE", "on")
        .env("GOWORK", "off")
        // For this machine, also when a user's shell is set up to build for another.
        .env_remove("GOOS")
        .env_remove("GOARCH")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some(path) = &places.path {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(own)?;
    let mut last = VecDeque::new();
    let mut packages = 0;
    for line in child.stderr.take().into_iter().flat_map(|pipe| BufReader::new(pipe).split(b'\n')) {
        let line = String::from_utf8_lossy(&line.map_err(own)?).into_owned();
        if let Some(module) = line.strip_prefix("go: downloading ") {
            tell(Progress::Downloading { tool, module });
        } else if is_package(&line) {
            packages += 1;
            tell(Progress::Compiled { tool, packages, newest: &line });
        } else if !line.trim().is_empty() {
            last.push_back(line);
            if last.len() > KEPT_LINES {
                last.pop_front();
            }
        }
    }
    let status = child.wait().map_err(own)?;
    if !status.success() {
        let said: Vec<String> = last.into();
        let said = if said.is_empty() { format!("go build: {status}") } else { said.join("\n") };
        return Err(failure(tool, pin, said));
    }
    let wrong = |why| Error::Wrong { tool, why };
    let version = probe::version(tool, &draft).map_err(wrong)?;
    let wanted = tool.version_in(pin);
    if version != wanted {
        return Err(wrong(Unusable::OtherVersion { has: version, wanted: wanted.to_owned() }));
    }
    let path = workshop.publish(tool, &draft).map_err(own)?;
    tell(Progress::Built { tool, elapsed: began.elapsed() });
    Ok(path)
}

/// `go build -v` names each package as it compiles it, alone on a line.
fn is_package(line: &str) -> bool {
    !line.is_empty() && !line.contains([' ', ':', '\t']) && !line.starts_with('#')
}

/// Tells the causes apart by the words of Go (cmd/go) and of the system.
fn failure(tool: Tool, pin: &Pin, said: String) -> Error {
    const NETWORK: [&str; 10] = [
        "dial tcp",
        "no such host",
        "i/o timeout",
        "connection refused",
        "connection reset",
        "proxyconnect",
        "tls handshake timeout",
        "network is unreachable",
        "module lookup disabled by goproxy=off",
        "bad gateway",
    ];
    let words = said.to_lowercase();
    if words.contains("no space left on device") || words.contains("disk quota exceeded") {
        return Error::DiskFull { tool, said };
    }
    if let Some((_, rest)) = words.split_once("running go ")
        && words.contains("requires go >=")
    {
        let has = rest.split([';', ')']).next().unwrap_or_default().trim().to_owned();
        return Error::OldGo { tool, has, needs: pin.go().to_owned() };
    }
    if NETWORK.iter().any(|it| words.contains(it)) {
        return Error::NoNetwork { tool, said };
    }
    Error::Build { tool, said }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pins;

    #[test]
    fn the_ways_in_which_go_fails_are_told_apart() {
        let told = |said: &str| failure(Tool::ApiServer, &pins::HELM_3, said.to_owned());
        let full = told("link: writing output: write /tmp/x: no space left on device");
        assert!(matches!(full, Error::DiskFull { .. }));
        let old = told("go: go.mod requires go >= 1.26.0 (running go 1.22.4; GOTOOLCHAIN=local)");
        assert!(matches!(old, Error::OldGo { has, .. } if has == "1.22.4"));
        let away =
            told("go: k8s.io/api@v0.37.2: Get \"https://proxy/…\": dial tcp: lookup proxy: no such host");
        assert!(matches!(away, Error::NoNetwork { .. }));
        let other = told("# k8s.io/api\n./x.go:1:1: syntax error");
        assert!(matches!(other, Error::Build { .. }));
    }

    #[test]
    fn only_names_of_packages_count_as_progress() {
        assert!(is_package("k8s.io/apiserver/pkg/endpoints/filters"));
        assert!(is_package("fmt"));
        for line in ["", "# k8s.io/api", "go: downloading k8s.io/api v0.37.2", "./x.go:1:1: undefined: y"] {
            assert!(!is_package(line), "{line}");
        }
    }
}
