//! What a sink says of itself and of its table.

use super::{SinkFixture, append, fill, open, pairs, sample};
use crate::error::ErrorKind;
use crate::name::{ColumnName, TableRef};
use crate::sink::{Fidelity, PlanFacts};
use crate::testkit::{Kept, ensure, found, same};

pub(super) async fn it_answers_and_has_a_name(fixture: &dyn SinkFixture) -> Kept {
    let sink = fixture.sink();
    ensure(!sink.name().is_empty(), "it has no name")?;
    Ok(sink.check().await?)
}

/// A sink that makes tables as they come has none that is missing; then it is empty.
pub(super) async fn a_missing_table_is_refused_by_name(fixture: &dyn SinkFixture) -> Kept {
    let missing = TableRef { name: "no such table".into(), ..fixture.table() };
    match fixture.sink().open(&missing).await {
        Ok(table) => ensure(table.is_empty().await?, "a table that nobody made has rows"),
        Err(error) => {
            same("the error", &error.kind(), &ErrorKind::NotFound)?;
            ensure(error.to_string().contains("no such table"), "the error does not name it")?;
            ensure(error.hint().is_some(), "the error has no hint")
        }
    }
}

pub(super) async fn its_schema_describes_the_table(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    same("the table", &table.schema().table, &fixture.table())?;
    let columns: Vec<ColumnName> =
        table.schema().columns.iter().map(|column| column.name.clone()).collect();
    same("columns", &columns, &vec!["id".into(), "name".into()])
}

pub(super) async fn its_own_columns_can_be_stored(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    for pair in pairs() {
        if let Fidelity::Impossible { why } = table.assess(&pair) {
            ensure(false, format!("{} cannot be stored: {why}", pair.source))?;
        }
    }
    table.references().await?;
    table.referenced_by().await?;
    Ok(())
}

pub(super) async fn a_new_table_is_empty(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    ensure(table.is_empty().await?, "it has rows")?;
    fill(&*table, 0, &sample(0..3)).await?;
    ensure(!open(fixture).await?.is_empty().await?, "it has no rows after a chunk")
}

pub(super) async fn a_settled_plan_keeps_what_was_asked(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    let settled = table.settle_plan(append(), PlanFacts::default()).await?;
    let object = settled.plan.set_aside.first().or(settled.plan.restore.first());
    ensure(object.is_none(), "something is set aside though nobody asked for that")?;
    same("the plan", &settled.plan, &append())?;
    let first = found("column", settled.plan.read_columns().into_iter().next())?;
    same("its first column", &first, &"id".into())
}
