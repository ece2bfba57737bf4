//! How to reach a database.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// How much the connection is protected; the words of libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted only if the server insists.
    Allow,
    /// Encrypted if the server can; the certificate is not checked.
    #[default]
    Prefer,
    /// Always encrypted; the certificate is not checked.
    Require,
    /// Encrypted, and the certificate is signed by a trusted authority.
    VerifyCa,
    /// The same, and the certificate is for this host.
    VerifyFull,
}

/// Address and credentials of one database. `Debug` hides the password.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PostgresSettings {
    /// Host name or address.
    pub host: String,
    /// Port; 5432 unless set.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Password; `None` for trust, peer or a passfile.
    pub password: Option<SecretString>,
    /// Database.
    pub database: String,
    /// Protection of the connection.
    pub ssl_mode: SslMode,
    /// File with the authorities to trust, for the verifying modes.
    pub ssl_root_cert: Option<PathBuf>,
    /// How long to wait for a connection, from the pool or to the server; 30 seconds unless set.
    pub connect_timeout: Duration,
}

impl PostgresSettings {
    /// Settings with defaults for everything else.
    pub fn new(
        host: impl Into<String>,
        user: impl Into<String>,
        database: impl Into<String>,
    ) -> Self {
        Self {
            host: host.into(),
            port: 5432,
            user: user.into(),
            password: None,
            database: database.into(),
            ssl_mode: SslMode::default(),
            ssl_root_cert: None,
            connect_timeout: Duration::from_secs(30),
        }
    }

    /// `host:port/database`, for messages.
    pub fn address(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }

    /// The driver's form. The application name lets an operator, and this tool itself, recognise
    /// its sessions in `pg_stat_activity`.
    pub(crate) fn connect_options(&self) -> PgConnectOptions {
        let ssl_mode = match self.ssl_mode {
            SslMode::Disable => PgSslMode::Disable,
            SslMode::Allow => PgSslMode::Allow,
            SslMode::Prefer => PgSslMode::Prefer,
            SslMode::Require => PgSslMode::Require,
            SslMode::VerifyCa => PgSslMode::VerifyCa,
            SslMode::VerifyFull => PgSslMode::VerifyFull,
        };
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .ssl_mode(ssl_mode)
            .application_name(crate::database::APPLICATION_NAME);
        if let Some(password) = &self.password {
            options = options.password(password.expose_secret());
        }
        if let Some(path) = &self.ssl_root_cert {
            options = options.ssl_root_cert(path);
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_password() {
        let mut settings = PostgresSettings::new("db1", "loader", "sales");
        settings.password = Some("canary-4711".into());
        assert!(!format!("{settings:?}").contains("canary-4711"));
    }
}
