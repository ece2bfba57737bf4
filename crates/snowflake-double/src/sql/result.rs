//! Results of statements.

use std::sync::Arc;

use crate::table::{Column, Datum, Misfit, Relation, TableName};

use super::failure::Failure;
use super::ty::Ty;

/// A column of a result or of an input.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) ty: Ty,
    pub(crate) nullable: bool,
    /// The table, if the column is shown as it is.
    pub(crate) origin: Option<Arc<TableName>>,
}

impl Field {
    pub(crate) fn new(name: impl Into<String>, ty: impl Into<Ty>, nullable: bool) -> Self {
        Self { name: name.into(), ty: ty.into(), nullable, origin: None }
    }
}

/// Columns with their values.
#[derive(Debug, Clone)]
pub(crate) struct ResultSet {
    pub(crate) fields: Vec<Field>,
    pub(crate) relation: Relation,
    /// Whether the statement itself ordered the rows.
    pub(crate) ordered: bool,
}

impl ResultSet {
    /// A result from rows of values.
    pub(crate) fn from_rows(fields: Vec<Field>, rows: &[Vec<Datum>]) -> Result<Self, Failure> {
        let columns = fields
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let cells = rows.iter().map(|row| row.get(index).cloned().unwrap_or(Datum::Null));
                Column::collect(field.ty.kind(), cells).map_err(misfit)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { fields, relation: Relation::new(columns, rows.len()), ordered: true })
    }
}

/// An array that grew too big.
pub(crate) fn misfit(fault: Misfit) -> Failure {
    match fault {
        Misfit::Size => Failure::unsupported("a column of more than 4 GiB of text"),
        Misfit::Kind => Failure::new(
            "000603",
            "XX000",
            "SQL execution internal error: a value is of another kind than its column".to_owned(),
        ),
    }
}

/// What a statement leaves behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: ResultSet,
    pub(crate) change: Option<Change>,
    pub(crate) statement: StatementType,
}

/// A change to the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Set(Vec<(String, String)>),
    Unset(Vec<String>),
    UseDatabase(String),
    UseSchema(String, String),
    UseWarehouse(String),
    UseRole(String),
}

/// The kind of statement, as `statementTypeId` reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatementType {
    Select,
    AlterSession,
    Use,
    Show,
    Describe,
    Transaction,
    Call,
}

impl StatementType {
    pub(crate) const fn id(self) -> u32 {
        match self {
            Self::Select => 0x1000,
            Self::AlterSession => 0x4100,
            Self::Use => 0x4300,
            Self::Show => 0x4400,
            Self::Describe => 0x4500,
            Self::Transaction => 0x5000,
            Self::Call => 0x2000,
        }
    }
}
