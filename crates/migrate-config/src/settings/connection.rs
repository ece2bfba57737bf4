//! How the two databases are reached.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::options::Options;
use crate::secret::Secret;
use crate::settings::policy::SslMode;
use crate::settings::seconds;

/// The block `snowflake`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SnowflakeSettings {
    /// The account identifier, such as `myaccount.us-east-1`.
    pub account: String,
    /// The login name.
    pub user: String,
    /// The warehouse that runs the statements.
    pub warehouse: String,
    /// The role of the session; `None` for the user's default role.
    pub role: Option<String>,
    /// How the user proves who they are.
    pub auth: SnowflakeAuth,
    /// `http` or `https`, host and port; `None` for the account's own address.
    pub base_url: Option<String>,
    /// Parameters of the session: texts, numbers and booleans.
    pub session_parameters: Options,
    /// Longest time for a login.
    #[serde(rename = "login_timeout_seconds", serialize_with = "seconds")]
    pub login_timeout: Duration,
    /// Longest time for one statement on the server.
    #[serde(rename = "statement_timeout_seconds", serialize_with = "seconds")]
    pub statement_timeout: Duration,
    /// Longest time for the download of one part of a result.
    #[serde(rename = "partition_timeout_seconds", serialize_with = "seconds")]
    pub partition_timeout: Duration,
}

/// How a Snowflake user proves who they are.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SnowflakeAuth {
    /// An RSA key pair.
    KeyPair {
        /// The private key as PKCS#8 PEM, known to decode.
        private_key: Secret,
        /// The passphrase of an encrypted key, known to fit.
        passphrase: Option<Secret>,
    },
    /// A password.
    Password(Secret),
    /// An OAuth access token.
    OauthToken(Secret),
}

/// The block `postgres`. The databases stand at the sources (`target_pg_database`).
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PostgresSettings {
    /// Host name, address, or the folder of a Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The role that logs in.
    pub user: String,
    /// `None` for trust or peer authentication.
    pub password: Option<Secret>,
    /// TLS.
    pub sslmode: SslMode,
    /// File with the certificates of trusted authorities in PEM; it exists.
    pub sslrootcert: Option<PathBuf>,
    /// Longest time to connect.
    #[serde(rename = "connect_timeout_seconds", serialize_with = "seconds")]
    pub connect_timeout: Duration,
}

/// What is built for `target` or `status`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Connector {
    /// PostgreSQL, reached by the block `postgres`.
    Postgres,
    /// A connector that the embedding program registered.
    Registered {
        /// Its registered name.
        name: String,
        /// Its other keys.
        options: Options,
    },
}
