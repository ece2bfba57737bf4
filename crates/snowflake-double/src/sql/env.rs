//! What a statement can see: tables, session, clock, binds, earlier results.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::calendar::Stamp;
use crate::table::Catalog;

use super::binds::Binds;
use super::cancel::Cancel;
use super::failure::Failure;
use super::result::ResultSet;

/// The part of a session that statements read and change.
#[derive(Debug, Clone)]
pub(crate) struct SessionState {
    pub(crate) account: String,
    pub(crate) user: String,
    pub(crate) role: String,
    pub(crate) warehouse: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
    /// Parameters that differ from their defaults, by upper-case name.
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) last_query: Option<Arc<str>>,
    pub(crate) session_id: u64,
}

/// Results of earlier statements, for `RESULT_SCAN`.
pub(crate) trait Results: Sync {
    /// The stored result of a statement.
    fn find(&self, query_id: &str) -> Option<Arc<ResultSet>>;

    /// When a statement began, in milliseconds since the epoch.
    fn started(&self, query_id: &str) -> Option<i64>;

    /// The statements of a user, the newest first.
    fn history(&self, user: &str) -> Vec<HistoryEntry>;

    /// Ends a running statement of a user; false if there is none.
    fn cancel(&self, user: &str, query_id: &str) -> bool;
}

/// What is told of an earlier statement.
#[derive(Debug, Clone)]
pub(crate) struct HistoryEntry {
    pub(crate) query_id: Arc<str>,
    pub(crate) sql: Arc<str>,
    pub(crate) session: u64,
    /// Milliseconds since the epoch.
    pub(crate) started: i64,
    pub(crate) state: HistoryState,
}

/// How far a statement is.
#[derive(Debug, Clone)]
pub(crate) enum HistoryState {
    Running,
    Succeeded,
    Failed(Failure),
}

/// Objects that exist beside tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// Empty: any name is taken.
    pub(crate) warehouses: Vec<String>,
    /// Empty: any name is taken.
    pub(crate) roles: Vec<String>,
}

/// Everything a statement can see.
pub(crate) struct Env<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) account: &'a Account,
    pub(crate) session: &'a SessionState,
    pub(crate) now: Stamp,
    pub(crate) binds: &'a Binds,
    pub(crate) results: &'a dyn Results,
    pub(crate) cancel: &'a Cancel,
}

impl Env<'_> {
    /// Now, in milliseconds since the epoch.
    pub(crate) fn now_millis(&self) -> i64 {
        self.now.seconds * 1_000 + i64::from(self.now.nanos / 1_000_000)
    }

    /// Minutes east of the session's zone.
    pub(crate) fn zone(&self) -> Result<i16, Failure> {
        let name = self.parameter("TIMEZONE");
        zone_offset(&name).ok_or_else(|| {
            Failure::unsupported(format!(
                "times of the zone {name:?}; set TIMEZONE to 'UTC' for this session"
            ))
        })
    }

    /// A session parameter, or its default.
    pub(crate) fn parameter(&self, name: &str) -> String {
        self.session
            .parameters
            .get(name)
            .cloned()
            .or_else(|| super::parameters::default(name).map(str::to_owned))
            .unwrap_or_default()
    }

    /// Fails if the statement needs a warehouse and has none.
    pub(crate) fn need_warehouse(&self) -> Result<(), Failure> {
        if self.account.warehouses.is_empty() || self.session.warehouse.is_some() {
            Ok(())
        } else {
            Err(Failure::no_warehouse())
        }
    }
}

/// Minutes east for zones without daylight saving: `UTC` and its names, and `+HH:MM`.
pub(crate) fn zone_offset(name: &str) -> Option<i16> {
    match name.to_ascii_uppercase().as_str() {
        "UTC" | "ETC/UTC" | "GMT" | "ETC/GMT" | "Z" | "ZULU" | "UCT" => return Some(0),
        _ => {}
    }
    let (sign, rest) = match name.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let hours: i16 = hours.parse().ok().filter(|hours| (0..=23).contains(hours))?;
    let minutes: i16 = minutes.parse().ok().filter(|minutes| (0..=59).contains(minutes))?;
    Some(sign * (hours * 60 + minutes))
}

/// Named intermediate results of a query: its common table expressions.
pub(crate) type Ctes = BTreeMap<String, Arc<ResultSet>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_zones_have_an_offset_and_others_none() {
        assert_eq!(zone_offset("utc"), Some(0));
        assert_eq!(zone_offset("+05:30"), Some(330));
        assert_eq!(zone_offset("-08:00"), Some(-480));
        assert_eq!(zone_offset("America/Los_Angeles"), None);
        assert_eq!(zone_offset("+5"), None);
    }
}
