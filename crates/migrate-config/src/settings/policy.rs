//! The choices that a configuration offers by name.

use crate::settings::word::words;

words! {
    /// Whether all chunks of a table read one frozen state of the source.
    pub enum SnapshotPolicy {
        /// Freeze where the source can, else go on without.
        Prefer = "prefer",
        /// Refuse a source that cannot freeze its state.
        Require = "require",
        /// Do not freeze.
        Off = "off",
    }
}

words! {
    /// What happens to a column whose values may not fit the target exactly.
    pub enum Fidelity {
        /// Stop before the first row if a conversion would lose something or is impossible.
        Strict = "strict",
        /// Convert with loss and say so.
        Warn = "warn",
    }
}

words! {
    /// What happens to a row that the target refuses.
    pub enum OnBadRow {
        /// The chunk fails and nothing of it is written.
        Fail = "fail",
        /// The row is set aside and the rest of the chunk is written.
        Quarantine = "quarantine",
    }
}

words! {
    /// Where the lower bound of an incremental read comes from.
    pub enum WatermarkLow {
        /// The upper bound of the last window that was completed.
        LastWindow = "last_window",
        /// The largest watermark in the target, for users who trust their target.
        Target = "target",
    }
}

words! {
    /// When rows without a watermark are read.
    pub enum WatermarkNulls {
        /// In each run.
        Always = "always",
        /// In the first run only.
        FirstLoad = "first_load",
        /// Not at all.
        Never = "never",
    }
}

words! {
    /// Whether a missing target table is created.
    pub enum CreateTable {
        /// A missing table is an error.
        Never = "never",
        /// A missing table is created from the source's columns.
        IfMissing = "if_missing",
    }
}

words! {
    /// Whether the table is loaded beside the old one and swapped in at the end.
    pub enum Replace {
        /// Rows go into the table itself.
        Off = "off",
        /// A full load becomes visible at once, in one transaction.
        Atomic = "atomic",
    }
}

words! {
    /// What happens when rows are to be appended to a target that already has some.
    pub enum OnNonempty {
        /// Stop: the rows may be there already.
        Refuse = "refuse",
        /// Append all the same.
        Append = "append",
    }
}

words! {
    /// What happens to digits of a second that the target does not keep.
    pub enum OnFraction {
        /// They are cut.
        Truncate = "truncate",
        /// The time is rounded, half up.
        Round = "round",
        /// The value is refused.
        Reject = "reject",
    }
}

words! {
    /// What happens to U+0000 in texts, which PostgreSQL cannot hold.
    pub enum OnNul {
        /// The value is refused.
        Reject = "reject",
        /// The character is left out.
        Remove = "remove",
        /// U+FFFD takes its place.
        Replace = "replace",
    }
}

words! {
    /// What happens to `NaN`, infinities and `undefined` where the target wants JSON.
    pub enum OnNonjson {
        /// The value is refused.
        Reject = "reject",
        /// JSON's `null` takes their place.
        Null = "null",
        /// Their names as texts take their place.
        Text = "text",
    }
}

words! {
    /// TLS of the PostgreSQL connection, in libpq's words.
    pub enum SslMode {
        /// Never encrypt.
        Disable = "disable",
        /// Encrypt only if the server insists.
        Allow = "allow",
        /// Encrypt if the server can.
        Prefer = "prefer",
        /// Encrypt; do not check who the server is.
        Require = "require",
        /// Encrypt; the certificate must come from a trusted authority.
        VerifyCa = "verify-ca",
        /// Encrypt; the certificate must be trusted and name the host.
        VerifyFull = "verify-full",
    }
}

impl SslMode {
    /// Whether the server's certificate is checked.
    pub const fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

words! {
    /// The type of a chunking column, as the user declares it in `chunking_column_types`.
    ///
    /// A declaration that differs from the real type is no mistake by itself: whole numbers are kept
    /// in text columns, and UUIDs too.
    pub enum DeclaredType {
        /// Whole numbers.
        Int = "int",
        /// Whole numbers.
        Bigint = "bigint",
        /// Whole numbers.
        Integer = "integer",
        /// Exact numbers.
        Number = "number",
        /// Exact numbers.
        Numeric = "numeric",
        /// Exact numbers.
        Decimal = "decimal",
        /// Whole numbers in a text column.
        VarcharNumeric = "varchar_numeric",
        /// UUIDs, also in a text column.
        Uuid = "uuid",
        /// Text.
        Varchar = "varchar",
        /// Text.
        String = "string",
        /// Text.
        Text = "text",
        /// Text.
        Char = "char",
        /// Calendar days.
        Date = "date",
        /// Times without zone.
        Datetime = "datetime",
        /// Times without zone.
        Timestamp = "timestamp",
        /// Times without zone.
        TimestampNtz = "timestamp_ntz",
        /// Instants.
        TimestampLtz = "timestamp_ltz",
        /// Times with their zone.
        TimestampTz = "timestamp_tz",
    }
}
