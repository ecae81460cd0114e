//! `list`.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use harness::scenario::Found;
use harness::verdict::ExitCode;
use owo_colors::OwoColorize as _;
use serde_json::json;

use crate::args::{Format, ListArgs};
use crate::failure::Failure;
use crate::scenario;

/// `cargo xtask list`.
pub(crate) fn run(args: &ListArgs) -> Result<ExitCode, Failure> {
    let found = scenario::catalogue()?.select(&[], &args.tag)?;
    if found.is_empty() {
        return Err(Failure::new(ExitCode::NothingSelected, "no scenario has all of these tags")
            .hint("cargo xtask list shows the tags of each"));
    }
    if args.format == Format::Json {
        let all: Vec<_> = found
            .iter()
            .map(|it| {
                json!({
                    "name": it.name(), "area": it.area, "summary": it.scenario.summary, "tags": it.scenario.tags,
                    "file": it.path.display().to_string(),
                })
            })
            .collect();
        scenario::print(&format!("{:#}\n", json!(all)))?;
        return Ok(ExitCode::Ok);
    }
    // A pipe gets one line a scenario, whatever its length.
    let screen = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    scenario::print(&table(&found, screen.filter(|_| std::io::stdout().is_terminal())))?;
    Ok(ExitCode::Ok)
}

/// How wide a summary's column must be on a screen to stand beside the name and not below it.
const NARROW: usize = 48;

fn table(found: &[Found], screen: Option<usize>) -> String {
    let names = found.iter().map(|it| it.name().len()).max().unwrap_or(0);
    let beside = screen.map(|width| width.saturating_sub(names + 4)).filter(|width| *width >= NARROW);
    let mut text = String::new();
    let mut area = "";
    for it in found {
        if it.area != area {
            area = &it.area;
            let _ = writeln!(text, "{}", area.bold());
        }
        let (name, summary) = (it.name(), &it.scenario.summary);
        let tags = format!("[{}]", it.scenario.tags.join(" "));
        match (screen, beside) {
            (Some(width), None) => {
                let _ = writeln!(text, "  {} {}", name.cyan(), tags.dimmed());
                for line in lines(summary, Some(width.saturating_sub(6))) {
                    let _ = writeln!(text, "      {line}");
                }
            }
            (_, width) => {
                let mut name = name;
                for line in lines(&format!("{summary} {tags}"), width) {
                    let _ = writeln!(text, "  {}  {line}", format!("{name:<names$}").cyan());
                    name = "";
                }
            }
        }
    }
    text
}

/// A text in lines of at most `width` characters, as far as its words allow; one line without a width.
fn lines(text: &str, width: Option<usize>) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let full = |line: &String| {
            let length = line.chars().count() + 1 + word.chars().count();
            width.is_some_and(|width| !line.is_empty() && length > width)
        };
        match lines.last_mut() {
            Some(line) if !full(line) => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn words_are_wrapped_where_the_screen_ends_and_never_broken() {
        assert_eq!(lines("one two three", None), ["one two three"]);
        assert_eq!(lines("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(lines("one extraordinary word", Some(5)), ["one", "extraordinary", "word"]);
    }
}
