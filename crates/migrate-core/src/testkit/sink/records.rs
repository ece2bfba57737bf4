//! Records that are committed together with rows.

use std::sync::Arc;

use super::{LeaseState, SinkFixture, append, batches, chunk, fill, holds, open, sample, write};
use crate::commit::{CommitDomain, CommitRecord};
use crate::context::RunContext;
use crate::error::ErrorKind;
use crate::sink::{CommitGuarantee, SinkTable, WriteSummary};
use crate::sql::SqlStatement;
use crate::testkit::{Answer, Kept, Unkept, ensure, found, refused, same};

/// The record of a sink that declares them, or skips the rule.
async fn record_of(
    fixture: &dyn SinkFixture,
    table: &dyn SinkTable,
    lease: LeaseState,
) -> Answer<Arc<dyn CommitRecord>> {
    let CommitGuarantee::Transactional(domain) = table.capabilities().commit else {
        return Err(Unkept::Skipped("it shares no transaction"));
    };
    let record = found("record in the fixture", fixture.record(lease).await?)?;
    same("the domain", record.domain(), &domain)?;
    Ok(record)
}

pub(super) async fn a_record_is_committed_with_its_rows(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    let record = record_of(fixture, &*table, LeaseState::Held).await?;
    let cx = RunContext::new();
    table.prepare(&append(), None, &cx).await?;
    let rows = batches(&sample(0..9))?;
    table.write_chunk(&append(), &chunk(0), rows, Some(&*record), &cx).await?;
    ensure(fixture.is_recorded().await?, "the rows are there, the record is not")?;
    holds(fixture, &sample(0..9)).await
}

pub(super) async fn a_record_whose_lease_is_gone_rolls_back(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    let record = record_of(fixture, &*table, LeaseState::Gone).await?;
    let cx = RunContext::new();
    table.prepare(&append(), None, &cx).await?;
    let rows = batches(&sample(0..9))?;
    let answer = table.write_chunk(&append(), &chunk(0), rows, Some(&*record), &cx).await;
    let error = refused("a chunk whose lease is gone", answer)?;
    same("the error", &error.kind(), &ErrorKind::LeaseLost)?;
    holds(fixture, &[]).await
}

/// A record as another database keeps it.
#[derive(Debug)]
struct Stranger(CommitDomain);

impl CommitRecord for Stranger {
    fn domain(&self) -> &CommitDomain {
        &self.0
    }

    fn statement(&self, _summary: &WriteSummary) -> SqlStatement {
        SqlStatement { sql: "select 1".into(), params: Vec::new() }
    }
}

fn stranger() -> Stranger {
    Stranger(CommitDomain::new("a database of the test suite"))
}

pub(super) async fn a_record_of_another_database_is_refused(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    record_of(fixture, &*table, LeaseState::Held).await?;
    refuses_strangers(fixture, &*table).await
}

pub(super) async fn a_record_is_refused_where_none_is_declared(fixture: &dyn SinkFixture) -> Kept {
    let table = open(fixture).await?;
    match table.capabilities().commit {
        CommitGuarantee::Transactional(_) => Err(Unkept::Skipped("it shares transactions")),
        _ => refuses_strangers(fixture, &*table).await,
    }
}

async fn refuses_strangers(fixture: &dyn SinkFixture, table: &dyn SinkTable) -> Kept {
    let cx = RunContext::new();
    fill(table, 0, &sample(0..3)).await?;
    let prepared = table.prepare(&append(), Some(&stranger()), &cx).await;
    refused("a preparation with a record that it cannot keep", prepared)?;
    let rows = batches(&sample(10..20))?;
    let written = table.write_chunk(&append(), &chunk(1), rows, Some(&stranger()), &cx).await;
    refused("a chunk with a record that it cannot keep", written)?;
    holds(fixture, &sample(0..3)).await
}

pub(super) async fn a_preparation_whose_lease_is_gone_changes_nothing(
    fixture: &dyn SinkFixture,
) -> Kept {
    let table = open(fixture).await?;
    let record = record_of(fixture, &*table, LeaseState::Gone).await?;
    fill(&*table, 0, &sample(0..3)).await?;
    let plan = append().with_truncate(vec![fixture.table()]);
    let cx = RunContext::new();
    let answer = table.prepare(&plan, Some(&*record), &cx).await;
    let error = refused("a preparation whose lease is gone", answer)?;
    same("the error", &error.kind(), &ErrorKind::LeaseLost)?;
    holds(fixture, &sample(0..3)).await?;
    let record = record_of(fixture, &*table, LeaseState::Held).await?;
    table.prepare(&plan, Some(&*record), &cx).await?;
    ensure(fixture.is_recorded().await?, "the table is empty, the record is not there")?;
    holds(fixture, &[]).await?;
    write(&*table, &plan, 0, &sample(5..7)).await?;
    holds(fixture, &sample(5..7)).await
}
