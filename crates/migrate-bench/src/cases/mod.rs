//! The cases, each beside the same work done by PostgreSQL alone.

mod copying;
mod growing;
mod merging;
mod resuming;
mod small;

use std::error::Error;

use crate::Arguments;
use crate::case::Case;
use crate::stage::Stage;

type Run = fn(&Stage, &Arguments) -> Result<Vec<Case>, Box<dyn Error>>;

/// All cases, in the order in which they run.
pub(crate) const ALL: [(&str, Run); 10] = [
    ("parquet", copying::parquet),
    ("snowflake", copying::snowflake),
    ("workers", copying::workers),
    ("wide", copying::wide),
    ("upsert", merging::upsert),
    ("insert-only", merging::insert_only),
    ("resume", resuming::half),
    ("53 tables", small::tables),
    ("demo", small::demo),
    ("version", small::version),
];

/// Those with many rows, which take a quarter of an hour.
pub(crate) const LARGE: [(&str, Run); 2] =
    [("parquet", growing::parquet), ("snowflake", growing::snowflake)];
