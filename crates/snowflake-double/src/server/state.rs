//! What all handlers share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::knobs::Knobs;
use crate::log::Log;
use crate::session::Sessions;
use crate::sql::Account;
use crate::store::Store;
use crate::table::Catalog;
use crate::user::PreparedUser;

use super::{Connections, KeptAnswers};

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    /// Upper case.
    pub(crate) account_name: String,
    pub(crate) account: Account,
    pub(crate) users: Vec<PreparedUser>,
    pub(crate) clock: Clock,
    pub(crate) knobs: Knobs,
    pub(crate) log: Arc<Log>,
    pub(crate) sessions: Sessions,
    pub(crate) store: Arc<Store>,
    pub(crate) catalog: Mutex<Catalog>,
    pub(crate) kept: KeptAnswers,
    /// Where chunks are, without a slash at the end.
    pub(crate) chunk_base: String,
    /// Makes links to chunks hard to guess.
    pub(crate) secret: String,
    pub(crate) account_connections: Arc<Connections>,
    pub(crate) chunk_connections: Arc<Connections>,
    /// Statements that run; they outlive the requests that submitted them.
    pub(crate) running: Mutex<JoinSet<()>>,
}

impl State {
    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn running(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
