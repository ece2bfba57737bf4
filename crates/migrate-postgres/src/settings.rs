//! How to reach a database.

use std::path::PathBuf;
use std::time::Duration;

use migrate_core::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

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

impl SslMode {
    /// Reads libpq's word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
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
    /// PEM file with authorities to trust beside the public ones, for the verifying modes.
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

    /// Reads `postgres://user:password@host:port/database?sslmode=require&sslrootcert=file`.
    ///
    /// # Errors
    ///
    /// `Config` for another scheme, a missing user or database, or an unknown parameter; the
    /// message holds no part of the password.
    pub fn from_url(url: &str) -> Result<Self> {
        let refused = |why: &'static str| {
            Error::new(ErrorKind::Config, why)
                .with_hint("write it as postgres://user:password@host:port/database")
        };
        let parsed = Url::parse(url).map_err(|_cause| refused("Not a database URL"))?;
        if !matches!(parsed.scheme(), "postgres" | "postgresql") {
            return Err(refused("Not a postgres:// URL"));
        }
        let text =
            |part: &str| percent_decode_str(part).decode_utf8().map(std::borrow::Cow::into_owned);
        let text =
            |part: &str| text(part).map_err(|_cause| refused("The database URL is not UTF-8"));
        let database = text(parsed.path().trim_start_matches('/'))?;
        if parsed.username().is_empty() || database.is_empty() {
            return Err(refused("The database URL names no user or no database"));
        }
        let host = parsed.host_str().unwrap_or("localhost");
        let mut settings = Self::new(text(host)?, text(parsed.username())?, database);
        settings.port = parsed.port().unwrap_or(settings.port);
        settings.password = parsed.password().map(text).transpose()?.map(SecretString::from);
        for (key, value) in parsed.query_pairs() {
            match &*key {
                "sslmode" => {
                    settings.ssl_mode = SslMode::parse(&value)
                        .ok_or_else(|| refused("The database URL has an unknown sslmode"))?;
                }
                "sslrootcert" => settings.ssl_root_cert = Some(PathBuf::from(value.into_owned())),
                _ => {
                    return Err(
                        refused("The database URL has an unknown parameter").with("key", key)
                    );
                }
            }
        }
        Ok(settings)
    }

    /// `host:port/database`, for messages.
    pub fn address(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }

    /// The driver's form, for one way to connect and with the authorities to trust, in PEM. The
    /// application name lets an operator, and this tool itself, recognise its sessions in
    /// `pg_stat_activity`.
    pub(crate) fn connect_options(
        &self,
        way: PgSslMode,
        authorities: Option<&[u8]>,
    ) -> PgConnectOptions {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .ssl_mode(way)
            .application_name(crate::database::APPLICATION_NAME);
        if let Some(password) = &self.password {
            options = options.password(password.expose_secret());
        }
        if let Some(pem) = authorities {
            options = options.ssl_root_cert_from_pem(pem.to_vec());
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

    #[test]
    fn a_url_gives_every_part() {
        let url = "postgres://load%40er:p%2Fw@db1:6543/my%20db?sslmode=verify-full&sslrootcert=/ca";
        let settings = PostgresSettings::from_url(url).expect("valid");
        assert_eq!(settings.address(), "db1:6543/my db");
        assert_eq!(settings.user, "load@er");
        assert_eq!(settings.password.as_ref().map(ExposeSecret::expose_secret), Some("p/w"));
        assert_eq!(settings.ssl_mode, SslMode::VerifyFull);
        assert_eq!(settings.ssl_root_cert, Some(PathBuf::from("/ca")));
    }

    #[test]
    fn a_wrong_url_is_refused_without_its_password() {
        for url in
            ["", "mysql://u:canary@h/d", "postgres://u:canary@h", "postgres://u:canary@h/d?x=1"]
        {
            let error = PostgresSettings::from_url(url).expect_err(url);
            assert!(!error.report().to_string().contains("canary"), "{error}");
        }
    }
}
