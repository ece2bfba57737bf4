//! Chunks cover a table, row by row, whoever evaluates them: our own code, a real PostgreSQL, and
//! Snowflake as the double speaks it.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;

use futures::TryStreamExt;
use migrate_chunking::{
    Auto, ChunkPlan, ChunkingStrategy, DateRange, GroupedValues, HashBucket, NumericRange,
    PlanInput, Single,
};
use migrate_core::arrow::array::{AsArray, RecordBatch};
use migrate_core::arrow::compute::{concat_batches, filter_record_batch};
use migrate_core::arrow::datatypes::Decimal128Type;
use migrate_core::{
    ColumnName, Dialect, Extent, Key, Predicate, RunContext, Scalar, ScanRequest, Source,
    SourceTable, SqlBuilder, TableRef, check_filter,
};
use migrate_postgres::{Database, PostgresSettings, bound, sqlx};
use migrate_sources::{SnowflakeAuth, SnowflakeSettings, SnowflakeSource};
use postgres_sandbox::TestDatabase;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use snowflake_double::{Double, Table, Type, User, Value};
use sqlx::Row as _;

const CASES: u32 = 16;
/// Name, type in PostgreSQL.
const COLUMNS: [(&str, &str); 13] = [
    ("N", "integer"),
    ("ID", "numeric(38,0)"),
    ("DEC", "numeric(38,10)"),
    ("F", "double precision"),
    ("NUM", "text"),
    ("S", "text"),
    ("D", "date"),
    ("NTZ", "timestamp"),
    ("LTZ", "timestamptz"),
    ("TZ", "timestamptz"),
    ("B", "boolean"),
    ("CI", "text collate \"en-x-icu\""),
    ("TM", "time"),
];

/// The cells of a row beside its number, as text.
type Cells = [Option<String>; 12];

fn cells() -> impl Strategy<Value = Cells> {
    let id = prop_oneof![
        (-9_i64..9).prop_map(|id| id.to_string()),
        any::<i64>().prop_map(|id| id.to_string()),
        "-?[1-9][0-9]{37}",
    ];
    let decimal = prop_oneof!["-?[0-3][.][05]", "-?[1-9][0-9]{27}[.][0-9]{10}"];
    let float = prop_oneof!["-?[0-3][.](25|5)", "-?0[.]0", "NaN|1e300|-?inf"];
    let number = prop_oneof![
        " ?-?[0-9]{1,3} ?",
        "[0-9][.]5",
        "[1-9]e[0-9]",
        "[a-z -]{0,3}",
        "[1-9]{39}",
        // Exponents beyond what PostgreSQL's numeric holds, and such that zeros make up for.
        "[+-]?[0-9]{0,2}[.]?[0-9]{1,2}[eE][+-]?[0-9]{3,7}",
        "-?0{0,3}[.]0{0,5}[1-9]{1,3}e[+-]?0{0,4}[0-9]{1,2}",
        "-?[1-9]{36,40}[.]?[0-9]{0,3}(e-0{0,4}[0-9]{1,2})?",
        "[.]0{900}[1-9]e90[0-9]",
    ];
    let text = || prop_oneof!["[abAB]{0,2}", "[éÉß🚀~ ']{0,2}"];
    let of_day = "(00|10|23):(00|59):(00|59)([.][0-9]{1,6})?";
    let date =
        prop_oneof!["19(69|70)-(12|01)-0[1-9]", "(0001|9999)-0[1-9]-1[0-9]", "2024-02-2[0-9]"];
    let time = || {
        (prop_oneof!["1969-12-31", "2024-02-2[0-9]", "(0002|9998)-0[1-9]-1[0-9]"], of_day)
            .prop_map(|(date, time)| format!("{date} {time}"))
    };
    let offset = "[+-]0[0-9]:(00|30)";
    let some = |text: BoxedStrategy<String>| option::weighted(0.85, text);
    (
        some(id.boxed()),
        some(decimal.boxed()),
        some(float.boxed()),
        some(number.boxed()),
        some(text().boxed()),
        some(date.boxed()),
        some(time().boxed()),
        some(time().prop_map(|time| format!("{time} +00:00")).boxed()),
        some((time(), offset).prop_map(|(time, offset)| format!("{time} {offset}")).boxed()),
        (option::of("true|false"), some(text().boxed()), some(of_day.boxed())),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i, (j, k, l))| [a, b, c, d, e, f, g, h, i, j, k, l])
}

