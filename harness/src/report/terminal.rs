//! What a person sees: a block for each scenario, in order, then the totals.
//!
//! Scenarios run at the same time and are shown one after the other; the first that is not finished holds
//! back those behind it, so that two runs read the same.

use std::io::{self, Write};
use std::path::Path;

use owo_colors::{OwoColorize as _, Style};

use super::{Reporter, ScenarioSummary, Summary};
use crate::event::{Event, Mismatch};
use crate::parity::Parity;
use crate::verdict::{ExitCode, Verdict};

/// Writes to a terminal or a pipe; whether colours show is the writer's affair.
pub struct Terminal<W> {
    to: W,
    summary: Summary,
    shown: usize,
}

impl<W: Write> Terminal<W> {
    /// Writes to `to`, which strips colours where they are not wanted.
    pub fn new(to: W) -> Self {
        Self { to, summary: Summary::default(), shown: 0 }
    }

    fn show_finished(&mut self) -> io::Result<()> {
        while let Some(scenario) = self.summary.scenarios.get(self.shown).filter(|it| it.verdict.is_some()) {
            // Of a run that was interrupted, only what had begun is worth a line.
            if scenario.verdict != Some(Verdict::Interrupted) || !scenario.shape.is_empty() {
                show(&mut self.to, scenario, self.summary.scenarios.len() == 1)?;
            }
            self.shown += 1;
        }
        self.to.flush()
    }
}

impl<W: Write + Send> Reporter for Terminal<W> {
    fn name(&self) -> String {
        "the terminal".to_owned()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.summary.event(event);
        match event {
            Event::RunStarted { seed, backend, installer, scenarios, .. } => {
                let count = match scenarios.len() {
                    1 => "1 scenario".to_owned(),
                    more => format!("{more} scenarios"),
                };
                writeln!(self.to, "{count} on {backend}, seed {seed}: {}", installer.dimmed())?;
                self.to.flush()
            }
            Event::ScenarioFinished { .. } => self.show_finished(),
            Event::RunFinished { .. } => {
                self.show_finished()?;
                totals(&mut self.to, &self.summary)
            }
            _ => Ok(()),
        }
    }
}

fn style(verdict: Verdict) -> (&'static str, Style) {
    match verdict {
        Verdict::Passed => ("✓", Style::new().green()),
        Verdict::Failed => ("✗", Style::new().red().bold()),
        Verdict::Differs => ("≠", Style::new().red().bold()),
        Verdict::Unsupported => ("-", Style::new().yellow()),
        Verdict::Errored => ("!", Style::new().magenta().bold()),
        Verdict::Interrupted => ("!", Style::new().yellow()),
    }
}

fn show(to: &mut impl Write, scenario: &ScenarioSummary, alone: bool) -> io::Result<()> {
    let verdict = scenario.verdict.unwrap_or(Verdict::Interrupted);
    let (sign, colour) = style(verdict);
    let took = seconds(scenario.elapsed_ms);
    let passed = verdict == Verdict::Passed;
    let interrupted = verdict == Verdict::Interrupted;
    writeln!(
        to,
        "{} {} {}",
        sign.style(colour),
        scenario.name.bold(),
        format!("{took} {}", verdict.word()).dimmed()
    )?;
    if alone || !(passed || interrupted) {
        writeln!(to, "    {}", scenario.summary)?;
        if !scenario.shape.is_empty() {
            line(to, "cluster", &format!("{} ({} ms)", scenario.shape, scenario.cluster_ms))?;
        }
        for step in &scenario.steps {
            let held = step.checked - step.mismatches.len().min(step.checked);
            let judged = if step.checked == 0 {
                String::new()
            } else {
                format!("; {held} of {} checks hold", step.checked)
            };
            line(
                to,
                &format!("step {}", step.step),
                &format!("{} ({} ms){judged}", step.what, step.elapsed_ms),
            )?;
            for mismatch in &step.mismatches {
                show_mismatch(to, mismatch)?;
            }
        }
        if let Some(control) = scenario.control.as_ref().filter(|_| passed) {
            line(to, "control", &format!("{control}: without the fault the verdict is another"))?;
        }
    }
    if let Some(reason) = &scenario.reason {
        line(to, verdict.word(), reason)?;
    }
    if let Some(parity) = &scenario.parity {
        show_parity(to, parity)?;
    }
    for left in &scenario.left {
        line(to, "left", left)?;
    }
    if let Some(kept) = scenario.kept.as_ref().filter(|_| !passed) {
        line(to, "recorded", kept)?;
    }
    if matches!(verdict, Verdict::Failed | Verdict::Differs | Verdict::Errored) {
        line(to, "again", &scenario.again)?;
    }
    Ok(())
}

