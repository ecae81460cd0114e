//! The command line: the defect's name, and then the right installer's own arguments.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::Defect;
use crate::defects::{self, ALL};

const USAGE: &str = "\
Installers with one known defect each.

Usage: known-bad <DEFECT> <ARGUMENTS OF eks-installer>…
       known-bad --list

Example: known-bad ignores-no-nodes install --phase compute
";

/// The executable, with the process's own arguments and environment.
#[must_use]
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(first) = words.next() else {
        return wrong("which defect? name one", "known-bad --list");
    };
    let name = first.to_string_lossy();
    match name.as_ref() {
        "--list" => print(&format!("{:#}\n", list())),
        "-h" | "--help" => print(USAGE),
        name => match defects::find(name) {
            Some(defect) => {
                let argv = std::iter::once(OsString::from("eks-installer")).chain(words).collect();
                eks_installer::cli::run(argv, std::env::vars_os(), (defect.hooks)())
            }
            None => wrong(&unknown(name), "known-bad --list"),
        },
    }
}

/// Every defect with its name and summary, as `--list` prints them.
#[must_use]
pub fn list() -> Value {
    ALL.iter().map(|Defect { name, summary, .. }| json!({ "name": name, "summary": summary })).collect()
}

/// What to say of a defect that there is not, with the one that was perhaps meant.
fn unknown(name: &str) -> String {
    let near = ALL
        .iter()
        .map(|defect| (strsim::damerau_levenshtein(defect.name, name), defect.name))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 3);
    let meant = near.map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"));
    format!("there is no defect {name:?}{meant}")
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: failed to write to standard output: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn wrong(what: &str, hint: &str) -> ExitCode {
    complain(&format!("error: {what}\n\nhint: {hint}\n"));
    ExitCode::from(2)
}

fn complain(text: &str) {
    // With standard error closed there is nobody left to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
