//! The `retwine` program. See [`retwine::cli`].

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Answers are made of many small pieces, which the system's allocator is slow
/// at: it took a sixth of a short request. Without huge pages (`no_thp`): each of
/// the threads would fill some with what it has freed, three times the memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    retwine::cli::main()
}
