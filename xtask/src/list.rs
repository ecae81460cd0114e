//! `list`.

use std::fmt::Write as _;

use harness::verdict::ExitCode;
use owo_colors::OwoColorize as _;
use serde_json::json;

use crate::args::{Format, ListArgs};
use crate::failure::Failure;
use crate::scenario;

/// `cargo xtask list`.
pub(crate) fn run(args: &ListArgs) -> Result<ExitCode, Failure> {
    let found = scenario::catalogue()?.select(&[], &args.tag)?;
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
    let width = found.iter().map(|it| it.name().len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut area = "";
    for it in &found {
        if it.area != area {
            area = &it.area;
            let _ = writeln!(text, "{}", area.bold());
        }
        let tags = it.scenario.tags.join(" ");
        let _ = writeln!(text, "  {:<width$}  {} {}", it.name().cyan(), it.scenario.summary, tags.dimmed());
    }
    scenario::print(&text)?;
    Ok(ExitCode::Ok)
}
