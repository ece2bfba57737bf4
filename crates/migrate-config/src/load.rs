//! From a file to a configuration.

use std::path::Path;

use crate::document::Document;
use crate::environment::Environment;
use crate::issue::{ConfigErrors, ConfigIssue, Severity, in_order};
use crate::reader::Scope;
use crate::settings::Config;
use crate::validate;

impl Config {
    /// Reads and checks a configuration file. Relative paths in it are relative to the folder in
    /// which the program runs.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] with everything that is wrong, not only the first mistake.
    pub fn load(path: impl AsRef<Path>, environment: &Environment) -> Result<Self, ConfigErrors> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let error = |message: String, hint: &str| {
            ConfigErrors::from(ConfigIssue::new(Severity::Error, &file, message).with_hint(hint))
        };
        let bytes = std::fs::read(path).map_err(|cause| {
            let hint = "name the file with --config, or start from examples/config.json";
            error(format!("The configuration file cannot be read: {cause}"), hint)
        })?;
        let text = String::from_utf8(bytes).map_err(|_not_utf8| {
            error("The configuration file is not UTF-8 text".to_owned(), "save it as UTF-8")
        })?;
        Self::parse(&file, &text, environment)
    }

    /// Checks the text of a configuration; `file` is its name in messages.
    ///
    /// ```
    /// use migrate_config::{Config, Environment};
    ///
    /// let text = r#"{
    ///   "postgres": {"host": "localhost", "user": "${PGUSER:-postgres}"},
    ///   "sources": [{
    ///     "source_name": "flights",
    ///     "type": "parquet", // no Snowflake needed
    ///     "path": "data",
    ///     "target_pg_database": "warehouse",
    ///     "target_pg_schema": "public",
    ///     "tables": [{"source": "flights.parquet", "target": "flights"}]
    ///   }]
    /// }"#;
    /// let environment = Environment::from_map([("PGUSER", "me")]);
    /// let config = Config::parse("config.json", text, &environment)?;
    /// assert_eq!(config.tables().count(), 1);
    ///
    /// let mistyped = text.replace("\"tables\"", "\"tabels\"");
    /// let errors = Config::parse("config.json", &mistyped, &environment).expect_err("mistyped");
    /// assert!(errors.to_string().contains("did you mean \"tables\"?"));
    /// # Ok::<(), migrate_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] with everything that is wrong, not only the first mistake.
    pub fn parse(file: &str, text: &str, environment: &Environment) -> Result<Self, ConfigErrors> {
        let document = Document::parse(file, text)?;
        let scope = Scope::new(&document, environment);
        let config = validate::config(&scope);
        let issues = scope.issues();
        if issues.iter().any(|issue| issue.severity == Severity::Error) {
            return Err(ConfigErrors::new(issues));
        }
        Ok(Self { notices: in_order(issues), ..config })
    }
}
