//! Stable names of failures.
//!
//! Messages may be reworded; a code stays. Each belongs to exactly one [`ErrorKind`], so a call site
//! cannot pair them wrongly. Where no code of its own exists, the kind is the code.

use std::fmt;

use crate::error::ErrorKind;

/// The stable name of one kind of failure, for logs, scripts and Lambda error types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode {
    name: &'static str,
    kind: ErrorKind,
}

impl ErrorCode {
    /// Defines a code; names are `snake_case` and never change once published.
    pub const fn new(name: &'static str, kind: ErrorKind) -> Self {
        Self { name, kind }
    }

    /// The name as it appears in logs.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// What the caller does next.
    pub const fn kind(self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl From<ErrorKind> for ErrorCode {
    fn from(kind: ErrorKind) -> Self {
        let name = match kind {
            ErrorKind::Config => "config",
            ErrorKind::Auth => "auth",
            ErrorKind::NotFound => "not_found",
            ErrorKind::SchemaMismatch => "schema_mismatch",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::DataInvalid => "data_invalid",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Connection => "connection",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Throttled => "throttled",
            ErrorKind::ResourceExhausted => "resource_exhausted",
            ErrorKind::LeaseLost => "lease_lost",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::DeadlineExceeded => "deadline_exceeded",
            ErrorKind::Internal => "internal",
        };
        Self::new(name, kind)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident;)*) => {
        $($(#[$doc])* pub const $name: ErrorCode = ErrorCode::new($text, ErrorKind::$kind);)*

        /// Every code that has a name of its own, for listings.
        pub const ALL: &[ErrorCode] = &[$($name),*];
    };
}

codes! {
    /// A table that the configuration names does not exist in the source.
    SOURCE_TABLE_MISSING = "source_table_missing", NotFound;
    /// A table that the configuration names does not exist in the target.
    TARGET_TABLE_MISSING = "target_table_missing", NotFound;
    /// A database that the configuration names does not exist.
    DATABASE_MISSING = "database_missing", NotFound;
    /// A column that the configuration names does not exist.
    COLUMN_MISSING = "column_missing", NotFound;
    /// Source and target share no column.
    NO_COLUMNS = "no_matching_columns", SchemaMismatch;
    /// A target column must be filled and the source does not have it.
    REQUIRED_COLUMN_UNMAPPED = "required_column_unmapped", SchemaMismatch;
    /// A source and a target column would match if their names were written alike.
    COLUMN_NEARLY_MATCHES = "column_nearly_matches", SchemaMismatch;
    /// A source type cannot be stored in the target column's type.
    TYPE_MISMATCH = "type_mismatch", SchemaMismatch;
    /// Rows are to be merged by columns that are no unique key of the target.
    KEY_NOT_UNIQUE = "key_not_unique", SchemaMismatch;
    /// Rows of one key in the source cannot all be the truth.
    AMBIGUOUS_KEY = "ambiguous_key", DataInvalid;
    /// A value does not fit the target column.
    VALUE_REFUSED = "value_refused", DataInvalid;
    /// More rows were refused than may be set aside.
    TOO_MANY_BAD_ROWS = "too_many_bad_rows", DataInvalid;
    /// The target already holds rows that this tool did not write in an unfinished run.
    TARGET_NOT_EMPTY = "target_not_empty", Conflict;
    /// Another run is alive on the same target table.
    TARGET_BUSY = "target_busy", Conflict;
    /// A process wants to join a run whose tables are not the ones of its configuration.
    JOB_DIFFERS = "job_differs", Config;
    /// Other tables reference a table that is to be truncated.
    TRUNCATE_REFERENCED = "truncate_referenced", Conflict;
    /// The server says that its files are damaged.
    TARGET_DAMAGED = "target_damaged", Internal;
    /// A chunk delivered another number of rows than an independent count says.
    ROW_COUNT_MISMATCH = "row_count_mismatch", Connection;
    /// A chunk crashed its worker again and again.
    CHUNK_CRASHED = "chunk_crashed", Internal;
    /// The frozen version of the source is no longer kept.
    SNAPSHOT_EXPIRED = "snapshot_expired", NotFound;
    /// The stored plan cannot be read by this version.
    PLAN_UNREADABLE = "plan_unreadable", Internal;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
