//! Bringing back what was set aside: each thing by itself and committed by itself, so that a client
//! that goes away loses nothing of an index that took an hour. The fence of the lease travels in the
//! same message, so that a client which comes back late changes nothing.

use std::time::Duration;

use migrate_core::{
    Error, Event, Existing, Fence, LEASE_LOST_SQLSTATE, RestoreStep, Result, Return, RunContext,
    SetAside, SqlStatement, TableRef,
};
use migrate_postgres::{Database, classify, execute_together, sqlstate, sqlx};
use sqlx::PgConnection;

use super::session::{Scope, Session, raise};
use super::waiting::AtWork;
use super::write::{ensure_shared, lease_lost};

/// For the sort of an index build: the server's default of 64 MB sorts large indexes on disk.
const MAINTENANCE: &str = "256MB";

/// An index comes back where it was, in the tablespace of the database; what lies elsewhere is not
/// set aside.
const TABLESPACE: &str = "set default_tablespace = ''";

const AS_BEFORE: [&str; 2] = ["reset maintenance_work_mem", "reset default_tablespace"];

/// How soon a statement that a dead process left running is looked at again.
const POLL: Duration = Duration::from_millis(500);

/// Relation, object, or their unique row in the catalog: somebody else was faster.
const EXISTS_ALREADY: [&str; 3] = ["42P07", "42710", "23505"];

/// Runs the statements that are still missing.
///
/// # Errors
///
/// What the database answers to one of them; the earlier ones stay.
pub(super) async fn restore(
    database: &Database,
    object: &SetAside,
    fence: Option<&dyn Fence>,
    cx: &RunContext,
) -> Result<()> {
    if let Some(fence) = fence {
        ensure_shared(fence.domain(), database.domain())?;
    }
    let mut session = Session::open(database).await?;
    // Not ended when the run is cancelled: the server goes on with an index that took an hour, and
    // whoever comes next waits for it.
    let at_work = AtWork { database, pid: session.pid(), table: &object.table, cx: Some(cx) };
    at_work.naming_blockers(bring_back(&mut session, object, fence, cx)).await?;
    session.give_back();
    Ok(())
}

async fn bring_back(
    session: &mut PgConnection,
    object: &SetAside,
    fence: Option<&dyn Fence>,
    cx: &RunContext,
) -> Result<()> {
    let label = label(object);
    let failed = |cause: sqlx::Error| {
        classify("Cannot bring back what was set aside for the load", cause)
            .with("missing", &object.what)
            .with("table", &object.table)
    };
    raise(session, "maintenance_work_mem", MAINTENANCE, Scope::Session).await.map_err(failed)?;
    sqlx::query(TABLESPACE).execute(&mut *session).await.map_err(failed)?;
    // Between two statements a thing is neither there as it was nor away, and a load that begins then
    // would take it for changed. Foreign keys are validated by themselves all the same, under a lock
    // that lets others write.
    let at_once = match object.returns {
        Return::Rebuild => object.restore.len().max(1),
        Return::Relink => 1,
    };
    for steps in object.restore.chunks(at_once) {
        loop {
            let others =
                async { until_nobody_runs(&mut *session, object, cx).await.map_err(failed) };
            cx.unless_cancelled(others).await?;
            let due = missing(session, object, steps).await.map_err(failed)?;
            if due.is_empty() {
                break;
            }
            let Err(cause) = execute_together(&mut *session, &fenced(&label, &due, fence)).await
            else {
                break;
            };
            let state = sqlstate(&cause).unwrap_or_default();
            if state == LEASE_LOST_SQLSTATE && fence.is_some() {
                return Err(lease_lost());
            }
            let still_due = async {
                missing(session, object, steps).await.map(|steps| steps.len()).map_err(failed)
            };
            if !EXISTS_ALREADY.contains(&state.as_str()) || still_due.await? >= due.len() {
                return Err(with_hint(failed(cause), object));
            }
        }
    }
    for reset in AS_BEFORE {
        sqlx::query(reset).execute(&mut *session).await.map_err(failed)?;
    }
    Ok(())
}

