//! Tables: how tests describe them, how they are kept, and their versions over time.

mod catalog;
mod cell;
mod column;
mod intake;
mod name;
mod parquet;
mod spec;
mod vector;

pub(crate) use catalog::{Catalog, Entry, Travel, TravelFault};
pub(crate) use cell::{Cell, Datum, Kind};
pub(crate) use column::{Column, NO_ROW, Relation};
pub(crate) use intake::from_hex;
pub(crate) use name::{TableName, shown};
pub use parquet::ColumnNames;
pub(crate) use spec::ColumnSpec;
pub use spec::Table;
pub(crate) use vector::{Misfit, VectorBuilder, ZONE_ROWS};
