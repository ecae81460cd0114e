//! Reading a scenario file, with errors that point at the place and say what was expected.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

use super::model::{Scenario, StepKind, Wait};

/// The largest file that is read, in bytes. The largest of the catalogue has a few thousand.
const LARGEST: u64 = 256 * 1024;

/// Why a scenario file cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    #[diagnostic(help("name a scenario of the catalogue (cargo xtask list) or the path of a readable file"))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is far larger than any scenario.
    #[error("failed to read {}: it has {size} bytes, and a scenario has at most {LARGEST}", path.display())]
    #[diagnostic(help("is this a scenario file?"))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// There is nothing in the file.
    #[error("failed to read {}: it is empty", path.display())]
    #[diagnostic(help("begin with `name:`; any file of the catalogue shows how to go on"))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a scenario.
    #[error("failed to read scenario {}:{line}:{column}", file.name())]
    Wrong {
        /// The file's text.
        #[source_code]
        file: Arc<NamedSource<String>>,
        /// Where.
        #[label("{problem}")]
        span: SourceSpan,
        /// What is wrong there, and what was expected.
        problem: String,
        /// Line from 1; 0 when unknown.
        line: u64,
        /// Column from 1; 0 when unknown.
        column: u64,
        /// What to write instead.
        #[help]
        help: Option<String>,
    },
}

/// Reads a scenario file.
///
/// # Errors
/// The file cannot be read, is no YAML, or says something that no scenario says.
pub fn parse(path: &Path) -> Result<Scenario, ScenarioError> {
    let unreadable = |source| ScenarioError::Unreadable { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(ScenarioError::TooLarge { path: path.to_owned(), size });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    if text.trim().is_empty() {
        return Err(ScenarioError::Empty { path: path.to_owned() });
    }
    read(&path.display().to_string(), &text)
}

/// Reads a scenario from a text; `name` stands for its file in errors.
pub(super) fn read(name: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! { max_events: 50_000, max_aliases: 100, max_anchors: 100 },
    };
    let scenario: Scenario = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let location = error.location();
        let bytes = location.and_then(|it| Some((it.span().byte_offset()?, it.span().byte_len()?)));
        let span = bytes.map_or(SourceSpan::from(0..0), |(offset, length)| {
            let offset = usize::try_from(offset).unwrap_or(0).min(text.len());
            SourceSpan::from((offset, usize::try_from(length).unwrap_or(0).min(text.len() - offset)))
        });
        let mut problem = bare(&error.to_string());
        if let serde_saphyr::Error::InvalidScalar { ty, .. } = error.without_snippet() {
            let found = text.get(span.offset()..span.offset() + span.len()).unwrap_or_default();
            problem = format!("expected {}, not {}", kind(ty), found.lines().next().unwrap_or_default());
        }
        ScenarioError::Wrong {
            file: Arc::new(NamedSource::new(name, text.to_owned())),
            span,
            help: meant(&error),
            problem,
            line: location.map_or(0, |it| it.line()),
            column: location.map_or(0, |it| it.column()),
        }
    })?;
    check(name, text, &scenario)?;
    Ok(scenario)
}

/// What the parser calls by the name of a type.
fn kind(ty: &str) -> &str {
    match ty {
        "u8" | "u16" | "u32" | "u64" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        other => other,
    }
}

/// The parser's words without the place that it appends; the report shows the place itself.
fn bare(words: &str) -> String {
    let first = words.lines().next().unwrap_or(words);
    let first = first.strip_prefix("error: ").unwrap_or(first);
    match first.rfind(" at line ") {
        Some(at) => first[..at].to_owned(),
        None => first.to_owned(),
    }
}

/// `did you mean …`, from what would have been understood.
fn meant(error: &serde_saphyr::Error) -> Option<String> {
    use serde_saphyr::Error::{SerdeUnknownField, SerdeUnknownVariant};
    let (wrong, known) = match error.without_snippet() {
        SerdeUnknownField { field, expected, .. } => (field, expected),
        SerdeUnknownVariant { variant, expected, .. } => (variant, expected),
        _ => return None,
    };
    let near = crate::names::nearest(wrong, known.iter().copied());
    near.map(|near| format!("did you mean `{near}`?"))
}

