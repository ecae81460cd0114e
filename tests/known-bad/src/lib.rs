//! Installers with one defect each, which the catalogue of scenarios must catch.
//!
//! Each is the right installer seen through one lying seam, or with one edit of what it says, and so as
//! near to the right one as can be: a catalogue that catches it has caught that defect and nothing else.
//! All of them lie consistently: status, exit code, next step and evidence agree with one another, and
//! only the cluster contradicts them.
//!
//! A defect is added by adding a file in [`defects`] and one line in its list.

mod api;
pub mod cli;
pub mod defects;
mod healthy;
mod tools;
mod verdict;

use eks_installer::cli::Hooks;

/// One way in which an installer is wrong.
pub struct Defect {
    /// Its name on the command line.
    pub name: &'static str,
    /// What such an installer does, in a line.
    pub summary: &'static str,
    /// What is put between the right installer and the world to make it do so.
    pub hooks: fn() -> Hooks,
}
