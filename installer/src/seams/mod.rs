//! The three seams between the installer and the world: the API, the tools, the clock.

mod clock;
mod connect;
mod process;
mod tools;

pub use clock::{Clock, TokioClock};
pub use connect::{Connect, ConnectError, Connection, FixedConnection};
pub use process::ProcessRunner;
pub use tools::{ToolCall, ToolError, ToolOutput, ToolRunner};
