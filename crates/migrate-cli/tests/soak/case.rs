//! What is killed: every write mode, with a source, a target and a model of the end that knows no SQL.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use snowflake_double::{Table, Type, Value};

/// Key, version, value.
pub(super) type Row = [i64; 3];

/// Keys of a model, each with version and value.
type Model = BTreeMap<i64, [i64; 2]>;

const KEYS: i64 = 1200;

/// One way to load, and what must come of it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The tables of the configuration.
    pub(super) config: Json,
    /// Statements that make the target.
    pub(super) target: &'static str,
    /// Tables of the source, at the first load and at the one that is killed.
    pub(super) earlier: Option<Vec<(&'static str, Vec<Row>)>>,
    pub(super) source: Vec<(&'static str, Vec<Row>)>,
    /// Target tables at the end, in order of their keys.
    pub(super) model: Vec<(&'static str, Vec<Row>)>,
    /// What readers of the first target may see before the end instead of the model.
    pub(super) old: Option<Vec<Row>>,
    /// Rows that the killed load reads.
    pub(super) rows_read: usize,
    /// Keys of the rows that are set aside.
    pub(super) rejected: Vec<i64>,
}

impl Case {
    fn new(name: &'static str, target: &'static str, change: impl FnOnce(&mut Json)) -> Self {
        Self {
            name,
            config: json!([entry("ITEMS", "items", change)]),
            target,
            earlier: None,
            rows_read: rows().len(),
            source: vec![("ITEMS", rows())],
            model: vec![("items", rows())],
            old: None,
            rejected: Vec::new(),
        }
    }

    /// How the program ends.
    pub(super) fn code(&self) -> i32 {
        if self.rejected.is_empty() { 0 } else { 7 }
    }

    fn with_model(mut self, model: Model) -> Self {
        let rows = model.into_iter().map(|(k, [version, v])| [k, version, v]);
        self.model = vec![("items", rows.collect())];
        self
    }
}

/// All of them; a soak takes them in turn.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("truncate, copy", FILLED, |table| table["truncate_onstart"] = json!(true)),
        Case::new("append into empty", KEYLESS, |_| {}),
        Case::new("upsert", FILLED, newest_wins).with_model(merged()),
        Case::new("insert-only", FILLED, |table| {
            table["uniqueness_columns"] = json!(["k"]);
            table["insert_only_mode"] = json!(true);
        })
        .with_model(model(rows().into_iter().chain(found()))),
        Case {
            old: Some(found()),
            ..Case::new("atomic replace", FILLED, |table| table["replace"] = json!("atomic"))
        },
        incremental(),
        Case::new("truncate without indexes", ADORNED, |table| {
            table["truncate_onstart"] = json!(true);
            table["disable_index"] = json!(true);
        }),
        Case::new("upsert without indexes", ADORNED, |table| {
            newest_wins(table);
            table["disable_index"] = json!(true);
        })
        .with_model(merged()),
        together(),
        quarantine("copy with bad rows", |_| {}),
        quarantine("upsert with bad rows", |table| table["uniqueness_columns"] = json!(["k"])),
        quarantine("atomic replace with bad rows", |table| table["replace"] = json!("atomic")),
    ]
}

/// Only the changed rows are read; a first load has completed undisturbed.
fn incremental() -> Case {
    let change =
        |[k, version, v]: Row| if k % 7 == 0 { [k, 1000 + k, -v] } else { [k, version, v] };
    let changed: Vec<Row> = rows().into_iter().map(change).collect();
    // The highest version of the first load is read again, for rows that came late.
    let high = rows().iter().map(|row| row[1]).max().unwrap_or_default();
    let case = Case::new("incremental upsert", EMPTY, newest_wins);
    Case {
        earlier: Some(vec![("ITEMS", rows())]),
        rows_read: changed.iter().filter(|row| row[1] >= high).count(),
        source: vec![("ITEMS", changed.clone())],
        ..case.with_model(model(changed))
    }
}

/// Two tables, one references the other: emptied in one statement, loaded without their keys.
fn together() -> Case {
    let full = |table: &mut Json| {
        table["truncate_onstart"] = json!(true);
        table["disable_index"] = json!(true);
    };
    let items = rows().into_iter().step_by(2);
    let parts: Vec<Row> = (0..400).zip(items).map(|(n, item)| [n, n % 9, item[0]]).collect();
    Case {
        config: json!([entry("ITEMS", "items", full), entry("PARTS", "parts", full)]),
        source: vec![("ITEMS", rows()), ("PARTS", parts.clone())],
        model: vec![("items", rows()), ("parts", parts.clone())],
        rows_read: rows().len() + parts.len(),
        ..Case::new("two tables together", RELATED, |_| {})
    }
}

