//! `assets`: where the real control plane and tools are, built if need be.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use ::assets::{ASSETS_VARIABLE, Found, Places, Progress, Tool, Wanted, find, provide};
use harness::verdict::ExitCode;
use owo_colors::OwoColorize as _;
use serde_json::json;

use crate::args::{AssetsArgs, Format};
use crate::failure::Failure;
use crate::scenario;

/// `cargo xtask assets`.
pub(crate) fn run(args: &AssetsArgs) -> Result<ExitCode, Failure> {
    let wanted = Wanted { kubernetes: args.kubernetes, tools: tools(args) };
    if wanted.tools.is_empty() {
        return Err(Failure::new(ExitCode::NothingSelected, "nothing is selected")
            .hint("cargo xtask assets --no-control-plane --kubectl"));
    }
    let places = Places::from_env();
    let mut teller = Teller::default();
    let mut tell = |progress: Progress<'_>| teller.tell(progress);
    let found = if args.no_build { find } else { provide }(&places, &wanted, &mut tell);
    teller.end();
    let found = found?;
    let text = match (args.export, args.format) {
        (true, _) => exports(&found),
        (false, Format::Human) => human(&found),
        (false, Format::Json) => document(&found),
    };
    scenario::print(&text)?;
    Ok(ExitCode::Ok)
}

fn tools(args: &AssetsArgs) -> Vec<Tool> {
    let mut tools = Vec::new();
    if !args.no_control_plane {
        tools.extend(Tool::CONTROL_PLANE);
    }
    let named = [
        (args.kubectl, Tool::Kubectl),
        (args.helm3, Tool::Helm3),
        (args.helm4, Tool::Helm4),
        (args.kind, Tool::Kind),
    ];
    tools.extend(named.into_iter().filter(|(wanted, _)| *wanted).map(|(_, tool)| tool));
    tools
}

fn human(found: &Found) -> String {
    let mut text = String::new();
    for (tool, path, origin) in found.all() {
        let _ = writeln!(text, "{:<24} {} {}", tool.name().cyan(), path.display(), origin.dimmed());
    }
    text
}

fn document(found: &Found) -> String {
    let tools: serde_json::Map<_, _> = found
        .all()
        .map(|(tool, path, origin)| {
            (
                tool.name().to_owned(),
                json!({ "path": path.display().to_string(), "from": origin.to_string() }),
            )
        })
        .collect();
    let folder = found.folder().map(|folder| folder.display().to_string());
    format!("{:#}\n", json!({ "kubernetes": found.kubernetes.to_string(), "folder": folder, "tools": tools }))
}

fn exports(found: &Found) -> String {
    let mut text = String::new();
    let mut export = |name: &str, path: &std::path::Path| {
        let quoted = path.display().to_string().replace('\'', "'\\''");
        let _ = writeln!(text, "export {name}='{quoted}'");
    };
    if let Some(folder) = found.folder() {
        export(ASSETS_VARIABLE, folder);
    }
    for (tool, path, _) in found.all() {
        if let Some(variable) = tool.variable() {
            export(variable, path);
        }
    }
    text
}

/// Tells a person how far it is: a line that changes on a terminal, a line now and then elsewhere.
struct Teller {
    terminal: bool,
    /// Whether the last line has no end yet.
    open: bool,
    began: Instant,
    told: Instant,
}

impl Default for Teller {
    fn default() -> Self {
        let now = Instant::now();
        Self { terminal: std::io::stderr().is_terminal(), open: false, began: now, told: now }
    }
}

impl Teller {
    /// How often a line is written where it cannot be changed.
    const EVERY: Duration = Duration::from_secs(20);

    fn tell(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::PassedOver { path, why, .. } => {
                self.line(&format!("{} {}: {why}", "passed over".yellow(), path.display()));
            }
            Progress::Waiting(tool) => {
                self.line(&format!("• {}: another process is building it; waiting for its end", tool.name()));
            }
            Progress::Building { tool, version } => {
                self.began = Instant::now();
                self.line(&format!("• building {} {}", tool.name(), version.trim_start_matches('v')));
            }
            Progress::Downloading { tool, module } => {
                self.now(&format!("  {}: downloading {module}", tool.name()));
            }
            Progress::Compiled { tool, packages, newest } => {
                let seconds = self.began.elapsed().as_secs();
                self.now(&format!("  {}: {packages} packages, {seconds} s, {newest}", tool.name()));
            }
            Progress::Built { tool, elapsed } => {
                self.line(&format!("{} {} in {} s", "✓".green(), tool.name(), elapsed.as_secs()));
            }
        }
    }

    fn line(&mut self, text: &str) {
        self.end();
        anstream::eprintln!("{text}");
        self.told = Instant::now();
    }

    /// What holds for a moment only.
    fn now(&mut self, text: &str) {
        if self.terminal {
            let short: String = text.chars().take(100).collect();
            anstream::eprint!("\r\x1b[K{short}");
            self.open = true;
        } else if self.told.elapsed() >= Self::EVERY {
            self.line(text);
        }
    }

    fn end(&mut self) {
        if self.open {
            anstream::eprint!("\r\x1b[K");
            self.open = false;
        }
    }
}
