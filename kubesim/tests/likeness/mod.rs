//! What makes the embedded cluster like a real one beyond running pods: who may do what, quotas, claims,
//! schedules, preemption, consistent lists. Each in process, on a paused clock.

#![allow(clippy::unwrap_used)]

mod access;
mod claims;
mod config;
mod lists;
mod managed;
mod preemption;
mod quotas;
mod refusals;
mod rollouts;
mod schedules;
mod services;
mod stage;
