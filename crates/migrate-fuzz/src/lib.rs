//! What must hold of any input, one function for each way in: texts that users write, cells that
//! Snowflake sends, rows that PostgreSQL is sent, plans that the ledger keeps.
//!
//! Each function takes bytes as a fuzzer makes them and panics where a promise is broken. `make fuzz`
//! lets a fuzzer look for such bytes; what it has found once stands in `seeds/`, which the tests run.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a broken promise is told by a panic; nothing else calls this")]

mod cells;
mod config;
mod copy;
mod filter;
mod plan;
mod spell;

pub use cells::cells;
pub use config::config;
pub use copy::copy;
pub use filter::filter;
pub use plan::plan;

/// A function that takes a fuzzer's bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its seeds' folder too.
pub const TARGETS: [(&str, Target); 5] =
    [("cells", cells), ("config", config), ("copy", copy), ("filter", filter), ("plan", plan)];