/// Every hundredth row does not fit its column, and every hundredth, 50 later, breaks a check.
fn quarantine(name: &'static str, change: impl FnOnce(&mut Json)) -> Case {
    let spoil = |[k, version, v]: Row| match k % 100 {
        0 => [k, 40_000, v],
        50 => [k, version, -1],
        _ => [k, version, v],
    };
    let source: Vec<Row> = rows().into_iter().map(spoil).collect();
    let is_good = |row: &Row| row[1] < 40_000 && row[2] >= 0;
    let case = Case::new(name, STRICT, |table| {
        table["on_bad_row"] = json!("quarantine");
        change(table);
    });
    Case {
        rejected: source.iter().filter(|row| !is_good(row)).map(|row| row[0]).collect(),
        model: vec![("items", source.iter().copied().filter(is_good).collect())],
        source: vec![("ITEMS", source)],
        old: (name.starts_with("atomic")).then(Vec::new),
        ..case
    }
}

fn newest_wins(table: &mut Json) {
    table["uniqueness_columns"] = json!(["k"]);
    table["source_watermark"] = json!("version");
    table["target_watermark"] = json!("version");
}

/// A version and a value for every key that is not divisible by 11.
fn rows() -> Vec<Row> {
    let keys = (0..KEYS).filter(|key| key % 11 != 0);
    keys.map(|key| [key, key * 7 % 50, key * key % 1009]).collect()
}

/// What somebody else has put into the target: every third key, some newer, some older.
fn found() -> Vec<Row> {
    (0..KEYS).step_by(3).map(|key| [key, key * 13 % 50, -1]).collect()
}

fn model(rows: impl IntoIterator<Item = Row>) -> Model {
    rows.into_iter().map(|[k, version, v]| (k, [version, v])).collect()
}

/// What was found, and what is new or not older.
fn merged() -> Model {
    let mut merged = model(found());
    for [k, version, v] in rows() {
        if merged.get(&k).is_none_or(|[known, _]| version >= *known) {
            merged.insert(k, [version, v]);
        }
    }
    merged
}

fn entry(source: &str, target: &str, change: impl FnOnce(&mut Json)) -> Json {
    let mut entry = json!({
        "source": source, "target": target,
        "chunking_columns": ["k"], "chunking_column_types": ["int"], "batch_size": 100,
    });
    change(&mut entry);
    entry
}

/// A table of the source.
pub(super) fn source_table(name: &str, rows: &[Row]) -> Table {
    Table::new(format!("DB.PUBLIC.{name}"))
        .required_column("k", Type::number(38, 0))
        .required_column("version", Type::number(38, 0))
        .required_column("v", Type::number(38, 0))
        .rows(values(rows))
}

/// Rows as the stand-in takes them.
pub(super) fn values(rows: &[Row]) -> impl Iterator<Item = [Value; 3]> + '_ {
    rows.iter().map(|row| row.map(Value::from))
}

const EMPTY: &str = "create table items (k bigint primary key, version bigint, v bigint)";

/// Nothing but the ledger keeps a row from coming in twice.
const KEYLESS: &str = "create table items (k bigint, version bigint, v bigint)";

const FILLED: &str = "create table items (k bigint primary key, version bigint, v bigint); \
    create view dear as select * from items where v >= 0; \
    insert into items select k, k * 13 % 50, -1 from generate_series(0, 1199, 3) k";

const STRICT: &str = "create table items (k bigint primary key, version smallint, \
    v bigint constraint positive check (v >= 0))";

/// All that is set aside for a load, and a trigger that would spoil each row if it fired.
const ADORNED: &str = "\
    create table owners (k bigint primary key); insert into owners values (3); \
    create table items (k bigint primary key, version bigint, v bigint, \
        owner bigint not null default 3 constraint owned references owners, \
        constraint once unique (k, version), \
        constraint alone exclude using btree (k with =)); \
    create index on items (v desc nulls last) include (version) where v > 1; \
    create unique index \"Next \"\"Key\"\"\" on items ((k + 1)); \
    comment on index \"Next \"\"Key\"\"\" is 'it''s \\ odd'; comment on constraint once on items is 'x'; \
    insert into items select k, k * 13 % 50, -1 from generate_series(0, 1199, 3) k; \
    create table notes (k bigint primary key, item bigint, version bigint, \
        constraint of_item foreign key (item) references items); \
    insert into notes values (1, 3, 0), (2, 6, 0), (3, null, 0); \
    create function spoil() returns trigger language plpgsql as \
        'begin new.v := -777; return new; end'; \
    create trigger plain before insert or update on items for each row execute function spoil(); \
    create trigger always before insert or update on items for each row execute function spoil(); \
    create trigger off before insert on items for each row execute function spoil(); \
    alter table items enable always trigger always; alter table items disable trigger off";

const RELATED: &str = "\
    create table items (k bigint primary key, version bigint, v bigint); \
    create table parts (k bigint primary key, version bigint, v bigint constraint of_item references items); \
    create index on items (v); create index on parts (v, version); \
    insert into items values (5, 0, 0); insert into parts values (5, 0, 5)";
