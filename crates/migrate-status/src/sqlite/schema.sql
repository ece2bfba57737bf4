-- The ledger of the migration engine in one file. Times are milliseconds since 1970 by the clock of
-- the machine; a table of the source or the target is the JSON form of its name.

create table migration_runs (
    run_id       text primary key,
    status       text not null default 'running',
    created_by   text not null,
    started_at   integer not null,
    heartbeat_at integer not null,
    completed_at integer
) strict;

-- The moment of each source that all tables of a run read.
create table migration_snapshots (
    run_id      text not null references migration_runs on delete cascade,
    source_name text not null,
    moment      text not null,
    primary key (run_id, source_name)
) strict;

create table migration_table_status (
    table_id      integer primary key autoincrement,
    run_id        text not null references migration_runs on delete cascade,
    source_name   text not null,
    source        text not null,
    target        text not null,
    fingerprint   text not null,
    status        text not null default 'pending',
    started_at    integer not null,
    completed_at  integer,
    error_message text,
    plan          text
) strict;
create index migration_table_status_target on migration_table_status (target);
create index migration_table_status_run on migration_table_status (run_id);

-- Leased work. lease_token fences: only its holder completes the work.
create table migration_work_items (
    table_id      integer not null references migration_table_status on delete cascade,
    kind          text not null,
    item_id       integer not null,
    status        text not null default 'pending',
    chunk         text,
    rows_read     integer not null default 0,
    rows_inserted integer not null default 0,
    rows_updated  integer not null default 0,
    rows_skipped  integer not null default 0,
    rows_rejected integer not null default 0,
    bytes_sent    integer not null default 0,
    retry_count   integer not null default 0,
    crash_count   integer not null default 0,
    overrun_count integer not null default 0,
    not_before    integer not null default 0,
    lease_token   text,
    lease_holder  text,
    lease_until   integer,
    error_code    text,
    error_message text,
    primary key (table_id, kind, item_id)
) strict;
create index migration_work_items_open on migration_work_items (table_id, kind, item_id)
    where status in ('pending', 'in_progress');
create index migration_work_items_token on migration_work_items (lease_token)
    where lease_token is not null;
