//! Sources of a configuration.

use std::sync::Arc;

use migrate_config::{Config, SnowflakeAuth, SnowflakeSettings, SourceConfig, SourceKind};
use migrate_core::{Error, ErrorKind, Result, Source};
use migrate_sources::{ParquetSource, SnowflakeSource};
use secrecy::SecretString;
use url::Url;

use super::{ByName, Registry};

/// Makes each source once, so that tables of one account share sessions and the frozen moment.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    config: &'a Config,
    registry: &'a Registry,
    made: ByName<Arc<dyn Source>>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(config: &'a Config, registry: &'a Registry) -> Self {
        Self { config, registry, made: ByName::new() }
    }

    pub(super) fn of(&mut self, source: &SourceConfig) -> Result<Arc<dyn Source>> {
        let identity = match &source.kind {
            SourceKind::Snowflake { account, .. } => format!("snowflake {account}"),
            SourceKind::Parquet { path } => format!("parquet {path}"),
            _ => format!("registered {}", source.name),
        };
        if let Some(made) = self.made.get(&identity) {
            return Ok(Arc::clone(made));
        }
        let made = self.make(source)?;
        self.made.insert(identity, Arc::clone(&made));
        Ok(made)
    }

    fn make(&self, source: &SourceConfig) -> Result<Arc<dyn Source>> {
        match &source.kind {
            SourceKind::Snowflake { .. } => {
                let settings = self.config.snowflake.as_ref().ok_or_else(|| {
                    Error::new(ErrorKind::Config, "There is no `snowflake` block")
                        .with("source", &source.name)
                        .with_hint("add the block, or give the source another type")
                })?;
                Ok(Arc::new(SnowflakeSource::new(snowflake(settings)?)?))
            }
            SourceKind::Parquet { path } => Ok(Arc::new(ParquetSource::new(path))),
            SourceKind::Registered { name, options } => {
                self.registry.make_source(name, options.values())
            }
            _ => Err(Error::new(ErrorKind::Unsupported, "This type of source is not built in")
                .with("source", &source.name)
                .with_hint("use `snowflake`, `parquet` or a registered type")),
        }
    }
}

fn snowflake(from: &SnowflakeSettings) -> Result<migrate_sources::SnowflakeSettings> {
    let auth = match &from.auth {
        SnowflakeAuth::KeyPair { private_key, passphrase } => {
            migrate_sources::SnowflakeAuth::KeyPair {
                private_key: private_key.as_secret_string().clone(),
                passphrase: passphrase.clone().map(SecretString::from),
            }
        }
        SnowflakeAuth::Password(password) => {
            migrate_sources::SnowflakeAuth::Password(password.as_secret_string().clone())
        }
        SnowflakeAuth::OauthToken(token) => {
            migrate_sources::SnowflakeAuth::OauthToken(token.as_secret_string().clone())
        }
        _ => {
            return Err(Error::new(ErrorKind::Unsupported, "This way to log in is not built in")
                .with_hint("use `rsa_key`, `password` or `oauth_token`"));
        }
    };
    let mut settings =
        migrate_sources::SnowflakeSettings::new(&from.account, &from.user, auth, &from.warehouse);
    settings.role.clone_from(&from.role);
    settings.base_url = from.base_url.as_deref().map(Url::parse).transpose().map_err(|cause| {
        Error::new(ErrorKind::Config, "`snowflake.base_url` is not an address")
            .with_hint("write it as https://host:port")
            .with_source(cause)
    })?;
    settings.session_parameters = from
        .session_parameters
        .values()
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    settings.login_timeout = from.login_timeout;
    settings.statement_timeout = from.statement_timeout;
    settings.partition_timeout = from.partition_timeout;
    Ok(settings)
}

/// The Snowflake account of a configuration, for programs that want to look into it.
///
/// # Errors
///
/// `Config` when the configuration has no `snowflake` block.
pub fn snowflake_source(config: &Config) -> Result<SnowflakeSource> {
    let settings = config.snowflake.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Config, "There is no `snowflake` block").with_hint("add the block")
    })?;
    SnowflakeSource::new(snowflake(settings)?)
}
