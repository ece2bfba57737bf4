//! Planning one table: everything is decided here, before a row moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join;
use migrate_core::{
    Chunk, ChunkPlan, ColumnMatch, ColumnName, ColumnType, CommitGuarantee, Error, ErrorKind,
    Fidelity, Guarantee, LoadPlan, PlanFacts, Predicate, Pushdown, Result, Return, RunContext,
    RunId, SinkTable, Snapshot, SourceTable, TableDefinition, TableId, TablePlan, TableRef,
    WriteMode, code,
};

use crate::chunk_memory::largest_of;
use crate::cut::cut;
use crate::job::{
    BadRowPolicy, CreationPolicy, FidelityPolicy, NonemptyPolicy, SnapshotPolicy, TableJob,
};
use crate::left_aside::left_aside;
use crate::migration::Parts;
use crate::window;

/// Both ends of a table, with their metadata.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) source: Arc<dyn SourceTable>,
    pub(crate) sink: Arc<dyn SinkTable>,
}

/// A plan that is not stored yet, with what people want to see of it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) ends: Ends,
    pub(crate) plan: TablePlan,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) columns: Vec<ColumnPlan>,
    pub(crate) dropped: Vec<ColumnName>,
    pub(crate) unfilled: Vec<ColumnName>,
    pub(crate) referenced_by: Vec<TableRef>,
}

/// One column of a plan, for people.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ColumnPlan {
    /// Name in the source.
    pub source: ColumnName,
    /// The source's own type name.
    pub source_type: String,
    /// Name in the target.
    pub target: ColumnName,
    /// The target's own type name.
    pub target_type: String,
    /// What becomes of the values.
    pub fidelity: Fidelity,
}

/// What a dry run says of one table.
#[derive(Debug)]
#[non_exhaustive]
pub struct TablePreview {
    /// Where rows come from.
    pub source: TableRef,
    /// Where they go.
    pub target: TableRef,
    /// The run that would go on.
    pub resumes: Option<RunId>,
    /// What would be done, or why nothing can.
    pub plan: Result<Preview>,
}

/// What a run would do with one table.
#[derive(Debug)]
pub enum Preview {
    /// Copy it, by this new plan.
    New(Box<PlannedTable>),
    /// Go on with the plan that an earlier process has stored.
    GoOn(Box<TablePlan>),
    /// Nothing: it is completed, and its run goes on for other tables.
    Done,
}

/// The plan of a dry run.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedTable {
    /// Mode, filter, strategy and notes.
    pub plan: TablePlan,
    /// The chunks.
    pub chunks: Vec<Chunk>,
    /// The columns that are copied.
    pub columns: Vec<ColumnPlan>,
    /// Source columns without a counterpart.
    pub dropped: Vec<ColumnName>,
    /// Target columns that keep their default.
    pub unfilled: Vec<ColumnName>,
    /// Bytes that the largest chunk takes at the least while it runs.
    pub chunk_memory_bytes: u64,
}

/// How a target table would be created.
#[derive(Debug)]
#[non_exhaustive]
pub struct DefinedTable {
    /// The table whose rows it would hold.
    pub source: TableRef,
    /// Its name.
    pub target: TableRef,
    /// The statements, without semicolons, or why there are none.
    pub statements: Result<Vec<String>>,
}

impl From<Draft> for PlannedTable {
    fn from(draft: Draft) -> Self {
        Self {
            chunk_memory_bytes: largest_of(&draft),
            plan: draft.plan,
            chunks: draft.chunks,
            columns: draft.columns,
            dropped: draft.dropped,
            unfilled: draft.unfilled,
        }
    }
}

/// What happens to a target that is missing and may be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is created, so that rows can be written.
    Create,
    /// It is only imagined: plans write nothing.
    Imagine,
}

/// Opens both ends.
///
/// # Errors
///
/// What they answer.
pub(crate) async fn open(
    job: &TableJob,
    parts: &Parts,
    snapshot: Option<&Snapshot>,
    missing: Missing,
) -> Result<Ends> {
    let source = parts.source.open(&job.from, snapshot);
    // Both answers are wanted before one of them is an error.
    let (source, sink) = join(source, parts.sink.open(&job.to)).await;
    let source = source?;
    let sink = match sink {
        Err(error)
            if error.code() == code::TARGET_TABLE_MISSING
                && job.creation == CreationPolicy::IfMissing =>
        {
            let wanted = define(job, source.as_ref()).await?;
            match missing {
                Missing::Imagine => parts.sink.imagine(&wanted)?,
                Missing::Create => {
                    parts.sink.create(&wanted).await?;
                    parts.sink.open(&job.to).await?
                }
            }
        }
        other => other?,
    };
    Ok(Ends { source, sink })
}

