//! Chunks: as a whole or not at all.

use futures::future::join;
use futures::{StreamExt, stream};

use super::{
    AfterFirst, Row, SinkFixture, append, batch, chunk, fill, holds, nothing_left, open, row,
    sample, write, write_for_ever,
};
use crate::context::RunContext;
use crate::error::{Error, ErrorKind};
use crate::sink::CommitGuarantee;
use crate::testkit::{Kept, Unkept, ensure, found, refused, same};

pub(super) async fn a_chunk_is_written_as_it_was_sent(fixture: &dyn SinkFixture) -> Kept {
    let rows: Vec<Row> = vec![
        row(i64::MIN, ""),
        row(-1, "NULL"),
        (0, None),
        row(1, "tab\tline\nquote'\"\\N\\."),
        row(2, "ä\u{1f600}\u{10ffff}"),
        row(i64::MAX, &"long".repeat(50_000)),
    ];
    fill(&*open(fixture).await?, 0, &rows).await?;
    holds(fixture, &rows).await
}

pub(super) async fn a_chunk_without_rows_is_written(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    let summary = fill(&*table, 0, &[]).await?;
    same("rows read", &summary.rows_read, &0)?;
    ensure(summary.is_balanced(), format!("counts are {summary:?}"))?;
    // Batches without rows are no rows either.
    let none = batch(&[])?;
    let stream = stream::iter([Ok(none.clone()), Ok(none)]).boxed();
    let summary = table.write_chunk(&append(), &chunk(1), stream, None, &RunContext::new()).await?;
    same("rows read", &summary.rows_read, &0)?;
    holds(fixture, &[]).await
}

pub(super) async fn counts_are_balanced(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    let summary = fill(&*table, 0, &sample(0..10)).await?;
    same("rows read", &summary.rows_read, &10)?;
    same("rows inserted", &summary.rows_inserted, &10)?;
    ensure(summary.is_balanced(), format!("counts are {summary:?}"))
}

pub(super) async fn chunks_at_once_do_not_mix(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    table.prepare(&append(), None, &RunContext::new()).await?;
    let plan = append();
    let (left, right) = (sample(0..50), sample(50..100));
    let (first, second) =
        join(write(&*table, &plan, 0, &left), write(&*table, &plan, 1, &right)).await;
    same("rows read", &(first?.rows_read, second?.rows_read), &(50, 50))?;
    holds(fixture, &sample(0..100)).await
}

pub(super) async fn a_broken_stream_writes_nothing(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    fill(&*table, 0, &sample(0..3)).await?;
    let broken = Error::new(ErrorKind::Throttled, "The source broke off on purpose");
    let stream = stream::iter([Ok(batch(&sample(10..14))?), Err(broken)]).boxed();
    let answer = table.write_chunk(&append(), &chunk(1), stream, None, &RunContext::new()).await;
    let error = refused("a broken stream", answer)?;
    same("the error", &error.kind(), &ErrorKind::Throttled)?;
    holds(fixture, &sample(0..3)).await?;
    write(&*table, &append(), 1, &sample(10..14)).await?;
    holds(fixture, &sample((0..3).chain(10..14))).await
}

pub(super) async fn a_cancelled_chunk_writes_nothing(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    table.prepare(&append(), None, &RunContext::new()).await?;
    let cx = RunContext::new();
    let cancel = cx.cancel.clone();
    let answer = write_for_ever(&*table, &cx, move || {
        cancel.cancel();
        AfterFirst::Wait
    })
    .await?;
    nothing_left(answer.as_ref())?;
    let error = refused("a cancelled chunk", found("answer", answer)?)?;
    same("the error", &error.kind(), &ErrorKind::Cancelled)?;
    holds(fixture, &[]).await
}

pub(super) async fn a_dropped_chunk_writes_nothing(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    table.prepare(&append(), None, &RunContext::new()).await?;
    let answer = write_for_ever(&*table, &RunContext::new(), || AfterFirst::Drop).await?;
    nothing_left(answer.as_ref())?;
    holds(fixture, &[]).await?;
    write(&*table, &append(), 0, &sample(0..4)).await?;
    holds(fixture, &sample(0..4)).await
}

pub(super) async fn a_chunk_written_again_replaces_what_it_wrote(
    fixture: &dyn SinkFixture,
) -> Kept {
    let table = open(fixture).await?;
    if table.capabilities().commit != CommitGuarantee::IdempotentPerChunk {
        return Err(Unkept::Skipped("it does not declare chunks that can be written again"));
    }
    fill(&*table, 0, &sample(0..10)).await?;
    write(&*table, &append(), 1, &sample(100..110)).await?;
    for ids in [0..10, 5..7, 7..7, 7..30] {
        let rows = sample(ids);
        write(&*table, &append(), 0, &rows).await?;
        let mut all = sample(100..110);
        all.extend(rows);
        holds(fixture, &all).await?;
    }
    Ok(())
}
