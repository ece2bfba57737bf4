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