/// The target table that would hold the source table.
pub(crate) async fn define(job: &TableJob, source: &dyn SourceTable) -> Result<TableDefinition> {
    let annotations = source.annotations().await?;
    let wanted = annotations.describe(source.schema(), job.to.clone(), &job.columns);
    // Rows are known by the mode's key from the first load on.
    wanted.with_key(job.mode.keys()).map_err(|error| error.with("table", &job.to))
}

/// Decides how a table is loaded. `has_own_rows` says that another entry of the run has filled the
/// same target, so rows in it are no surprise. `entry` is the table's part in a run that is about to
/// be planned; without one nothing is written.
///
/// # Errors
///
/// Everything that would make the load fail or alter values, each with its next step.
pub(crate) async fn plan_table(
    job: &TableJob,
    parts: &Parts,
    pinned: Option<&Snapshot>,
    has_own_rows: bool,
    entry: Option<TableId>,
    cx: &RunContext,
) -> Result<Draft> {
    let pinned = pinned.filter(|_| job.snapshot != SnapshotPolicy::Off);
    let missing = entry.map_or(Missing::Imagine, |_| Missing::Create);
    let mut ends = open(job, parts, pinned, missing).await?;
    let left = left_aside(job, parts, &ends, entry, cx).await?;
    if left.is_any_back {
        ends = open(job, parts, pinned, missing).await?;
    }
    let mut notes = Vec::new();
    check_snapshot(job, pinned, &ends, &mut notes)?;
    check_filter(job, &ends)?;
    check_mode(job, &ends)?;
    check_bad_rows(job, parts, &ends)?;
    let matched = ColumnMatch::new(ends.source.schema(), ends.sink.schema(), &job.columns)?;
    let columns = assess(job, &ends, &matched, &mut notes)?;
    if !matched.dropped.is_empty() {
        notes.push(format!("not in the target, so not read: {}", listed(&matched.dropped)));
    }
    let window = window::pin(job, parts, &ends, &matched.pairs).await?;
    let goes_on = window.as_ref().is_some_and(|pinned| pinned.goes_on);
    refuse_second_copy(job, &ends, has_own_rows || goes_on).await?;
    let has_nothing_new = window.as_ref().is_some_and(|pinned| pinned.is_empty);
    let window = window.map(|pinned| {
        notes.extend(pinned.notes);
        pinned.window
    });
    let filter = match &window {
        Some(window) => job.filter.clone().and(window.predicate()),
        None => job.filter.clone(),
    };
    check_order(job, &ends)?;
    let cut = if has_nothing_new {
        ChunkPlan::new("none", "nothing is new", [])
    } else {
        cut(job, &ends, &filter, &matched.pairs, &mut notes).await?
    };

    let mut load = LoadPlan::append(matched.pairs);
    load.mode = job.mode.clone();
    load.bad_rows = job.bad_rows.settled(cut.estimated_rows());
    if job.truncate {
        load.truncate = vec![job.to.clone()];
    }
    check_keys(&load, &ends)?;
    let mut facts = PlanFacts::default();
    facts.expected_rows = cut.estimated_rows();
    facts.sets_aside = job.sets_aside;
    facts.missing = left.missing;
    let settled = ends.sink.settle_plan(load, facts).await?;
    notes.extend(settled.notes);
    let load = settled.plan;
    let referenced_by = if job.truncate { ends.sink.referenced_by().await? } else { Vec::new() };
    // A foreign key that is away for the load keeps nobody from emptying the table.
    let is_freed = |by: &TableRef| {
        load.set_aside.iter().any(|away| away.returns == Return::Relink && away.table == *by)
    };
    let referenced_by = referenced_by.into_iter().filter(|by| !is_freed(by)).collect();
    let mut plan = TablePlan::new(job.from.clone(), job.to.clone(), load);
    plan.filter = filter;
    plan.order.clone_from(&job.order);
    plan.window = window;
    plan.snapshot = ends.source.snapshot().cloned();
    plan.estimated_rows = cut.estimated_rows();
    plan.chunk_count = cut.chunks.len() as u64;
    plan.strategy = cut.strategy;
    plan.rationale = cut.rationale;
    plan.references = ends.sink.references().await?;
    let store = parts.status.commit_domain();
    plan.guarantee = Some(Guarantee::of(&ends.sink.capabilities().commit, store));
    plan.notes = notes;
    Ok(Draft {
        ends,
        plan,
        chunks: cut.chunks,
        columns,
        dropped: matched.dropped,
        unfilled: matched.unfilled,
        referenced_by,
    })
}

