//! The rules themselves.

use std::collections::BTreeSet;

use super::{StrategyFixture, are_home, chunks_of, cut, cuts};
use crate::chunk::{Chunk, ChunkId};
use crate::predicate::Predicate;
use crate::testkit::{Kept, Unkept, ensure, same};
use crate::value::{Scalar, for_each_scalar};

pub(super) async fn it_has_a_name_and_says_why(fixture: &dyn StrategyFixture) -> Kept {
    ensure(!fixture.strategy().name().is_empty(), "it has no name")?;
    for cut in cuts(fixture, &Predicate::All).await? {
        ensure(!cut.plan.strategy.is_empty(), "a plan does not name its strategy")?;
        ensure(!cut.plan.rationale.is_empty(), format!("nothing says why: {}", cut.what()))?;
    }
    Ok(())
}

pub(super) async fn each_row_is_in_one_chunk(fixture: &dyn StrategyFixture) -> Kept {
    for cut in cuts(fixture, &Predicate::All).await? {
        let rows: Vec<i64> = (0..).take(cut.shape.keys().len()).collect();
        are_home(&cut, &rows).await?;
    }
    Ok(())
}

pub(super) async fn rows_without_a_key_have_a_home(fixture: &dyn StrategyFixture) -> Kept {
    let keyless = Predicate::is_null("number");
    for cut in cuts(fixture, &keyless).await? {
        let rows = (0..).zip(cut.shape.keys());
        let rows: Vec<i64> = rows.filter(|(_, key)| key.is_none()).map(|(row, _)| row).collect();
        are_home(&cut, &rows).await?;
    }
    Ok(())
}

pub(super) async fn a_filter_is_obeyed(fixture: &dyn StrategyFixture) -> Kept {
    let (low, high) = (10, 90);
    let filter = Predicate::range("number", Some(low.into()), Some(high.into()));
    for cut in cuts(fixture, &filter).await? {
        let is_wanted = |key: &Option<i64>| key.is_some_and(|key| (low..high).contains(&key));
        let rows = (0..).zip(cut.shape.keys());
        let rows: Vec<i64> = rows.filter(|(_, key)| is_wanted(key)).map(|(row, _)| row).collect();
        are_home(&cut, &rows).await?;
    }
    Ok(())
}

pub(super) async fn counts_are_true(fixture: &dyn StrategyFixture) -> Kept {
    for filter in [Predicate::All, Predicate::range("number", Some(10.into()), Some(90.into()))] {
        for cut in cuts(fixture, &filter).await? {
            for (chunk, rows) in chunks_of(&cut).await? {
                if let Some(expected) = chunk.expected_rows {
                    let what = format!("rows of chunk {} of {}", chunk.id, cut.what());
                    same(&what, &(rows.len() as u64), &expected)?;
                }
            }
        }
    }
    Ok(())
}

/// A strategy that cuts objects of a source may not know what a filter leaves of them.
pub(super) async fn no_chunk_is_empty(fixture: &dyn StrategyFixture) -> Kept {
    for cut in cuts(fixture, &Predicate::All).await? {
        let has_rows = !cut.shape.keys().is_empty();
        ensure(has_rows || cut.plan.chunks.len() <= 1, "nothing is cut into several chunks")?;
        for (chunk, rows) in chunks_of(&cut).await? {
            let what = format!("chunk {} of {} is empty", chunk.id, cut.what());
            ensure(!has_rows || !rows.is_empty(), what)?;
        }
    }
    Ok(())
}

pub(super) async fn chunks_keep_their_size(fixture: &dyn StrategyFixture) -> Kept {
    if !fixture.keeps_chunk_rows() {
        return Err(Unkept::Skipped("it does not cut by numbers of rows"));
    }
    for cut in cuts(fixture, &Predicate::All).await? {
        let all = cut.shape.rows()?;
        let mut keys: Vec<Vec<Option<Scalar>>> = vec![Vec::new(); all.num_rows()];
        for key in fixture.keys() {
            let array = super::super::found("key", all.column_by_name(key.column.as_str()))?;
            let mut into = keys.iter_mut();
            for_each_scalar(array, &key.column, |value| {
                if let Some(row) = into.next() {
                    row.push(key.read(value));
                }
                Ok(())
            })?;
        }
        for (chunk, rows) in chunks_of(&cut).await? {
            let at = |row: &i64| usize::try_from(*row).ok().and_then(|row| keys.get(row));
            let different: BTreeSet<String> =
                rows.iter().filter_map(at).map(|key| format!("{key:?}")).collect();
            let is_small = rows.len() as u64 <= cut.chunk_rows.get() || different.len() <= 1;
            let size = format!("{} rows with {} keys", rows.len(), different.len());
            ensure(is_small, format!("chunk {} of {} has {size}", chunk.id, cut.what()))?;
        }
    }
    Ok(())
}

pub(super) async fn chunks_are_numbered_from_zero(fixture: &dyn StrategyFixture) -> Kept {
    for cut in cuts(fixture, &Predicate::All).await? {
        let numbers: Vec<ChunkId> = cut.plan.chunks.iter().map(|chunk| chunk.id).collect();
        let wanted: Vec<ChunkId> = (0..).map(ChunkId).take(numbers.len()).collect();
        same(&format!("numbers of {}", cut.what()), &numbers, &wanted)?;
    }
    Ok(())
}

pub(super) async fn a_frozen_table_is_cut_the_same_way_twice(
    fixture: &dyn StrategyFixture,
) -> Kept {
    for first in cuts(fixture, &Predicate::All).await? {
        let again = cut(fixture, &*first.table, &first.filter, first.chunk_rows).await?;
        same(&format!("the plan of {}", first.what()), &again, &first.plan)?;
    }
    Ok(())
}

pub(super) async fn a_plan_survives_its_json_form(fixture: &dyn StrategyFixture) -> Kept {
    for cut in cuts(fixture, &Predicate::All).await? {
        for chunk in &cut.plan.chunks {
            let json = serde_json::to_string(chunk).map_err(|_| {
                Unkept::Broken(format!("chunk {} of {} has no JSON form", chunk.id, cut.what()))
            })?;
            let again: Option<Chunk> = serde_json::from_str(&json).ok();
            same(&format!("a chunk of {}", cut.what()), &again.as_ref(), &Some(chunk))?;
        }
    }
    Ok(())
}
