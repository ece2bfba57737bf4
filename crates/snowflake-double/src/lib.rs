//! Plays Snowflake over loopback HTTP, for tests and for a demo without an account.
//!
//! A [`Double`] speaks the protocol of Snowflake's drivers: logins with key pairs, passwords and
//! OAuth tokens, statements with binds, polls, aborts, and results whose chunks come from another
//! host. Tables are typed arrays in memory, built by [`Table`] or read from Parquet files. Statements
//! are evaluated exactly, or refused with an answer that names what is not evaluated.
//!
//! Everything that can go wrong on the way can be made to go wrong: see [`Knobs`], [`Rule`] and
//! [`Fault`]. Everything that reached the double can be asserted on: see [`Double::requests`].
//!
//! ```
//! use snowflake_double::{Double, Table, Type, User, Value};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let double = Double::builder()
//!     .account("acme")
//!     .user(User::password("mover", "secret"))
//!     .table(
//!         Table::new("DEMO.PUBLIC.PEOPLE")
//!             .required_column("ID", Type::number(38, 0))
//!             .column("NAME", Type::varchar())
//!             .row([Value::from(1), Value::from("Ada")]),
//!     )
//!     .start()
//!     .await?;
//! assert!(double.base_url().starts_with("http://127.0.0.1:"));
//! assert!(double.requests().is_empty());
//! double.shutdown().await;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # What statements may hold
//!
//! * `SELECT` with `WITH`, subselects, `VALUES`, joins on equalities, `WHERE`, `GROUP BY`, `HAVING`,
//!   `QUALIFY`, `DISTINCT`, `UNION [ALL]`, `ORDER BY`, `LIMIT`, `OFFSET`, `FETCH`, `TOP`;
//!   uncorrelated subqueries in expressions; `AT` and `BEFORE` with `TIMESTAMP`, `OFFSET`,
//!   `STATEMENT`; `TABLE(RESULT_SCAN(id))`; binds `?`, `:1` and `:name`.
//! * The aggregates `COUNT`, `APPROX_COUNT_DISTINCT` (exact), `COUNT_IF`, `MIN`, `MAX`, `SUM`, also
//!   over windows, and `ROW_NUMBER`, `RANK`, `DENSE_RANK`, `NTILE`, `LAG`, `LEAD`.
//! * Arithmetic on NUMBER with up to 38 digits, on FLOAT, on dates; three-valued logic; casts and
//!   `TRY_` casts; functions of numbers, texts, dates and digests.
//! * `INFORMATION_SCHEMA.TABLES`, `.COLUMNS`, `.SCHEMATA`; `SHOW TABLES`, `COLUMNS`, `PRIMARY KEYS`,
//!   `SCHEMAS`, `DATABASES`, `WAREHOUSES`, `PARAMETERS`; `DESCRIBE TABLE`; `ALTER SESSION`; `USE`;
//!   `CALL SYSTEM$WAIT`, `SYSTEM$CANCEL_QUERY`, `INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER` (ids, texts,
//!   states and errors of the user's own statements).
//!
//! # What is refused
//!
//! Statements that write, correlated subqueries, paths into semi-structured values and their
//! comparison, recursive queries, `GROUPING SETS` and its kin, sampling, regular expressions, time
//! zones with daylight saving, collations other than `en-ci`, formats of dates other than ISO on the
//! way in, the text of a finite FLOAT but for `TME`, and casts that would cut a text or a fraction of a second. Each
//! refusal is an answer with the code 000002 that names the thing. What the parser itself does not
//! know is a syntax error, code 001003.
//!
//! Where Snowflake's manual leaves a result open, the double refuses too: surplus digits of a
//! product, doubles whose decimal rounding is ambiguous, letters whose upper case is longer.
//!
//! # What differs from the service
//!
//! Sums of FLOAT are added in the order of the rows. Sizes of chunks are estimates unless bodies are
//! rendered ahead. Names of output columns without an alias are the upper-case text of the
//! expression. The precision of a remainder is that of the wider operand.

#![forbid(unsafe_code)]

mod builder;
mod calendar;
mod clock;
mod decimal_text;
mod double;
mod error;
mod fault;
mod float;
mod jwt;
mod knobs;
mod log;
mod number;
#[cfg(test)]
mod properties;
mod server;
mod session;
mod sql;
mod store;
mod table;
mod types;
mod user;
mod value;
mod wire;

pub use builder::DoubleBuilder;
pub use double::{ConnectionCount, Double};
pub use error::Error;
pub use fault::{Fault, Injected, Rule};
pub use knobs::{ChunkHeaders, Compression, Knobs, Letters, Rendering, RowOrder};
pub use log::{Outcome, Request, RequestKind};
pub use table::{ColumnNames, Table};
pub use types::Type;
pub use user::User;
pub use value::Value;
