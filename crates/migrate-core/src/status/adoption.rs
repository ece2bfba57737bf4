//! Which table starts, goes on, or is done: the pure part of [`begin_run`](super::RunStore::begin_run),
//! shared by every store.

use std::time::Duration;

use super::{Outcome, Resume, RunId, RunRequest, TableId, TableRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::name::TableRef;

/// What a store knows of an earlier entry for one of the requested targets.
#[derive(Debug, Clone)]
pub struct KnownTable {
    /// Its id; newer entries have greater ones.
    pub id: TableId,
    /// The run it belongs to.
    pub run: RunId,
    /// The target.
    pub target: TableRef,
    /// What it was made for.
    pub fingerprint: String,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// How its run ended; `None` while it has not.
    pub run_outcome: Option<Outcome>,
    /// Time since the last sign of life of its run.
    pub silent_for: Duration,
    /// The step that empties it together with other tables, while that is still to be done.
    pub emptied_with: Option<SharedEmptying>,
}

/// A step that empties several tables in one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedEmptying {
    /// The entry that has the step.
    pub leader: TableId,
    /// How many tables are emptied.
    pub table_count: usize,
}

impl KnownTable {
    fn is_done(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Completed | Outcome::CompletedWithRejects))
    }

    fn is_unfinished(&self) -> bool {
        !self.is_done() && self.outcome != Some(Outcome::Superseded)
    }

    fn run_is_open(&self) -> bool {
        matches!(
            self.run_outcome,
            None | Some(Outcome::Partial | Outcome::Failed | Outcome::Paused)
        )
    }
}

/// What happens with one requested table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// A new entry.
    Start,
    /// The entry goes on.
    Resume(TableId, RunId),
    /// The entry is completed.
    Done(TableId, RunId),
}

/// What happens with all of them.
#[derive(Debug, Clone)]
pub struct Adoptions {
    /// The run of this invocation; new entries belong to it.
    pub run: RunId,
    /// Whether it exists already.
    pub resumed: bool,
    /// One per requested table, in order.
    pub tables: Vec<Adoption>,
    /// What the operator should know, per requested table.
    pub notes: Vec<Vec<String>>,
    /// Unfinished entries of the same targets that must not write any more.
    pub superseded: Vec<TableId>,
}

/// Decides about a request. `known` are all entries of its targets that are not superseded, in
/// ascending order of their ids.
///
/// # Errors
///
/// `Config` when the request names one job twice; `NotFound` when it asks for a run that has none of
/// its tables.
pub fn adopt(request: &RunRequest, known: &[KnownTable]) -> Result<Adoptions> {
    refuse_twins(&request.tables)?;
    let candidates: Vec<Option<&KnownTable>> =
        request.tables.iter().map(|table| candidate(request, table, known)).collect();
    let candidates = whole_groups(&candidates);
    let resumed_runs: Vec<RunId> = match (request.resume, request.joined) {
        (_, Some(run)) => vec![run],
        (Resume::Run(run), None) if candidates.iter().any(Option::is_some) => vec![run],
        (Resume::Run(run), None) => return Err(unknown_run(run)),
        (Resume::Auto { .. } | Resume::Never, None) => {
            let mut going_on: Vec<&KnownTable> =
                candidates.iter().flatten().copied().filter(|entry| !entry.is_done()).collect();
            going_on.sort_by_key(|entry| entry.id);
            going_on.iter().map(|entry| entry.run).collect()
        }
    };
    let tables: Vec<Adoption> = candidates
        .iter()
        .map(|candidate| match candidate {
            Some(entry) if !entry.is_done() => Adoption::Resume(entry.id, entry.run),
            // A finished table is skipped only while its run goes on for another one: whoever asks
            // for it alone wants it loaded again.
            Some(entry) if resumed_runs.contains(&entry.run) => Adoption::Done(entry.id, entry.run),
            _ => Adoption::Start,
        })
        .collect();
    let superseded = known
        .iter()
        .filter(|entry| entry.is_unfinished())
        .filter(|entry| request.tables.iter().any(|table| table.target == entry.target))
        .filter(|entry| !tables.contains(&Adoption::Resume(entry.id, entry.run)))
        .map(|entry| entry.id)
        .collect::<Vec<_>>();
    let notes = request
        .tables
        .iter()
        .zip(&tables)
        .map(|(table, adoption)| match adoption {
            Adoption::Start => why_anew(request.resume, table, known).into_iter().collect(),
            Adoption::Resume(..) | Adoption::Done(..) => Vec::new(),
        })
        .collect();
    let newest = resumed_runs.last().copied();
    Ok(Adoptions {
        run: newest.unwrap_or(request.new_run),
        resumed: newest.is_some(),
        tables,
        notes,
        superseded,
    })
}