/// What the types cannot say.
fn check(name: &str, text: &str, scenario: &Scenario) -> Result<(), ScenarioError> {
    let wrong = |line: u64, problem: String, help: &str| {
        let (offset, length) = line_span(text, line);
        Err(ScenarioError::Wrong {
            file: Arc::new(NamedSource::new(name, text.to_owned())),
            span: SourceSpan::from((offset, length)),
            problem,
            line,
            column: 1,
            help: Some(help.to_owned()),
        })
    };
    let sound = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if !sound(&scenario.name) {
        let problem = format!("{:?} is not a scenario's name", scenario.name.value);
        return wrong(scenario.name.line, problem, "write lower-case letters, digits and dashes");
    }
    if let Some(version) = &scenario.cluster.kubernetes
        && minor(version).is_none()
    {
        let problem = format!("{version:?} is not a version of Kubernetes");
        return wrong(scenario.name.line, problem, "write a minor version in quotes, such as \"1.37\"");
    }
    // Installers that run in the background.
    let mut running = 0;
    let mut judged = false;
    let swept: Vec<usize> = (0..scenario.steps.len())
        .filter(|&index| scenario.steps[index].run.as_ref().is_some_and(|run| run.kill_after.is_some()))
        .collect();
    if let Some(&index) = swept.first() {
        let later = &scenario.steps[index + 1..];
        let again = later.iter().any(|step| step.run.as_ref().is_some_and(|run| !run.background));
        let background = scenario.steps[index].run.as_ref().is_some_and(|run| run.background);
        if swept.len() > 1 || background || !again {
            let help = "kill one run that is not in the background, and run the installer again after it";
            let problem = "`killAfter` needs a run that follows it, and stands once".to_owned();
            return wrong(scenario.steps[index].line, problem, help);
        }
    }
    let labels: Vec<&str> = scenario.fault_labels().collect();
    for step in &scenario.steps {
        let Some(kind) = step.kind() else {
            let help = "a step has exactly one of run, inject, heal, wait and kill, or expect alone";
            return wrong(step.line, "this step does nothing, or two things at once".into(), help);
        };
        judged |= step.expect.is_some();
        match kind {
            StepKind::Run(run) if run.beside && running == 0 => {
                let help = "start one with `run: { background: true }` first";
                return wrong(step.line, "there is nothing to run beside".into(), help);
            }
            StepKind::Run(run) if running > 0 && !run.beside => {
                let help = "end it first with `wait: { exit: true }` or `kill`";
                return wrong(step.line, "the installer is still running in the background".into(), help);
            }
            StepKind::Run(run) => running += u32::from(run.background),
            StepKind::Kill(_) if running == 0 => {
                let help = "start the installer with `run: { background: true }` first";
                return wrong(step.line, "nothing is running that could be killed".into(), help);
            }
            StepKind::Wait(wait) if wait.exit && running == 0 => {
                let help = "start the installer with `run: { background: true }` first";
                return wrong(step.line, "nothing is running whose end could be waited for".into(), help);
            }
            StepKind::Wait(wait) if wait.stderr.is_some() && running == 0 => {
                let help = "start the installer with `run: { background: true }` first";
                return wrong(
                    step.line,
                    "nothing is running that could write to its standard error".into(),
                    help,
                );
            }
            StepKind::Wait(wait) if wait.count.is_some() && wait.request.is_none() => {
                let help = "say of which: `request: { verb: create, resource: pods }`";
                return wrong(step.line, "`count` counts requests, and none is named".into(), help);
            }
            StepKind::Kill(_) => running -= 1,
            StepKind::Wait(wait) if wait.exit => running -= 1,
            StepKind::Heal(label) if !labels.contains(&label) => {
                return wrong(
                    step.line,
                    format!("there is no fault {label:?} to heal"),
                    &label_hint(label, &labels),
                );
            }
            StepKind::Wait(Wait { held: Some(label), .. }) if !labels.contains(&label.as_str()) => {
                let what = format!("there is no fault {label:?} that could hold a call");
                return wrong(step.line, what, &label_hint(label, &labels));
            }
            _ => {}
        }
    }
    if running > 0 {
        let line = scenario.steps.last().map_or(0, |step| step.line);
        let help = "end the scenario with `wait: { exit: true }` or `kill`";
        return wrong(line, "the installer would still be running at the end".into(), help);
    }
    if !judged {
        let help = "give at least one step an `expect`";
        return wrong(scenario.name.line, "this scenario expects nothing, so it cannot fail".into(), help);
    }
    let without = scenario.control.without.iter().flatten();
    for label in without {
        if !labels.contains(&label.as_str()) {
            let help = crate::names::nearest(label, labels.iter().copied()).map_or_else(
                || "name a fault of this scenario".to_owned(),
                |it| format!("did you mean `{it}`?"),
            );
            return wrong(
                scenario.control.line,
                format!("the control leaves out {label:?}, which is not there"),
                &help,
            );
        }
    }
    Ok(())
}

