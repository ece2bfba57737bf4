//! Where tables come from.

use serde::Serialize;

use crate::options::Options;
use crate::settings::table::TableConfig;

/// One enabled entry of `sources`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SourceConfig {
    /// Its place in the file, such as `sources[0]`.
    pub path: String,
    /// Its unique name, by which runs select it.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    /// Its enabled tables, in the order of the file.
    pub tables: Vec<TableConfig>,
    /// How many of its tables are disabled.
    pub disabled_table_count: usize,
}

/// What a source is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceKind {
    /// One schema of a Snowflake account.
    Snowflake {
        /// The account, as in the block `snowflake`.
        account: String,
        /// The database, in Snowflake's case.
        database: String,
        /// The schema, in Snowflake's case.
        schema: String,
    },
    /// Parquet files.
    Parquet {
        /// The folder; table names are files or patterns in it.
        path: String,
    },
    /// A connector that the embedding program registered.
    Registered {
        /// Its registered name.
        name: String,
        /// Its other keys.
        options: Options,
    },
}
