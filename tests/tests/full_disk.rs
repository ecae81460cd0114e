//! A disk that is really full: a small one, mounted in a namespace of its own, so that no other process sees it
//! and nothing of it is left.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use rstest::rstest;
use seatrial_tests::{Sandbox, tool};

/// Mounts a disk of the size `$1` at `$2` and becomes the program that follows.
const MOUNT: &str = r#"mount -t tmpfs -o "size=$1" small "$2" && shift 2 && exec "$@""#;

/// Whether this system lets us mount one; says so where it does not.
fn can_mount(sandbox: &Sandbox) -> bool {
    let at = sandbox.text("disk");
    std::fs::create_dir(&at).unwrap();
    let tried = Command::new("unshare").args(["-rm", "sh", "-c", MOUNT, "sh", "4k", &at, "true"]).output();
    let refused = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    tool::skip(&format!("no small disk can be mounted: {refused}"));
    false
}

/// Exit code, standard output and standard error of xtask with a disk of this size at the sandbox's `disk`.
fn xtask(
    sandbox: &Sandbox,
    size: &str,
    args: &[&str],
    env: &[(&str, String)],
) -> (Option<i32>, String, String) {
    let call = sandbox.command(args);
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", MOUNT, "sh", size, &sandbox.text("disk")]);
    command.arg(call.get_program()).args(call.get_args());
    command.current_dir(call.get_current_dir().unwrap());
    for (name, value) in call.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.envs(env.iter().map(|(name, value)| (name, value))).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn reports_that_do_not_fit_on_the_disk_are_no_verdict_on_the_installer() {
    let sandbox = Sandbox::new();
    if !can_mount(&sandbox) {
        return;
    }
    let out = format!("{}/out", sandbox.text("disk"));
    let (code, said, error) = xtask(&sandbox, "4k", &["scenario", "no-nodes", "--out", &out], &[]);
    assert_eq!(code, Some(105), "{said}{error}");
    assert!(error.contains("No space left on device") && error.contains(&out), "{error}");
    assert!(error.contains("see whether the disk is full"), "{error}");
    sandbox.assert_nothing_left();
}

#[rstest]
#[case::for_the_tools_plan("4k")]
#[case::in_the_middle("64k")]
fn temporary_files_that_do_not_fit_are_no_verdict_on_the_installer(#[case] size: &str) {
    let sandbox = Sandbox::new();
    if !can_mount(&sandbox) {
        return;
    }
    let env = [("TMPDIR", sandbox.text("disk"))];
    let (code, said, error) = xtask(&sandbox, size, &["scenario", "no-nodes"], &env);
    assert_eq!(code, Some(105), "{said}{error}");
    assert!(format!("{said}{error}").contains("No space left on device"), "{said}{error}");
    assert!(!said.contains("\n✗ no-nodes"), "{said}");
    sandbox.assert_nothing_left();
}

/// A Go that says its version, and else writes a megabyte to where it is told to.
const GO: &str = "case $1 in\n  version) echo 'go version go1.26.8 linux/amd64'; exit;;\n  env) echo local; exit;;\nesac\n\
                  while [ \"$1\" != -o ]; do shift; done\ndd if=/dev/zero of=\"$2\" bs=1024 count=1024";

#[test]
fn executables_that_do_not_fit_in_the_cache_are_told_of_with_what_to_free() {
    let sandbox = Sandbox::new();
    if !can_mount(&sandbox) {
        return;
    }
    let go = sandbox.script("go/go", GO);
    let folder = std::path::Path::new(&go).parent().unwrap().display().to_string();
    let env = [
        ("SEATRIAL_CACHE_DIR", sandbox.text("disk")),
        ("KUBEBUILDER_ASSETS", String::new()),
        ("PATH", format!("{folder}:/usr/bin:/bin")),
    ];
    let (code, said, error) = xtask(&sandbox, "256k", &["assets"], &env);
    assert_eq!(code, Some(96), "{said}{error}");
    let words = error.to_lowercase();
    assert!(words.contains("no space left on device"), "{error}");
    assert!(error.contains("df -h") && error.contains("SEATRIAL_CACHE_DIR"), "{error}");
    sandbox.assert_nothing_left();
}

#[rstest]
#[case::for_the_store("1m")]
// etcd takes 64,000,000 bytes for its log before anything else.
#[case::for_what_comes_into_the_store("63000k")]
fn a_control_plane_that_does_not_fit_is_no_verdict_on_the_installer(#[case] size: &str) {
    let sandbox = Sandbox::new();
    if tool::control_plane(&sandbox).is_none() || !can_mount(&sandbox) {
        return;
    }
    let env = [("TMPDIR", sandbox.text("disk"))];
    let args = ["scenario", "no-nodes", "--backend", "control-plane"];
    let (code, said, error) = xtask(&sandbox, size, &args, &env);
    assert_eq!(code, Some(105), "{said}{error}");
    let words = format!("{said}{error}");
    assert!(words.contains("the disk is full") || words.contains("No space left on device"), "{words}");
    assert!(!said.contains("\n✗ no-nodes"), "{said}");
    sandbox.assert_nothing_left();
}

#[test]
fn what_is_prepared_and_does_not_fit_in_the_cache_is_no_verdict_on_the_installer() {
    let sandbox = Sandbox::new();
    let Some(executables) = tool::control_plane(&sandbox) else { return };
    if !can_mount(&sandbox) {
        return;
    }
    let env = [
        ("SEATRIAL_CACHE_DIR", sandbox.text("disk")),
        ("KUBEBUILDER_ASSETS", executables.display().to_string()),
    ];
    let out = sandbox.text("out");
    let args = ["scenario", "no-nodes", "--backend", "control-plane", "--out", &out];
    let (code, said, error) = xtask(&sandbox, "256k", &args, &env);
    assert_eq!(code, Some(105), "{said}{error}");
    let words = format!("{said}{error}");
    assert!(words.contains("No space left on device") && words.contains(&sandbox.text("disk")), "{words}");
    sandbox.assert_nothing_left();
}
