//! The program `migrate`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// A part of a result is tens of megabytes for a moment. glibc's allocator keeps most of what such
/// buffers leave behind, once for each thread; this one gives it back.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    migrate_cli::Cli::new().run()
}
