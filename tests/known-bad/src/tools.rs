//! The tools, seen through a lie: what the lies about Helm have in common.

use std::sync::Arc;

use eks_installer::Context;
use eks_installer::seams::{ToolCall, ToolOutput, ToolRunner};
use serde_json::Value;

/// Puts a runner in front of the installer's own.
pub(crate) fn instead<R: ToolRunner + 'static>(
    context: Context,
    runner: impl FnOnce(Arc<dyn ToolRunner>) -> R,
) -> Context {
    let tools = Arc::new(runner(context.tools.clone()));
    Context { tools, ..context }
}

/// The subcommand of a call of Helm; nothing for other tools.
pub(crate) fn helm(call: &ToolCall) -> Option<&str> {
    (call.program == "helm").then(|| call.args.first().map(String::as_str)).flatten()
}

/// The value of a flag that is written `--name value`.
pub(crate) fn flag<'c>(call: &'c ToolCall, name: &str) -> Option<&'c str> {
    let at = call.args.iter().position(|arg| arg == name)?;
    call.args.get(at + 1).map(String::as_str)
}

/// What a successful call said, if it is JSON.
pub(crate) fn document(output: &ToolOutput) -> Option<Value> {
    output.success().then(|| serde_json::from_str(&output.stdout).ok()).flatten()
}

/// A successful call that said this.
pub(crate) fn says(document: &Value) -> ToolOutput {
    ToolOutput { code: Some(0), stdout: document.to_string(), ..ToolOutput::default() }
}
