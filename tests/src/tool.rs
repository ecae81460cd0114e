//! Real tools that a test compares with, or needs.

use std::io::Write as _;
use std::path::PathBuf;

use crate::Sandbox;

/// The executable that a variable such as `SEATRIAL_KUBECTL` names. Without one the test is skipped in sight.
///
/// # Panics
/// There is none, and `SEATRIAL_REQUIRE_TOOLS=1` wants one.
#[must_use]
pub fn real(variable: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    skip(&format!("{variable} names no executable"));
    None
}

/// Says `SKIPPED: …` of a test that cannot run, past the test harness, which would keep a `println!` to itself.
///
/// # Panics
/// With `SEATRIAL_REQUIRE_TOOLS=1`, where nothing may be skipped.
pub fn skip(why: &str) {
    skip_unless("SEATRIAL_REQUIRE_TOOLS", why);
}

/// The folder of a real control plane's executables, of the version that scenarios get which do not ask for one; what
/// `KUBEBUILDER_ASSETS` can name. Without them the test is skipped in sight.
///
/// # Panics
/// There are none, and `SEATRIAL_REQUIRE_CONTROL_PLANE=1` wants them.
#[must_use]
pub fn control_plane(sandbox: &Sandbox) -> Option<PathBuf> {
    let mut look = sandbox.command(&["assets", "--no-build", "--kubernetes", "1.34", "--format", "json"]);
    // What it names may be of another version; a scenario looks elsewhere then, too.
    let looked = look.env_remove("KUBEBUILDER_ASSETS").output().expect("xtask can be run");
    let told: serde_json::Value = serde_json::from_slice(&looked.stdout).unwrap_or_default();
    let folder = told["folder"].as_str().map(PathBuf::from);
    if folder.is_none() {
        let why = String::from_utf8_lossy(&looked.stderr).trim().replace('\n', " ");
        skip_unless("SEATRIAL_REQUIRE_CONTROL_PLANE", &why);
    }
    folder
}

fn skip_unless(required: &str, why: &str) {
    let is_required = std::env::var(required).is_ok_and(|it| it == "1");
    assert!(!is_required, "{why}, and {required} wants it");
    let _ = writeln!(std::io::stderr().lock(), "SKIPPED: {why}");
}