/// Where two backends differ, with both sides.
fn show_parity(to: &mut impl Write, parity: &Parity) -> io::Result<()> {
    let [first, second] = &parity.backends;
    if parity.differences.is_empty() {
        return Ok(());
    }
    let wide = first.len().max(second.len());
    line(to, "parity", &format!("{second} differs from {first} in {}", parity.differences.len()))?;
    for difference in &parity.differences {
        writeln!(to, "      {} {}", "≠".red(), difference.what.bold())?;
        for (backend, seen) in parity.backends.iter().zip(&difference.seen) {
            writeln!(to, "          {backend:<wide$}  {seen}")?;
        }
    }
    Ok(())
}

fn line(to: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(to, "    {} {text}", format!("{label:<9}").cyan())
}

fn show_mismatch(to: &mut impl Write, mismatch: &Mismatch) -> io::Result<()> {
    let place = mismatch.place.as_deref().unwrap_or("the installer contract");
    // Where there is no result at all, every part of it is absent, and one line each is enough.
    if mismatch.observed == "absent" {
        return writeln!(
            to,
            "      {} {} {}: expected {}, {}",
            "✗".red(),
            mismatch.expectation.bold(),
            place.dimmed(),
            mismatch.expected.green(),
            "absent".red()
        );
    }
    writeln!(to, "      {} {} {}", "✗".red(), mismatch.expectation.bold(), place.dimmed())?;
    writeln!(to, "          expected  {}", mismatch.expected.green())?;
    writeln!(to, "          observed  {}", mismatch.observed.red())
}

fn totals(to: &mut impl Write, summary: &Summary) -> io::Result<()> {
    let words: Vec<String> = [
        Verdict::Passed,
        Verdict::Failed,
        Verdict::Differs,
        Verdict::Unsupported,
        Verdict::Errored,
        Verdict::Interrupted,
    ]
    .into_iter()
    .filter_map(|verdict| Some((verdict, *summary.totals.get(verdict.word())?)))
    .map(|(verdict, count)| format!("{count} {}", verdict.word()).style(style(verdict).1).to_string())
    .collect();
    writeln!(to, "\n{} in {}", words.join(", "), seconds(summary.elapsed_ms))?;
    if summary.exit == Some(ExitCode::Cleanup.code()) {
        writeln!(to, "not everything could be cleaned up: cargo xtask cluster prune tries again")?;
    }
    if summary.exit == Some(ExitCode::NothingSelected.code()) {
        writeln!(to, "nothing was judged: backend {} can carry none of them", summary.backend)?;
    }
    // What failed has said where its recordings are.
    let passed = summary.scenarios.iter().filter(|it| it.verdict == Some(Verdict::Passed));
    let mut kept = passed.filter_map(|it| Some(Path::new(it.kept.as_ref()?)));
    if let Some(first) = kept.next() {
        let folder = if kept.next().is_some() { first.parent().unwrap_or(first) } else { first };
        writeln!(to, "recorded  {}", folder.display())?;
    }
    to.flush()
}

fn seconds(millis: u64) -> String {
    format!("{}.{:02} s", millis / 1000, millis % 1000 / 10)
}
