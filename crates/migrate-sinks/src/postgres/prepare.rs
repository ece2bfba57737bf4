//! Making the target ready, once per run and table: what the load does without is taken away, the
//! target is emptied, and the place beside it is made.

use std::cmp::Reverse;
use std::fmt;

use migrate_core::{
    CommitRecord, Dialect, Error, LoadPlan, Result, SqlBuilder, SqlStatement, TableRef,
    WriteSummary, code,
};
use migrate_postgres::{APPLICATION_NAME, Database, classify, execute, sqlstate, sqlx};
use sqlx::{Connection, Row};

use super::beside::Beside;
use super::session::Session;
use super::write::apply_record;

/// How long TRUNCATE waits for other sessions before it looks who they are. While it waits, every
/// later reader of the table waits behind it.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '3s'";

/// On disk before any chunk is copied, since this process relies on it even when it survives a crash
/// of the server. (PostgreSQL itself does so only where files are removed, as by TRUNCATE.)
const DURABLE: &str = "set local synchronous_commit = on";

const LOCK_NOT_AVAILABLE: &str = "55P03";
const REFERENCED: &str = "0A000";

/// Does all of it in one transaction with its record.
///
/// A session of this tool that still holds a lock belongs to a run that has been superseded: the
/// caller owns the preparation of the present one, so none of its chunks can be running. Such a
/// session is ended, and the work is tried a second time.
pub(super) async fn prepare(
    database: &Database,
    table: &TableRef,
    plan: &LoadPlan,
    beside: Option<&Beside<'_>>,
    record: Option<&dyn CommitRecord>,
) -> Result<()> {
    let error = match make_ready(database, table, plan, beside, record).await {
        Err(error) if error.context("sqlstate") == Some(LOCK_NOT_AVAILABLE) => error,
        other => return other,
    };
    let holders = lock_holders(database, plan).await?;
    if holders.iter().any(Holder::is_ours) {
        for holder in holders.iter().filter(|holder| holder.is_ours()) {
            end_session(database, holder).await?;
        }
        return make_ready(database, table, plan, beside, record).await;
    }
    let holders: Vec<_> = holders.iter().map(ToString::to_string).collect();
    Err(error.with_hint(match holders.join(", ") {
        nobody if nobody.is_empty() => "run again: who held the table has let go".to_owned(),
        somebody => format!("end the sessions that hold the table: {somebody}"),
    }))
}

async fn make_ready(
    database: &Database,
    table: &TableRef,
    plan: &LoadPlan,
    beside: Option<&Beside<'_>>,
    record: Option<&dyn CommitRecord>,
) -> Result<()> {
    let failed = |cause| classify("Cannot make the target table ready", cause).with("table", table);
    let mut session = Session::open(database).await?;
    let mut tx = session.begin().await.map_err(failed)?;
    sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await.map_err(failed)?;
    sqlx::query(DURABLE).execute(&mut *tx).await.map_err(failed)?;
    // First, so that a second process waits for this row and not with an exclusive lock for COPYs.
    apply_record(&mut tx, record, database.domain(), &WriteSummary::default()).await?;
    // Foreign keys first: they hold on to unique constraints.
    let mut away: Vec<_> = plan.set_aside.iter().collect();
    away.sort_by_key(|object| Reverse(object.returns));
    for object in away {
        let statement = SqlStatement { sql: object.remove.clone(), params: Vec::new() };
        execute(&mut tx, &statement).await.map_err(|cause| {
            classify("Cannot set aside what the load does without", cause)
                .with("object", &object.what)
                .with("table", &object.table)
        })?;
    }
    if !plan.truncate.is_empty() {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        for (position, table) in plan.truncate.iter().enumerate() {
            sql.text(if position == 0 { "truncate " } else { ", " }).table(table);
        }
        execute(&mut tx, &sql.finish()).await.map_err(|cause| {
            if sqlstate(&cause).as_deref() == Some(REFERENCED) {
                return Error::new(
                    code::TRUNCATE_REFERENCED,
                    format!("Other tables reference {table}, so it cannot be emptied alone"),
                )
                .with_source(cause)
                .with_hint("load those tables in the same run with truncate_onstart");
            }
            failed(cause)
        })?;
    }
    if let Some(beside) = beside {
        beside.create(&mut tx).await?;
    }
    tx.commit().await.map_err(failed)?;
    session.give_back();
    Ok(())
}

/// A session with a lock that keeps TRUNCATE waiting.
#[derive(Debug)]
struct Holder {
    pid: i32,
    role: String,
    application: String,
}

impl Holder {
    fn is_ours(&self) -> bool {
        self.application == APPLICATION_NAME
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} (role {}, {})", self.pid, self.role, self.application)
    }
}

async fn lock_holders(database: &Database, plan: &LoadPlan) -> Result<Vec<Holder>> {
    let failed = |cause| classify("Cannot see who holds the target table", cause);
    let (schemas, tables): (Vec<_>, Vec<_>) = plan
        .truncate
        .iter()
        .chain(plan.set_aside.iter().map(|object| &object.table))
        .map(|table| (table.schema.clone().unwrap_or_default(), table.name.clone()))
        .unzip();
    let rows = sqlx::query(
        "select distinct a.pid, coalesce(a.application_name, '') as application, \
                coalesce(a.usename::text, '') as role \
         from pg_locks l join pg_stat_activity a using (pid) \
         join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace \
         where l.granted and l.pid <> pg_backend_pid() and l.mode <> 'AccessShareLock' \
           and l.database = (select oid from pg_database where datname = current_database()) \
           and (n.nspname, c.relname) in (select * from unnest($1::text[], $2::text[]))",
    )
    .bind(&schemas)
    .bind(&tables)
    .fetch_all(&mut *database.acquire().await?)
    .await
    .map_err(failed)?;
    rows.iter()
        .map(|row| {
            Ok(Holder {
                pid: row.try_get("pid")?,
                role: row.try_get("role")?,
                application: row.try_get("application")?,
            })
        })
        .collect::<Result<_, sqlx::Error>>()
        .map_err(failed)
}

async fn end_session(database: &Database, holder: &Holder) -> Result<()> {
    database.end_session(holder.pid).await?;
    tracing::warn!(
        pid = holder.pid,
        "ended a session that a superseded run had left on the target"
    );
    Ok(())
}
