//! What the account says about its objects.

pub(crate) mod describe;
pub(crate) mod information_schema;
pub(crate) mod query_history;
pub(crate) mod show;

use crate::calendar::Stamp;
use crate::table::Datum;

use super::env::SessionState;

/// Who owns everything.
const OWNER: &str = "ACCOUNTADMIN";

fn text(value: impl Into<String>) -> Datum {
    Datum::Text(value.into())
}

fn optional(value: Option<&str>) -> Datum {
    value.map_or(Datum::Null, text)
}

fn number(value: usize) -> Datum {
    Datum::Number(i128::try_from(value).unwrap_or(i128::MAX))
}

fn yes_no(value: bool) -> Datum {
    text(if value { "YES" } else { "NO" })
}

fn moment(millis: i64) -> Datum {
    Datum::Stamp(Stamp::from_nanos(i128::from(millis) * 1_000_000).unwrap_or_default())
}

/// Whether a name is hidden by a LIKE pattern, which ignores case in SHOW.
fn hidden(pattern: Option<&str>, name: &str) -> bool {
    pattern.is_some_and(|pattern| !super::function::text::matches(name, pattern, None, true))
}

/// The database of the session, if it has one.
fn current_database(session: &SessionState) -> Option<&str> {
    session.database.as_deref()
}
