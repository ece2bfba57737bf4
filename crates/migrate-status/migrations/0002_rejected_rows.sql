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
