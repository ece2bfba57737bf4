//! Sessions: opened when needed, shared one at a time, renewed before they expire.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use migrate_core::{Error, ErrorKind, Result, Retry};
use secrecy::ExposeSecret;
use snowflake_connector_rs::{
    AuthConfig, Client, ClientConfig, EndpointConfig, KeyPairConfig, QueryConfig, Session,
    SessionConfig,
};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::error::classify;
use super::settings::{SnowflakeAuth, SnowflakeSettings};

/// A session token lives an hour; a login costs a second. The client does not renew by itself.
const MAX_AGE: Duration = Duration::from_mins(50);

/// How long the program waits at its end for aborts to arrive.
const FAREWELL: Duration = Duration::from_secs(10);

/// Open sessions that nobody uses right now.
pub(super) struct SessionPool {
    client: Client,
    settings: SnowflakeSettings,
    idle: Mutex<Vec<Opened>>,
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
        Ok(Self { client, settings, idle: Mutex::default(), farewells: TaskTracker::new() })
    }

    pub(super) fn settings(&self) -> &SnowflakeSettings {
        &self.settings
    }

    /// A session for one statement and its result.
    pub(super) async fn checkout(self: &Arc<Self>) -> Result<Checkout> {
        let young = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|opened| opened.since.elapsed() < MAX_AGE);
            idle.pop()
        };
        let opened = match young {
            Some(opened) => opened,
            None => self.log_in().await?,
        };
        Ok(Checkout { pool: Arc::clone(self), opened, is_good: true })
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
                .map_err(|cause| classify("Cannot log in to Snowflake", &cause))?;
            Ok(Opened { session: Arc::new(session), since })
        };
        log_in.retry(brief_retries()).when(is_transient).await.map_err(|error: Error| {
            error.with("account", &self.settings.account).with("user", &self.settings.user)
        })
    }
}

/// Three more tries within about ten seconds, for requests that may be repeated as they are.
pub(super) fn brief_retries() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(3)
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

    /// Whatever went wrong may be the session's fault: the next statement gets another one.
    pub(super) fn discard(&mut self) {
        self.is_good = false;
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
    // Submitting alone may take 45 seconds; below that the query id of a lost answer is lost too.
    let query = QueryConfig::new()
        .with_query_response_timeout(settings.statement_timeout.max(Duration::from_mins(1)));
    let config = ClientConfig::new(&settings.user, &settings.account, auth)
        .with_session(session)
        .with_query(query);
    match &settings.base_url {
        Some(url) => config.with_endpoint(EndpointConfig::custom_base_url(url.clone())),
        None => config,
    }
}
