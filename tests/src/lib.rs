//! What the tests of the workspace as a whole share. The tests themselves live in `tests/`.

pub mod executables;
pub mod page;
pub mod process;
pub mod sandbox;
pub mod tool;
pub mod workspace;

pub use sandbox::Sandbox;