/// Tables that wait to be emptied together go on together or not at all: one that went on alone
/// would empty the others under the hands of whoever loads them now, or of nobody.
fn whole_groups<'a>(candidates: &[Option<&'a KnownTable>]) -> Vec<Option<&'a KnownTable>> {
    let is_whole = |shared: SharedEmptying| {
        let leaders = candidates.iter().flatten().filter_map(|entry| entry.emptied_with);
        leaders.filter(|other| other.leader == shared.leader).count() == shared.table_count
    };
    let goes_on = |entry: &&KnownTable| entry.emptied_with.is_none_or(is_whole);
    candidates.iter().map(|candidate| candidate.filter(goes_on)).collect()
}

fn candidate<'a>(
    request: &RunRequest,
    table: &TableRequest,
    known: &'a [KnownTable],
) -> Option<&'a KnownTable> {
    known.iter().rev().find(|entry| {
        let allowed = match request.resume {
            Resume::Never => false,
            _ if request.joined == Some(entry.run) => true,
            Resume::Auto { max_age } => entry.run_is_open() && entry.silent_for <= max_age,
            Resume::Run(run) => entry.run == run,
        };
        allowed && entry.target == table.target && entry.fingerprint == table.fingerprint
    })
}

/// Says why unfinished work of the same target is not continued.
fn why_anew(resume: Resume, table: &TableRequest, known: &[KnownTable]) -> Option<String> {
    let left =
        known.iter().rev().find(|entry| entry.is_unfinished() && entry.target == table.target)?;
    let why = match resume {
        Resume::Never => "resuming was switched off".to_owned(),
        Resume::Run(run) if run != left.run => format!("only run {run} was to be resumed"),
        Resume::Auto { max_age }
            if left.fingerprint == table.fingerprint && left.silent_for > max_age =>
        {
            format!("its last sign of life is {} hours old", left.silent_for.as_secs() / 3600)
        }
        _ if left.fingerprint == table.fingerprint => {
            "tables that were to be emptied with it have changed or are not selected".to_owned()
        }
        _ => "the table's configuration has changed".to_owned(),
    };
    Some(format!("starts anew instead of resuming run {}: {why}", left.run))
}

fn refuse_twins(tables: &[TableRequest]) -> Result<()> {
    for (position, table) in tables.iter().enumerate() {
        let twin = tables
            .iter()
            .take(position)
            .any(|other| other.target == table.target && other.fingerprint == table.fingerprint);
        if twin {
            return Err(Error::new(
                ErrorKind::Config,
                format!("{} is loaded twice into {}", table.source, table.target),
            )
            .with_hint("remove one of the two equal entries, or give them different filters"));
        }
    }
    Ok(())
}

