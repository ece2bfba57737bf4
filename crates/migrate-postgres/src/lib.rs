//! What the PostgreSQL sink and the PostgreSQL status store share: connections, the classes of
//! errors, bound statements, and the identity of a database.
//!
//! It knows no status table and no COPY.
#![forbid(unsafe_code)]

mod database;
mod domain;
mod error;
mod settings;
mod statement;

pub use database::{APPLICATION_NAME, Database};
pub use error::{CopiedRow, classify, copied_row, is_about_row, sqlstate};
pub use settings::{PostgresSettings, SslMode};
pub use sqlx;
pub use statement::{bound, execute};
