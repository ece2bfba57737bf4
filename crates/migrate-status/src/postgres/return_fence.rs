//! When something that was set aside may come back.

use migrate_core::{
    CommitDomain, Dialect, Fence, LEASE_LOST_SQLSTATE, LeftAside, SqlBuilder, SqlStatement, TableId,
};

use super::record::{HOLDS_MARK, LOCKED_MARK};

/// Holds the return of one thing to a moment in which it disturbs nobody. Whoever begins a run takes the
/// rows of its targets first, as this does: a run begins before the thing comes back, or after it.
///
/// Statements of a fence take no parameters; what is written into these are numbers.
#[derive(Debug)]
pub(super) struct ReturnFence {
    domain: CommitDomain,
    of: i64,
    number: u32,
    by: Option<i64>,
}

impl ReturnFence {
    pub(super) fn new(domain: CommitDomain, left: &LeftAside, by: Option<TableId>) -> Self {
        Self { domain, of: left.entry.0, number: left.number, by: by.map(|entry| entry.0) }
    }

    /// The target of the run that took the thing away, and the table that it belongs to: a foreign key
    /// may be another table's.
    fn tables(&self) -> String {
        let object = format!("array['load', 'restore', '{}', 'table'", self.number);
        format!(
            "select target_schema, target_table \
             from migration_status.migration_table_status where table_id = {of} \
             union \
             select coalesce(plan #>> {object}, 'schema'], ''), plan #>> {object}, 'name'] \
             from migration_status.migration_table_status where table_id = {of}",
            of = self.of
        )
    }

    /// What must not be.
    fn disturbance(&self) -> String {
        match self.by {
            Some(entry) => format!(
                "exists (select from migration_status.migration_table_status \
                         where table_id = {entry} and status = 'superseded')"
            ),
            None => format!(
                "exists (select from migration_status.migration_table_status e \
                         join migration_status.migration_runs r using (run_id) \
                         where (e.target_schema, e.target_table) in ({tables}) and {AT_WORK})",
                tables = self.tables()
            ),
        }
    }

    fn refuse(&self) -> String {
        format!(
            "if {} then \
                 raise exception 'a run is at work on the table' using errcode = '{LEASE_LOST_SQLSTATE}'; \
             end if;",
            self.disturbance()
        )
    }

    /// Waits for whoever begins a run, and keeps others from it.
    fn meet(&self) -> String {
        let tables = self.tables();
        format!(
            "insert into migration_status.migration_targets (target_schema, target_table) \
             {tables} order by 1, 2 on conflict do nothing; \
             perform from migration_status.migration_targets \
             where (target_schema, target_table) in ({tables}) \
             order by target_schema, target_table for share;"
        )
    }

    /// Gives up the chunks of the run that took the thing away. Sessions that still hold rows of one end
    /// first: they may be frozen, and would keep everybody waiting.
    pub(super) fn giving_up(&self) -> SqlStatement {
        let chunks = format!(
            "i.table_id = {} and i.kind = 'chunk' and i.status in ('pending', 'in_progress')",
            self.of
        );
        block(&format!(
            "{meet} {refuse} \
             perform pg_terminate_backend(l.pid) \
             from pg_locks l join pg_stat_activity a using (pid) \
             join migration_status.migration_work_items i \
               on hashtextextended(format('migrate %s %s %s', i.table_id, i.kind, i.item_id), 0) \
                  = {LOCKED_MARK} \
             where {chunks} and {HOLDS_MARK}; \
             with given_up as ( \
                 update migration_status.migration_work_items i \
                 set status = 'failed', lease_token = null, lease_until = null, \
                     error_code = 'chunk_given_up', \
                     error_message = 'A repair brought back what the load does without; \
fix: run again, which goes on with this chunk' \
                 where {chunks} returning i.table_id) \
             update migration_status.migration_table_status t \
             set failed_chunks = t.failed_chunks + g.chunks \
             from (select table_id, count(*)::integer as chunks from given_up group by table_id) g \
             where t.table_id = g.table_id;",
            meet = self.meet(),
            refuse = self.refuse(),
        ))
    }

    /// Notes that the thing is back, unless a run goes on that takes it away again and brings it back
    /// itself.
    pub(super) fn is_back(&self) -> SqlStatement {
        block(&format!(
            "{meet} \
             update migration_status.migration_work_items i \
             set status = 'completed', completed_at = now(), lease_token = null, \
                 lease_until = null, error_code = null, error_message = null \
             where i.table_id = {of} and i.kind in ('rebuild', 'relink') and i.item_id = {number} \
               and i.status <> 'completed' and (i.lease_until is null or i.lease_until < now()) \
               and not exists (select from migration_status.migration_work_items c \
                               where c.table_id = i.table_id and c.kind = 'chunk' \
                                 and c.status in ('pending', 'in_progress'));",
            meet = self.meet(),
            of = self.of,
            number = self.number,
        ))
    }
}

fn block(body: &str) -> SqlStatement {
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text(&format!("do $return$ begin {body} end $return$"));
    sql.finish()
}

/// Whether somebody is at work on an entry `e` of a run `r`. A process that has parked or given up a
/// table may have left it to another. A plan also looks into ledgers that are not upgraded yet and have
/// no such column. A macro, because queries are constants.
macro_rules! at_work {
    () => {
        "(exists (select from migration_status.migration_work_items l \
                  where l.table_id = e.table_id and l.status = 'in_progress' \
                    and l.lease_until > clock_timestamp()) \
          or (e.status not in ('completed', 'completed_with_rejects', 'superseded') \
              and (to_jsonb(r) ->> 'alive_until')::timestamptz > clock_timestamp()))"
    };
}
pub(super) use at_work;

const AT_WORK: &str = at_work!();

impl Fence for ReturnFence {
    fn domain(&self) -> &CommitDomain {
        &self.domain
    }

    fn before(&self) -> SqlStatement {
        match self.by {
            // Others of the same run may begin meanwhile: only a later run is in the way, at the end.
            Some(_) => block(&self.refuse()),
            None => block(&format!("{} {}", self.meet(), self.refuse())),
        }
    }

    fn after(&self) -> SqlStatement {
        match self.by {
            Some(_) => block(&format!("{} {}", self.meet(), self.refuse())),
            // No run can have begun; what was only frozen has no chunk left.
            None => block(""),
        }
    }
}
