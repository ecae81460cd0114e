//! The release's revision is read once and never again: after a repair it is the one from before.

use std::sync::{Arc, Mutex, PoisonError};

use eks_installer::cli::Hooks;
use eks_installer::seams::{ToolCall, ToolError, ToolOutput, ToolRunner};
use futures::future::BoxFuture;
use serde_json::Value;

use crate::{Defect, tools};

pub(super) const DEFECT: Defect = Defect {
    name: "stale-revision",
    summary: "gives the revision from before the repair as the release's revision",
    hooks,
};

fn hooks() -> Hooks {
    Hooks {
        wrap: Box::new(|context| tools::instead(context, |truth| Helm { truth, first: Mutex::default() })),
        edit: Box::new(|outcome| outcome),
    }
}

struct Helm {
    truth: Arc<dyn ToolRunner>,
    /// The revision that Helm gave first.
    first: Mutex<Option<Value>>,
}

impl ToolRunner for Helm {
    fn run(&self, call: ToolCall) -> BoxFuture<'_, Result<ToolOutput, ToolError>> {
        Box::pin(async {
            let status = tools::helm(&call) == Some("status");
            let output = self.truth.run(call).await?;
            let Some(mut said) = tools::document(&output).filter(|said| status && said["version"].is_u64())
            else {
                return Ok(output);
            };
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            said["version"] = first.get_or_insert_with(|| said["version"].clone()).clone();
            Ok(tools::says(&said))
        })
    }
}
