//! Finds a thing, or makes it once and reads it back; a dry run only plans to make it.
//!
//! An answer to a write can be lost, and a thing that was made can take a moment to show. So nothing is
//! ever made twice without having been looked for in between, and what counts in the end is what was read.

use std::fmt::Display;

use crate::context::Run;
use crate::phases::Phase;
use crate::result::{PlannedAction, PlannedStep};
use crate::retry::Retryable;

/// A thing that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ensured<T> {
    /// As it was last read.
    pub(crate) thing: T,
    /// Whether it was there before.
    pub(crate) existed: bool,
    /// Whether it was made here.
    pub(crate) created: bool,
}

/// Why a thing is not there.
#[derive(Clone, Debug)]
pub(crate) enum Trouble<E> {
    /// It could not be looked for.
    Read(E),
    /// It could not be made.
    Write(E),
    /// It was made, as far as its maker said, and does not show.
    Absent,
}

/// Finds a thing with `find`, or makes it with `make` and finds it then. `None` when it is not there and
/// the run is dry: `command` is what a person would type to make it.
pub(crate) async fn ensure<T, E>(
    run: &Run<'_>,
    phase: Phase,
    what: &str,
    command: &str,
    find: impl AsyncFn() -> Result<Option<T>, E>,
    make: impl AsyncFn() -> Result<(), E>,
) -> Result<Option<Ensured<T>>, Trouble<E>>
where
    E: Retryable + Display,
{
    if let Some(thing) = find().await.map_err(Trouble::Read)? {
        run.plan(PlannedStep::new(phase, PlannedAction::Keep, what, "it is there"));
        return Ok(Some(Ensured { thing, existed: true, created: false }));
    }
    if run.dry() {
        run.plan(PlannedStep::new(phase, PlannedAction::Make, what, "it is not there").command(command));
        return Ok(None);
    }
    run.step("make", format!("making {what}"));
    let mut attempts = run.attempts(E::TARGET);
    let (mut made, mut created) = (false, false);
    loop {
        let failed = if made { None } else { make().await.err() };
        made = failed.is_none();
        // What was refused was not made here; what was not answered may have been.
        created |= failed.as_ref().is_none_or(|error| error.transient().is_some());
        // Whatever the answer was: what is there now?
        let found = match find().await {
            Ok(found) => found,
            Err(error) => return Err(failed.map_or_else(|| Trouble::Read(error), Trouble::Write)),
        };
        if let Some(thing) = found {
            return Ok(Some(Ensured { thing, existed: false, created }));
        }
        let again = match &failed {
            None => {
                run.backoff(&mut attempts, &format!("read {what} back"), "it does not show yet", None).await
            }
            Some(error) => match error.transient() {
                Some(asked) => {
                    run.backoff(&mut attempts, &format!("make {what}"), &error.to_string(), asked).await
                }
                None => false,
            },
        };
        if !again {
            return Err(failed.map_or(Trouble::Absent, Trouble::Write));
        }
    }
}
