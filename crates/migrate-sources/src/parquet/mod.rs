//! Parquet files as a source.

mod batch_size;
mod file;
mod read;
mod resolve;
mod table;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use migrate_core::{Error, ErrorKind, Result, Snapshot, Source, SourceTable, TableRef};

use resolve::files_of;
use table::ParquetTable;

/// A folder of Parquet files. A table is a file, a folder of files, or a glob pattern, relative to
/// it: `flights.parquet`, `flights` (with or without the ending), `flights/2013-*.parquet`.
#[derive(Debug, Clone)]
pub struct ParquetSource {
    root: PathBuf,
}

impl ParquetSource {
    /// Reads below this folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

#[async_trait]
impl Source for ParquetSource {
    fn name(&self) -> String {
        format!("Parquet files in {}", self.root.display())
    }

    async fn check(&self) -> Result<()> {
        let root = self.root.clone();
        blocking(move || {
            std::fs::read_dir(&root).map(|_entries| ()).map_err(|cause| {
                Error::new(ErrorKind::NotFound, "Cannot read the folder of the Parquet source")
                    .with("path", root.display())
                    .with_hint("correct `path`, or make the folder readable")
                    .with_source(cause)
            })
        })
        .await
    }

    /// Files have no clock; each table is its own version, see [`SourceTable::snapshot`].
    async fn pin(&self) -> Result<Option<Snapshot>> {
        Ok(None)
    }

    async fn open(
        &self,
        table: &TableRef,
        snapshot: Option<&Snapshot>,
    ) -> Result<Arc<dyn SourceTable>> {
        let root = self.root.clone();
        let table = table.clone();
        let wanted = snapshot.cloned();
        blocking(move || {
            let files = files_of(&root, &table)?;
            let opened = ParquetTable::open(table, &files, wanted.as_ref())?;
            Ok(Arc::new(opened) as Arc<dyn SourceTable>)
        })
        .await
    }
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|cause| {
        Err(Error::new(ErrorKind::Internal, "Reading a file broke off").with_source(cause))
    })
}
