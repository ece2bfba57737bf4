//! One round: killed once or twice, then run to the end, then looked at from all sides.

use std::time::{Duration, Instant};

use migrate_postgres::sqlx::{self, PgConnection};
use snowflake_double::{Double, DoubleBuilder, RequestKind};

use super::Draw;
use super::case::{Case, Row, source_table, values};
use crate::support::World;

/// A part of a result takes this long, so that there is a middle to be killed in.
const LATENCY: Duration = Duration::from_millis(15);

/// What a kill has hit.
#[derive(Debug)]
pub(super) struct Killed {
    pub(super) case: &'static str,
    /// The work that the ledger has under way; `None` when the process had ended by itself.
    pub(super) phase: Option<String>,
}

/// A case and what is known from an undisturbed run of it.
#[derive(Debug)]
pub(super) struct Stage {
    case: Case,
    length: Duration,
    schema: String,
}

impl Stage {
    /// Runs the case undisturbed; it too must end as the model says.
    pub(super) async fn rehearse(case: Case) -> Self {
        let world = set_up(&case).await;
        let schema = world.schema().await;
        let started = Instant::now();
        let ended = world.run(&[]).await;
        let length = started.elapsed();
        assert_eq!(ended.code, Some(case.code()), "{}: {}", case.name, ended.stderr);
        let stage = Self { case, length, schema };
        stage.is_as_it_should_be(&world).await;
        stage
    }

    /// A round.
    pub(super) async fn survives(&self, draw: &Draw) -> Vec<Killed> {
        let case = &self.case;
        let world = set_up(case).await;
        let mut kills = Vec::new();
        for moment in &draw.moments {
            let mut child = world.start(&[]);
            let is_alive = tokio::select! {
                () = tokio::time::sleep(self.length.mul_f64(*moment)) => true,
                _ended = child.wait() => false,
            };
            child.kill().await.expect("kill -9");
            let phase = if is_alive { Some(phase(&world, case).await) } else { None };
            kills.push(Killed { case: case.name, phase });
            self.readers_see_old_or_new(&world).await;
            // Whoever runs a completed load again wants it done again.
            if is_closed(&world, case).await {
                break;
            }
        }
        if !is_closed(&world, case).await {
            let ended = world.run(&[]).await;
            assert_eq!(ended.code, Some(case.code()), "{}: {}", case.name, ended.stderr);
        }
        self.is_as_it_should_be(&world).await;
        kills
    }

    async fn readers_see_old_or_new(&self, world: &World) {
        let Some(old) = &self.case.old else { return };
        let (table, new) = &self.case.model[0];
        let found = contents(world, table).await;
        let is_one = found == written(old) || found == written(new);
        assert!(is_one, "{}: readers see neither the old rows nor the new ones", self.case.name);
    }

    async fn is_as_it_should_be(&self, world: &World) {
        let case = &self.case;
        for (table, rows) in &case.model {
            let is_equal = contents(world, table).await == written(rows);
            assert!(is_equal, "{}: {table} is not as the model says", case.name);
        }
        assert_eq!(world.schema().await, self.schema, "{}: the schema has changed", case.name);
        let ledger = world.text(LEDGER).await.expect("counts");
        let runs = 1 + u64::from(case.earlier.is_some());
        assert_eq!(ledger, format!("runs {runs} open 0 0 0"), "{}", case.name);
        let counts = world.text(&counts(case)).await.expect("counts");
        assert_eq!(counts, format!("{} t", case.rows_read), "{}: rows read", case.name);
        let rejected: Vec<_> = case.rejected.iter().map(i64::to_string).collect();
        let kept = world.text(REJECTED).await.unwrap_or_default();
        assert_eq!(kept, rejected.join(" "), "{}: rows set aside", case.name);
        let left = left_behind(world.alone().await).await;
        assert!(left.is_none(), "{}: {left:?} is left", case.name);
    }
}