fn check_snapshot(
    job: &TableJob,
    pinned: Option<&Snapshot>,
    ends: &Ends,
    notes: &mut Vec<String>,
) -> Result<()> {
    if ends.source.snapshot().is_some() {
        return Ok(());
    }
    match (job.snapshot, pinned) {
        (SnapshotPolicy::Require, _) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{} cannot be read as of one moment", job.from),
        )
        .with_hint("set \"snapshot\": \"prefer\" to read the changing table")),
        (SnapshotPolicy::Prefer, Some(moment)) => {
            notes.push(format!(
                "cannot be read as of the run's moment {moment}: it is read as it is, and chunks \
                 may see different versions of it"
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_filter(job: &TableJob, ends: &Ends) -> Result<()> {
    for column in job.filter.columns() {
        ends.source.schema().require(column)?;
    }
    refuse_unless_pushed(ends, &job.filter, job)
}

pub(crate) fn refuse_unless_pushed(
    ends: &Ends,
    predicate: &Predicate,
    job: &TableJob,
) -> Result<()> {
    match ends.source.pushdown(predicate) {
        Pushdown::Exact => Ok(()),
        Pushdown::Unsupported => Err(Error::new(
            ErrorKind::Unsupported,
            format!("The source cannot select rows by {predicate}"),
        )
        .with("table", &job.from)
        .with_hint("remove `source_filter` from the table, or choose another chunking column")),
    }
}

fn check_order(job: &TableJob, ends: &Ends) -> Result<()> {
    for name in &job.order {
        let column = ends.source.schema().require(name)?;
        let has_order = !matches!(
            column.column_type,
            ColumnType::Geography | ColumnType::Geometry | ColumnType::Vector { .. }
        );
        if !has_order {
            return Err(Error::new(
                ErrorKind::Config,
                format!("Rows cannot be sorted by {name}, which is {}", column.native_type),
            )
            .with("table", &job.from)
            .with_hint(format!("remove {name} from `sort_columns`")));
        }
    }
    if job.order.is_empty() || ends.source.can_sort() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, "This source cannot sort: its rows come as they lie")
        .with("table", &job.from)
        .with_hint("remove `sort_columns`; to load sorted rows, write the files in that order"))
}

fn check_mode(job: &TableJob, ends: &Ends) -> Result<()> {
    let capabilities = ends.sink.capabilities();
    let (has_mode, why) = match &job.mode {
        WriteMode::Copy => (true, ""),
        WriteMode::InsertOnly { .. } => {
            (capabilities.insert_only, "remove `insert_only_mode` and `uniqueness_columns`")
        }
        WriteMode::Upsert { .. } => (capabilities.upsert, "remove `uniqueness_columns`"),
        WriteMode::Replace { .. } => (capabilities.replace, "remove `replace`"),
        _ => (false, "use another write mode"),
    };
    if !has_mode {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("The target cannot be loaded by {}", job.mode),
        )
        .with("table", &job.to)
        .with_hint(format!("{why}, or set `truncate_onstart`")));
    }
    if job.truncate && !capabilities.truncate {
        return Err(Error::new(ErrorKind::Unsupported, "The target cannot be emptied")
            .with("table", &job.to)
            .with_hint("remove `truncate_onstart`"));
    }
    if job.sets_aside && !capabilities.set_aside {
        return Err(Error::new(ErrorKind::Unsupported, "The target has no indexes to set aside")
            .with("table", &job.to)
            .with_hint("remove `disable_index`"));
    }
    Ok(())
}