/// `37` of `1.37`.
pub(crate) fn minor(version: &str) -> Option<u8> {
    version.strip_prefix("1.")?.parse().ok()
}

/// The fault that a label which is nowhere may mean.
fn label_hint(label: &str, labels: &[&str]) -> String {
    crate::names::nearest(label, labels.iter().copied())
        .map_or_else(|| "inject it first".to_owned(), |near| format!("did you mean `{near}`?"))
}

/// Offset and length of a line, counted from 1.
fn line_span(text: &str, line: u64) -> (usize, usize) {
    let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut offset = 0;
    for (number, content) in text.split_inclusive('\n').enumerate() {
        if number == index {
            let indent = content.len() - content.trim_start().len();
            return (offset + indent, content.trim().len());
        }
        offset += content.len();
    }
    (0, 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    const SOUND: &str = "\
name: no-nodes
summary: The cluster has no worker node.
cluster:
  nodes: 0
steps:
  - run: { phase: compute }
    expect:
      exit: 3
control: { cluster: { nodes: 2 } }
";

    fn refused(text: &str) -> (u64, u64, String, Option<String>) {
        match read("scenario.yaml", text).unwrap_err() {
            ScenarioError::Wrong { line, column, problem, help, .. } => (line, column, problem, help),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_sound_scenario_is_read_with_its_places() {
        let scenario = read("scenario.yaml", SOUND).unwrap();
        assert_eq!(scenario.cluster.nodes, Some(0));
        let expect = scenario.steps[0].expect.as_ref().unwrap();
        assert_eq!(expect.exit.as_ref().unwrap().line, 8);
        assert_eq!(scenario.controlled().cluster.nodes, Some(2));
    }

    #[rstest]
    #[case("  nodes: 0", "  ndoes: 0", 4, "unknown field", Some("did you mean `nodes`?"))]
    #[case("  nodes: 0", "  nodes: many", 4, "expected a whole number that is not negative, not many", None)]
    #[case("exit: 3", "exit: { atLeast: x }", 8, "atLeast takes a number", None)]
    #[case("name: no-nodes", "name: No Nodes", 1, "is not a scenario's name", Some("lower-case"))]
    #[case(
        "  - run: { phase: compute }",
        "  - run: { phase: compute }\n    heal: nodes",
        6,
        "two things",
        None
    )]
    #[case(
        "  - run: { phase: compute }",
        "  - heal: coredns",
        6,
        "no fault \"coredns\"",
        Some("inject it first")
    )]
    #[case(
        "cluster:",
        "faults:\n  - cordns: { state: missing }\ncluster:",
        4,
        "unknown variant",
        Some("`coredns`")
    )]
    #[case("control: { cluster: { nodes: 2 } }", "", 5, "missing field `control`", None)]
    fn a_wrong_scenario_is_refused_at_its_place(
        #[case] from: &str,
        #[case] to: &str,
        #[case] line: u64,
        #[case] problem: &str,
        #[case] help: Option<&str>,
    ) {
        let (at, _, said, hint) = refused(&SOUND.replace(from, to));
        assert!(said.contains(problem), "{said}");
        assert_eq!(at, line, "{said}");
        if let Some(help) = help {
            assert!(hint.clone().unwrap_or_default().contains(help), "{hint:?}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_refused_before_it_goes_off() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![before; 9].join(", "));
        }
        refused(&(bomb + SOUND));
    }

    #[test]
    fn a_file_of_ten_megabytes_is_refused_unread() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(10 << 20).unwrap();
        assert!(matches!(parse(file.path()), Err(ScenarioError::TooLarge { .. })));
    }
}
