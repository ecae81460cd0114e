//! A `wait` step: until the cluster, a request, a tool or the installer has come so far.

use std::time::Duration;

use serde_json::json;

use super::attempt::{Stage, Trouble};
use crate::duration::Span;
use crate::event::Mismatch;
use crate::expect::{self, Judged};
use crate::scenario::{ExpectObject, Wait};

/// How long a `wait` step waits when it does not say.
const WAIT: Span = Span::secs(30);

impl Stage<'_> {
    /// Waits; `Some` says what had not happened when the time was up.
    pub(super) async fn wait(&mut self, wait: &Wait) -> Result<Option<String>, Trouble> {
        let limit = wait.timeout.unwrap_or(WAIT).times(self.setting.backend.pace()).0;
        let until = tokio::time::Instant::now() + limit;
        if wait.settled {
            self.cluster.settled().await;
        }
        loop {
            let not_yet = self.not_yet(wait).await?;
            let Some(not_yet) = not_yet else { return Ok(None) };
            if self.running.last_mut().is_some_and(|(subject, _)| subject.has_ended()) {
                return Ok(Some(format!("{not_yet}; the installer has ended")));
            }
            tokio::select! {
                biased;
                () = self.setting.stop.wait() => return Err(Trouble::Interrupted),
                () = self.cluster.changed() => {}
                // A tool call shows in a file, and the end of the installer in its process; nothing announces
                // either.
                () = tokio::time::sleep(Duration::from_millis(10)),
                    if wait.tool.is_some() || wait.held.is_some() || !self.running.is_empty() => {}
                () = tokio::time::sleep_until(until) => return Ok(Some(not_yet)),
            }
        }
    }

    async fn not_yet(&self, wait: &Wait) -> Result<Option<String>, Trouble> {
        let (requests, calls) =
            self.running.last().map_or((0, 0), |(_, before)| (before.requests, before.calls));
        if let Some(pattern) = &wait.request {
            let seen = self.cluster.requests();
            let such = seen.iter().skip(requests).filter(|it| expect::request_matches(pattern, it)).count();
            if such < wait.count.map_or(1, |count| count as usize) {
                let all = seen.len().saturating_sub(requests);
                return Ok(Some(match such {
                    0 => format!("no such request among {all}"),
                    fewer => format!("only {fewer} such requests among {all}"),
                }));
            }
        }
        if let Some(text) = &wait.stderr {
            let said = self.running.last().is_some_and(|(subject, _)| subject.has_said(text));
            if !said {
                return Ok(Some(format!("the installer has not written {text:?}")));
            }
        }
        if let Some(pattern) = &wait.tool {
            let seen = self.tools.calls()?;
            if !seen.iter().skip(calls).any(|it| expect::call_matches(&pattern.tool, &pattern.args, it)) {
                return Ok(Some(format!("no such call among {}", seen.len().saturating_sub(calls))));
            }
        }
        if let Some(label) = wait.held.as_deref().filter(|label| !self.tools.held(label)) {
            return Ok(Some(format!("the fault {label} holds no call")));
        }
        if let Some(object) = &wait.object {
            return self.no_such(object).await;
        }
        Ok(None)
    }

    async fn no_such(&self, object: &ExpectObject) -> Result<Option<String>, Trouble> {
        let now = self.cluster.snapshot_of(&object.resource).await?;
        let found = expect::counted(object, &now).len();
        let enough = match &object.count {
            Some(count) => count.holds(Some(&json!(found))),
            None => found > 0,
        };
        Ok((!enough).then(|| format!("{found} such {}", object.resource)))
    }
}

/// A wait that ran out, as a mismatch.
pub(super) fn missed(not_yet: &str, wait: &Wait, file: &str, line: u64) -> Judged {
    let limit = wait.timeout.unwrap_or(WAIT).0;
    Judged {
        checked: 1,
        mismatches: vec![Mismatch {
            expectation: "wait".into(),
            expected: format!("it happens within {limit:?}"),
            observed: not_yet.to_owned(),
            place: Some(format!("{file}:{line}")),
        }],
    }
}
