//! Vocabulary, traits and errors of the migration engine.
#![forbid(unsafe_code)]

pub mod code;
mod error;

pub use code::ErrorCode;
pub use error::{BoxError, Error, ErrorKind, Report, Result, Retry};