fn with_hint(error: Error, object: &SetAside) -> Error {
    use migrate_core::ErrorKind;
    let rows = match (error.kind(), object.returns) {
        (ErrorKind::DataInvalid | ErrorKind::Conflict, Return::Relink) => {
            "load or correct the rows that the key misses"
        }
        (ErrorKind::DataInvalid | ErrorKind::Conflict, Return::Rebuild) => {
            "correct the rows that break the constraint"
        }
        _ => return error,
    };
    error.with_hint(format!("{rows}, then run again, or run `migrate repair`"))
}

/// Those of the steps whose work is not there yet.
async fn missing<'a>(
    connection: &mut PgConnection,
    object: &SetAside,
    steps: &'a [RestoreStep],
) -> Result<Vec<&'a RestoreStep>, sqlx::Error> {
    let mut missing = Vec::with_capacity(steps.len());
    for step in steps {
        if !exists(&object.table, step.unless.as_ref()).look(&mut *connection).await? {
            missing.push(step);
        }
    }
    Ok(missing)
}

/// Statements with what holds them to their lease.
fn fenced(label: &str, steps: &[&RestoreStep], fence: Option<&dyn Fence>) -> Vec<SqlStatement> {
    let steps = steps.iter().map(|step| SqlStatement { sql: step.sql.clone(), params: Vec::new() });
    let mut all: Vec<SqlStatement> =
        fence.map(Fence::before).into_iter().chain(steps).chain(fence.map(Fence::after)).collect();
    if let Some(first) = all.first_mut() {
        first.sql.insert_str(0, label);
    }
    all
}

/// With this all messages about an object begin, for administrators and for whoever comes next. Far
/// shorter than what the server shows of a message.
fn label(object: &SetAside) -> String {
    let what = format!("{} of {}", object.what, object.table);
    format!("/* brings back {} */ ", what.replace("*/", "* /").replace("/*", "/ *"))
}

/// A client that died has left its statement to the server, which goes on with it.
async fn until_nobody_runs(
    connection: &mut PgConnection,
    object: &SetAside,
    cx: &RunContext,
) -> Result<(), sqlx::Error> {
    let mut has_told = false;
    loop {
        let runs: Option<i32> = sqlx::query_scalar(
            "select pid from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid() and state = 'active' \
               and starts_with(query, $1) limit 1",
        )
        .bind(label(object))
        .fetch_optional(&mut *connection)
        .await?;
        let Some(pid) = runs else { return Ok(()) };
        if !has_told {
            has_told = true;
            let note = format!(
                "waits for session {pid}, which brings back {} already (its client may have gone); to end \
                 it: select pg_terminate_backend({pid})",
                object.what
            );
            cx.emit(&Event::Noted { table: object.table.clone(), note });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What tells that a statement has run.
struct Sign<'a> {
    table: &'a TableRef,
    existing: Option<&'a Existing>,
}

fn exists<'a>(table: &'a TableRef, existing: Option<&'a Existing>) -> Sign<'a> {
    Sign { table, existing }
}

impl Sign<'_> {
    async fn look(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let query = match self.existing {
            None => return Ok(false),
            Some(Existing::Index(index)) => sqlx::query_scalar(
                "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                 where n.nspname = $1 and c.relname = $2 and c.relkind = 'i')",
            )
            .bind(index.schema.clone().unwrap_or_default())
            .bind(index.name.clone()),
            Some(Existing::Constraint(name)) => sqlx::query_scalar(
                "select exists (select from pg_constraint k \
                 join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace \
                 where n.nspname = $1 and c.relname = $2 and k.conname = $3)",
            )
            .bind(self.table.schema.clone().unwrap_or_default())
            .bind(self.table.name.clone())
            .bind(name.clone()),
        };
        query.fetch_one(connection).await
    }
}
