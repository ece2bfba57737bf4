//! Every SQLSTATE and what becomes of the work that it ended: tried again, or explained.
//!
//! The only table of SQLSTATEs. Classes and codes: PostgreSQL manual, appendix A, versions 13 to 18
//! (`sqlstates.txt`). A class has a verdict, and so has each code that means something else than its
//! class; each verdict ends with a next step. Errors of the driver are in [`driver`](super::driver).

use migrate_core::{ErrorCode, ErrorKind, code};

/// What a state means for the caller, and the next step.
type Verdict = (ErrorCode, &'static str);

/// The verdict on a state. `routine` is the function of the server that reported it, which is not
/// translated as messages are; it tells apart what shares a code.
pub(crate) fn verdict(state: &str, routine: Option<&str>) -> Verdict {
    by_routine(state, routine.unwrap_or_default())
        .or_else(|| by_code(state))
        .or_else(|| by_class(state.get(..2).unwrap_or_default()))
        .unwrap_or((code::VALUE_REFUSED, TRIGGER))
}

#[expect(clippy::unnecessary_wraps, reason = "the word of tables that may not know a code")]
fn kind(kind: ErrorKind, hint: &'static str) -> Option<Verdict> {
    Some((kind.into(), hint))
}

/// Codes that mean different things, told apart by who reports them.
fn by_routine(state: &str, routine: &str) -> Option<Verdict> {
    match (state, routine) {
        // A table was altered under a prepared statement; a new session prepares anew.
        ("0A000", "RevalidateCachedQuery") => kind(
            ErrorKind::Connection,
            "do not alter tables during a run; the work is tried again in a new session",
        ),
        // "tuple concurrently updated": two sessions changed one row of the catalog.
        ("XX000", "simple_heap_update" | "simple_heap_delete") => kind(
            ErrorKind::Throttled,
            "do not alter the table during a run; the work is tried again",
        ),
        // One row, or one entry of an index, is too large: that is about the row.
        (
            "54000",
            "RelationGetBufferForTuple"
            | "_bt_check_third_page"
            | "index_form_tuple"
            | "index_form_tuple_context"
            | "GinFormTuple"
            | "brin_form_tuple",
        ) => Some((
            code::VALUE_REFUSED,
            "shorten the value in the source, or drop the index that cannot hold it",
        )),
        _ => None,
    }
}

/// Codes that mean something else than their class.
fn by_code(state: &str) -> Option<Verdict> {
    data(state).or_else(|| object(state)).or_else(|| server(state))
}

/// Codes about values.
fn data(state: &str) -> Option<Verdict> {
    match state {
        "23505" => kind(
            ErrorKind::Conflict,
            "the key exists in the target; empty it, or set `uniqueness_columns`",
        ),
        "23001" | "23502" | "23503" | "23514" | "23P01" => Some((
            code::VALUE_REFUSED,
            "correct or filter the rows that break the constraint, or the constraint",
        )),
        "22P04" => kind(ErrorKind::Internal, REPORT),
        _ => None,
    }
}

/// Codes about objects and rights.
fn object(state: &str) -> Option<Verdict> {
    match state {
        "3D000" => Some((code::DATABASE_MISSING, "create it, or correct `target_pg_database`")),
        "57P04" => Some((code::DATABASE_MISSING, "the database was dropped; create it")),
        "3F000" => kind(ErrorKind::NotFound, "create the schema, or correct `target_pg_schema`"),
        "42P01" => Some((code::TARGET_TABLE_MISSING, "create the table, or correct `target`")),
        "42703" => Some((code::COLUMN_MISSING, "compare the column names of source and target")),
        "42704" | "42883" => kind(
            ErrorKind::NotFound,
            "create what the message names, or give its column a type that has it",
        ),
        "42501" => kind(ErrorKind::Auth, "grant the role the missing right; see docs/security.md"),
        "42P10" => Some((
            code::KEY_NOT_UNIQUE,
            "create a unique index on exactly the columns of `uniqueness_columns`",
        )),
        "42804" | "42846" | "42809" | "428C9" => kind(
            ErrorKind::SchemaMismatch,
            "the target is not what was planned; undo its change, or plan anew with --no-resume",
        ),
        "42P04" | "42P06" | "42P07" | "42710" | "42723" => kind(
            ErrorKind::Conflict,
            "something of that name exists already; rename or drop it, then run again",
        ),
        _ => None,
    }
}

/// Codes about the server, its sessions and its limits.
fn server(state: &str) -> Option<Verdict> {
    match state {
        "08P01" => kind(
            ErrorKind::Connection,
            "check that the address is a PostgreSQL server, and the log of a pooler before it",
        ),
        "25006" => kind(
            ErrorKind::Connection,
            "the server only reads: connect to the primary, or wait for the failover to end",
        ),
        "25P03" => kind(
            ErrorKind::Connection,
            "this process stood still within a transaction; give its machine more room",
        ),
        "25P04" => kind(
            ErrorKind::Timeout,
            "raise `transaction_timeout` for the role: alter role … set transaction_timeout = 0",
        ),
        "26000" | "42P05" => kind(
            ErrorKind::Unsupported,
            "a pooler hands out a session per transaction; let it pool sessions, or connect to the \
             server itself",
        ),
        "40002" => Some((code::VALUE_REFUSED, VALUES)),
        "53100" => kind(ErrorKind::ResourceExhausted, "free disk space on the server"),
        "53200" => kind(
            ErrorKind::ResourceExhausted,
            "lower `parallel_threads`, or give the server more memory or \
             `max_locks_per_transaction`",
        ),
        "53300" => kind(
            ErrorKind::ResourceExhausted,
            "lower `parallel_threads`, or raise `max_connections` of the server, or the limit of \
             the role or the database",
        ),
        "53400" => kind(
            ErrorKind::Config,
            "raise the limit that the message names, such as `temp_file_limit`, for the role",
        ),
        "55000" => kind(
            ErrorKind::Unsupported,
            "bring the object into the state that the message asks for, then run again",
        ),
        "55P02" => kind(
            ErrorKind::Config,
            "change the setting that the message names in the server's configuration",
        ),
        "55P03" => kind(ErrorKind::Timeout, "end the session that holds the lock"),
        "55P04" => kind(ErrorKind::SchemaMismatch, "commit the new enum value, then run again"),
        "57014" => kind(
            ErrorKind::Timeout,
            "somebody cancelled the statement, or a limit of a pooler did; find out who, and run \
             again",
        ),
        "58P01" | "58P02" | "58P03" => kind(
            ErrorKind::Unsupported,
            "a file of the server or of an extension is amiss; look into the server's log",
        ),
        "F0001" => kind(ErrorKind::Config, "look into the server's log: its lock file is in use"),
        "HV00N" => kind(
            ErrorKind::Connection,
            "check the foreign server that the target or its trigger uses",
        ),
        "XX001" | "XX002" => Some((
            code::TARGET_DAMAGED,
            "do not load into this database before it is checked: pg_amcheck, the server's log, \
             the last backup",
        )),
        _ => None,
    }
}

/// Classes. A class that is not here is not the server's: a trigger made it up.
fn by_class(class: &str) -> Option<Verdict> {
    match class {
        // Connection exception; operator intervention: shutdown, starting up, ended sessions.
        "08" => kind(ErrorKind::Connection, "check the network, and that the server is up"),
        "57" => kind(
            ErrorKind::Connection,
            "wait until the server is up again, or ask who ended the session",
        ),
        // Triggered action, SQL routine, triggered change, external routine: code of the table.
        "09" | "27" | "2F" | "38" | "39" | "P0" => Some((code::VALUE_REFUSED, TRIGGER)),
        "0A" => kind(
            ErrorKind::Unsupported,
            "change the table so that it does without what the message names",
        ),
        // Success, warnings, no data, which end no statement; transactions, cursors, savepoints,
        // statement names, syntax: this program's own doing.
        "00" | "01" | "02" | "03" | "0B" | "0F" | "0Z" | "20" | "24" | "25" | "26" | "2D"
        | "34" | "3B" | "42" => kind(ErrorKind::Internal, REPORT),
        // Grantor, role specification, authorization.
        "0L" | "0P" => kind(ErrorKind::Auth, "correct the grants of the role"),
        "28" => kind(ErrorKind::Auth, "correct `postgres.user` and `postgres.password`"),
        "2B" => kind(ErrorKind::Conflict, "revoke the rights that depend on it first"),
        // XQuery, cardinality, data exception, integrity constraint, check option.
        "10" | "21" | "22" | "44" => Some((code::VALUE_REFUSED, VALUES)),
        "23" => Some((
            code::VALUE_REFUSED,
            "correct or filter the rows that break the constraint, or the constraint",
        )),
        // Catalog and schema names.
        "3D" | "3F" => kind(
            ErrorKind::NotFound,
            "create it, or correct `target_pg_database` and `target_pg_schema`",
        ),
        // Rollback by the server: serialization, deadlock.
        "40" => kind(ErrorKind::Throttled, "run again, without other writers on the table"),
        "53" => kind(ErrorKind::ResourceExhausted, "give the server more memory or disk space"),
        "54" => kind(
            ErrorKind::Unsupported,
            "stay below the limit that the message names; the server's log has more",
        ),
        "55" => kind(
            ErrorKind::Throttled,
            "end the session that uses the object, or wait until it has ended",
        ),
        "58" => kind(
            ErrorKind::ResourceExhausted,
            "look into the server's log: its disk or operating system failed",
        ),
        "72" => kind(ErrorKind::Throttled, "raise `old_snapshot_threshold`, then run again"),
        "F0" => kind(ErrorKind::Config, "correct the server's configuration file"),
        "HV" => kind(
            ErrorKind::Unsupported,
            "look into the foreign server that the target or its trigger uses",
        ),
        "XX" => kind(
            ErrorKind::Internal,
            "look into the server's log; report this with the log of the run",
        ),
        _ => None,
    }
}

const VALUES: &str = "correct or filter the rows in the source, or widen the target column";
const TRIGGER: &str = "correct the rows, or correct or disable the trigger of the table";
const REPORT: &str = "report this with the log of the run";

/// A sentence of ours for states that are about values, whose messages quote cells.
/// Whether the server refused a row for what is in it: without that row, the rest may pass.
pub fn is_about_row(state: &str) -> bool {
    // A malformed COPY is our own mistake, whatever row it ends at. What an index cannot hold is one
    // row's doing.
    state == "54000" || (state != "22P04" && about_data(state, None).is_some())
}

pub(crate) fn about_data(state: &str, routine: Option<&str>) -> Option<&'static str> {
    const RAISED: &str = "a trigger or function of the table raised an error";
    // `raise` of PL/pgSQL takes any state, and any text.
    if routine == Some("exec_stmt_raise") {
        return Some(RAISED);
    }
    Some(match state {
        "22001" => "a text is too long for its column",
        "22003" => "a number is out of the range of its column",
        "22007" | "22008" => "a date or time is not one that the column takes",
        "22021" => "a text has characters that the database's encoding lacks",
        "22P02" => "a value is none of the column's type",
        "22P05" => "a text has U+0000, which PostgreSQL cannot store",
        "23502" => "a value is NULL where the column is NOT NULL",
        "23503" => "a foreign key has no counterpart",
        "23505" => "a key exists already",
        "23514" => "a check constraint does not hold",
        "23P01" => "an exclusion constraint does not hold",
        _ => match state.get(..2)? {
            "10" | "21" | "22" | "44" => "a value does not fit the table",
            "23" => "a constraint of the table does not hold",
            "09" | "27" | "2F" | "38" | "39" | "P0" => RAISED,
            class if by_class(class).is_none() => RAISED,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use migrate_core::Retry;

    use super::*;

    /// Every code of the manual, with its name there.
    fn manual() -> impl Iterator<Item = (&'static str, &'static str)> {
        include_str!("sqlstates.txt").lines().filter_map(|line| line.split_once(' '))
    }

    fn retry(state: &str) -> Retry {
        verdict(state, None).0.kind().retry()
    }

    #[test]
    fn every_class_of_the_manual_has_a_verdict() {
        assert!(manual().count() > 250, "the list is the manual's");
        for (state, name) in manual() {
            assert_eq!(state.len(), 5, "{state}");
            assert!(by_class(&state[..2]).is_some(), "{state} {name}");
        }
    }

    #[test]
    fn exactly_what_passes_by_itself_is_retried() {
        let passing: Vec<&str> = manual()
            .map(|(state, _)| state)
            .filter(|state| retry(state) == Retry::AfterDelay)
            .collect();
        assert_eq!(
            passing,
            [
                "08000", "08001", "08003", "08004", "08006", "08007", "08P01", // connection
                "25006", "25P03", "25P04", // reads only; ended by a limit
                "40000", "40001", "40003", "40P01", // serialization, deadlock
                "53000", "53100", "53200", "53300", // memory, disk, connections
                "55006", "55P03", // in use, locked
                "57000", "57014", "57P01", "57P02", "57P03", "57P05", // operator
                "58000", "58030", // system
                "72000", "HV00N",
            ]
        );
    }

    #[test]
    fn damage_is_never_retried_and_has_a_code_of_its_own() {
        for state in ["XX001", "XX002"] {
            assert_eq!(verdict(state, None).0, code::TARGET_DAMAGED);
            assert_eq!(retry(state), Retry::Never);
        }
    }

    #[test]
    fn every_verdict_ends_with_a_next_step() {
        let made_up = ["ZZ123", "U0001", ""].map(|state| (state, "made up"));
        for (state, name) in manual().chain(made_up) {
            let (_, hint) = verdict(state, None);
            assert!(hint.len() > 15, "{state} {name}: {hint}");
            assert!(!hint.ends_with('.') && !hint.contains("  "), "{state} {name}: {hint}");
        }
    }

    #[test]
    fn what_shares_a_code_is_told_apart_by_who_reports_it() {
        let of = |state, routine| verdict(state, Some(routine)).0.kind();
        assert_eq!(of("0A000", "RevalidateCachedQuery").retry(), Retry::AfterDelay);
        assert_eq!(of("0A000", "transformSelectStmt"), ErrorKind::Unsupported);
        assert_eq!(of("XX000", "simple_heap_update").retry(), Retry::AfterDelay);
        assert_eq!(of("XX000", "palloc").retry(), Retry::Never);
        assert_eq!(of("54000", "_bt_check_third_page"), ErrorKind::DataInvalid);
        assert_eq!(of("54000", "GetNewTransactionId"), ErrorKind::Unsupported);
    }

    #[test]
    fn a_state_that_a_trigger_made_up_is_about_its_rows_and_its_text_is_kept_back() {
        for state in ["U0001", "99999"] {
            assert_eq!(verdict(state, None).0, code::VALUE_REFUSED);
            assert!(about_data(state, None).is_some(), "{state}");
        }
        assert!(about_data("53100", Some("exec_stmt_raise")).is_some());
        assert!(about_data("53100", Some("mdextend")).is_none());
    }

    #[test]
    fn only_what_a_row_holds_can_put_it_aside() {
        for state in ["22001", "22P05", "23502", "23503", "23505", "23514", "23P01", "44000"] {
            assert!(is_about_row(state), "{state}");
        }
        for state in ["P0001", "45000", "54000"] {
            assert!(is_about_row(state), "{state}");
        }
        for state in ["08006", "53100", "57014", "57P01", "40P01", "55P03", "25006", "42501"] {
            assert!(!is_about_row(state), "{state}");
        }
        assert!(!is_about_row("22P04"), "a malformed COPY is no bad row");
    }

    #[test]
    fn whatever_is_about_values_has_a_sentence_of_ours() {
        for (state, name) in manual().filter(|(state, _)| *state != "22P04") {
            let is_data = verdict(state, None).0.kind() == ErrorKind::DataInvalid;
            if is_data && state != "40002" {
                assert!(about_data(state, None).is_some(), "{state} {name}");
            }
        }
    }
}