/// Rows that come after the plan, beyond everything that it has seen.
fn late() -> Vec<Cells> {
    let rows = [
        ["-", "-99999999999999999999999999999999999999", "99999999999999999999999999999999999999"],
        [
            "-",
            "-9999999999999999999999999999.9999999999",
            "9999999999999999999999999999.9999999999",
        ],
        ["-", "-inf", "NaN"],
        ["-", "-99999999999999999999999999999999999999", "no number"],
        ["-", "", "\u{10FFFF}"],
        ["-", "0001-01-01", "9999-12-31"],
        ["-", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"],
        ["-", "0001-01-01 00:00:00 +00:00", "9999-12-31 23:59:59.999999 +00:00"],
        ["-", "0001-01-02 00:00:00 +10:00", "9999-12-30 23:59:59.999999 -10:00"],
        ["-", "false", "true"],
        ["-", "", "\u{10FFFF}"],
        ["-", "00:00:00", "23:59:59.999999"],
    ];
    let row = |at: usize| rows.map(|values| (at > 0).then(|| values[at].to_owned()));
    (0..3).map(row).collect()
}

fn strategies() -> Vec<(Box<dyn ChunkingStrategy>, Vec<Key>)> {
    vec![
        (Box::new(Single {}), vec![]),
        (Box::new(NumericRange {}), vec!["ID".into()]),
        (Box::new(NumericRange {}), vec!["DEC".into()]),
        (Box::new(NumericRange {}), vec!["F".into()]),
        (Box::new(NumericRange {}), vec![Key::number_in("NUM")]),
        (Box::new(GroupedValues {}), vec!["S".into()]),
        (Box::new(GroupedValues {}), vec!["B".into(), "TZ".into()]),
        (Box::new(DateRange {}), vec!["D".into()]),
        (Box::new(DateRange {}), vec!["NTZ".into()]),
        (Box::new(DateRange {}), vec!["LTZ".into()]),
        (Box::new(DateRange {}), vec!["TZ".into()]),
        (Box::new(HashBucket {}), vec!["ID".into()]),
        (Box::new(HashBucket {}), vec!["S".into()]),
        (Box::new(HashBucket {}), vec!["D".into()]),
        (Box::new(GroupedValues {}), vec!["S".into(), "D".into(), "ID".into()]),
        (Box::new(GroupedValues {}), vec!["CI".into(), "F".into()]),
        (Box::new(DateRange {}), vec!["TM".into(), "CI".into()]),
        (Box::new(HashBucket {}), vec!["CI".into()]),
        (Box::new(Auto {}), vec!["CI".into(), "TM".into()]),
    ]
}

/// The window of an incremental read, with the rows that have no watermark.
fn window() -> Predicate {
    let after = Predicate::Above { column: "NTZ".into(), value: moment("1969-12-31 12:00:00") };
    let until = Predicate::AtMost { column: "NTZ".into(), value: moment("2024-02-25 10:59:59") };
    Predicate::Or { terms: vec![after.and(until), Predicate::is_null("NTZ")] }
}

fn moment(text: &str) -> Scalar {
    Scalar::Timestamp(text.parse().expect("a moment"))
}

/// A filter that leaves its brackets where there are none.
fn raw() -> Predicate {
    let sql = "\"N\" >= 3 or \"B\" -- x";
    check_filter(Dialect::Snowflake, sql).expect("one condition");
    Predicate::Raw { dialect: Dialect::Snowflake, sql: sql.into() }
}

/// One table in both systems.
struct Both {
    double: Double,
    source: SnowflakeSource,
    database: Database,
    _server: TestDatabase,
}

impl Both {
    async fn start() -> Self {
        let user = User::password("MOVER", "canary-4711");
        let columns = [
            Type::number(38, 0),
            Type::number(38, 0),
            Type::number(38, 10),
            Type::Float,
            Type::varchar(),
            Type::varchar(),
            Type::Date,
            Type::timestamp_ntz(9),
            Type::timestamp_ltz(9),
            Type::timestamp_tz(9),
            Type::Boolean,
            Type::varchar(),
            Type::time(9),
        ];
        let table = COLUMNS
            .into_iter()
            .zip(columns)
            .fold(Table::new("DB.PUBLIC.T"), |table, ((name, _), ty)| table.column(name, ty))
            .collated("CI", "en-ci");
        let double = Double::builder().account("ACME").warehouse("WH").user(user).table(table);
        let double = double.start().await.expect("starts");
        let auth = SnowflakeAuth::Password("canary-4711".into());
        let mut settings = SnowflakeSettings::new("ACME", "MOVER", auth, "WH");
        settings.base_url = Some(double.base_url().parse().expect("a URL"));
        let server = TestDatabase::create().await;
        let url = PostgresSettings::from_url(server.url()).expect("url");
        let database = Database::connect(&url, 2).await.expect("connects");
        let columns = COLUMNS.map(|(name, ty)| format!("\"{name}\" {ty}")).join(", ");
        let both = Self {
            double,
            source: SnowflakeSource::new(settings).expect("valid"),
            database,
            _server: server,
        };
        both.execute(&format!("create table \"T\" ({columns})")).await;
        both
    }

    #[expect(clippy::disallowed_methods, reason = "statements of tests")]
    async fn execute(&self, sql: &str) {
        let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
        statement.execute(self.database.pool()).await.expect(sql);
    }

    async fn empty(&self) {
        self.double.replace_rows("DB.PUBLIC.T", Vec::<Vec<Value>>::new()).expect("empties");
        self.execute("truncate \"T\"").await;
    }

    /// Adds rows, numbered from `first` on.
    async fn insert(&self, first: usize, rows: &[Cells]) {
        let value = |at: usize, cell: &Option<String>| match (at, cell) {
            (_, None) => Value::Null,
            (3 | 4 | 10, Some(text)) => Value::from(text.as_str()),
            (_, Some(text)) => Value::lit(text.as_str()),
        };
        let numbered = || (first..).zip(rows);
        self.double
            .insert(
                "DB.PUBLIC.T",
                numbered().map(|(number, cells)| {
                    let number = Value::from(i64::try_from(number).expect("small"));
                    let cells = (0..).zip(cells).map(|(at, cell)| value(at, cell));
                    std::iter::once(number).chain(cells).collect::<Vec<_>>()
                }),
            )
            .expect("inserts");
        let literal = |cell: &Option<String>| match cell {
            Some(text) => format!("'{}'", text.replace('\'', "''")),
            None => "null".to_owned(),
        };
        let rows: Vec<String> = numbered()
            .map(|(number, cells)| {
                format!("({number}, {})", cells.each_ref().map(literal).join(", "))
            })
            .collect();
        if !rows.is_empty() {
            self.execute(&format!("insert into \"T\" values {}", rows.join(", "))).await;
        }
    }

    async fn open(&self) -> Arc<dyn SourceTable> {
        let name = TableRef::qualified("DB", "PUBLIC", "T");
        self.source.open(&name, None).await.expect("opens")
    }

    async fn in_postgres(&self, predicate: &Predicate) -> BTreeSet<i128> {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("select ").name("N").text(" from ").table(&TableRef::bare("T")).text(" where ");
        predicate.render(&mut sql).expect("renders");
        let statement = sql.finish();
        let rows = bound(&statement).fetch_all(self.database.pool()).await;
        let rows = rows.unwrap_or_else(|cause| panic!("{cause}: {}", statement.sql));
        rows.iter().map(|row| i128::from(row.get::<i32, _>(0))).collect()
    }
}

async fn read(
    table: &dyn SourceTable,
    columns: &[ColumnName],
    predicate: Predicate,
) -> RecordBatch {
    let request = ScanRequest::new(columns.to_vec(), Extent::Rows { predicate });
    let stream = table.scan(request, &RunContext::new()).await.expect("scans");
    let batches: Vec<RecordBatch> = stream.try_collect().await.expect("rows");
    let schema = table.schema().arrow(columns).expect("columns");
    concat_batches(&schema, &batches).expect("one schema")
}

fn numbers(rows: &RecordBatch) -> BTreeSet<i128> {
    let column = rows.column_by_name("N").expect("N");
    column.as_primitive::<Decimal128Type>().values().iter().copied().collect()
}

/// The chunks as they come back from the ledger.
fn stored(plan: &ChunkPlan) -> Vec<(Predicate, Option<u64>)> {
    let chunks = plan.chunks.iter().map(|chunk| {
        let json = serde_json::to_string(&chunk.extent).expect("serializes");
        match serde_json::from_str(&json).expect("reads") {
            Extent::Rows { predicate } => (predicate, chunk.expected_rows),
            other => panic!("{other}"),
        }
    });
    chunks.collect()
}

async fn every_row_has_one_home(both: &Both, rows: &[Cells], chunk_rows: u64) {
    both.empty().await;
    both.insert(0, rows).await;
    let table = both.open().await;
    let chunk_rows = NonZeroU64::new(chunk_rows).expect("not zero");
    let mut plans = Vec::new();
    for (at, (strategy, keys)) in strategies().into_iter().enumerate() {
        // Every second one cuts a window.
        let filter = if at % 2 == 0 { Predicate::All } else { window() };
        let input = PlanInput::new(table.as_ref())
            .with_keys(&keys)
            .with_filter(&filter)
            .with_chunk_rows(chunk_rows);
        plans.push((strategy.plan(input).await.expect("plans"), filter));
    }
    // What the user writes, only Snowflake can evaluate.
    let keys = ["S".into(), "ID".into()];
    let raw = raw();
    let input = PlanInput::new(table.as_ref())
        .with_keys(&keys)
        .with_filter(&raw)
        .with_chunk_rows(chunk_rows);
    let filtered = GroupedValues {}.plan(input).await.expect("plans");
    both.insert(rows.len(), &late()).await;
    let columns = COLUMNS.map(|(name, _)| ColumnName::from(name));
    let all = read(table.as_ref(), &columns, Predicate::All).await;
    for (plan, filter) in &plans {
        let mut homes = Vec::new();
        for (predicate, planned_rows) in stored(plan) {
            let predicate = predicate.and(filter.clone());
            let mask = predicate.evaluate(&all).expect("evaluates");
            let ours = numbers(&filter_record_batch(&all, &mask).expect("filters"));
            let postgres = both.in_postgres(&predicate).await;
            assert_eq!(ours, postgres, "PostgreSQL sees {predicate} otherwise");
            let snowflake = read(table.as_ref(), &columns[..1], predicate.clone()).await;
            assert_eq!(ours, numbers(&snowflake), "Snowflake sees {predicate} otherwise");
            let in_time = ours.iter().filter(|number| **number < rows.len() as i128).count();
            assert_eq!(planned_rows, Some(in_time as u64), "{predicate} of {}", plan.strategy);
            homes.extend(ours);
        }
        homes.sort_unstable();
        let mask = filter.evaluate(&all).expect("evaluates");
        let expected = numbers(&filter_record_batch(&all, &mask).expect("filters"));
        let expected: Vec<i128> = expected.into_iter().collect();
        assert_eq!(homes, expected, "rows of {} without home or with two: {plan:?}", plan.strategy);
    }
    let mut homes = Vec::new();
    for (predicate, _) in stored(&filtered) {
        homes.extend(numbers(
            &read(table.as_ref(), &columns[..1], predicate.and(raw.clone())).await,
        ));
    }
    homes.sort_unstable();
    let expected = numbers(&read(table.as_ref(), &columns[..1], raw).await);
    assert_eq!(homes, expected.into_iter().collect::<Vec<_>>(), "with a filter: {filtered:?}");
}

#[test]
fn chunks_cover_a_table_in_all_three_systems() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
    let both = runtime.block_on(Both::start());
    let mut runner = TestRunner::new(ProptestConfig { cases: CASES, ..ProptestConfig::default() });
    let tables = (vec(cells(), 0..40), 2_u64..12);
    let outcome = runner.run(&tables, |(rows, chunk_rows)| {
        runtime.block_on(every_row_has_one_home(&both, &rows, chunk_rows));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(every_row_has_one_home(&both, &[], 1));
    let nulls = vec![const { [const { None }; 12] }; 7];
    runtime.block_on(every_row_has_one_home(&both, &nulls, 2));
}
