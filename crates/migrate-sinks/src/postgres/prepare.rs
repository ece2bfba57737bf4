//! Making the target ready, once per run and table: what the load does without is taken away, the
//! target is emptied, and the place beside it is made.

use std::cmp::Reverse;
use std::fmt;

use migrate_core::{
    CommitRecord, Dialect, Error, ErrorKind, LoadPlan, Result, SetAside, SqlBuilder, SqlStatement,
    TableRef, WriteSummary, code,
};
use migrate_postgres::{APPLICATION_NAME, Database, classify, execute, sqlstate, sqlx};
use sqlx::{Connection, PgConnection, Row};

use super::beside::Beside;
use super::session::Session;
use super::surgery::{is_as_defined, present};
use super::write::apply_record;

/// How long TRUNCATE waits for other sessions before it looks who they are. While it waits, every
/// later reader of the table waits behind it.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '3s'";

/// On disk before any chunk is copied, since this process relies on it even when it survives a crash
/// of the server. (PostgreSQL itself does so only where files are removed, as by TRUNCATE.)
const DURABLE: &str = "set local synchronous_commit = on";

/// Held until the end by whoever takes things away. Two tables can share a foreign key, and the server
/// fails with an internal error where it is to spell a definition that somebody else is dropping.
const TAKING_AWAY: i64 = 0x6D69_6772_6174_6502;

const LOCK_NOT_AVAILABLE: &str = "55P03";
const REFERENCED: &str = "0A000";

/// Does all of it in one transaction with its record.
///
/// A session of this tool that still holds a lock on one of the run's own targets belongs to a run
/// that has been superseded: the caller owns the preparation of the present one, and no chunk of its
/// run starts before that is done. Such a session is ended, and the work is tried a second time.
/// Whoever works on another table that is only touched is waited for.
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
    let holders = lock_holders(database, table, plan).await?;
    if holders.iter().any(Holder::is_superseded) {
        for holder in holders.iter().filter(|holder| holder.is_superseded()) {
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
    if !plan.set_aside.is_empty() {
        one_at_a_time(&mut tx).await.map_err(failed)?;
    }
    // Foreign keys first: they hold on to unique constraints.
    let mut away: Vec<_> = plan.set_aside.iter().collect();
    away.sort_by_key(|object| Reverse(object.returns));
    take_away(&mut tx, table, &away).await?;
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

/// Waits, without an end, for the preparation of another table.
async fn one_at_a_time(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("set local lock_timeout = 0").execute(&mut *connection).await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(TAKING_AWAY)
        .execute(&mut *connection)
        .await?;
    sqlx::query(LOCK_TIMEOUT).execute(connection).await.map(drop)
}

/// Takes away what is there. What is gone already costs no lock, and what has been changed since the
/// load was planned stays: its stored definition would come back in its place.
async fn take_away(
    connection: &mut PgConnection,
    target: &TableRef,
    objects: &[&SetAside],
) -> Result<()> {
    let failed = |cause| classify("Cannot set aside what the load does without", cause);
    let present =
        present(connection, objects).await.map_err(|cause| failed(cause).with("table", target))?;
    for object in objects {
        let Some(now) = present.iter().find(|now| object.is_same(now)) else { continue };
        if !is_as_defined(object, now) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("The {} has been changed since the load was planned", object.what),
            )
            .with("table", &object.table)
            .with_hint("start anew with --no-resume, so that it comes back as it is now"));
        }
        let statement = SqlStatement { sql: object.remove.clone(), params: Vec::new() };
        execute(connection, &statement).await.map_err(|cause| {
            failed(cause).with("object", &object.what).with("table", &object.table)
        })?;
    }
    Ok(())
}

/// A session with a lock that keeps TRUNCATE waiting.
#[derive(Debug)]
struct Holder {
    pid: i32,
    role: String,
    application: String,
    /// Whether the lock is on a table that the run fills, and not only on one that it touches.
    is_on_target: bool,
}

impl Holder {
    fn is_superseded(&self) -> bool {
        self.is_on_target && self.application == APPLICATION_NAME
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} (role {}, {})", self.pid, self.role, self.application)
    }
}

async fn lock_holders(
    database: &Database,
    target: &TableRef,
    plan: &LoadPlan,
) -> Result<Vec<Holder>> {
    let failed = |cause| classify("Cannot see who holds the target table", cause);
    let filled: Vec<&TableRef> = std::iter::once(target).chain(&plan.truncate).collect();
    let touched = plan.set_aside.iter().map(|object| &object.table);
    let touched: Vec<&TableRef> = touched.filter(|table| !filled.contains(table)).collect();
    let is_filled = |at: usize| at < filled.len();
    let all = filled.iter().chain(&touched).enumerate();
    let names = |table: &TableRef| (table.schema.clone().unwrap_or_default(), table.name.clone());
    let (flags, (schemas, tables)): (Vec<bool>, (Vec<_>, Vec<_>)) =
        all.map(|(at, table)| (is_filled(at), names(table))).unzip();
    let rows = sqlx::query(
        "select a.pid, coalesce(a.application_name, '') as application, \
                coalesce(a.usename::text, '') as role, bool_or(wanted.is_filled) as is_on_target \
         from pg_locks l join pg_stat_activity a using (pid) \
         join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace \
         join unnest($1::text[], $2::text[], $3::boolean[]) as wanted (schema, name, is_filled) \
              on (wanted.schema, wanted.name) = (n.nspname, c.relname) \
         where l.granted and l.pid <> pg_backend_pid() and l.mode <> 'AccessShareLock' \
           and l.database = (select oid from pg_database where datname = current_database()) \
         group by 1, 2, 3",
    )
    .bind(&schemas)
    .bind(&tables)
    .bind(&flags)
    .fetch_all(&mut *database.acquire().await?)
    .await
    .map_err(failed)?;
    rows.iter()
        .map(|row| {
            Ok(Holder {
                pid: row.try_get("pid")?,
                role: row.try_get("role")?,
                application: row.try_get("application")?,
                is_on_target: row.try_get("is_on_target")?,
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
