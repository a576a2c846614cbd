//! The `retwine` program. See [`retwine::cli`].

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Answers are made of many small pieces, which the system's allocator is slow
/// at: it took a sixth of a short request.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    retwine::cli::main()
}
