//! For the fuzzer: the encoder of rows without a server.

use migrate_core::arrow::array::RecordBatch;
use migrate_core::{ColumnPair, Result};

use super::copy_binary::{EncodedColumn, EncodedRows, Refusal, RowEncoder, choose};
use super::pg_type::{PgType, TypeFacts};

/// A type of PostgreSQL as its catalog tells it.
#[derive(Debug, Clone)]
pub struct TargetType {
    facts: TypeFacts,
}

impl TargetType {
    /// `pg_type.typname` and `pg_attribute.atttypmod`; -1 for none.
    pub fn new(name: &str, modifier: i32) -> Self {
        let facts =
            TypeFacts { name: name.to_owned(), kind: 'b', modifier, ..TypeFacts::default() };
        Self { facts }
    }

    /// An array of a type with this number.
    #[must_use]
    pub fn with_element(mut self, element: Self, element_oid: u32) -> Self {
        self.facts.element = Some((Box::new(element.facts), element_oid));
        self
    }

    /// An enumeration.
    #[must_use]
    pub fn with_labels(mut self, labels: &[&str]) -> Self {
        self.facts.kind = 'e';
        self.facts.labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self
    }

    /// A type of an extension.
    #[must_use]
    pub fn of_extension(mut self, extension: &str) -> Self {
        self.facts.extension = Some(extension.to_owned());
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// The modifier.
    pub fn modifier(&self) -> i32 {
        self.facts.modifier
    }
}

/// The rows of a batch as COPY is sent them, without header and trailer.
#[derive(Debug)]
#[non_exhaustive]
pub struct CopiedRows {
    /// As a chunk is written.
    pub together: Vec<u8>,
    /// As they are written where bad rows are set aside.
    pub one_by_one: Vec<u8>,
}

/// Encodes all rows of a batch; each column of it goes into the column of its pair. `None` where a pair
/// of types has no encoding.
///
/// # Errors
///
/// [`VALUE_REFUSED`](migrate_core::code::VALUE_REFUSED) for a value that its column cannot hold.
pub fn copy_rows(
    columns: &[(ColumnPair, TargetType)],
    batch: &RecordBatch,
) -> Option<Result<CopiedRows>> {
    let columns = columns.iter().enumerate().map(|(position, (pair, target))| {
        let (codec, _) = choose(pair, &PgType::new(target.facts.clone())).ok()?;
        Some(EncodedColumn { name: pair.target.to_string(), position, codec })
    });
    let encoder = RowEncoder::new(columns.collect::<Option<_>>()?);
    Some(copied(&encoder, batch))
}

fn copied(encoder: &RowEncoder, batch: &RecordBatch) -> Result<CopiedRows> {
    let mut together = EncodedRows::default();
    let mut row = 0;
    while row < batch.num_rows() {
        let next = encoder.encode(batch, row, together.len() + 1, &mut together);
        row = next.map_err(|Refusal { error, .. }| error)?;
    }
    let bound = encoder.bind(batch)?;
    let mut one_by_one = EncodedRows::default();
    (0..batch.num_rows()).try_for_each(|row| bound.write(row, None, &mut one_by_one))?;
    Ok(CopiedRows { together: together.into_vec(), one_by_one: one_by_one.into_vec() })
}
