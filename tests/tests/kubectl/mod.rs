//! An unmodified kubectl against the embedded cluster, over TLS: what it prints, word for word.
//!
//! `SEATRIAL_KUBECTL` names it (`.ci/tools` builds it). Without it the tests skip in sight; with
//! `SEATRIAL_REQUIRE_TOOLS=1` they fail instead.
#![allow(clippy::unwrap_used)]

mod access;
mod apply;
mod changes;
mod custom_resources;
mod deletes;
mod describe;
mod kinds;
mod logs;
mod nodes;
mod reads;
mod refusals;
mod rollouts;
mod stage;
mod waits;
