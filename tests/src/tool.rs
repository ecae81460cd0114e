//! Real tools that a test compares with, or needs.

use std::io::Write as _;
use std::path::PathBuf;

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
    let required = std::env::var("SEATRIAL_REQUIRE_TOOLS").is_ok_and(|it| it == "1");
    assert!(!required, "{why}, and SEATRIAL_REQUIRE_TOOLS wants it");
    let _ = writeln!(std::io::stderr().lock(), "SKIPPED: {why}");
}
