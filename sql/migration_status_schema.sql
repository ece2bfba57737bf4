-- The status tables of the migration engine, as the tool itself creates them.
-- Run this once per target database where the tool's role may not create a schema.
begin;
create schema if not exists migration_status;
create table migration_status.schema_migrations (
    version bigint primary key,
    description text not null,
    installed_on timestamptz not null default now(),
    success boolean not null,
    checksum bytea not null,
    execution_time bigint not null
);

-- The ledger of the migration engine. Tables and columns that people already query keep the names
-- that they know; the queue of work is one table for every kind of leased work.

create table migration_status.migration_runs (
    run_id            uuid primary key,
    status            text not null default 'running'
                      check (status in ('running', 'completed', 'completed_with_rejects', 'partial',
                                        'failed', 'paused', 'superseded')),
    started_at        timestamptz not null default now(),
    completed_at      timestamptz,
    heartbeat_at      timestamptz not null default now(),
    total_sources     integer not null default 0,
    total_tables      integer not null default 0,
    completed_tables  integer not null default 0,
    failed_tables     integer not null default 0,
    total_rows_copied bigint not null default 0,
    error_message     text,
    created_by        text not null,
    metadata          jsonb not null default '{}'
);
comment on table migration_status.migration_runs is
    'One row per run. heartbeat_at is the last sign of life of any of its processes.';

-- The moment of each source that all tables of a run read.
create table migration_status.migration_snapshots (
    run_id      uuid not null references migration_status.migration_runs on delete cascade,
    source_name text not null,
    moment      text not null,
    primary key (run_id, source_name)
);

create table migration_status.migration_table_status (
    table_id          bigint generated always as identity primary key,
    run_id            uuid not null references migration_status.migration_runs on delete cascade,
    source_name       text not null,
    source_database   text,
    source_schema     text,
    source_table      text not null,
    target_database   text,
    target_schema     text not null,
    target_table      text not null,
    fingerprint       text not null,
    status            text not null default 'pending'
                      check (status in ('pending', 'in_progress', 'completed',
                                        'completed_with_rejects', 'partial', 'failed', 'paused',
                                        'superseded')),
    started_at        timestamptz not null default now(),
    completed_at      timestamptz,
    strategy          text,
    total_chunks      integer not null default 0,
    completed_chunks  integer not null default 0,
    failed_chunks     integer not null default 0,
    estimated_rows    bigint,
    total_rows_copied bigint not null default 0,
    indexes_disabled  boolean not null default false,
    indexes_restored  boolean not null default false,
    error_message     text,
    plan              jsonb
);
create index migration_table_status_run on migration_status.migration_table_status (run_id);
create index migration_table_status_target
    on migration_status.migration_table_status (target_schema, target_table);
comment on column migration_status.migration_table_status.fingerprint is
    'Identity of everything that decides the data; a resumed run must have the same.';
comment on column migration_status.migration_table_status.plan is
    'Decided before the first row moved; obeyed by every process of the run.';

-- One row per target table, to decide one at a time which run may write it.
create table migration_status.migration_targets (
    target_schema text not null,
    target_table  text not null,
    primary key (target_schema, target_table)
);

-- Leased work. lease_token fences: data and its completion are committed only while the token is
-- still in its row.
create table migration_status.migration_work_items (
    table_id       bigint not null
                   references migration_status.migration_table_status on delete cascade,
    kind           text not null check (kind in ('prepare', 'set_aside', 'chunk', 'publish', 'rebuild',
                                         'relink', 'finish')),
    item_id        integer not null,
    status         text not null default 'pending'
                   check (status in ('pending', 'in_progress', 'completed', 'failed', 'superseded',
                                     'handed_over')),
    extent         jsonb,
    expected_rows  bigint,
    estimated_rows bigint,
    rows_read      bigint not null default 0,
    rows_inserted  bigint not null default 0,
    rows_updated   bigint not null default 0,
    rows_skipped   bigint not null default 0,
    bytes_sent     bigint not null default 0,
    started_at     timestamptz,
    completed_at   timestamptz,
    retry_count    integer not null default 0,
    crash_count    integer not null default 0,
    not_before     timestamptz not null default now(),
    lease_token    uuid,
    lease_holder   text,
    lease_until    timestamptz,
    error_code     text,
    error_message  text,
    primary key (table_id, kind, item_id)
) with (fillfactor = 80);
create index migration_work_items_pending
    on migration_status.migration_work_items (table_id, kind, item_id) where status = 'pending';
