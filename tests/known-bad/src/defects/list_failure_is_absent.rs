//! When Helm cannot say what is installed, nothing is: a fresh install follows.

use std::sync::Arc;

use eks_installer::cli::Hooks;
use eks_installer::seams::{ToolCall, ToolError, ToolOutput, ToolRunner};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::{Defect, tools};

pub(super) const DEFECT: Defect = Defect {
    name: "list-failure-is-absent",
    summary: "reads a failure of helm status or helm list as \"not installed\" and installs afresh",
    hooks,
};

fn hooks() -> Hooks {
    Hooks {
        wrap: Box::new(|context| tools::instead(context, |truth| Helm { truth })),
        edit: Box::new(|outcome| outcome),
    }
}

struct Helm {
    truth: Arc<dyn ToolRunner>,
}

impl ToolRunner for Helm {
    fn run(&self, call: ToolCall) -> BoxFuture<'_, Result<ToolOutput, ToolError>> {
        Box::pin(async {
            let absent = match tools::helm(&call) {
                Some("status") => ToolOutput {
                    code: Some(1),
                    stderr: "Error: release: not found\n".to_owned(),
                    ..ToolOutput::default()
                },
                Some("list") => tools::says(&json!([])),
                _ => return self.truth.run(call).await,
            };
            match self.truth.run(call).await {
                Err(error @ ToolError::Stopped { .. }) => Err(error),
                Ok(output) if answers(&output) => Ok(output),
                Ok(_) | Err(_) => Ok(absent),
            }
        })
    }
}

/// Whether Helm has said what there is.
fn answers(output: &ToolOutput) -> bool {
    matches!(tools::document(output), Some(Value::Object(_) | Value::Array(_)))
}
