//! Sessions and their tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::knobs::Settings;
use crate::sql::{Change, SessionState};

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenFault {
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

const GONE: TokenFault = TokenFault {
    code: "390111",
    message: "Session no longer exists. New login required to access the service.",
};
const EXPIRED: TokenFault =
    TokenFault { code: "390112", message: "Your session has expired. Please login again." };
const MASTER_NOT_FOUND: TokenFault = TokenFault {
    code: "390113",
    message: "Authentication token was not found. The user must authenticate again.",
};
const MASTER_EXPIRED: TokenFault = TokenFault {
    code: "390114",
    message: "Authentication token has expired. The user must authenticate again.",
};

/// The tokens of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) session: String,
    pub(crate) master: String,
    /// Seconds from their issue.
    pub(crate) session_life: u64,
    pub(crate) master_life: u64,
}

#[derive(Debug)]
struct Session {
    state: SessionState,
    tokens: Tokens,
    /// Milliseconds since the epoch.
    token_ends: i64,
    master_ends: i64,
}

/// All living sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<u64, Session>,
    last_id: u64,
}

impl Sessions {
    /// Opens a session; its id becomes part of the state.
    pub(crate) fn open(
        &self,
        mut state: SessionState,
        settings: &Settings,
        now: i64,
    ) -> (u64, Tokens) {
        let mut inner = self.lock();
        inner.last_id += 1;
        let id = inner.last_id;
        state.session_id = id;
        let tokens = new_tokens(settings);
        let session = Session {
            state,
            token_ends: ends(now, tokens.session_life),
            master_ends: ends(now, tokens.master_life),
            tokens: tokens.clone(),
        };
        inner.sessions.insert(id, session);
        (id, tokens)
    }

    /// The session of a session token.
    pub(crate) fn find(&self, token: &str, now: i64) -> Result<(u64, SessionState), TokenFault> {
        let inner = self.lock();
        let (id, session) = inner
            .sessions
            .iter()
            .find(|(_, session)| session.tokens.session == token)
            .ok_or(GONE)?;
        if session.token_ends <= now {
            return Err(EXPIRED);
        }
        Ok((*id, session.state.clone()))
    }

    /// New tokens for a master token. The old session token ends.
    pub(crate) fn renew(
        &self,
        master: &str,
        settings: &Settings,
        now: i64,
    ) -> Result<(u64, Tokens), TokenFault> {
        let mut inner = self.lock();
        let (id, session) = inner
            .sessions
            .iter_mut()
            .find(|(_, session)| session.tokens.master == master)
            .ok_or(MASTER_NOT_FOUND)?;
        if session.master_ends <= now {
            return Err(MASTER_EXPIRED);
        }
        session.tokens = new_tokens(settings);
        session.token_ends = ends(now, session.tokens.session_life);
        session.master_ends = ends(now, session.tokens.master_life);
        Ok((*id, session.tokens.clone()))
    }

    /// The state of a session, whatever its tokens.
    pub(crate) fn peek(&self, id: u64) -> Option<SessionState> {
        self.lock().sessions.get(&id).map(|session| session.state.clone())
    }

    /// Lengthens the life of the master token, as a heartbeat does.
    pub(crate) fn touch(&self, id: u64, now: i64) {
        if let Some(session) = self.lock().sessions.get_mut(&id) {
            session.master_ends = ends(now, session.tokens.master_life);
        }
    }

    pub(crate) fn close(&self, id: u64) {
        self.lock().sessions.remove(&id);
    }

    /// Ends the session tokens of all sessions at once.
    pub(crate) fn expire_all(&self) {
        for session in self.lock().sessions.values_mut() {
            session.token_ends = i64::MIN;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Applies what a statement changed.
    pub(crate) fn apply(&self, id: u64, change: Option<Change>, query_id: &Arc<str>) {
        let mut inner = self.lock();
        let Some(session) = inner.sessions.get_mut(&id) else { return };
        let state = &mut session.state;
        state.last_query = Some(Arc::clone(query_id));
        match change {
            None => {}
            Some(Change::Set(pairs)) => state.parameters.extend(pairs),
            Some(Change::Unset(names)) => {
                for name in names {
                    state.parameters.remove(&name);
                }
            }
            Some(Change::UseDatabase(database)) => {
                state.database = Some(database);
                state.schema = Some("PUBLIC".to_owned());
            }
            Some(Change::UseSchema(database, schema)) => {
                state.database = Some(database);
                state.schema = Some(schema);
            }
            Some(Change::UseWarehouse(warehouse)) => state.warehouse = Some(warehouse),
            Some(Change::UseRole(role)) => state.role = role,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_tokens(settings: &Settings) -> Tokens {
    let token = |kind: &str| format!("{kind}-{}", Uuid::new_v4());
    Tokens {
        session: token("session"),
        master: token("master"),
        session_life: settings.session_life.as_secs(),
        master_life: settings.master_life.as_secs(),
    }
}

fn ends(now: i64, life_secs: u64) -> i64 {
    now.saturating_add(i64::try_from(life_secs).unwrap_or(i64::MAX).saturating_mul(1_000))
}
