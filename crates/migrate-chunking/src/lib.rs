//! Chunking strategies: how a table is cut into the units of resume and retry.
//!
//! Every strategy keeps one promise: each row of the filtered table is in exactly one chunk, rows
//! with a NULL key included. Strategies that cut by value get it from
//! [`Predicate::partition`](migrate_core::Predicate::partition).
//!
//! | strategy | cuts | by |
//! |---|---|---|
//! | [`Auto`] | anything | what it finds out |
//! | [`Single`] | nothing | |
//! | [`NumericRange`] | numbers, and numbers in texts | even numbers of rows |
//! | [`GroupedValues`] | texts and UUIDs | even numbers of rows |
//! | [`DateRange`] | dates and times | units of the calendar with enough rows |
//! | [`HashBucket`] | whole numbers, texts, dates | even numbers of rows, scattered |
//! | [`RowGroups`] | files | their own parts |
//!
//! ```
//! use migrate_chunking::StrategyRegistry;
//!
//! let error = StrategyRegistry::with_builtins().build("numeric_rang", None).unwrap_err();
//! assert!(error.to_string().contains("did you mean numeric_range?"), "{error}");
//! ```
#![forbid(unsafe_code)]

mod auto;
mod cut;
mod date_range;
mod grouped_values;
mod hash_bucket;
mod numeric_range;
mod pack;
mod registry;
mod row_groups;
mod single;
mod unreadable;

pub use auto::Auto;
pub use date_range::DateRange;
pub use grouped_values::GroupedValues;
pub use hash_bucket::HashBucket;
pub use migrate_core::{ChunkPlan, ChunkingStrategy, PlanInput};
pub use numeric_range::NumericRange;
pub use registry::StrategyRegistry;
pub use row_groups::RowGroups;
pub use single::Single;
