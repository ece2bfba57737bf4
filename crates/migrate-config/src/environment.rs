//! Where `${VAR}` finds its values. The only place of the workspace that reads the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind as IoErrorKind;
use std::path::Path;

use crate::env_file;
use crate::interpolate::{NotUnicode, interpolate};
use crate::issue::{ConfigErrors, ConfigIssue, Severity};

/// Variables of the process or of an explicit map, and behind them those of a `.env` file.
///
/// A variable of the process always wins over the file, also when it is set but empty. Nothing here
/// changes the environment of the process. `Debug` shows names of the file's variables, no values.
#[derive(Clone)]
pub struct Environment {
    base: Base,
    file: BTreeMap<String, String>,
    notes: Vec<ConfigIssue>,
}

#[derive(Clone)]
enum Base {
    Process,
    Given(BTreeMap<String, String>),
}

impl Environment {
    /// The environment of this process, read at each look-up.
    pub fn process() -> Self {
        Self { base: Base::Process, file: BTreeMap::new(), notes: Vec::new() }
    }

    /// Exactly these variables, for tests and for embedding.
    pub fn from_map<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let given = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { base: Base::Given(given.collect()), file: BTreeMap::new(), notes: Vec::new() }
    }

    /// Adds a `.env` file that the user named, so it must exist.
    ///
    /// Values may be quoted and span lines (PEM keys), and may refer to earlier variables as
    /// `${NAME}`. A line that is no `NAME=value` is skipped with a warning.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] if the file cannot be read or is not UTF-8.
    pub fn with_env_file(mut self, path: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        let path = path.as_ref();
        if self.read_file(path)? {
            return Ok(self);
        }
        let missing = "The environment file is missing";
        Err(ConfigIssue::new(Severity::Error, path.display().to_string(), missing)
            .with_hint("create it or name another one")
            .into())
    }

    /// Adds the `.env` file of the default place, which may be missing.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] if the file is there and cannot be read or is not UTF-8.
    pub fn with_default_env_file(mut self, path: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        self.read_file(path.as_ref())?;
        Ok(self)
    }

    /// What reading the `.env` file had to tell; also part of the loaded configuration's notes.
    pub fn notes(&self) -> &[ConfigIssue] {
        &self.notes
    }

    /// The value of one variable; `None` if it is not set.
    pub(crate) fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        let base = match &self.base {
            Base::Process => process_variable(name)?,
            Base::Given(variables) => variables.get(name).cloned(),
        };
        Ok(base.or_else(|| self.file.get(name).cloned()))
    }

    /// Whether the file is there.
    fn read_file(&mut self, path: &Path) -> Result<bool, ConfigErrors> {
        let name = path.display().to_string();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(false),
            Err(error) => {
                let what = format!("The environment file cannot be read: {error}");
                return Err(ConfigIssue::new(Severity::Error, name, what)
                    .with_hint("check the path and the file's access rights")
                    .into());
            }
        };
        let text = String::from_utf8(bytes).map_err(|_not_utf8| {
            ConfigIssue::new(Severity::Error, &name, "The environment file is not UTF-8 text")
                .with_hint("save it as UTF-8")
        })?;
        self.add(&name, &text);
        Ok(true)
    }

    fn add(&mut self, file: &str, text: &str) {
        let parsed = env_file::parse(text);
        for line in parsed.skipped {
            let issue = ConfigIssue::new(
                Severity::Warning,
                file,
                "The line is no NAME=value and is skipped",
            );
            let hint = "write NAME=value, and close quotes that you open";
            self.notes.push(issue.with_line(line).with_hint(hint));
        }
        for entry in parsed.entries {
            let value = interpolate(&entry.value, |name| self.get(name));
            for problem in value.problems {
                let issue = ConfigIssue::new(Severity::Warning, file, problem.to_string());
                let issue = issue.with_path(&entry.name).with_line(entry.line);
                self.notes.push(issue.with_hint(problem.hint()));
            }
            self.file.insert(entry.name, value.text);
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = match &self.base {
            Base::Process => "process",
            Base::Given(_) => "given",
        };
        let names: Vec<_> = self.file.keys().collect();
        f.debug_struct("Environment")
            .field("base", &base)
            .field("file", &names)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn process_variable(name: &str) -> Result<Option<String>, NotUnicode> {
    let value = std::env::var_os(name).map(std::ffi::OsString::into_string).transpose();
    value.map_err(|_raw| NotUnicode { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    fn get(environment: &Environment, name: &str) -> Option<String> {
        environment.get(name).expect("UTF-8")
    }

    #[test]
    fn the_base_wins_over_the_file_also_when_it_is_empty() {
        let file = file("A=file\nB=file\nC=file\nD=${A}/${C}\n");
        let environment = Environment::from_map([("A", "base"), ("B", "")])
            .with_env_file(file.path())
            .expect("readable");
        let values = ["A", "B", "C", "D", "E"].map(|name| get(&environment, name));
        let expected = ["base", "", "file", "base/file"].map(|value| Some(value.to_owned()));
        assert_eq!(values[..4], expected);
        assert_eq!(values[4], None);
    }

    #[test]
    fn only_a_file_that_was_named_must_exist() {
        let environment = || Environment::from_map([("A", "1")]);
        let with_default = environment().with_default_env_file("no/such/.env").expect("optional");
        assert_eq!(with_default.notes(), []);
        let error = environment().with_env_file("no/such/.env").expect_err("must exist");
        assert!(error.to_string().contains("no/such/.env"), "{error}");
    }

    #[test]
    fn the_environment_of_the_process_is_read_and_not_changed() {
        let file = file("CARGO_PKG_NAME=other\nMIGRATE_CONFIG_ONLY_IN_FILE=1\n");
        let environment = Environment::process().with_env_file(file.path()).expect("readable");
        assert_eq!(get(&environment, "CARGO_PKG_NAME").as_deref(), Some("migrate-config"));
        assert_eq!(get(&environment, "MIGRATE_CONFIG_ONLY_IN_FILE").as_deref(), Some("1"));
        assert_eq!(process_variable("MIGRATE_CONFIG_ONLY_IN_FILE"), Ok(None));
    }

    #[test]
    fn problems_in_the_file_are_told_by_line_without_its_text() {
        let file = file("A=1\ncanary text\nB=x${UNSET}\n");
        let environment =
            Environment::from_map([("Z", "canary")]).with_env_file(file.path()).expect("readable");
        let lines: Vec<_> = environment.notes().iter().map(|note| note.line).collect();
        assert_eq!(lines, [Some(2), Some(3)]);
        assert_eq!(get(&environment, "B").as_deref(), Some("x"));
        assert!(!format!("{:?}{environment:?}", environment.notes()).contains("canary"));
    }
}
