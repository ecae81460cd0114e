//! The `known-bad` executable: everything is in the library, see [`known_bad::cli`].

fn main() -> std::process::ExitCode {
    known_bad::cli::main()
}