/// Rows that are set aside must be kept in the transaction that writes the others.
pub(crate) fn check_bad_rows(job: &TableJob, parts: &Parts, ends: &Ends) -> Result<()> {
    if job.bad_rows == BadRowPolicy::Fail {
        return Ok(());
    }
    let capabilities = ends.sink.capabilities();
    let shares_transaction = match &capabilities.commit {
        CommitGuarantee::Transactional(domain) => parts.status.commit_domain() == Some(domain),
        _ => false,
    };
    if capabilities.quarantine && shares_transaction {
        return Ok(());
    }
    let why = if capabilities.quarantine {
        "The status tables cannot keep bad rows in the target's transaction"
    } else {
        "The target cannot set bad rows aside"
    };
    Err(Error::new(ErrorKind::Unsupported, why)
        .with("table", &job.to)
        .with_hint("set \"on_bad_row\": \"fail\""))
}

/// What decides which row is meant must be among the columns that are loaded.
fn check_keys(load: &LoadPlan, ends: &Ends) -> Result<()> {
    let target = ends.sink.schema();
    for column in load.mode.keys().iter().chain(load.mode.version()) {
        target.require(column)?;
        if load.columns.iter().all(|pair| pair.target != *column) {
            return Err(Error::new(
                code::REQUIRED_COLUMN_UNMAPPED,
                format!("Nothing fills {column}, by which rows are to be told apart"),
            )
            .with("table", &target.table)
            .with_hint(format!(
                "add it to \"column_mapping\": {{\"<column of the source>\": {column}}}, or correct \
                 `uniqueness_columns` and `target_watermark`"
            )));
        }
    }
    Ok(())
}

fn assess(
    job: &TableJob,
    ends: &Ends,
    matched: &ColumnMatch,
    notes: &mut Vec<String>,
) -> Result<Vec<ColumnPlan>> {
    let mut columns = Vec::with_capacity(matched.pairs.len());
    let mut refused = Vec::new();
    // What many columns have in common is said once.
    let mut chosen: BTreeMap<String, Vec<ColumnName>> = BTreeMap::new();
    for pair in &matched.pairs {
        let source = ends.source.schema().require(&pair.source)?;
        let target = ends.sink.schema().require(&pair.target)?;
        let fidelity = ends.sink.assess(pair);
        let said = format!(
            "{} {} to {} {}: {fidelity}",
            pair.source, source.native_type, pair.target, target.native_type
        );
        match (&fidelity, job.fidelity) {
            (Fidelity::Lossy { why, by_choice: true }, _) => {
                chosen.entry(why.clone()).or_default().push(pair.target.clone());
            }
            (Fidelity::Lossy { .. }, FidelityPolicy::Warn) => notes.push(said),
            (Fidelity::Impossible { .. } | Fidelity::Lossy { .. }, _) => refused.push(said),
            _ => {}
        }
        columns.push(ColumnPlan {
            source: pair.source.clone(),
            source_type: source.native_type.clone(),
            target: pair.target.clone(),
            target_type: target.native_type.clone(),
            fidelity,
        });
    }
    notes.extend(chosen.into_iter().map(|(why, names)| format!("{why}: {}", listed(&names))));
    if refused.is_empty() {
        return Ok(columns);
    }
    Err(Error::new(
        code::TYPE_MISMATCH,
        format!("Values would not arrive as they are: {}", refused.join("; ")),
    )
    .with("table", &job.to)
    .with_hint(
        "change the types of the target columns or leave the columns out of the target; \
         \"fidelity\": \"warn\" accepts what is lossy",
    ))
}

/// A plain append into a table with rows of somebody else could be a second copy of them.
async fn refuse_second_copy(job: &TableJob, ends: &Ends, has_own_rows: bool) -> Result<()> {
    let may_have_rows = job.truncate
        || has_own_rows
        || job.mode != WriteMode::Copy
        || job.on_nonempty == NonemptyPolicy::Append;
    if may_have_rows || ends.sink.is_empty().await? {
        return Ok(());
    }
    Err(Error::new(
        code::TARGET_NOT_EMPTY,
        format!("The target {} has rows already, and appending could double them", job.to),
    )
    .with_hint(
        "set \"truncate_onstart\": true to replace them, \"uniqueness_columns\" to merge by key, \
         or \"on_nonempty\": \"append\" to add to them",
    ))
}

fn listed(names: &[ColumnName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
