//! Telemetry as OpenMetrics text, for a textfile collector.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::result::RunResult;

/// Writes the metrics beside their place and then moves them there, so that a collector never reads
/// half a file.
///
/// # Errors
/// When the file cannot be written or moved.
pub(super) fn write(path: &str, result: &RunResult) -> io::Result<()> {
    let path = Path::new(path);
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let beside = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    std::fs::write(&beside, text(result))?;
    std::fs::rename(&beside, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&beside);
    })
}

/// The metrics of one run.
fn text(result: &RunResult) -> String {
    let telemetry = &result.telemetry;
    let phase = result.phase.map_or("none", crate::phases::Phase::name);
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, samples: &[(String, f64)]| {
        let name = format!("eks_installer_{name}");
        let _ = writeln!(text, "# TYPE {name} gauge\n# HELP {name} {help}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    };
    let labels = format!("phase=\"{phase}\"");
    let mut one = |name: &str, help: &str, value: f64| gauge(name, help, &[(labels.clone(), value)]);
    #[allow(clippy::cast_precision_loss)]
    let seconds = |millis: u64| millis as f64 / 1000.0;
    one("run_ok", "Whether the last run did what was asked.", f64::from(u8::from(result.ok)));
    one("run_duration_seconds", "Duration of the last run.", seconds(telemetry.duration_ms));
    one("run_api_requests", "API requests of the last run.", f64::from(telemetry.api_requests));
    one("run_tool_calls", "Tools that the last run called.", f64::from(telemetry.tool_calls));
    one("run_retries", "Retries of the last run.", f64::from(telemetry.retries));
    one("repair_attempts", "Repairs that the last run began.", f64::from(telemetry.repair_attempts));
    one("repair_successes", "Repairs that succeeded.", f64::from(telemetry.repair_successes));
    one("repair_duration_seconds", "Time spent in repairs.", seconds(telemetry.repair_duration_ms));
    let gates: Vec<(String, f64)> = telemetry
        .gates
        .iter()
        .map(|(gate, verdict)| (format!("{labels},gate=\"{gate}\",verdict=\"{verdict}\""), 1.0))
        .collect();
    gauge("gate", "Verdict of each gate of the last run.", &gates);
    text.push_str("# EOF\n");
    text
}
