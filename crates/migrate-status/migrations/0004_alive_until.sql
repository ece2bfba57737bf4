-- A run is at work while it plans or rests between two leases, too.

alter table migration_status.migration_runs
    add alive_until timestamptz;
comment on column migration_status.migration_runs.alive_until is
    'Until when the processes of the run count as at work; they put it off for as long as they live.';
