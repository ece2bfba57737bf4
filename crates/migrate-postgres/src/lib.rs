//! What the PostgreSQL sink and the PostgreSQL status store share: connections, the classes of
//! errors, bound statements, and the identity of a database.
//!
//! It knows no status table and no COPY.
#![forbid(unsafe_code)]

mod blockers;
mod copied_row;
mod database;
mod domain;
mod driver;
mod error;
mod settings;
mod sqlstate;
mod statement;
mod tls;

pub use blockers::Blocker;
pub use copied_row::{CopiedRow, copied_row};
pub use database::{APPLICATION_NAME, Database};
pub use error::{classify, sqlstate};
pub use settings::{PostgresSettings, SslMode};
pub use sqlstate::is_about_row;
pub use sqlx;
pub use statement::{bound, execute, execute_together};
