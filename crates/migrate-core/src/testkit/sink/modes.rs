//! Ways to write: each that is declared works, each that is not is refused.

use super::{
    LeaseState, Row, SinkFixture, batches, chunk, fill, holds, open, plan_of, row, sample, write,
};
use crate::context::RunContext;
use crate::error::ErrorKind;
use crate::reject::BadRows;
use crate::sink::{LoadPlan, PlanFacts, SinkTable, WriteMode};
use crate::testkit::{Answer, Kept, Unkept, ensure, found, refused, same};

/// A chunk in a mode that the sink does not declare.
async fn refuses(fixture: &dyn SinkFixture, table: &dyn SinkTable, mode: WriteMode) -> Kept {
    let before = fixture.rows().await?;
    let name = mode.to_string();
    let answer = write(table, &plan_of(mode), 1, &sample(0..3)).await;
    let error = refused(&format!("{name}, which it does not declare,"), answer)?;
    same("the error", &error.kind(), &ErrorKind::Unsupported)?;
    ensure(error.hint().is_some(), "the error has no hint")?;
    holds(fixture, &before).await
}

/// Settles and prepares the way that the engine does.
async fn ready(
    fixture: &dyn SinkFixture,
    mode: WriteMode,
) -> Answer<(std::sync::Arc<dyn SinkTable>, LoadPlan)> {
    let table = open(fixture).await?;
    let plan = table.settle_plan(plan_of(mode), PlanFacts::default()).await?.plan;
    table.prepare(&plan, None, &RunContext::new()).await?;
    Ok((table, plan))
}

fn known() -> Vec<Row> {
    vec![row(1, "old"), row(2, "same"), (3, None)]
}

fn newer() -> Vec<Row> {
    vec![row(1, "new"), row(2, "same"), row(4, "four")]
}

pub(super) async fn only_new_keys_are_inserted_or_it_is_refused(fixture: &dyn SinkFixture) -> Kept {
    let mode = WriteMode::InsertOnly { keys: vec!["id".into()], version: None };
    let table = open(fixture).await?;
    fill(&*table, 0, &known()).await?;
    if !table.capabilities().insert_only {
        return refuses(fixture, &*table, mode).await;
    }
    let (table, plan) = ready(fixture, mode).await?;
    for inserted in [1, 0] {
        let summary = write(&*table, &plan, 1, &newer()).await?;
        same("rows inserted", &summary.rows_inserted, &inserted)?;
        same("rows read", &summary.rows_read, &3)?;
        ensure(summary.is_balanced(), format!("counts are {summary:?}"))?;
        let mut all = known();
        all.push(row(4, "four"));
        holds(fixture, &all).await?;
    }
    Ok(())
}

pub(super) async fn known_keys_are_updated_or_it_is_refused(fixture: &dyn SinkFixture) -> Kept {
    let mode = WriteMode::Upsert { keys: vec!["id".into()], version: None };
    let table = open(fixture).await?;
    fill(&*table, 0, &known()).await?;
    if !table.capabilities().upsert {
        return refuses(fixture, &*table, mode).await;
    }
    let (table, plan) = ready(fixture, mode).await?;
    for inserted in [1, 0] {
        let summary = write(&*table, &plan, 1, &newer()).await?;
        same("rows inserted", &summary.rows_inserted, &inserted)?;
        ensure(summary.is_balanced(), format!("counts are {summary:?}"))?;
        let mut all = newer();
        all.push((3, None));
        holds(fixture, &all).await?;
    }
    Ok(())
}

pub(super) async fn a_table_is_replaced_at_once_or_it_is_refused(
    fixture: &dyn SinkFixture,
) -> Kept {
    let mode = WriteMode::Replace { keys: vec!["id".into()] };
    let table = open(fixture).await?;
    fill(&*table, 0, &known()).await?;
    let cx = RunContext::new();
    if !table.capabilities().replace {
        let published = table.publish(&plan_of(mode.clone()), None, &cx).await;
        let error = refused("publishing, which it does not declare,", published)?;
        same("the error", &error.kind(), &ErrorKind::Unsupported)?;
        return refuses(fixture, &*table, mode).await;
    }
    let (table, plan) = ready(fixture, mode).await?;
    holds(fixture, &known()).await?;
    write(&*table, &plan, 0, &newer()).await?;
    write(&*table, &plan, 1, &sample(20..25)).await?;
    holds(fixture, &known()).await?;
    table.publish(&plan, None, &cx).await?;
    let mut all = newer();
    all.extend(sample(20..25));
    holds(fixture, &all).await
}

pub(super) async fn a_refused_row_is_set_aside(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    if !table.capabilities().quarantine {
        return Err(Unkept::Skipped("it sets no rows aside"));
    }
    let bad = fixture.refused_name().ok_or(Unkept::Skipped("the fixture refuses no row"))?;
    let record = found("record in the fixture", fixture.record(LeaseState::Held).await?)?;
    let mut plan = plan_of(WriteMode::Copy);
    let cx = RunContext::new();
    table.prepare(&plan, None, &cx).await?;
    let rows: Vec<Row> = vec![row(1, "good"), row(2, bad), row(3, "good"), row(4, bad)];
    refused("a bad row", write(&*table, &plan, 0, &rows).await)?;
    holds(fixture, &[]).await?;
    plan.bad_rows = BadRows::Quarantine { most_rows: 2 };
    let summary = table.write_chunk(&plan, &chunk(0), batches(&rows)?, Some(&*record), &cx).await?;
    same("rows rejected", &summary.rows_rejected, &2)?;
    ensure(summary.is_balanced(), format!("counts are {summary:?}"))?;
    holds(fixture, &[row(1, "good"), row(3, "good")]).await
}
