//! The multi-call executable: the base name of `argv[0]` says which tool it is.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use interpose::front::{self, Ending, TOOLS};

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let called = words.next().unwrap_or_default();
    let name = base_name(&called);
    match name.as_str() {
        front::DIE => return front::die(words.next().as_deref().and_then(|it| it.to_str())),
        front::GUARD => return front::guard(words),
        _ => {}
    }
    // By hand one may also write `interpose helm status …`.
    let (tool, rest): (String, Vec<OsString>) = if TOOLS.contains(&name.as_str()) {
        (name, words.collect())
    } else {
        (words.next().as_deref().map(base_name).unwrap_or_default(), words.collect())
    };
    if !TOOLS.contains(&tool.as_str()) {
        eprintln!(
            "error: call this executable as one of {}, by symlink or copy\n\nhint: ln -s interpose helm",
            TOOLS.join(", ")
        );
        return ExitCode::from(2);
    }
    let mut argv = Vec::with_capacity(rest.len());
    for word in rest {
        match word.into_string() {
            Ok(word) => argv.push(word),
            Err(word) => {
                eprintln!("error: argument {} is not UTF-8", word.to_string_lossy());
                return ExitCode::from(2);
            }
        }
    }
    // Fails only when somebody else was first, and then one is installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ending = match runtime {
        Ok(runtime) => {
            let ending = runtime.block_on(front::run(&tool, argv));
            // A thread may still wait for standard input; it ends with the process.
            runtime.shutdown_background();
            ending
        }
        Err(error) => {
            eprintln!("error: start the runtime: {error}");
            Ending::Exit(125)
        }
    };
    ending.take()
}

fn base_name(path: &OsStr) -> String {
    Path::new(path).file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
}
