//! What goes to standard output: the result, or a text that was asked for.

use std::io::Write;

use crate::redact::Redactor;
use crate::result::RunResult;

/// Writes the one document.
pub(super) fn result(result: &RunResult, redactor: &Redactor) -> std::io::Result<()> {
    let mut document = serde_json::to_value(result)?;
    redactor.json(&mut document);
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints a text that is no result.
pub(super) fn print(text: &str) -> u8 {
    let mut stdout = std::io::stdout().lock();
    u8::from(writeln!(stdout, "{}", text.trim_end()).is_err())
}
