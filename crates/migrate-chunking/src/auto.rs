//! The strategy that chooses a strategy.

use async_trait::async_trait;
use migrate_core::{
    ChunkPlan, ChunkingStrategy, ColumnType, Extent, Key, PlanInput, Predicate, Result,
};
use serde::Deserialize;

use crate::cut::order_of;
use crate::date_range::DateRange;
use crate::grouped_values::GroupedValues;
use crate::numeric_range::NumericRange;
use crate::row_groups::RowGroups;
use crate::single::Single;

/// A table with fewer rows is copied in about the time that cutting it takes.
const SMALL_ROWS: u64 = 10_000;

/// Decides as someone would who knows the table, and says why in the plan:
///
/// 1. files are read by their row groups;
/// 2. a table with fewer than 10,000 rows is one chunk, unless `batch_size` asks for smaller ones;
/// 3. else it is cut by its chunking columns,
/// 4. else by its primary key, its clustering key or its watermark,
/// 5. else it is one chunk, which is streamed.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auto {}

#[async_trait]
impl ChunkingStrategy for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        if !input.table.objects().await?.is_empty() {
            return by_row_groups(&input).await;
        }
        if input.table.size().await?.rows.is_some_and(|rows| is_small(rows, &input)) {
            return whole(&input, "it is small", None).await;
        }
        let Choice { keys, why, note } = keys(&input).await?;
        let Some(first) = keys.first() else { return whole(&input, &why, note).await };
        let column = input.table.schema().require(&first.column)?;
        let Some(strategy) = strategy(&column.column_type, first) else {
            let why = format!("{first} is {}, by which nothing is cut", column.native_type);
            return whole(&input, &why, note).await;
        };
        let mut plan = strategy.plan(input.with_keys(&keys)).await?;
        plan.notes.extend(note);
        Ok(match plan.estimated_rows() {
            Some(rows) if plan.chunks.len() > 1 && is_small(rows, &input) => in_one(rows, plan),
            _ => said(plan, &why),
        })
    }
}

fn is_small(rows: u64, input: &PlanInput<'_>) -> bool {
    rows < SMALL_ROWS && rows <= input.chunk_rows.get()
}

/// Files are cut where they were cut when they were written; columns would have every chunk read all
/// of them.
async fn by_row_groups(input: &PlanInput<'_>) -> Result<ChunkPlan> {
    let plan = RowGroups {}.plan(*input).await?;
    let Some(first) = input.keys.first() else {
        return Ok(said(plan, "a file is read in its own parts"));
    };
    let column = input.table.schema().require(&first.column)?;
    let mut plan = said(plan, "a file is read in its own parts, whatever its chunking columns");
    let instead = match strategy(&column.column_type, first) {
        Some(strategy) => format!(
            "; \"chunking\": {{\"strategy\": \"{}\"}} cuts by them, at the price that each chunk \
             reads all files",
            strategy.name()
        ),
        None => String::new(),
    };
    plan.notes.push(format!("chunking_columns are not used for files{instead}"));
    Ok(plan)
}

/// What to cut by, and why.
struct Choice {
    keys: Vec<Key>,
    why: String,
    note: Option<String>,
}

async fn keys(input: &PlanInput<'_>) -> Result<Choice> {
    if !input.keys.is_empty() {
        let (keys, why) = (input.keys.to_vec(), "its chunking columns".into());
        return Ok(Choice { keys, why, note: None });
    }
    let declared = input.table.declared_keys().await?;
    let watermark = input.fallback.cloned();
    let candidates = [
        (declared.primary, "its primary key"),
        (declared.clustering, "its clustering key"),
        (watermark.into_iter().collect(), "its watermark"),
    ];
    for (columns, what) in candidates {
        let mut usable = Vec::new();
        for column in columns {
            // A column without an order ends the key; those before it still cut.
            let column_type = &input.table.schema().require(&column)?.column_type;
            if order_of(column_type).is_none() {
                break;
            }
            usable.push(Key::column(column));
        }
        if !usable.is_empty() {
            let why = format!("{what}, as no chunking columns are set");
            return Ok(Choice { keys: usable, why, note: declared.unknown });
        }
    }
    let why = "no key is known; set chunking_columns to cut it".into();
    Ok(Choice { keys: Vec::new(), why, note: declared.unknown })
}

fn strategy(column_type: &ColumnType, key: &Key) -> Option<Box<dyn ChunkingStrategy>> {
    if NumericRange::takes(column_type, key) {
        Some(Box::new(NumericRange {}))
    } else if GroupedValues::takes(column_type, key) {
        Some(Box::new(GroupedValues {}))
    } else if DateRange::takes(column_type, key) {
        Some(Box::new(DateRange {}))
    } else {
        None
    }
}

async fn whole(input: &PlanInput<'_>, why: &str, note: Option<String>) -> Result<ChunkPlan> {
    let mut plan = Single {}.plan(*input).await?;
    plan.notes.extend(note);
    Ok(said(plan, why))
}

/// A table that turned out to be small once its filter was applied.
fn in_one(rows: u64, cut: ChunkPlan) -> ChunkPlan {
    let everything = Extent::Rows { predicate: Predicate::All };
    let mut plan = ChunkPlan::new(Single {}.name(), Single::RATIONALE, [(everything, Some(rows))]);
    plan.notes = cut.notes;
    said(plan, "it is small")
}

fn said(mut plan: ChunkPlan, why: &str) -> ChunkPlan {
    plan.rationale = format!("{} ({why})", plan.rationale);
    plan
}
