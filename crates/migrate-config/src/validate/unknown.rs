//! Keys that people look for in the wrong place.

/// Which object a key stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Snowflake,
    Postgres,
    Connector,
    Source,
    Table,
    Column,
    Chunking,
}

const TABLE_KEYS: [&str; 12] = [
    "source",
    "target",
    "source_filter",
    "target_filter",
    "chunking_columns",
    "chunking_column_types",
    "uniqueness_columns",
    "sort_columns",
    "source_watermark",
    "target_watermark",
    "column_mapping",
    "column_policies",
];

const SOURCE_KEYS: [&str; 6] = [
    "source_name",
    "source_sf_database",
    "source_sf_schema",
    "target_pg_database",
    "target_pg_schema",
    "tables",
];

const ROOT_KEYS: [&str; 8] = [
    "snowflake",
    "postgres",
    "sources",
    "status",
    "memory_budget",
    "lease_seconds",
    "lambda_timeout_buffer_seconds",
    "status_tracking_database",
];

/// A hint for a key that is not known at `place`; `None` where only its spelling can help.
pub(super) fn hint(place: Place) -> impl Fn(&str) -> Option<String> {
    move |key| meaning(place, key).map(str::to_owned).or_else(|| elsewhere(place, key))
}

fn meaning(place: Place, key: &str) -> Option<&'static str> {
    let hint = match (place, key) {
        (Place::Snowflake, "private_key" | "private_key_path" | "private_key_file") => {
            "use \"rsa_key\"; it takes a path or the content"
        }
        (Place::Snowflake, "private_key_passphrase") => "use \"rsa_key_passphrase\"",
        (Place::Snowflake, "database") => "set \"source_sf_database\" at each source",
        (Place::Snowflake, "schema") => "set \"source_sf_schema\" at each source",
        (Place::Snowflake, "authenticator") => {
            "remove it; rsa_key, password or oauth_token decide how to log in"
        }
        (Place::Postgres, "database" | "dbname") => "set \"target_pg_database\" at each source",
        (Place::Postgres, "schema") => "set \"target_pg_schema\" at each source",
        (Place::Source, "source_sf_database" | "source_sf_schema") => {
            "remove it; only sources of type \"snowflake\" have it"
        }
        (Place::Source, "path") => "add \"type\": \"parquet\", or remove it",
        (_, "tables_filter") => {
            "remove it, it has no effect; set \"enabled\": false at the tables to leave out"
        }
        (_, "no_resume" | "resume_max_age" | "resume_max_age_hours" | "resume_run_id") => {
            "remove it; resuming is chosen at each start, on the command line or in the event"
        }
        (_, "log_level") => "remove it; use --log-level",
        (_, "dry_run") => "remove it; use --dry-run",
        (_, "env_file") => "remove it; use --env-file",
        (_, "environment" | "migration_version" | "version" | "defaults") => {
            "remove it, it has no effect"
        }
        (_, "comment" | "_comment" | "comments" | "_comments" | "//" | "description" | "notes") => {
            "write it as a comment: // …"
        }
        _ => return None,
    };
    Some(hint)
}

fn elsewhere(place: Place, key: &str) -> Option<String> {
    let home = if TABLE_KEYS.contains(&key) && place != Place::Table {
        "an entry of \"tables\""
    } else if SOURCE_KEYS.contains(&key) && place != Place::Source {
        "an entry of \"sources\""
    } else if ROOT_KEYS.contains(&key) && place != Place::Root {
        "the top level"
    } else {
        return None;
    };
    Some(format!("move it to {home}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_the_wrong_place_are_sent_home() {
        let at = |place, key| hint(place)(key).unwrap_or_default();
        assert_eq!(at(Place::Source, "uniqueness_columns"), "move it to an entry of \"tables\"");
        assert_eq!(at(Place::Table, "memory_budget"), "move it to the top level");
        assert_eq!(at(Place::Root, "tables"), "move it to an entry of \"sources\"");
        assert!(at(Place::Root, "tables_filter").contains("\"enabled\": false"));
        assert_eq!(hint(Place::Table)("zebra"), None);
    }
}