/// What is still there after a minute: the server needs a moment to notice that a client is dead.
async fn left_behind(mut only: PgConnection) -> Option<String> {
    let began = Instant::now();
    loop {
        let left: Option<String> =
            sqlx::query_scalar(LEFT).fetch_one(&mut only).await.expect("looks");
        if left.is_none() || began.elapsed() > Duration::from_mins(1) {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn set_up(case: &Case) -> World {
    let first = case.earlier.as_ref().unwrap_or(&case.source);
    let tables = first.iter().map(|(name, rows)| source_table(name, rows));
    let double = tables.fold(Double::builder(), DoubleBuilder::table);
    let world = World::new(double, case.target).await;
    world.double.knobs().set_inline_rows(0);
    world.write_config(&world.config(&case.config));
    if case.earlier.is_some() {
        let ended = world.run(&[]).await;
        assert_eq!(ended.code, Some(0), "{}: the first load: {}", case.name, ended.stderr);
        for (name, rows) in &case.source {
            let table = format!("DB.PUBLIC.{name}");
            world.double.replace_rows(&table, values(rows)).expect("replaces");
        }
    }
    world.double.knobs().set_latency(RequestKind::Chunk, LATENCY);
    world
}

/// The rows of a table in the order of their keys, as text.
async fn contents(world: &World, table: &str) -> String {
    let sql = "select string_agg(concat_ws(':', k, version, v), ' ' order by k, version, v) from";
    world.text(&format!("{sql} {table}")).await.unwrap_or_default()
}

fn written(rows: &[Row]) -> String {
    let rows = rows.iter().map(|[k, version, v]| format!("{k}:{version}:{v}"));
    rows.collect::<Vec<_>>().join(" ")
}

const DONE: &str = "status in ('completed', 'completed_with_rejects')";

/// Runs; runs, tables and steps that are not completed.
const LEDGER: &str = "select format('runs %s open %s %s %s', \
    (select count(*) from migration_status.migration_runs), \
    (select count(*) from migration_status.migration_runs \
        where status not in ('completed', 'completed_with_rejects')), \
    (select count(*) from migration_status.migration_table_status \
        where status not in ('completed', 'completed_with_rejects')), \
    (select count(*) from migration_status.migration_work_items where status <> 'completed'))";

const REJECTED: &str = "select string_agg(row_values -> 'k' ->> 'number', ' ' \
    order by (row_values -> 'k' ->> 'number')::bigint) from migration_status.rejected_rows";

/// Sessions, locks and temporary tables of others.
const LEFT: &str = "select string_agg(what, ', ') from ( \
    select format('a session: %s %s', state, query) as what from pg_stat_activity \
        where datname = current_database() and backend_type = 'client backend' \
        and pid <> pg_backend_pid() \
    union all select 'an advisory lock' from pg_locks where locktype = 'advisory' and database = \
        (select oid from pg_database where datname = current_database()) \
    union all select 'the temporary table ' || relname from pg_class where relpersistence = 't' \
    ) as found";

/// Rows read by the load that was killed, and whether each of them is accounted for.
fn counts(case: &Case) -> String {
    format!(
        "select concat_ws(' ', sum(rows_read), bool_and(rows_read = rows_inserted + rows_updated \
             + rows_skipped + rows_rejected)) \
         from migration_status.migration_work_items where kind = 'chunk' and {}",
        of_killed(case)
    )
}

/// Entries of the load that was killed.
fn of_killed(case: &Case) -> &'static str {
    match case.earlier {
        None => "true",
        Some(_) => "table_id > (select min(table_id) from migration_status.migration_table_status)",
    }
}

async fn has_ledger(world: &World) -> bool {
    let sql = "select (to_regclass('migration_status.rejected_rows') is not null)::text";
    world.text(sql).await.as_deref() == Some("true")
}

/// Whether the killed load is completed, its run too.
async fn is_closed(world: &World, case: &Case) -> bool {
    let open = format!(
        "select (count(*) filter (where {DONE}) > {})::text from migration_status.migration_runs",
        u8::from(case.earlier.is_some())
    );
    has_ledger(world).await && world.text(&open).await.as_deref() == Some("true")
}

/// What the ledger says about the moment of a kill.
async fn phase(world: &World, case: &Case) -> String {
    if !has_ledger(world).await {
        return "before the ledger".to_owned();
    }
    let tables = format!("migration_status.migration_table_status t where {}", of_killed(case));
    let sql = format!(
        "select case when not exists (select from {tables}) then 'before the run' \
         when exists (select from {tables} and plan is null) then 'plan' \
         else coalesce((select kind from migration_status.migration_work_items \
                 where status = 'in_progress' order by array_position(array['finish', 'relink', \
                 'rebuild', 'publish', 'chunk', 'set_aside', 'prepare'], kind) limit 1), \
             case when exists (select from {tables} and not {DONE}) \
             then 'between steps' else 'end of the run' end) end"
    );
    world.text(&sql).await.expect("a phase")
}