fn unknown_run(run: RunId) -> Error {
    Error::new(ErrorKind::NotFound, "The run to resume has none of the selected tables")
        .with("run", run)
        .with_hint(
            "look up its id in migration_status.migration_runs; a table whose configuration has \
             changed since cannot be resumed",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: Duration = Duration::from_hours(168);

    fn wanted(target: &str, fingerprint: &str) -> TableRequest {
        TableRequest {
            source_name: "s".into(),
            source: TableRef::bare(target.to_uppercase()),
            target: TableRef::bare(target),
            fingerprint: fingerprint.into(),
        }
    }

    fn entry(id: i64, run: RunId, target: &str, outcome: Option<Outcome>) -> KnownTable {
        KnownTable {
            id: TableId(id),
            run,
            target: TableRef::bare(target),
            fingerprint: "f".into(),
            outcome,
            run_outcome: None,
            silent_for: Duration::from_mins(1),
            emptied_with: None,
        }
    }

    fn request(tables: Vec<TableRequest>) -> RunRequest {
        RunRequest::new(RunId::random(), tables, "test")
    }

    #[test]
    fn an_unfinished_table_goes_on_and_a_finished_sibling_is_done() {
        let run = RunId::random();
        let known = [
            entry(1, run, "a", Some(Outcome::Completed)),
            entry(2, run, "b", Some(Outcome::Failed)),
        ];
        let both = request(vec![wanted("a", "f"), wanted("b", "f"), wanted("c", "f")]);
        let adopted = adopt(&both, &known).expect("decides");
        assert_eq!(
            adopted.tables,
            [Adoption::Done(TableId(1), run), Adoption::Resume(TableId(2), run), Adoption::Start]
        );
        assert_eq!((adopted.run, adopted.resumed), (run, true));
        assert!(adopted.superseded.is_empty());
    }

    #[test]
    fn a_finished_table_asked_for_alone_is_loaded_again() {
        let run = RunId::random();
        let known = [entry(1, run, "a", Some(Outcome::Completed))];
        let alone = request(vec![wanted("a", "f")]);
        let adopted = adopt(&alone, &known).expect("decides");
        assert_eq!(adopted.tables, [Adoption::Start]);
        assert_eq!((adopted.run, adopted.resumed), (alone.new_run, false));
        assert!(adopted.superseded.is_empty(), "completed work is history, not a rival");
    }

    #[test]
    fn a_changed_configuration_supersedes_and_says_so() {
        let run = RunId::random();
        let known = [entry(1, run, "a", None)];
        let adopted = adopt(&request(vec![wanted("a", "other")]), &known).expect("decides");
        assert_eq!(adopted.tables, [Adoption::Start]);
        assert_eq!(adopted.superseded, [TableId(1)]);
        assert!(adopted.notes[0][0].contains("configuration has changed"), "{:?}", adopted.notes);
    }

    #[test]
    fn age_counts_from_the_last_sign_of_life() {
        let mut old = entry(1, RunId::random(), "a", None);
        old.silent_for = WEEK + Duration::from_secs(1);
        let adopted = adopt(&request(vec![wanted("a", "f")]), &[old.clone()]).expect("decides");
        assert_eq!(adopted.tables, [Adoption::Start]);
        assert!(adopted.notes[0][0].contains("168 hours old"), "{:?}", adopted.notes);

        let by_id = request(vec![wanted("a", "f")]).with_resume(Resume::Run(old.run));
        let adopted = adopt(&by_id, &[old.clone()]).expect("decides");
        assert_eq!(adopted.tables, [Adoption::Resume(TableId(1), old.run)]);
    }

    #[test]
    fn not_resuming_supersedes_every_unfinished_rival() {
        let known = [entry(1, RunId::random(), "a", None), entry(2, RunId::random(), "z", None)];
        let anew = request(vec![wanted("a", "f")]).with_resume(Resume::Never);
        let adopted = adopt(&anew, &known).expect("decides");
        assert_eq!(adopted.superseded, [TableId(1)], "other targets are not touched");
    }

    #[test]
    fn tables_that_wait_to_be_emptied_together_go_on_together_or_start_anew() {
        let run = RunId::random();
        let shared = Some(SharedEmptying { leader: TableId(1), table_count: 2 });
        let known = ["a", "b"].map(|name| KnownTable {
            emptied_with: shared,
            ..entry(if name == "a" { 1 } else { 2 }, run, name, None)
        });
        let both = request(vec![wanted("a", "f"), wanted("b", "f")]);
        let adopted = adopt(&both, &known).expect("decides");
        assert_eq!(
            adopted.tables,
            [Adoption::Resume(TableId(1), run), Adoption::Resume(TableId(2), run)]
        );

        for alone in [vec![wanted("a", "f"), wanted("b", "changed")], vec![wanted("a", "f")]] {
            let adopted = adopt(&request(alone), &known).expect("decides");
            assert!(adopted.tables.iter().all(|one| *one == Adoption::Start), "{adopted:?}");
            assert!(adopted.notes[0][0].contains("emptied with it"), "{:?}", adopted.notes);
            assert!(adopted.superseded.contains(&TableId(1)));
        }
    }

    #[test]
    fn a_joined_run_counts_its_finished_tables_though_it_was_closed_here() {
        let run = RunId::random();
        let mut done = entry(1, run, "a", Some(Outcome::Completed));
        done.run_outcome = Some(Outcome::Completed);
        let joining = request(vec![wanted("a", "f"), wanted("b", "f")]).with_joined(Some(run));
        let adopted = adopt(&joining, &[done]).expect("decides");
        assert_eq!(adopted.tables, [Adoption::Done(TableId(1), run), Adoption::Start]);
        assert_eq!((adopted.run, adopted.resumed), (run, true));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let twice = request(vec![wanted("a", "f"), wanted("a", "f")]);
        assert_eq!(adopt(&twice, &[]).expect_err("twins").kind(), ErrorKind::Config);
        let nowhere = request(vec![wanted("a", "f")]).with_resume(Resume::Run(RunId::random()));
        assert_eq!(adopt(&nowhere, &[]).expect_err("unknown").kind(), ErrorKind::NotFound);
    }
}
