//! What a new plan does about things that dead runs took away from its target.

use migrate_core::{Result, Return, RunContext, SetAside, TableId, WriteMode};

use crate::job::TableJob;
use crate::migration::Parts;
use crate::table_plan::Ends;
use crate::work::shared;

/// What is still away, and whether something has come back.
#[derive(Debug)]
pub(crate) struct Left {
    /// Of each thing the oldest definition, from before anybody touched it.
    pub(crate) missing: Vec<SetAside>,
    pub(crate) is_any_back: bool,
}

/// A load that does without indexes anyway takes over everything. Any other load needs keys to merge
/// by and triggers to fire, so these come back first. Foreign keys always wait for the rows.
///
/// # Errors
///
/// What the ledger and the target answer.
pub(crate) async fn left_aside(
    job: &TableJob,
    parts: &Parts,
    ends: &Ends,
    entry: Option<TableId>,
    cx: &RunContext,
) -> Result<Left> {
    let goes_without = job.sets_aside && job.mode == WriteMode::Copy;
    let mut left = Left { missing: Vec::new(), is_any_back: false };
    for one in parts.status.left_aside(Some(&job.to), entry).await? {
        // A dry run changes nothing.
        let comes_back = entry.is_some() && !goes_without && one.object.returns == Return::Rebuild;
        if comes_back {
            let fence = shared(parts.status.return_fence(&one, entry), &ends.sink.capabilities());
            ends.sink.restore(&one.object, fence.as_deref(), cx).await?;
            parts.status.brought_back(&one).await?;
            left.is_any_back = true;
        } else if left.missing.iter().all(|known| !known.is_same(&one.object)) {
            left.missing.push(one.object);
        }
    }
    Ok(left)
}
