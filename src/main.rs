//! The binary: everything is in the library.

use std::process::ExitCode;

/// Faster and more compact than the system's under many connections; see docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hubgate::cli::run()
}
