//! Sessions: opened when needed, shared one at a time, renewed before they expire.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use migrate_core::{Error, ErrorKind, Result, Retry};
use secrecy::ExposeSecret;
use snowflake_connector_rs::{
    AuthConfig, Client, ClientConfig, EndpointConfig, KeyPairConfig, QueryConfig, Session,
    SessionConfig,
};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::error::{classify, classify_login};
use super::settings::{SnowflakeAuth, SnowflakeSettings};

/// A session token lives an hour; a login costs a second. The client does not renew by itself.
const MAX_AGE: Duration = Duration::from_mins(50);

/// Logins under way at once. Workers whose sessions expire together do not log in together.
const LOGINS_AT_ONCE: usize = 4;

/// How long the program waits at its end for aborts to arrive.
const FAREWELL: Duration = Duration::from_secs(10);

/// Open sessions that nobody uses right now.
pub(super) struct SessionPool {
    client: Client,
    settings: SnowflakeSettings,
    idle: Mutex<Vec<Opened>>,
    logins: Semaphore,
    /// Requests that nobody waits for where they are made.
    farewells: TaskTracker,
}

#[derive(Debug)]
struct Opened {
    session: Arc<Session>,
    since: Instant,
}

impl fmt::Debug for SessionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionPool").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl SessionPool {
    pub(super) fn new(settings: SnowflakeSettings) -> Result<Self> {
        settings.check_session_parameters()?;
        let client = Client::new(client_config(&settings)).map_err(|cause| {
            classify("The Snowflake client cannot be set up", &cause)
                .with("account", &settings.account)
        })?;
        Ok(Self {
            client,
            settings,
            idle: Mutex::default(),
            logins: Semaphore::new(LOGINS_AT_ONCE),
            farewells: TaskTracker::new(),
        })
    }

    pub(super) fn settings(&self) -> &SnowflakeSettings {
        &self.settings
    }

    /// A session for one statement and its result.
    pub(super) async fn checkout(self: &Arc<Self>) -> Result<Checkout> {
        let opened = match self.young() {
            Some(opened) => opened,
            None => self.log_in_in_turn().await?,
        };
        Ok(Checkout { pool: Arc::clone(self), opened, is_good: true })
    }

    fn young(&self) -> Option<Opened> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|opened| opened.since.elapsed() < MAX_AGE);
        idle.pop()
    }

    async fn log_in_in_turn(&self) -> Result<Opened> {
        let Ok(_turn) = self.logins.acquire().await else { return self.log_in().await };
        // While this one waited, another worker may have finished with its session.
        match self.young() {
            Some(opened) => Ok(opened),
            None => self.log_in().await,
        }
    }

    /// Sends a request that must go out although its caller has ended. [`close`](Self::close) waits
    /// for it.
    pub(super) fn later(&self, request: impl Future<Output = ()> + Send + 'static) {
        // Outside of a runtime nobody can send it any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.farewells.spawn_on(request, &runtime);
        }
    }

    /// Waits for what was sent last, for a few seconds at most.
    pub(super) async fn close(&self) {
        self.farewells.close();
        if timeout(FAREWELL, self.farewells.wait()).await.is_err() {
            tracing::warn!("a statement may still run on Snowflake: its abort was not answered");
        }
    }

    async fn log_in(&self) -> Result<Opened> {
        let log_in = || async {
            let since = Instant::now();
            let session = timeout(self.settings.login_timeout, self.client.create_session())
                .await
                .map_err(|_elapsed| {
                    Error::new(ErrorKind::Timeout, "Snowflake does not answer the login")
                        .with_hint("check the network and `snowflake.account`")
                })?
                .map_err(|cause| classify_login(&cause))?;
            Ok(Opened { session: Arc::new(session), since })
        };
        log_in.retry(brief_retries()).when(is_transient).await.map_err(|error: Error| {
            error.with("account", &self.settings.account).with("user", &self.settings.user)
        })
    }
}

/// Four more tries within about five seconds, for requests that may be repeated as they are. The
/// first comes at once: most faults concern one request.
pub(super) fn brief_retries() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_factor(4.0)
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(4)
        .with_jitter()
}

pub(super) fn is_transient(error: &Error) -> bool {
    error.kind().retry() == Retry::AfterDelay
}

/// One session in use; goes back to the pool when it is dropped, unless it went bad.
#[derive(Debug)]
pub(super) struct Checkout {
    pool: Arc<SessionPool>,
    opened: Opened,
    is_good: bool,
}

impl Checkout {
    pub(super) fn session(&self) -> &Session {
        &self.opened.session
    }

    pub(super) fn pool(&self) -> &Arc<SessionPool> {
        &self.pool
    }

    /// The server does not know the session any more: neither it nor an older one is used again.
    pub(super) fn mark_lost(&mut self) {
        self.is_good = false;
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|other| other.since > self.opened.since);
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if self.is_good {
            let opened =
                Opened { session: Arc::clone(&self.opened.session), since: self.opened.since };
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
        }
    }
}

fn client_config(settings: &SnowflakeSettings) -> ClientConfig {
    let auth = match &settings.auth {
        SnowflakeAuth::KeyPair { private_key, passphrase: None } => {
            AuthConfig::key_pair(KeyPairConfig::from_pem(private_key.expose_secret()))
        }
        SnowflakeAuth::KeyPair { private_key, passphrase: Some(passphrase) } => {
            AuthConfig::key_pair(KeyPairConfig::from_encrypted_pem(
                private_key.expose_secret(),
                passphrase.expose_secret().as_bytes(),
            ))
        }
        SnowflakeAuth::Password(password) => AuthConfig::password(password.expose_secret()),
        SnowflakeAuth::OauthToken(token) => AuthConfig::oauth(token.expose_secret()),
    };
    let parameters: HashMap<_, _> = settings.all_session_parameters().into_iter().collect();
    let mut session = SessionConfig::new()
        .with_warehouse(&settings.warehouse)
        .with_session_parameters(parameters);
    if let Some(role) = &settings.role {
        session = session.with_role(role);
    }
    let query = QueryConfig::new().with_query_response_timeout(settings.answer_timeout);
    let config = ClientConfig::new(&settings.user, &settings.account, auth)
        .with_session(session)
        .with_query(query);
    match &settings.base_url {
        Some(url) => config.with_endpoint(EndpointConfig::custom_base_url(url.clone())),
        None => config,
    }
}
