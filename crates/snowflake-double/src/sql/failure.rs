//! Failures of statements, with Snowflake's codes and wordings.
//!
//! Codes and messages are those that public reports and Snowflake's manual show. What the double
//! cannot evaluate has one form: code 000002, naming the double and the thing.

use std::borrow::Cow;

/// What kind of failure a statement met; conversions with `TRY_` swallow only the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// A value could not be converted.
    Data,
    /// Anything else that Snowflake itself would report.
    Statement,
    /// The double does not evaluate it.
    Unsupported,
}

/// The error part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Cow<'static, str>,
    pub(crate) sql_state: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) kind: FailureKind,
}

impl Failure {
    pub(crate) fn new(code: &'static str, sql_state: &'static str, message: String) -> Self {
        Self {
            code: Cow::Borrowed(code),
            sql_state: Cow::Borrowed(sql_state),
            message,
            kind: FailureKind::Statement,
        }
    }

    fn data(code: &'static str, sql_state: &'static str, message: String) -> Self {
        Self { kind: FailureKind::Data, ..Self::new(code, sql_state, message) }
    }

    /// The double refuses rather than guesses.
    pub(crate) fn unsupported(what: impl AsRef<str>) -> Self {
        let message = format!(
            "Unsupported feature: the Snowflake double does not evaluate {}",
            what.as_ref()
        );
        Self { kind: FailureKind::Unsupported, ..Self::new("000002", "0A000", message) }
    }

    /// The statement is no SQL.
    pub(crate) fn syntax(reason: &str) -> Self {
        Self::new("001003", "42000", format!("SQL compilation error:\nsyntax error: {reason}"))
    }

    pub(crate) fn invalid_identifier(shown: &str) -> Self {
        Self::new(
            "000904",
            "42000",
            format!("SQL compilation error:\ninvalid identifier '{shown}'"),
        )
    }

    pub(crate) fn ambiguous_column(shown: &str) -> Self {
        let message = format!("SQL compilation error:\nambiguous column name '{shown}'");
        Self::new("002028", "42601", message)
    }

    pub(crate) fn no_such_object(kind: &str, shown: &str) -> Self {
        let message =
            format!("SQL compilation error:\n{kind} '{shown}' does not exist or not authorized.");
        Self::new("002003", "42S02", message)
    }

    pub(crate) fn no_current_database() -> Self {
        let message = "Cannot perform operation. This session does not have a current database. \
                       Call 'USE DATABASE', or use a qualified name.";
        Self::new("090105", "22000", message.to_owned())
    }

    pub(crate) fn no_current_schema() -> Self {
        let message = "Cannot perform operation. This session does not have a current schema. \
                       Call 'USE SCHEMA', or use a qualified name.";
        Self::new("090106", "22000", message.to_owned())
    }

    pub(crate) fn no_warehouse() -> Self {
        let message = "No active warehouse selected in the current session. \
                       Select an active warehouse with the 'use warehouse' command.";
        Self::new("000606", "57P03", message.to_owned())
    }

    pub(crate) fn not_grouped(shown: &str) -> Self {
        let message =
            format!("SQL compilation error:\n[{shown}] is not a valid group by expression");
        Self::new("000979", "42601", message)
    }

    pub(crate) fn time_travel(shown_table: &str) -> Self {
        let message = format!(
            "Time travel data is not available for table {shown_table}. The requested time is \
             either beyond the allowed time travel period or before the object creation time."
        );
        Self::new("000707", "02000", message)
    }

    pub(crate) fn result_not_found(query_id: &str) -> Self {
        let message = format!("Result for query {query_id} not found");
        Self::new("000709", "02000", message)
    }

    pub(crate) fn cancelled() -> Self {
        Self::new("000604", "57014", "SQL execution canceled".to_owned())
    }

    pub(crate) fn timed_out(seconds: u64) -> Self {
        let message = format!(
            "Statement reached its statement or warehouse timeout of {seconds} second(s) \
             and was canceled."
        );
        Self::new("000630", "57014", message)
    }

    pub(crate) fn argument_count(function: &str, expected: usize, got: usize) -> Self {
        let (code, word) =
            if got < expected { ("000938", "not enough") } else { ("000939", "too many") };
        let message = format!(
            "SQL compilation error:\n{word} arguments for function [{function}], \
             expected {expected}, got {got}"
        );
        Self::new(code, "22023", message)
    }

    pub(crate) fn argument_types(function: &str, types: &str) -> Self {
        let message = format!(
            "SQL compilation error:\nInvalid argument types for function '{function}': ({types})"
        );
        Self::new("001044", "42P13", message)
    }

    pub(crate) fn incompatible(from: &str, to: &str) -> Self {
        let message = format!(
            "SQL compilation error:\nCan not convert parameter of type [{from}] into expected type [{to}]"
        );
        Self::new("002016", "22000", message)
    }

    pub(crate) fn unbound(name: &str) -> Self {
        let message = format!("SQL compilation error:\nBind variable {name} not set.");
        Self::new("002049", "42601", message)
    }

    pub(crate) fn numeric_not_recognized(text: &str) -> Self {
        Self::data("100038", "22018", format!("Numeric value '{text}' is not recognized"))
    }

    pub(crate) fn numeric_out_of_range(text: &str) -> Self {
        Self::data("100039", "22003", format!("Numeric value '{text}' is out of range"))
    }

    pub(crate) fn overflow(shape: &str) -> Self {
        let message = format!("Number out of representable range: type FIXED[SB16]{shape}");
        Self::new("100046", "22003", message)
    }

    pub(crate) fn sum_overflow() -> Self {
        Self::new("100058", "22000", "Value overflow in a SUM aggregate".to_owned())
    }

    pub(crate) fn division_by_zero() -> Self {
        Self::new("100051", "22012", "Division by zero".to_owned())
    }

    pub(crate) fn date_not_recognized(text: &str) -> Self {
        Self::data("100040", "22007", format!("Date '{text}' is not recognized"))
    }

    pub(crate) fn time_not_recognized(text: &str) -> Self {
        Self::data("100108", "22007", format!("Time '{text}' is not recognized"))
    }

    pub(crate) fn timestamp_not_recognized(text: &str) -> Self {
        Self::data("100035", "22007", format!("Timestamp '{text}' is not recognized"))
    }

    pub(crate) fn boolean_not_recognized(text: &str) -> Self {
        Self::data("100037", "22018", format!("Boolean value '{text}' is not recognized"))
    }

    pub(crate) fn binary_not_recognized(text: &str) -> Self {
        let message = format!("The following string is not a legal hex-encoded value: '{text}'");
        Self::data("100115", "22000", message)
    }
}
