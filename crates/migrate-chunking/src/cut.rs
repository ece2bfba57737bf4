//! The one way to cut a table by value: keys, their histograms, half-open ranges.
//!
//! A histogram says how many rows lie between which keys; neighbouring buckets are packed into
//! chunks of about the aimed size, and [`Predicate::partition`] makes chunks of the cuts. A key with
//! more rows than a chunk should have gets a chunk of its own, which is cut again by the next key,
//! all such keys in one statement. Rows without a key belong to the first chunk, or to one of their
//! own where they are many.
//!
//! What is particular to a strategy is which columns it takes and what it says.

use std::num::NonZeroU64;

use migrate_core::{
    Buckets, ChunkPlan, ColumnType, Error, ErrorKind, Extent, HistogramRequest, Key, KeyHistogram,
    PlanInput, Predicate, Reading, Result, Scalar, code,
};

use crate::pack::{OneValue, pack};
use crate::unreadable;

/// Buckets per chunk that a histogram is asked for: chunks are packed of them to even sizes, none of
/// which is above the aimed one unless one key has more rows.
const BUCKETS_PER_CHUNK: u64 = 4;

/// Pieces that a statement names one by one, so that the source can skip the rest. More would make
/// it long: each brings the values of its keys, and Snowflake takes 1 MB of text.
const MOST_NAMED_PIECES: usize = 200;

/// Cuts a table by the keys of the input, and says what the operator should know.
///
/// # Errors
///
/// `Config` without keys or for a column without an order; what the table answers.
pub(crate) async fn cut(
    strategy: &'static str,
    rationale: String,
    input: &PlanInput<'_>,
) -> Result<ChunkPlan> {
    let starts = input.keys.iter().map(|key| buckets(input, key)).collect::<Result<Vec<_>>>()?;
    let mut pieces = vec![Piece::everything()];
    let mut notes = Vec::new();
    for (depth, (key, buckets)) in input.keys.iter().zip(starts).enumerate() {
        let (outer, _) = input.keys.split_at(depth);
        let Some(filter) = rows_to_cut(&pieces, input.filter) else {
            notes.extend(unreadable::count(input, key).await?);
            continue;
        };
        let aim = Aim { rows: input.chunk_rows, key };
        let mut request = HistogramRequest::new(key, aim.depth())
            .with_buckets(buckets)
            .within(outer)
            .with_filter(&filter);
        if depth > 0 {
            // Just the groups that the keys before have left too big.
            request = request.with_groups_above(Some(aim.rows));
        }
        let mut histograms = input.table.histograms(&request).await?;
        histograms.sort_by(|left, right| Scalar::compare_lists(&left.within, &right.within));
        notes.extend(unreadable::note(input, key, depth, &histograms));
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            parts.extend(piece.cut(&histograms, &aim, input)?);
        }
        pieces = parts;
    }
    notes.extend(note_on_crowds(&pieces, input));
    let extents =
        pieces.into_iter().map(|piece| (Extent::Rows { predicate: piece.predicate }, piece.rows));
    let mut plan = ChunkPlan::new(strategy, rationale, extents);
    plan.notes = notes;
    Ok(plan)
}

/// What all strategies by value say: `ranges of "id" with about 250,000 rows each`.
pub(crate) fn rationale(what: &str, input: &PlanInput<'_>) -> String {
    let keys: Vec<_> = input.keys.iter().map(ToString::to_string).collect();
    let keys = keys.join(", then ");
    format!("{what} of {keys} with about {} rows each", input.chunk_rows)
}

/// Where the buckets of a key may begin.
fn buckets(input: &PlanInput<'_>, key: &Key) -> Result<Buckets> {
    let column = input.table.schema().require(&key.column)?;
    if key.read_as != Reading::Value {
        return Ok(Buckets::Even);
    }
    order_of(&column.column_type).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            format!("Chunks cannot be cut by {key}, which is {}", column.native_type),
        )
        .with("table", &input.table.schema().table)
        .with_hint("choose a column of numbers, text, dates or times in `chunking_columns`")
    })
}

/// How values of a type are put in buckets; `None` for types without an order that all systems
/// share.
pub(crate) const fn order_of(column_type: &ColumnType) -> Option<Buckets> {
    match column_type {
        ColumnType::Date => Some(Buckets::Days),
        ColumnType::Timestamp { .. }
        | ColumnType::Instant { .. }
        | ColumnType::OffsetTimestamp { .. } => Some(Buckets::Hours),
        ColumnType::Boolean
        | ColumnType::Int16
        | ColumnType::Int32
        | ColumnType::Int64
        | ColumnType::Number { .. }
        | ColumnType::Float32
        | ColumnType::Float64
        | ColumnType::Text { .. }
        | ColumnType::Time { .. }
        | ColumnType::Uuid => Some(Buckets::Even),
        _ => None,
    }
}

