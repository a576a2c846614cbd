//! The `retwine` program. See [`retwine::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    retwine::cli::main()
}
