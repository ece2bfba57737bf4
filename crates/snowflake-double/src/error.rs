//! What can go wrong while a double is set up or steered by its test.
//!
//! Failures of statements are no errors of this crate: they are answers, and travel to the client
//! under test.

use std::path::PathBuf;

/// Why a double could not be built, started or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name is not of the form `DB.SCHEMA.TABLE`.
    #[error(
        "Table name {name:?} has not three parts; fix: write DB.SCHEMA.TABLE, quote parts that are not upper case"
    )]
    TableName {
        /// The name as given.
        name: String,
    },
    /// A table of this name exists already.
    #[error("Table {table} exists already; fix: drop it first or use another name")]
    TableExists {
        /// Full name.
        table: String,
    },
    /// No table of this name exists.
    #[error("Table {table} does not exist (known: {known})")]
    TableMissing {
        /// Full name.
        table: String,
        /// The tables that exist.
        known: String,
    },
    /// A column declaration makes no sense.
    #[error("Column {column:?} of {table} is wrong: {reason}")]
    Column {
        /// Full table name.
        table: String,
        /// Column name.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// A row does not fit its table.
    #[error("Row {row} of {table} does not fit: {reason}")]
    Row {
        /// Full table name.
        table: String,
        /// Position of the row in the call, from 0.
        row: usize,
        /// What is wrong.
        reason: String,
    },
    /// A Parquet file could not be read.
    #[error("Parquet file {path} cannot be read")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A Parquet column has a type without a counterpart.
    #[error(
        "Parquet column {column:?} of {path} has the type {data_type}, which has no counterpart here"
    )]
    ParquetType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its Arrow type.
        data_type: String,
    },
    /// A user's public key is no RSA key in PEM.
    #[error("Public key of user {user} is not an RSA public key in PEM")]
    PublicKey {
        /// The user.
        user: String,
        /// The parser's reason.
        source: rsa::pkcs8::spki::Error,
    },
    /// A scripted fault does not fit the kind of request it is meant for.
    #[error("Fault {fault} cannot happen to a {kind} request")]
    Fault {
        /// The fault.
        fault: String,
        /// The kind of request.
        kind: String,
    },
    /// A knob was turned to a value that makes no sense.
    #[error("Knob {knob} cannot be set to {value}: {reason}")]
    Knob {
        /// The knob.
        knob: &'static str,
        /// The refused value.
        value: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Something that a test waited for did not happen in time.
    #[error("Nothing of the kind was seen within {waited:?}; the log holds {seen}")]
    NotSeen {
        /// How long the call waited.
        waited: std::time::Duration,
        /// What the log holds instead.
        seen: String,
    },
    /// The listeners or the runtime could not be started.
    #[error("Loopback server cannot be started")]
    Start {
        /// The system's reason.
        source: std::io::Error,
    },
}
