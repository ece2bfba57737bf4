//! The version a PostgreSQL program says it has.

use std::fmt;

/// The oldest major version that the project supports.
pub(crate) const OLDEST_MAJOR: u32 = 13;

/// A PostgreSQL version, such as `15.18`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    major: u32,
    text: String,
}

impl Version {
    /// Reads the answer of `postgres --version`, or `None` when it is something else.
    pub(crate) fn parse(answer: &str) -> Option<Self> {
        // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "postgres (PostgreSQL) 18beta1"
        let (_, rest) = answer.split_once("(PostgreSQL)")?;
        let text = rest.split_whitespace().next()?;
        Self::from_number(text)
    }

    /// Reads a bare number such as `15`, `15.18` or `18beta1`.
    pub(crate) fn from_number(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let major = text.get(..digits)?.parse().ok()?; // not a number: not a version
        Some(Self { major, text: text.to_owned() })
    }

    /// The major version, such as 15.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Whether the project supports this version.
    pub(crate) fn is_supported(&self) -> bool {
        self.major >= OLDEST_MAJOR
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_releases_and_betas_are_read() {
        let debian = Version::parse("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n");
        assert_eq!(debian.as_ref().map(Version::major), Some(15));
        assert_eq!(debian.map(|version| version.to_string()), Some("15.18".to_owned()));
        let beta = Version::parse("postgres (PostgreSQL) 18beta1");
        assert_eq!(beta.map(|version| version.major()), Some(18));
    }

    #[test]
    fn thirteen_is_the_oldest_supported_version() {
        let supported = |answer| Version::parse(answer).map(|version| version.is_supported());
        assert_eq!(supported("postgres (PostgreSQL) 9.6.24"), Some(false));
        assert_eq!(supported("postgres (PostgreSQL) 12.22"), Some(false));
        assert_eq!(supported("postgres (PostgreSQL) 13.0"), Some(true));
    }

    #[test]
    fn other_programs_have_no_version() {
        assert_eq!(Version::parse("postgres (EnterpriseDB) 15.1"), None);
        assert_eq!(Version::parse(""), None);
    }
}
