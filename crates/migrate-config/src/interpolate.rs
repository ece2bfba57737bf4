//! `${VAR}` in a text that is already parsed.
//!
//! Substituting in raw JSON would break on the first PEM key or on a password with a quote. Here the
//! value goes in as it is: newlines, quotes and backslashes stay, and nothing in it is read again.

use thiserror::Error;

/// Why a variable has no value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Environment variable {name} is not valid UTF-8")]
pub(crate) struct NotUnicode {
    pub(crate) name: String,
}

/// What is wrong with one reference.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Problem {
    #[error("Environment variable {0} is not set")]
    Unset(String),
    #[error("Environment variable {name} is required: {message}")]
    Required { name: String, message: String },
    #[error(transparent)]
    NotUnicode(#[from] NotUnicode),
    #[error("A reference to an environment variable {0}")]
    Malformed(&'static str),
}

impl Problem {
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Unset(name) => {
                format!(
                    "set {name} in the environment or the .env file, or write ${{{name}:-default}}"
                )
            }
            Self::Required { name, .. } => {
                format!("set {name} in the environment or the .env file")
            }
            Self::NotUnicode(NotUnicode { name }) => format!("set {name} to text in UTF-8"),
            Self::Malformed(_) => {
                "write ${NAME}, ${NAME:-default} or ${NAME:?message}; $${ stands for a literal ${"
                    .to_owned()
            }
        }
    }
}

/// A text after substitution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interpolated {
    /// The text; an unset variable is empty in it, a malformed reference stands as written.
    pub(crate) text: String,
    /// The variables it names, in order.
    pub(crate) variables: Vec<String>,
    /// What went wrong, all of it.
    pub(crate) problems: Vec<Problem>,
}

/// Replaces every reference in `text`. `:-` and `:?` treat an empty variable like an unset one, as
/// shells do; plain `${VAR}` takes the empty value.
pub(crate) fn interpolate(
    text: &str,
    lookup: impl Fn(&str) -> Result<Option<String>, NotUnicode>,
) -> Interpolated {
    let mut result = Interpolated {
        text: String::with_capacity(text.len()),
        variables: Vec::new(),
        problems: Vec::new(),
    };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(plain) = before.strip_suffix('$') {
            result.text.push_str(plain);
            result.text.push_str("${");
            rest = after;
            continue;
        }
        result.text.push_str(before);
        rest = match Reference::parse(after) {
            Ok((reference, rest)) => {
                result.apply(reference, &lookup);
                rest
            }
            Err(problem) => {
                result.text.push_str("${");
                result.problems.push(problem);
                after
            }
        };
    }
    result.text.push_str(rest);
    result
}

impl Interpolated {
    fn apply(
        &mut self,
        reference: Reference<'_>,
        lookup: impl Fn(&str) -> Result<Option<String>, NotUnicode>,
    ) {
        let name = reference.name.to_owned();
        self.variables.push(name.clone());
        match (lookup(&name), reference.otherwise) {
            (Err(problem), _) => self.problems.push(problem.into()),
            (Ok(Some(value)), Otherwise::Nothing) => self.text.push_str(&value),
            (Ok(Some(value)), _) if !value.is_empty() => self.text.push_str(&value),
            (Ok(None), Otherwise::Nothing) => self.problems.push(Problem::Unset(name)),
            (Ok(_), Otherwise::Default(default)) => self.text.push_str(default),
            (Ok(_), Otherwise::Refuse(message)) => {
                self.problems.push(Problem::Required { name, message: message.to_owned() });
            }
        }
    }
}

/// `NAME`, `NAME:-default` or `NAME:?message`.
struct Reference<'t> {
    name: &'t str,
    otherwise: Otherwise<'t>,
}

enum Otherwise<'t> {
    Nothing,
    Default(&'t str),
    Refuse(&'t str),
}

impl<'t> Reference<'t> {
    /// Reads what follows `${`; gives back what follows the closing brace.
    fn parse(text: &'t str) -> Result<(Self, &'t str), Problem> {
        let (inner, rest) =
            text.split_once('}').ok_or(Problem::Malformed("is not closed with a brace"))?;
        if inner.contains("${") {
            return Err(Problem::Malformed("contains another one"));
        }
        let (name, otherwise) = match inner.split_once(':') {
            None => (inner, Otherwise::Nothing),
            Some((name, tail)) => match (tail.strip_prefix('-'), tail.strip_prefix('?')) {
                (Some(default), _) => (name, Otherwise::Default(default)),
                (_, Some(message)) => (name, Otherwise::Refuse(message)),
                _ => return Err(Problem::Malformed("has an operator that is not known")),
            },
        };
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(Problem::Malformed("does not hold a variable name"));
        }
        Ok((Self { name, otherwise }, rest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with<'v>(
        variables: &'v [(&'v str, &'v str)],
    ) -> impl Fn(&str) -> Result<Option<String>, NotUnicode> + 'v {
        |name| Ok(variables.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned()))
    }

    fn text_of(text: &str, variables: &[(&str, &str)]) -> String {
        let result = interpolate(text, with(variables));
        assert_eq!(result.problems, [], "{text}");
        result.text
    }

    #[test]
    fn references_are_replaced_and_values_are_not_read_again() {
        assert_eq!(text_of("a-${X}-${Y}", &[("X", "${Y}"), ("Y", "\\n\"")]), "a-${Y}-\\n\"");
    }

    #[test]
    fn a_set_but_empty_variable_is_a_value_and_counts_as_unset_for_operators() {
        let empty = [("X", "")];
        assert_eq!(text_of("[${X}]", &empty), "[]");
        assert_eq!(text_of("[${X:-d}]", &empty), "[d]");
        assert_eq!(
            interpolate("${X:?say why}", with(&empty)).problems,
            [Problem::Required { name: "X".into(), message: "say why".into() }]
        );
        assert_eq!(text_of("${X:-d}${X:?m}", &[("X", "v")]), "vv");
    }

    #[test]
    fn a_doubled_dollar_is_a_literal() {
        assert_eq!(text_of("$${X} $ $$ $x {y}", &[]), "${X} $ $$ $x {y}");
    }

    #[test]
    fn every_unset_variable_is_named() {
        let result = interpolate("${A}${B}${C:-}", with(&[]));
        assert_eq!(result.problems, [Problem::Unset("A".into()), Problem::Unset("B".into())]);
        assert_eq!(result.variables, ["A", "B", "C"]);
    }

    #[test]
    fn what_looks_like_a_reference_and_is_none_is_refused() {
        for text in ["${", "${}", "${A", "${A B}", "${1A}", "${A:=x}", "${A:-${B}}", "${A-x}"] {
            let problems = interpolate(text, with(&[("A", "a"), ("B", "b")])).problems;
            assert!(matches!(problems.as_slice(), [Problem::Malformed(_)]), "{text}: {problems:?}");
        }
    }

    proptest! {
        #[test]
        fn values_survive_exactly(value in any::<String>(), before in "[^$]*", after in "[^$]*") {
            let variables = [("X", value.as_str())];
            let result = interpolate(&format!("{before}${{X}}{after}"), with(&variables));
            prop_assert_eq!(result.problems, []);
            prop_assert_eq!(result.text, format!("{before}{value}{after}"));
        }

        #[test]
        fn escaped_text_comes_back_as_it_was(text in any::<String>()) {
            // A `$` right before `${` is the escape itself, so such a text cannot be escaped.
            prop_assume!(!text.contains("$${"));
            let result = interpolate(&text.replace("${", "$${"), with(&[]));
            prop_assert_eq!(result.problems, []);
            prop_assert_eq!(result.text, text);
        }
    }
}
