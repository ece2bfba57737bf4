//! Whole statements against small tables: the rules of the language, one table of cases each.

mod aggregation;
mod dates;
mod logic;
mod metadata;
mod names;
mod numbers;
mod refusals;
mod texts;
mod torture;
mod travel;
mod zones;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Account, Binds, Cancel, Env, Failure, HistoryEntry, Outcome, ResultSet, Results, SessionState,
};
use crate::calendar::Stamp;
use crate::table::{Catalog, Table};
use crate::types::Type;
use crate::value::Value;
use crate::wire::RowWriter;

/// 2024-03-10 12:00:00 UTC.
const NOW: i64 = 1_710_072_000;

/// Results that earlier statements left.
#[derive(Default)]
struct Kept(BTreeMap<String, Arc<ResultSet>>);

impl Results for Kept {
    fn find(&self, query_id: &str) -> Option<Arc<ResultSet>> {
        self.0.get(query_id).cloned()
    }

    fn started(&self, query_id: &str) -> Option<i64> {
        self.0.contains_key(query_id).then_some((NOW - 30) * 1_000)
    }

    fn history(&self, _user: &str) -> Vec<HistoryEntry> {
        Vec::new()
    }

    fn cancel(&self, _user: &str, _query_id: &str) -> bool {
        false
    }
}

/// A session on a few tables.
struct World {
    catalog: Catalog,
    account: Account,
    session: SessionState,
    binds: Binds,
    kept: Kept,
}

type Rows = Vec<Vec<Option<String>>>;

impl World {
    fn new() -> Self {
        let mut catalog = Catalog::new(Duration::from_hours(24));
        for table in [numbers(), words(), torture::table()] {
            catalog.create(table, (NOW - 3_600) * 1_000).unwrap();
        }
        let session = SessionState {
            account: "ACME".to_owned(),
            user: "MOVER".to_owned(),
            role: "READER".to_owned(),
            warehouse: Some("WH".to_owned()),
            database: Some("DB".to_owned()),
            schema: Some("SC".to_owned()),
            parameters: BTreeMap::from([("TIMEZONE".to_owned(), "UTC".to_owned())]),
            last_query: None,
            session_id: 7,
        };
        let (account, binds, kept) = (Account::default(), Binds::default(), Kept::default());
        Self { catalog, account, session, binds, kept }
    }

    fn execute(&self, sql: &str) -> Result<Outcome, Failure> {
        let cancel = Cancel::default();
        let env = Env {
            catalog: &self.catalog,
            account: &self.account,
            session: &self.session,
            now: Stamp::new(NOW, 0),
            binds: &self.binds,
            results: &self.kept,
            cancel: &cancel,
        };
        super::execute(&env, sql)
    }

    /// The rows as the wire shows them.
    fn rows(&self, sql: &str) -> Rows {
        let outcome = self.execute(sql).unwrap_or_else(|failure| panic!("{sql}: {failure:?}"));
        shown(&outcome.result)
    }

    /// The only cell of the only row.
    fn value(&self, expression: &str) -> Option<String> {
        let rows = self.rows(&format!("select {expression}"));
        assert_eq!((rows.len(), rows[0].len()), (1, 1), "{expression}");
        rows[0][0].clone()
    }

    /// One column as texts, NULL as `~`, joined with blanks.
    fn column(&self, sql: &str) -> String {
        let cell = |row: &Vec<Option<String>>| row[0].clone().unwrap_or_else(|| "~".to_owned());
        self.rows(sql).iter().map(cell).collect::<Vec<_>>().join(" ")
    }

    /// The code and message of a failure.
    fn failure(&self, sql: &str) -> (String, String) {
        match self.execute(sql) {
            Ok(outcome) => panic!("{sql}: {:?}", shown(&outcome.result)),
            Err(failure) => (failure.code.into_owned(), failure.message),
        }
    }

    /// The type of the only column.
    fn ty(&self, expression: &str) -> String {
        let outcome = self.execute(&format!("select {expression}"));
        let outcome = outcome.unwrap_or_else(|failure| panic!("{expression}: {failure:?}"));
        outcome.result.fields[0].ty.reported().to_string()
    }
}

fn shown(result: &ResultSet) -> Rows {
    let writer = RowWriter::new(result, 0, false);
    (0..result.relation.rows)
        .map(|row| {
            let mut out = Vec::new();
            writer.row(&mut out, row, 0);
            serde_json::from_slice(&out).unwrap()
        })
        .collect()
}

/// Asserts the values of expressions; `~` is NULL.
fn check(cases: &[(&str, &str)]) {
    let world = World::new();
    for (expression, expected) in cases {
        let value = world.value(expression).unwrap_or_else(|| "~".to_owned());
        assert_eq!(value, *expected, "{expression}");
    }
}

/// Ten rows: K 1..10, G alternating, N with NULLs and ties, F a double.
fn numbers() -> Table {
    let rows = (1..=10).map(|k: i32| {
        let n = match k {
            3 | 7 => Value::Null,
            _ => Value::from(k / 2),
        };
        [
            Value::from(k),
            Value::from(if k % 2 == 0 { "even" } else { "odd" }),
            n,
            Value::from(f64::from(k) / 2.0),
        ]
    });
    Table::new("DB.SC.N")
        .required_column("K", Type::number(38, 0))
        .column("G", Type::varchar_of(10))
        .column("N", Type::number(10, 2))
        .column("F", Type::Float)
        .primary_key(["K"])
        .clustering_key("LINEAR(K)")
        .comment("numbers")
        .column_comment("G", "parity")
        .rows(rows)
}

/// Names in odd cases, a collated column.
fn words() -> Table {
    Table::new("DB.SC.\"Words\"")
        .column("id", Type::number(9, 0))
        .column("Payer Id", Type::varchar())
        .column("CI", Type::varchar())
        .column("DE", Type::varchar())
        .collated("CI", "en-ci")
        .collated("DE", "de-pi")
        .row([Value::from(1), Value::from("a"), Value::from("Abc"), Value::from("x")])
        .row([Value::from(2), Value::from("B"), Value::from("aBC"), Value::from("y")])
        .row([Value::from(3), Value::from(""), Value::from("b"), Value::Null])
        .row([Value::from(4), Value::Null, Value::Null, Value::Null])
}