create index migration_work_items_leased
    on migration_status.migration_work_items (table_id, kind) where status = 'in_progress';
comment on column migration_status.migration_work_items.status is
    'handed_over: a later run brings back what this step should have.';
comment on column migration_status.migration_work_items.retry_count is
    'Failed tries in the present invocation; a crash of the worker counts in crash_count instead.';

-- The window of each incremental read. It counts as a lower bound once its table is completed.
create table migration_status.migration_watermarks (
    table_id         bigint primary key
                     references migration_status.migration_table_status on delete cascade,
    scope            text not null,
    watermark_column text not null,
    low_value        text,
    high_value       text,
    high             jsonb,
    rows_at_high     bigint not null,
    reads_nulls      boolean not null,
    overlap_seconds  bigint not null
);
comment on column migration_status.migration_watermarks.rows_at_high is
    'Rows with exactly the high value when it was pinned; an unchanged count means nothing is new.';

create view migration_status.migration_chunk_status as
select t.run_id, t.source_name, t.source_database, t.source_schema, t.source_table,
       t.target_schema, t.target_table, i.table_id, i.item_id as chunk_id, i.extent as chunk_range,
       i.status, i.rows_inserted + i.rows_updated + i.rows_skipped as rows_copied,
       i.rows_read, i.rows_inserted, i.rows_updated, i.rows_skipped, i.bytes_sent,
       i.expected_rows, i.estimated_rows, i.started_at, i.completed_at, i.retry_count,
       i.crash_count, i.not_before, i.lease_holder, i.lease_until, i.error_code, i.error_message
from migration_status.migration_work_items i
join migration_status.migration_table_status t using (table_id)
where i.kind = 'chunk';

create view migration_status.v_table_progress as
select run_id, source_name, source_database, source_schema, source_table, target_database,
       target_schema, target_table, status, total_chunks, completed_chunks, failed_chunks,
       total_rows_copied, estimated_rows,
       case when total_chunks > 0
            then round(100.0 * completed_chunks / total_chunks, 2) end as progress_percent,
       started_at, completed_at, coalesce(completed_at, now()) - started_at as duration,
       error_message
from migration_status.migration_table_status
order by started_at desc, table_id;

create view migration_status.v_watermark_windows as
select t.run_id, t.source_name, t.source_database, t.source_schema, t.source_table,
       t.target_schema, t.target_table, w.watermark_column, w.low_value, w.high_value,
       w.rows_at_high, w.reads_nulls, w.overlap_seconds, t.plan ->> 'snapshot' as moment, t.status,
       c.rows_read, c.rows_inserted, c.rows_updated, c.rows_skipped, t.started_at, t.completed_at
from migration_status.migration_watermarks w
join migration_status.migration_table_status t using (table_id)
cross join lateral (
    select coalesce(sum(i.rows_read), 0) as rows_read,
           coalesce(sum(i.rows_inserted), 0) as rows_inserted,
           coalesce(sum(i.rows_updated), 0) as rows_updated,
           coalesce(sum(i.rows_skipped), 0) as rows_skipped
    from migration_status.migration_work_items i
    where i.table_id = t.table_id and i.kind = 'chunk'
) c
order by t.table_id desc;

create view migration_status.v_active_migrations as
select r.run_id, r.status, r.started_at, r.heartbeat_at, now() - r.started_at as duration,
       r.created_by, t.total_tables, t.completed_tables, t.in_progress_tables, t.failed_tables,
       t.total_chunks, t.completed_chunks, t.failed_chunks, t.in_progress_chunks,
       t.total_rows_copied
