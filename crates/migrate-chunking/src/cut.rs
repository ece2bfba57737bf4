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
    PlanInput, Predicate, Reading, Result, Scalar,
};

/// Buckets per chunk that a histogram is asked for: chunks are packed of them, so they come out at
/// more than half of the aimed size and at no more than it, unless one key has more rows.
const BUCKETS_PER_CHUNK: u64 = 4;

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
    let mut pieces = vec![Piece::everything()];
    let mut notes = Vec::new();
    for (depth, key) in input.keys.iter().enumerate() {
        let (outer, _) = input.keys.split_at(depth);
        let Some(filter) = rows_to_cut(&pieces, input.filter) else { break };
        let aim = Aim { rows: input.chunk_rows, key };
        let request = HistogramRequest::new(key, aim.depth())
            .with_buckets(buckets(input, key)?)
            .within(outer)
            .with_filter(&filter);
        let histograms = input.table.histograms(&request).await?;
        notes.extend(note_on_unreadable(input, key, &histograms));
        pieces = pieces.into_iter().flat_map(|piece| piece.cut(&histograms, &aim)).collect();
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
    fn cut(self, histograms: &[KeyHistogram], aim: &Aim<'_>) -> Vec<Self> {
        let Some(values) = &self.values else { return vec![self] };
        let nothing = KeyHistogram::default();
        let found = histograms.iter().find(|histogram| histogram.within == *values);
        // A table without rows has no histogram; a piece with rows has one.
        let packs = pack(found.unwrap_or(&nothing), aim.rows);
        let cuts: Vec<Scalar> = packs.iter().filter_map(|pack| pack.first.clone()).collect();
        let parts = if packs.iter().any(|pack| pack.is_null_only) {
            Predicate::partition_nulls_apart(aim.key, &cuts)
        } else {
            Predicate::partition(aim.key, &cuts)
        };
        parts
            .into_iter()
            .zip(packs)
            .map(|(part, pack)| Self {
                predicate: self.predicate.clone().and(part),
                rows: Some(pack.rows),
                values: pack
                    .single
                    .map(|OneValue(value)| values.iter().cloned().chain([value]).collect()),
            })
            .collect()
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

/// Buckets that become one part of the key.
#[derive(Debug, Default, PartialEq)]
struct Pack {
    /// Where it begins; nowhere for the first, which begins before all keys.
    first: Option<Scalar>,
    rows: u64,
    is_null_only: bool,
    /// The one value of all its rows, NULL included, if they are too many.
    single: Option<OneValue>,
}

/// The value of a key that many rows share; `None` for NULL.
#[derive(Debug, PartialEq)]
struct OneValue(Option<Scalar>);

/// Packs neighbouring buckets up to the aimed rows. The packs are those of
/// [`Predicate::partition`] in their order, or of `partition_nulls_apart` where the first is of
/// NULLs only.
fn pack(histogram: &KeyHistogram, aim: NonZeroU64) -> Vec<Pack> {
    let mut packs = Vec::new();
    let mut open = Pack { rows: histogram.nulls, ..Pack::default() };
    if histogram.nulls > aim.get() {
        open.single = Some(OneValue(None));
        if histogram.buckets.is_empty() {
            return vec![open];
        }
        open.is_null_only = true;
        // The first range begins before all keys, whatever its first key is.
        packs.push(std::mem::take(&mut open));
    }
    let mut has_begun = false;
    for bucket in &histogram.buckets {
        // A bucket with more rows than aimed at is alone: nothing fits before it or after it.
        if open.rows > 0 && open.rows + bucket.rows > aim.get() {
            packs.push(std::mem::take(&mut open));
            has_begun = true;
        }
        if open.rows == 0 && has_begun {
            open.first = Some(bucket.first.clone());
        }
        has_begun = true;
        open.rows += bucket.rows;
        let is_crowd = bucket.is_single && bucket.rows > aim.get();
        open.single = is_crowd.then(|| OneValue(Some(bucket.first.clone())));
    }
    packs.push(open);
    packs
}

/// The filter that selects all pieces which the next key cuts; `None` when there are none.
fn rows_to_cut(pieces: &[Piece], filter: &Predicate) -> Option<Predicate> {
    let mut open: Vec<Predicate> = pieces
        .iter()
        .filter(|piece| piece.values.is_some())
        .map(|piece| piece.predicate.clone())
        .collect();
    let wanted = match open.len() {
        0 => return None,
        1 => open.remove(0),
        _ => Predicate::Or { terms: open },
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

fn note_on_unreadable(
    input: &PlanInput<'_>,
    key: &Key,
    histograms: &[KeyHistogram],
) -> Option<String> {
    let rows: u64 = histograms.iter().map(|histogram| histogram.unreadable).sum();
    if rows == 0 {
        return None;
    }
    let unreadable = Predicate::is_null(key).and(Predicate::range(&key.column, None, None));
    let see = input.table.statement_to_see(&key.column, &unreadable);
    let see = see.map(|sql| format!("; see them with: {sql}")).unwrap_or_default();
    Some(format!(
        "{rows} row(s) hold no number in {}, and are copied with the NULLs{see}",
        key.column
    ))
}

#[cfg(test)]
mod tests {
    use migrate_core::KeyBucket;

    use super::*;

    fn packed(nulls: u64, buckets: &[(i64, u64)], aim: u64) -> Vec<Pack> {
        let buckets = buckets.iter().map(|(first, rows)| KeyBucket {
            first: (*first).into(),
            rows: *rows,
            is_single: *rows > aim,
        });
        let histogram =
            KeyHistogram { nulls, buckets: buckets.collect(), ..KeyHistogram::default() };
        pack(&histogram, NonZeroU64::new(aim).expect("not zero"))
    }

    fn plain(first: Option<i64>, rows: u64) -> Pack {
        Pack { first: first.map(Scalar::from), rows, ..Pack::default() }
    }

    #[test]
    fn neighbours_are_packed_up_to_the_aim() {
        let packs = packed(1, &[(10, 3), (20, 3), (30, 3), (40, 5), (50, 8)], 8);
        assert_eq!(packs, [plain(None, 7), plain(Some(30), 8), plain(Some(50), 8)]);
        assert_eq!(packed(0, &[], 8), [plain(None, 0)]);
        assert_eq!(packed(3, &[], 8), [plain(None, 3)]);
    }

    #[test]
    fn a_crowded_key_is_alone() {
        let single = |first: Option<i64>, value: i64, rows| Pack {
            single: Some(OneValue(Some(value.into()))),
            ..plain(first, rows)
        };
        let packs = packed(0, &[(10, 3), (20, 9), (30, 3)], 8);
        assert_eq!(packs, [plain(None, 3), single(Some(20), 20, 9), plain(Some(30), 3)]);
        assert_eq!(packed(0, &[(20, 9)], 8), [single(None, 20, 9)]);
        let packs = packed(2, &[(20, 9)], 8);
        assert_eq!(packs, [plain(None, 2), single(Some(20), 20, 9)]);
    }

    #[test]
    fn many_nulls_are_alone() {
        let nulls =
            Pack { rows: 9, is_null_only: true, single: Some(OneValue(None)), ..Pack::default() };
        assert_eq!(packed(9, &[(10, 3), (20, 6)], 8), [nulls, plain(None, 3), plain(Some(20), 6)]);
        let only_nulls = Pack { rows: 9, single: Some(OneValue(None)), ..Pack::default() };
        assert_eq!(packed(9, &[], 8), [only_nulls]);
    }
}
