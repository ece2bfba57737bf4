//! Vocabulary, traits and errors of the migration engine.
#![forbid(unsafe_code)]

pub mod code;
mod dialect;
mod error;
mod name;
mod suggest;
pub mod value;

pub use code::ErrorCode;
pub use dialect::Dialect;
pub use error::{BoxError, Error, ErrorKind, Report, Result, Retry};
pub use name::{ColumnName, TableRef};
pub use suggest::closest;
pub use value::{Decimal, Float, Scalar};