from migration_status.migration_runs r
cross join lateral (
    select count(*) as total_tables,
           count(*) filter (where t.status in ('completed', 'completed_with_rejects'))
               as completed_tables,
           count(*) filter (where t.status = 'in_progress') as in_progress_tables,
           count(*) filter (where t.status in ('failed', 'partial')) as failed_tables,
           coalesce(sum(t.total_chunks), 0) as total_chunks,
           coalesce(sum(t.completed_chunks), 0) as completed_chunks,
           coalesce(sum(t.failed_chunks), 0) as failed_chunks,
           coalesce(sum((select count(*) from migration_status.migration_work_items i
                         where i.table_id = t.table_id and i.kind = 'chunk'
                           and i.status = 'in_progress')), 0) as in_progress_chunks,
           coalesce(sum(t.total_rows_copied), 0) as total_rows_copied
    from migration_status.migration_table_status t
    where t.run_id = r.run_id
) t
where r.status in ('running', 'partial', 'failed', 'paused')
order by r.started_at desc;

insert into migration_status.schema_migrations (version, description, success, checksum, execution_time)
values (1, 'status', true, '\x0BBC769E88772E29648A11AEB6B5D0F739AF9889D6242579E3576B9201758E26419093389382F0CA541BC685A0C9275E', 0);
-- Rows that the target refused and that were set aside (`on_bad_row: quarantine`). This is the one
-- place of the ledger that holds cell values.

create table migration_status.rejected_rows (
    reject_id       bigint generated always as identity primary key,
    run_id          uuid not null,
    table_id        bigint not null
                    references migration_status.migration_table_status on delete cascade,
    chunk_id        integer not null,
    row_number      bigint not null,
    row_key         text,
    row_values      json not null,
    error_code      text not null,
    reason          text not null,
    sqlstate        text,
    column_name     text,
    constraint_name text,
    rejected_at     timestamptz not null default now(),
    retry_count     integer not null default 0,
    retried_at      timestamptz,
    resolved_at     timestamptz,
    unique (table_id, chunk_id, row_number)
);
create index rejected_rows_unresolved
    on migration_status.rejected_rows (table_id, reject_id) where resolved_at is null;
comment on table migration_status.rejected_rows is
    'Rows that the target refused, with their values. `migrate retry-rejects` loads them again.';
comment on column migration_status.rejected_rows.row_values is
    'The source''s values by column, each with its kind; numbers and times are texts, so none is rounded.';
comment on column migration_status.rejected_rows.row_number is
    'Number of the row in its chunk as it was read, from 1.';
comment on column migration_status.rejected_rows.resolved_at is
    'When the row was loaded after all, or found to be there; null while it is still set aside.';

alter table migration_status.migration_work_items
    add rows_rejected bigint not null default 0;
alter table migration_status.migration_table_status
    add rejected_rows bigint not null default 0;
comment on column migration_status.migration_table_status.rejected_rows is
    'Rows set aside by committed chunks, whatever became of them later.';

create view migration_status.v_rejected_rows as
select r.run_id, t.source_name, t.source_table, t.target_schema, t.target_table, r.chunk_id,
       r.row_number, r.row_key, r.error_code, r.reason, r.sqlstate, r.column_name,
       r.constraint_name, r.row_values, r.rejected_at, r.retry_count, r.retried_at, r.reject_id
from migration_status.rejected_rows r
join migration_status.migration_table_status t using (table_id)
where r.resolved_at is null
order by r.reject_id;

-- Views may only grow at their end.
create or replace view migration_status.migration_chunk_status as
select t.run_id, t.source_name, t.source_database, t.source_schema, t.source_table,
       t.target_schema, t.target_table, i.table_id, i.item_id as chunk_id, i.extent as chunk_range,
       i.status, i.rows_inserted + i.rows_updated + i.rows_skipped as rows_copied,
       i.rows_read, i.rows_inserted, i.rows_updated, i.rows_skipped, i.bytes_sent,
       i.expected_rows, i.estimated_rows, i.started_at, i.completed_at, i.retry_count,
       i.crash_count, i.not_before, i.lease_holder, i.lease_until, i.error_code, i.error_message,
       i.rows_rejected
