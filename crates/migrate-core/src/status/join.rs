//! Which part a process may take in a run that others have begun: the pure part of
//! [`join_run`](super::RunStore::join_run), shared by every store.

use super::{Outcome, RunHandle, RunId, TableHandle, TableId, TableRequest, TableState};
use crate::code;
use crate::error::{Error, ErrorKind, Result};
use crate::name::TableRef;

/// What a store knows of a run that somebody wants to join.
#[derive(Debug, Clone)]
pub struct JoinedRun {
    /// Its id.
    pub id: RunId,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// Whether somebody holds a lease of it at this moment.
    pub is_at_work: bool,
    /// Its entries that are not superseded.
    pub entries: Vec<RunEntry>,
}

/// One table of that run.
#[derive(Debug, Clone)]
pub struct RunEntry {
    /// Its id.
    pub id: TableId,
    /// Where rows come from.
    pub source: TableRef,
    /// Where they go.
    pub target: TableRef,
    /// What it was made for.
    pub fingerprint: String,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
}

/// Decides about a request; the answer has the tables in its order.
///
/// # Errors
///
/// `Conflict` for a run that has ended; [`JOB_DIFFERS`](code::JOB_DIFFERS) when the tables of both are
/// not the same, with the `entry` that differs where there is one.
pub fn join(run: &JoinedRun, tables: &[TableRequest]) -> Result<RunHandle> {
    refuse_ended(run)?;
    let handles = tables.iter().map(|table| entry_of(run, table)).collect::<Result<Vec<_>>>()?;
    // What a process does not know of it does not wait for: a foreign key to such a table would come
    // back before the rows that it needs.
    let is_known = |entry: &RunEntry| handles.iter().any(|handle| handle.id == entry.id);
    if let Some(left_out) = run.entries.iter().find(|one| one.outcome.is_none() && !is_known(one)) {
        return Err(Error::new(
            code::JOB_DIFFERS,
            format!("The run loads {} too, which is not selected here", left_out.target),
        )
        .with("run", run.id)
        .with_hint("use the configuration and the selection of sources with which the run began"));
    }
    Ok(RunHandle { run: run.id, resumed: true, tables: handles })
}

fn refuse_ended(run: &JoinedRun) -> Result<()> {
    let refused = |message: &'static str, hint: String| {
        Err(Error::new(ErrorKind::Conflict, message).with("run", run.id).with_hint(hint))
    };
    match run.outcome {
        None => Ok(()),
        Some(Outcome::Completed | Outcome::CompletedWithRejects) => refused(
            "The run is completed",
            "nothing is left to do; `migrate run` begins the next one".into(),
        ),
        Some(Outcome::Superseded) => refused(
            "A newer run has taken over the tables of this one",
            "look up its id in migration_status.v_active_migrations".into(),
        ),
        // Whoever has stopped may have left others at work.
        Some(_) if run.is_at_work => Ok(()),
        Some(_) => refused(
            "The run has ended, and nobody is at work on it",
            format!("go on with it: migrate run --resume-run-id {}", run.id),
        ),
    }
}

fn entry_of(run: &JoinedRun, table: &TableRequest) -> Result<TableHandle> {
    let mut of_target = run.entries.iter().filter(|entry| entry.target == table.target).peekable();
    let Some(nearest) = of_target.peek().copied() else {
        return Err(Error::new(
            code::JOB_DIFFERS,
            format!("The run does not load {}", table.target),
        )
        .with("run", run.id)
        .with_hint("use the configuration and the selection of sources with which the run began"));
    };
    let Some(entry) = of_target.find(|entry| entry.fingerprint == table.fingerprint) else {
        return Err(Error::new(
            code::JOB_DIFFERS,
            format!("The run loads {} in another way than this configuration", table.target),
        )
        .with("run", run.id)
        .with("entry", nearest.id)
        .with_hint("use the configuration with which the run began"));
    };
    let is_done = matches!(entry.outcome, Some(Outcome::Completed | Outcome::CompletedWithRejects));
    Ok(TableHandle {
        id: entry.id,
        run: run.id,
        state: if is_done { TableState::Completed } else { TableState::Resumed },
        notes: Vec::new(),
        has_leftovers: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(target: &str, fingerprint: &str) -> TableRequest {
        TableRequest {
            source_name: "s".into(),
            source: TableRef::bare("FROM"),
            target: TableRef::bare(target),
            fingerprint: fingerprint.into(),
        }
    }

    fn run(outcome: Option<Outcome>, is_at_work: bool) -> JoinedRun {
        let entry = |id, target: &str, outcome| RunEntry {
            id: TableId(id),
            source: TableRef::bare("FROM"),
            target: TableRef::bare(target),
            fingerprint: "f".into(),
            outcome,
        };
        let entries =
            vec![entry(1, "a", Some(Outcome::Completed)), entry(2, "b", None), entry(3, "b", None)];
        JoinedRun { id: RunId::random(), outcome, is_at_work, entries }
    }

    #[test]
    fn tables_are_found_by_target_and_fingerprint_in_the_order_of_the_request() {
        let mut run = run(None, false);
        run.entries[2].fingerprint = "g".into();
        let joined = join(&run, &[wanted("b", "g"), wanted("a", "f"), wanted("b", "f")]);
        let tables = joined.expect("joins").tables;
        let found: Vec<_> = tables.iter().map(|table| (table.id.0, table.state)).collect();
        assert_eq!(
            found,
            [(3, TableState::Resumed), (1, TableState::Completed), (2, TableState::Resumed)]
        );
    }

    #[test]
    fn other_tables_are_refused_by_name() {
        let run = run(None, true);
        let refused = |tables: &[TableRequest]| join(&run, tables).expect_err("refused");
        let differs = refused(&[wanted("b", "other")]);
        assert_eq!((differs.code(), differs.context("entry")), (code::JOB_DIFFERS, Some("2")));
        let unknown = refused(&[wanted("b", "f"), wanted("c", "f")]);
        assert!(unknown.to_string().contains("does not load c"), "{unknown}");
        let fewer = refused(&[wanted("a", "f")]);
        assert!(fewer.to_string().contains("loads b too"), "{fewer}");
    }

    #[test]
    fn a_run_that_has_ended_is_refused_unless_others_are_at_work() {
        let mut refusals = 0;
        for outcome in [Outcome::Completed, Outcome::Superseded, Outcome::Paused, Outcome::Failed] {
            for is_at_work in [false, true] {
                let mut run = run(Some(outcome), is_at_work);
                run.entries.truncate(2);
                match join(&run, &[wanted("b", "f")]) {
                    Ok(_) => assert!(is_at_work),
                    Err(error) => {
                        refusals += 1;
                        assert_eq!(error.kind(), ErrorKind::Conflict);
                        assert!(error.hint().is_some());
                    }
                }
            }
        }
        assert_eq!(refusals, 6);
    }
}
