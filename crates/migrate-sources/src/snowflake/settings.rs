//! How to reach an account, and how long to wait for it.

use std::collections::BTreeMap;
use std::time::Duration;

use migrate_core::{Error, ErrorKind, Result};
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

/// Address, credentials and limits of one account. `Debug` hides the secrets.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SnowflakeSettings {
    /// Account identifier: `organisation-account`, or `account.region`.
    pub account: String,
    /// User.
    pub user: String,
    /// How the user proves who it is.
    pub auth: SnowflakeAuth,
    /// Warehouse that runs the statements.
    pub warehouse: String,
    /// Role; the user's default where absent.
    pub role: Option<String>,
    /// Another address than the account's, for private links and test servers.
    pub base_url: Option<Url>,
    /// Session parameters that win over this tool's own.
    pub session_parameters: BTreeMap<String, Value>,
    /// Limit of one login; 60 seconds unless set.
    pub login_timeout: Duration,
    /// Limit of one statement until its result is ready; 4 hours unless set.
    pub statement_timeout: Duration,
    /// Limit of hearing from a statement; 10 minutes unless set. Afterwards it is looked for by its
    /// id and goes on. Submitting may take 45 seconds; below that, the id is lost with the answer.
    pub answer_timeout: Duration,
    /// Limit of fetching one part of a result; 5 minutes unless set.
    pub partition_timeout: Duration,
}

/// How a user proves who it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SnowflakeAuth {
    /// A private key in PKCS#8 PEM, with its passphrase if it is encrypted.
    KeyPair {
        /// The PEM text.
        private_key: SecretString,
        /// Passphrase of an encrypted key.
        passphrase: Option<SecretString>,
    },
    /// A password, or a programmatic access token in its place.
    Password(SecretString),
    /// An OAuth access token.
    OauthToken(SecretString),
}

impl SnowflakeSettings {
    /// Settings with defaults for everything else.
    pub fn new(
        account: impl Into<String>,
        user: impl Into<String>,
        auth: SnowflakeAuth,
        warehouse: impl Into<String>,
    ) -> Self {
        Self {
            account: account.into(),
            user: user.into(),
            auth,
            warehouse: warehouse.into(),
            role: None,
            base_url: None,
            session_parameters: BTreeMap::new(),
            login_timeout: Duration::from_mins(1),
            statement_timeout: Duration::from_hours(4),
            answer_timeout: Duration::from_mins(10),
            partition_timeout: Duration::from_mins(5),
        }
    }

    /// Parameters of every session.
    pub(super) fn all_session_parameters(&self) -> BTreeMap<String, Value> {
        let own: [(&str, Value); 11] = [
            ("QUERY_TAG", "migrate".into()),
            // Zoned times come as UTC whatever the account's default is.
            ("TIMEZONE", "UTC".into()),
            // The time-travel literal is read in ISO form whatever the account's default is.
            ("TIMESTAMP_INPUT_FORMAT", "AUTO".into()),
            // Smaller parts of a result: each is held in memory as a whole. In MB; 16 is the least.
            ("CLIENT_RESULT_CHUNK_SIZE", RESULT_CHUNK_MB.into()),
            ("JSON_INDENT", 0.into()),
            // No account default may cut a result, or let a quoted name mean another object.
            ("ROWS_PER_RESULTSET", 0.into()),
            ("QUOTED_IDENTIFIERS_IGNORE_CASE", false.into()),
            // Shapes come as objects, by which a table is known to have some.
            ("GEOGRAPHY_OUTPUT_FORMAT", "GeoJSON".into()),
            ("GEOMETRY_OUTPUT_FORMAT", "GeoJSON".into()),
            // The server gives up when this side would. To it, 0 seconds are seven days.
            ("STATEMENT_TIMEOUT_IN_SECONDS", self.statement_timeout.as_secs().max(1).into()),
            // A statement goes on while its result is being fetched over another connection.
            ("ABORT_DETACHED_QUERY", false.into()),
        ];
        let mut parameters: BTreeMap<String, Value> =
            own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for (name, value) in &self.session_parameters {
            parameters.insert(name.to_uppercase(), value.clone());
        }
        parameters
    }

    /// # Errors
    ///
    /// `Config` for a parameter with which rows would be cut off or taken from elsewhere.
    pub(super) fn check_session_parameters(&self) -> Result<()> {
        let fixed = |name: &&String| FIXED.iter().any(|fixed| fixed.eq_ignore_ascii_case(name));
        match self.session_parameters.keys().find(fixed) {
            None => Ok(()),
            Some(name) => Err(Error::new(
                ErrorKind::Config,
                format!("The session parameter {name} cannot be changed: results depend on it"),
            )
            .with_hint("remove it from `snowflake.session_parameters`")),
        }
    }
}

/// Parameters that users cannot set. By the zone years, days and hours of instants are cut.
const FIXED: [&str; 3] = ["ROWS_PER_RESULTSET", "QUOTED_IDENTIFIERS_IGNORE_CASE", "TIMEZONE"];

/// Size that a part of a result is asked to have, in MB of inflated text.
pub(super) const RESULT_CHUNK_MB: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_every_secret() {
        let secret = || SecretString::from("canary-4711");
        for auth in [
            SnowflakeAuth::Password(secret()),
            SnowflakeAuth::OauthToken(secret()),
            SnowflakeAuth::KeyPair { private_key: secret(), passphrase: Some(secret()) },
        ] {
            let settings = SnowflakeSettings::new("acme", "U", auth, "W");
            assert!(!format!("{settings:?}").contains("canary-4711"));
        }
    }

    #[test]
    fn a_parameter_that_results_depend_on_is_refused_by_name() {
        for name in ["rows_per_resultset", "TimeZone"] {
            let mut settings =
                SnowflakeSettings::new("acme", "U", SnowflakeAuth::Password("x".into()), "W");
            settings.session_parameters.insert(name.into(), "5".into());
            let error = settings.check_session_parameters().expect_err("refused");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn the_users_parameters_win_whatever_their_case() {
        let auth = SnowflakeAuth::Password("x".into());
        let mut settings = SnowflakeSettings::new("acme", "U", auth, "W");
        settings.session_parameters.insert("query_tag".into(), "nightly".into());
        let parameters = settings.all_session_parameters();
        assert_eq!(parameters.get("QUERY_TAG"), Some(&Value::from("nightly")));
        assert_eq!(parameters.get("TIMEZONE"), Some(&Value::from("UTC")));
    }
}
