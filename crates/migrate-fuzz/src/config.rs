//! The reader of `config.json`.

use migrate_config::{Config, Environment, Severity, TableConfig};

/// A value that no input is likely to hold.
const CANARY: &str = "canary/of the:fuzzer@0815";

/// Any text is read or refused, in words that show nothing that came through a variable; what is read reads the
/// same a second time.
///
/// # Panics
///
/// Where that does not hold.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains(CANARY) {
        return;
    }
    let environment = Environment::from_map([("CANARY", CANARY), ("PORT", "5432"), ("EMPTY", "")]);
    match Config::parse("config.json", text, &environment) {
        Ok(config) => {
            let dump = serde_json::to_string(&config);
            assert!(dump.is_ok(), "what is read cannot be dumped");
            assert!(!format!("{:?}", config.notices).contains(CANARY), "a secret is shown");
            let again = Config::parse("config.json", text, &environment)
                .unwrap_or_else(|errors| panic!("refused at the second time: {errors}"));
            let prints =
                |config: &Config| config.tables().map(TableConfig::fingerprint).collect::<Vec<_>>();
            assert_eq!(prints(&config), prints(&again), "the identity of a table has changed");
        }
        Err(errors) => {
            let shown = format!("{errors}{errors:?}");
            assert!(!shown.contains(CANARY), "a secret is shown");
            let is_error = |issue: &migrate_config::ConfigIssue| issue.severity == Severity::Error;
            assert!(errors.issues().iter().any(is_error), "refused without a reason");
        }
    }
}
