//! The binary. All code is in the library.

fn main() -> std::process::ExitCode {
    hubcast::cli::run(std::env::args_os())
}
