//! The ledger in memory as a subject: the simplest fixture.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreFixture;
use crate::error::Result;
use crate::memory::MemoryStore;
use crate::status::StatusStore;

/// A [`MemoryStore`] whose time the suite may move.
#[derive(Debug, Default)]
pub struct MemoryLedger(Arc<MemoryStore>);

#[async_trait]
impl StoreFixture for MemoryLedger {
    fn store(&self) -> Arc<dyn StatusStore> {
        Arc::clone(&self.0) as Arc<dyn StatusStore>
    }

    async fn pass(&self, time: Duration) -> Result<()> {
        self.0.pass(time);
        Ok(())
    }
}
