//! Bringing back what dead runs left set aside, without loading anything.

use std::sync::Arc;

use futures::{StreamExt, stream};
use migrate_core::{
    Error, ErrorKind, Event, LeftAside, Result, Return, RunContext, Sink, StatusStore, TableRef,
};

use crate::migration::{Ledger, Migration};
use crate::retry::steadily;
use crate::work::shared;

/// One thing that was set aside, and whether it is back.
#[derive(Debug)]
#[non_exhaustive]
pub struct Repaired {
    /// What it is.
    pub what: String,
    /// The table that it belongs to.
    pub table: TableRef,
    /// Whether it is back, or why not.
    pub outcome: Result<()>,
}

impl Migration {
    /// Brings back everything that runs took away from targets in the databases of this migration and
    /// have not brought back, whichever tables it names. What a live run needs is left to it.
    ///
    /// # Errors
    ///
    /// When a ledger cannot be read; what cannot be brought back is in the answer, the rest comes.
    pub async fn repair(&self, cx: &RunContext) -> Result<Vec<Repaired>> {
        let mut repaired = Vec::new();
        for ledger in self.ledgers(cx) {
            let Some(sink) = self.sink_beside(&ledger.store) else { continue };
            let left = cx.unless_cancelled(ledger.store.left_aside(None, None)).await?;
            // Foreign keys need the unique constraints of both tables.
            for stage in [Return::Rebuild, Return::Relink] {
                let due: Vec<&LeftAside> =
                    left.iter().filter(|one| one.object.returns == stage).collect();
                let at_once = usize::try_from(self.workers().get()).unwrap_or(1);
                let mut stage = stream::iter(due)
                    .map(|one| bring_back(one, sink, &ledger.store, cx))
                    .buffer_unordered(at_once);
                while let Some(one) = stage.next().await {
                    repaired.push(one);
                }
            }
        }
        Ok(repaired)
    }

    /// Says what earlier runs have left aside at tables that this run does not load. Its own tables
    /// get theirs back in their plans.
    pub(crate) async fn announce_left_aside(
        &self,
        ledgers: &[Arc<Ledger>],
        cx: &RunContext,
    ) -> Result<()> {
        for ledger in ledgers {
            let left = cx
                .unless_cancelled(async {
                    steadily!(ledger.outage, ledger.store.left_aside(None, None))
                })
                .await?;
            let others = left.iter().filter(|one| one.holder.is_none());
            let others = others.filter(|one| self.jobs.iter().all(|(job, _)| job.to != one.target));
            for one in others {
                let note = format!(
                    "{} of {} was set aside by a run that did not end; fix: run `migrate repair`",
                    one.object.what, one.object.table
                );
                cx.emit(&Event::Noted { table: one.target.clone(), note });
            }
        }
        Ok(())
    }

    fn sink_beside(&self, store: &Arc<dyn StatusStore>) -> Option<&Arc<dyn Sink>> {
        let is_beside = |status: &Arc<dyn StatusStore>| {
            std::ptr::addr_eq(Arc::as_ptr(status), Arc::as_ptr(store))
        };
        self.jobs.iter().find(|(_, parts)| is_beside(&parts.status)).map(|(_, parts)| &parts.sink)
    }
}

async fn bring_back(
    left: &LeftAside,
    sink: &Arc<dyn Sink>,
    store: &Arc<dyn StatusStore>,
    cx: &RunContext,
) -> Repaired {
    let outcome = match &left.holder {
        Some(holder) => Err(at_work().with("worker", holder)),
        None => restore(left, sink, store, cx).await,
    };
    Repaired { what: left.object.what.clone(), table: left.object.table.clone(), outcome }
}

fn at_work() -> Error {
    Error::new(ErrorKind::Conflict, "A run is at work on the table").with_hint(
        "let it end: it brings back what it took away; then, or a minute after it has died, run this \
         again for what is left",
    )
}

async fn restore(
    left: &LeftAside,
    sink: &Arc<dyn Sink>,
    store: &Arc<dyn StatusStore>,
    cx: &RunContext,
) -> Result<()> {
    cx.unless_cancelled(store.give_up_chunks(left)).await?;
    let table = cx.unless_cancelled(sink.open(&left.target)).await?;
    let fence = shared(store.return_fence(left, None), &table.capabilities());
    table.restore(&left.object, fence.as_deref(), cx).await.map_err(|error| {
        match error.kind() {
            ErrorKind::LeaseLost => at_work(),
            _ => error,
        }
    })?;
    // It is back, whether the repair goes on or not.
    store.brought_back(left).await
}
