//! What is taken away from a target for the time of a load, and how it comes back.
//!
//! The sink writes the statements while planning; they are stored with the plan before the first of
//! them runs, so whoever comes after a dead process can bring everything back.

use serde::{Deserialize, Serialize};

use crate::name::TableRef;

/// An index, a constraint or a trigger that a load does without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SetAside {
    /// What it is, for people: `index orders_at`.
    pub what: String,
    /// The table that it belongs to: the target, or one that references it.
    pub table: TableRef,
    /// When it comes back.
    pub returns: Return,
    /// The statement that takes it away; harmless where it is gone already.
    pub remove: String,
    /// The statements that bring it back, in order.
    pub restore: Vec<RestoreStep>,
    /// Whether an earlier run took it away, so that this one only brings it back.
    #[serde(default)]
    pub is_missing: bool,
}

impl SetAside {
    /// Something that comes back in one of the two stages.
    pub fn new(
        what: impl Into<String>,
        table: TableRef,
        returns: Return,
        remove: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            table,
            returns,
            remove: remove.into(),
            restore: Vec::new(),
            is_missing: false,
        }
    }

    /// Whether both are the same thing, whatever its definition says.
    pub fn is_same(&self, other: &Self) -> bool {
        self.what == other.what && self.table == other.table
    }
}

/// When something comes back. Foreign keys need the unique constraints of both tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Return {
    /// As soon as the table has its rows: indexes, constraints over them, triggers.
    Rebuild,
    /// Once the tables of the run have their rows and their indexes: foreign keys.
    Relink,
}

/// One statement on the way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreStep {
    /// The statement.
    pub sql: String,
    /// Where this exists, the statement has run already; repeated where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Existing>,
}

/// Something whose existence tells that a statement has run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// An index.
    Index(TableRef),
    /// A constraint of the table.
    Constraint(String),
}

/// Something that a run took away and has not brought back.
#[derive(Debug, Clone)]
pub struct LeftAside {
    /// The entry of that run.
    pub entry: crate::status::TableId,
    /// Position in its plan's list.
    pub number: u32,
    /// The target of that run.
    pub target: TableRef,
    /// What is missing.
    pub object: SetAside,
    /// Who is at work on that entry at this moment, if anybody is.
    pub holder: Option<String>,
}
