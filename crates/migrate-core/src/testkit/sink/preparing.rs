//! Before the first chunk and after the last.

use super::{SinkFixture, append, fill, holds, open, sample, write};
use crate::context::RunContext;
use crate::error::ErrorKind;
use crate::set_aside::{Return, SetAside};
use crate::sink::PlanFacts;
use crate::testkit::{Kept, ensure, refused, same};

pub(super) async fn preparing_keeps_rows_unless_it_is_to_empty(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    fill(&*table, 0, &sample(0..5)).await?;
    table.prepare(&append(), None, &RunContext::new()).await?;
    holds(fixture, &sample(0..5)).await
}

pub(super) async fn emptying_is_done_or_refused(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    fill(&*table, 0, &sample(0..5)).await?;
    let plan = append().with_truncate(vec![fixture.table()]);
    let answer = table.prepare(&plan, None, &RunContext::new()).await;
    if !table.capabilities().truncate {
        let error = refused("emptying, which it does not declare,", answer)?;
        same("the error", &error.kind(), &ErrorKind::Unsupported)?;
        return holds(fixture, &sample(0..5)).await;
    }
    answer?;
    holds(fixture, &[]).await?;
    write(&*table, &plan, 0, &sample(3..9)).await?;
    holds(fixture, &sample(3..9)).await
}

/// In declared sinks every object of the plan comes back, also when it is asked for twice.
pub(super) async fn what_is_set_aside_comes_back(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    let cx = RunContext::new();
    if !table.capabilities().set_aside {
        let object = SetAside::new("index i", fixture.table(), Return::Rebuild, "");
        let error = refused(
            "bringing back, though it sets nothing aside,",
            table.restore(&object, None, &cx).await,
        )?;
        return same("the error", &error.kind(), &ErrorKind::Unsupported);
    }
    let facts =
        || PlanFacts { expected_rows: Some(1 << 30), sets_aside: true, ..PlanFacts::default() };
    let settled = table.settle_plan(append(), facts()).await?.plan;
    ensure(!settled.restore.is_empty(), "nothing of the fixture's table is set aside")?;
    table.prepare(&settled, None, &cx).await?;
    write(&*table, &settled, 0, &sample(0..5)).await?;
    for object in settled.restore.iter().chain(&settled.restore) {
        table.restore(object, None, &cx).await?;
    }
    holds(fixture, &sample(0..5)).await?;
    let again = open(fixture).await?.settle_plan(append(), facts()).await?.plan;
    same("what there is again", &again.restore, &settled.restore)
}

pub(super) async fn finishing_may_be_repeated(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    fill(&*table, 0, &sample(0..5)).await?;
    let cx = RunContext::new();
    for _ in 0..2 {
        table.finish(&append(), &cx).await?;
    }
    holds(fixture, &sample(0..5)).await
}
