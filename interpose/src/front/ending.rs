//! Ending as the tool ended: by code, or by signal.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::sys::signal::{Signal, raise};

/// Name under which the executable calls itself in order to die by a signal.
pub const DIE: &str = "interpose-die";

/// Name under which the executable calls itself in order to become a real tool that does not
/// outlive its caller.
pub const GUARD: &str = "interpose-guard";

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With an exit code.
    Exit(i32),
    /// By a signal of this number.
    Signal(i32),
}

impl Ending {
    /// Exit code and signal, one of which is there.
    pub fn parts(self) -> (Option<i32>, Option<i32>) {
        match self {
            Self::Exit(code) => (Some(code), None),
            Self::Signal(number) => (None, Some(number)),
        }
    }

    /// Ends the process this way. A signal that is being listened for would not end it: the process
    /// first becomes a fresh one, in which every signal has its default effect again.
    pub fn take(self) -> ExitCode {
        match self {
            Self::Exit(code) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1)),
            Self::Signal(number) => {
                if let Ok(this) = std::env::current_exe() {
                    let error = Command::new(this).arg0(DIE).arg(number.to_string()).exec();
                    eprintln!("die by signal {number}: {error}");
                }
                ExitCode::from(u8::try_from(128 + (number & 0x7f)).unwrap_or(1))
            }
        }
    }
}

/// Dies by the signal whose number is given.
pub fn die(number: Option<&str>) -> ExitCode {
    let signal = number.and_then(|n| n.parse::<i32>().ok()).and_then(|n| Signal::try_from(n).ok());
    if let Some(signal) = signal {
        let _ = raise(signal);
    }
    // Ignored by inheritance, or not a deadly one: say what a shell would say.
    ExitCode::from(128 + u8::try_from(signal.map_or(0, |s| s as i32)).unwrap_or(0))
}

/// Becomes the program given, after asking the system to kill it when its caller dies. Without this
/// an installer that kills its `helm` would kill the interposer only.
pub fn guard(mut words: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let parent = words.next().and_then(|it| it.to_str()?.parse::<i32>().ok());
    let Some(program) = words.next() else { return ExitCode::from(127) };
    #[cfg(target_os = "linux")]
    {
        let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
        if parent.is_some_and(|parent| nix::unistd::getppid().as_raw() != parent) {
            return ExitCode::from(137);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = parent;
    let error = Command::new(&program).args(words).exec();
    eprintln!("run {}: {error}", program.to_string_lossy());
    ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
}