/// The first key of a strategy, if its column is of a type that the strategy takes.
///
/// # Errors
///
/// `Config` without a key or for another type.
pub(crate) fn first_key<'a>(
    input: &PlanInput<'a>,
    kind: &str,
    takes: impl Fn(&ColumnType, &Key) -> bool,
) -> Result<&'a Key> {
    let schema = input.table.schema();
    let Some(key) = input.keys.first() else {
        return Err(Error::new(
            ErrorKind::Config,
            format!("The chunking strategy needs a chunking column of type {kind}"),
        )
        .with("table", &schema.table)
        .with_hint("name one in `chunking_columns`, or leave `chunking` out"));
    };
    let column = schema.require(&key.column)?;
    if takes(&column.column_type, key) {
        return Ok(key);
    }
    if key.read_as == Reading::Number {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "Column {} is read as numbers, as its chunking_column_types says, and this strategy \
                 takes {kind}",
                key.column
            ),
        )
        .with("table", &schema.table)
        .with_hint(
            "correct `chunking_column_types`, or leave `chunking` out to cut by the numbers",
        ));
    }
    Err(Error::new(
        ErrorKind::Config,
        format!("Column {} is not of type {kind} but {}", key.column, column.native_type),
    )
    .with("table", &schema.table)
    .with_hint(format!(
        "choose a column of type {kind} in `chunking_columns`, or leave `chunking` out"
    )))
}

/// A part of the table that is or may become a chunk.
#[derive(Debug)]
struct Piece {
    predicate: Predicate,
    /// `None` until something has been counted.
    rows: Option<u64>,
    /// The values of the keys so far, where all rows have the same ones and the next key may cut.
    values: Option<Vec<Option<Scalar>>>,
}

impl Piece {
    fn everything() -> Self {
        Self { predicate: Predicate::All, rows: None, values: Some(Vec::new()) }
    }

    /// Cuts a piece that is too big for its own good; others stay as they are.
    fn cut(
        mut self,
        histograms: &[KeyHistogram],
        aim: &Aim<'_>,
        input: &PlanInput<'_>,
    ) -> Result<Vec<Self>> {
        let Some(values) = self.values.take() else { return Ok(vec![self]) };
        let found =
            histograms.binary_search_by(|one| Scalar::compare_lists(&one.within, &values)).ok();
        let nothing = KeyHistogram::default();
        let histogram = match (found.and_then(|at| histograms.get(at)), self.rows) {
            (Some(found), _) => found,
            // A table without rows has no histogram.
            (None, None) => &nothing,
            (None, Some(_)) if input.table.snapshot().is_some() => {
                return Err(Error::new(
                    code::ROW_COUNT_MISMATCH,
                    "A histogram arrived without a value that was counted before",
                )
                .with("table", &input.table.schema().table)
                .with("column", &aim.key.column)
                .with_hint("run again"));
            }
            // Meanwhile it has become small enough.
            (None, Some(_)) => return Ok(vec![self]),
        };
        let packs = pack(histogram, aim.rows);
        let cuts: Vec<Scalar> = packs.iter().filter_map(|pack| pack.first.clone()).collect();
        let parts = if packs.iter().any(|pack| pack.is_null_only) {
            Predicate::partition_nulls_apart(aim.key, &cuts)
        } else {
            Predicate::partition(aim.key, &cuts)
        };
        let pieces = parts.into_iter().zip(packs).map(|(part, pack)| Self {
            predicate: self.predicate.clone().and(part),
            rows: Some(pack.rows),
            values: pack
                .single
                .map(|OneValue(value)| values.iter().cloned().chain([value]).collect()),
        });
        Ok(pieces.collect())
    }
}

/// What a key is cut to.
struct Aim<'a> {
    rows: NonZeroU64,
    key: &'a Key,
}

impl Aim<'_> {
    fn depth(&self) -> NonZeroU64 {
        NonZeroU64::new(self.rows.get() / BUCKETS_PER_CHUNK).unwrap_or(NonZeroU64::MIN)
    }
}

/// The filter that selects the pieces which the next key cuts, and more where they are many; `None`
/// when there are none.
fn rows_to_cut(pieces: &[Piece], filter: &Predicate) -> Option<Predicate> {
    let mut open: Vec<Predicate> = pieces
        .iter()
        .filter(|piece| piece.values.is_some())
        .map(|piece| piece.predicate.clone())
        .collect();
    let wanted = match open.len() {
        0 => return None,
        1 => open.remove(0),
        2..=MOST_NAMED_PIECES => Predicate::Or { terms: open },
        _ => Predicate::All,
    };
    Some(wanted.and(filter.clone()))
}

fn note_on_crowds(pieces: &[Piece], input: &PlanInput<'_>) -> Option<String> {
    let crowds: Vec<u64> = pieces
        .iter()
        .filter(|piece| piece.values.is_some())
        .filter_map(|piece| piece.rows)
        .collect();
    let largest = crowds.iter().max()?;
    let keys: Vec<_> = input.keys.iter().map(ToString::to_string).collect();
    Some(format!(
        "{} value(s) of {} have more than {} rows each, the largest {largest}: each is one chunk; \
         one more column in chunking_columns would cut them",
        crowds.len(),
        keys.join(", "),
        input.chunk_rows,
    ))
}