from migration_status.migration_work_items i
join migration_status.migration_table_status t using (table_id)
where i.kind = 'chunk';

create or replace view migration_status.v_table_progress as
select run_id, source_name, source_database, source_schema, source_table, target_database,
       target_schema, target_table, status, total_chunks, completed_chunks, failed_chunks,
       total_rows_copied, estimated_rows,
       case when total_chunks > 0
            then round(100.0 * completed_chunks / total_chunks, 2) end as progress_percent,
       started_at, completed_at, coalesce(completed_at, now()) - started_at as duration,
       error_message, rejected_rows,
       (select count(*) from migration_status.rejected_rows r
        where r.table_id = t.table_id and r.resolved_at is null) as unresolved_rows
from migration_status.migration_table_status t
order by started_at desc, table_id;

create or replace view migration_status.v_watermark_windows as
select t.run_id, t.source_name, t.source_database, t.source_schema, t.source_table,
       t.target_schema, t.target_table, w.watermark_column, w.low_value, w.high_value,
       w.rows_at_high, w.reads_nulls, w.overlap_seconds, t.plan ->> 'snapshot' as moment, t.status,
       c.rows_read, c.rows_inserted, c.rows_updated, c.rows_skipped, t.started_at, t.completed_at,
       t.rejected_rows as rows_rejected
from migration_status.migration_watermarks w
join migration_status.migration_table_status t using (table_id)
cross join lateral (
    select coalesce(sum(i.rows_read), 0) as rows_read,
           coalesce(sum(i.rows_inserted), 0) as rows_inserted,
           coalesce(sum(i.rows_updated), 0) as rows_updated,
           coalesce(sum(i.rows_skipped), 0) as rows_skipped
    from migration_status.migration_work_items i
    where i.table_id = t.table_id and i.kind = 'chunk'
) c
order by t.table_id desc;

insert into migration_status.schema_migrations (version, description, success, checksum, execution_time)
values (2, 'rejected_rows', true, '\x9D336E440D8AF0AA2D9E1992548CFFE0C3F247C3E5A7F97F8C9A0B4ED94ED7569575341989392CB3938CA3F61539D5F5', 0);
-- Work that a time budget (`--deadline`) has interrupted again and again will never fit into it.

alter table migration_status.migration_work_items
    add overrun_count integer not null default 0;
comment on column migration_status.migration_work_items.overrun_count is
    'Tries that had at least half of a time budget and were not done at its end.';

-- Views may only grow at their end.
create or replace view migration_status.migration_chunk_status as
select t.run_id, t.source_name, t.source_database, t.source_schema, t.source_table,
       t.target_schema, t.target_table, i.table_id, i.item_id as chunk_id, i.extent as chunk_range,
       i.status, i.rows_inserted + i.rows_updated + i.rows_skipped as rows_copied,
       i.rows_read, i.rows_inserted, i.rows_updated, i.rows_skipped, i.bytes_sent,
       i.expected_rows, i.estimated_rows, i.started_at, i.completed_at, i.retry_count,
       i.crash_count, i.not_before, i.lease_holder, i.lease_until, i.error_code, i.error_message,
       i.rows_rejected, i.overrun_count
from migration_status.migration_work_items i
join migration_status.migration_table_status t using (table_id)
where i.kind = 'chunk';

insert into migration_status.schema_migrations (version, description, success, checksum, execution_time)
values (3, 'overruns', true, '\x5A8652CC9C0BC27227E45577FDC5F6129488188E925AE106B1A2F8386312519BDAD63BEE8A29022F35E177ECB3D32508', 0);
-- A run is at work while it plans or rests between two leases, too.

alter table migration_status.migration_runs
    add alive_until timestamptz;
comment on column migration_status.migration_runs.alive_until is
    'Until when the processes of the run count as at work; they put it off for as long as they live.';

insert into migration_status.schema_migrations (version, description, success, checksum, execution_time)
values (4, 'alive_until', true, '\xDC0C15A2F182F442AAD8B71D76DC731F721B04BED4FB6DA574A74BF21402BCF06BA7C31B1ECB3875F25F2AC2E4F86391', 0);
commit;
