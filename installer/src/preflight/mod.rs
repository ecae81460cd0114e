//! `preflight`: whether an installation could succeed, before anything is changed.
//!
//! Every check is made, also when an earlier one has failed, so that one run names everything that is in
//! the way. A check that could not be made is `unknown`, which is not the same as passed. Nothing is
//! written: the access reviews are questions, and are answered without a trace.

mod account;
mod cluster;
mod quotas;
mod tools;

use crate::context::{Context, Run};
use crate::install;
use crate::result::{Blocker, Check, CheckVerdict, Outcome, Preflight};
use crate::settings::Settings;

/// Makes every check.
pub async fn run(ctx: &Context, settings: &Settings) -> Outcome {
    let run = Run::new(ctx, settings);
    install::preflighted(&run, async {
        let mut found = Found { run: &run, evidence: Preflight::default(), blockers: Vec::new() };
        tools::check(&mut found).await;
        account::check(&mut found).await;
        quotas::check(&mut found).await;
        cluster::check(&mut found).await;
        (found.evidence, found.blockers)
    })
    .await
}

/// What the checks have found so far.
struct Found<'a, 'r> {
    run: &'a Run<'r>,
    evidence: Preflight,
    blockers: Vec<Blocker>,
}

impl Found<'_, '_> {
    fn note(&mut self, name: &str, verdict: CheckVerdict, detail: String) {
        let detail = self.run.ctx.redactor.text(&detail);
        let line = format!("{name}: {detail}");
        match verdict {
            CheckVerdict::Passed | CheckVerdict::Skipped => self.run.step("preflight", line),
            CheckVerdict::Unknown => self.run.warn("preflight", line),
            CheckVerdict::Failed => self.run.fail("preflight", line),
        }
        self.evidence.checks.push(Check { name: name.to_owned(), verdict, detail });
    }

    fn passed(&mut self, name: &str, detail: impl Into<String>) {
        self.note(name, CheckVerdict::Passed, detail.into());
    }

    fn skipped(&mut self, name: &str, why: impl Into<String>) {
        self.note(name, CheckVerdict::Skipped, why.into());
    }

    /// It could not be found out, and that alone stops nobody.
    fn unknown(&mut self, name: &str, why: impl Into<String>) {
        self.note(name, CheckVerdict::Unknown, why.into());
    }

    fn failed(&mut self, name: &str, blocker: Blocker) {
        self.note(name, CheckVerdict::Failed, blocker.message.clone());
        self.blockers.push(blocker);
    }

    /// It could not be found out, and without it nothing can be installed.
    fn undetermined(&mut self, name: &str, blocker: Blocker) {
        self.note(name, CheckVerdict::Unknown, blocker.message.clone());
        self.blockers.push(blocker);
    }
}
