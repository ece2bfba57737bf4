//! The rows that benchmarks move, and the cost of a process.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

pub mod data;
pub mod measure;
pub mod shop;

/// The program to measure, wherever it is called from.
///
/// # Errors
///
/// When it is not there, with how to build it.
pub fn built(program: &Path) -> Result<PathBuf, String> {
    program
        .canonicalize()
        .map_err(|cause| format!("{}: {cause}; fix: cargo build --release", program.display()))
}
