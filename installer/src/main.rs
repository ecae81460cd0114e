//! The `eks-installer` executable: everything is in the library, see [`eks_installer::cli`].

fn main() -> std::process::ExitCode {
    eks_installer::cli::main(eks_installer::cli::Hooks::default())
}
