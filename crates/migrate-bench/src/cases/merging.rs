//! Rows by key, beside the same statements typed into psql.

use std::error::Error;

use migrate_bench::data;
use serde_json::{Value, json};

use super::copying::mixed;
use crate::Arguments;
use crate::case::{Bounds, Case};
use crate::stage::Stage;
use migrate_bench::measure::median;

/// Every row changed.
pub(crate) fn upsert(stage: &Stage, arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    let rows = arguments.merged_rows;
    let columns: Vec<&str> =
        data::COLUMNS.split(", ").filter_map(|c| c.split(' ').next()).collect();
    let others: Vec<&str> = columns.iter().copied().filter(|name| *name != "id").collect();
    let each =
        |of: &str| others.iter().map(|name| format!("{of}.{name}")).collect::<Vec<_>>().join(", ");
    let set: Vec<_> = others.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let action = format!(
        "do update set {} where row({})::record *<> row({})::record",
        set.join(", "),
        each("t"),
        each("excluded"),
    );
    prepare(stage, rows)?;
    let case = Merge {
        name: "upsert, all rows changed",
        before: "select * from shared",
        action: &action,
        keys: json!({"uniqueness_columns": ["id"]}),
        equal: "select count(*) from merged m join changed c using (id) where m::text = c::text",
        bounds: Bounds::ratio(1.15),
    };
    case.measure(stage, arguments).map(|case| vec![case])
}

/// Half of the rows are there.
pub(crate) fn insert_only(
    stage: &Stage,
    arguments: &Arguments,
) -> Result<Vec<Case>, Box<dyn Error>> {
    prepare(stage, arguments.merged_rows)?;
    let case = Merge {
        name: "insert-only, half is new",
        before: "select * from shared where id % 2 = 0",
        action: "do nothing",
        keys: json!({"uniqueness_columns": ["id"], "insert_only_mode": true}),
        equal: "select count(*) from merged m join changed c using (id) join shared s using (id) \
                where case when id % 2 = 0 then m::text = s::text else m::text = c::text end",
        bounds: Bounds::ratio(1.15),
    };
    case.measure(stage, arguments).map(|case| vec![case])
}

/// `shared` has the first version of all rows, `changed` the second; `merged` is empty.
fn prepare(stage: &Stage, rows: u64) -> Result<(), Box<dyn Error>> {
    mixed(stage, "shared", rows)?;
    if stage.path("changed.bin").exists() {
        return Ok(());
    }
    stage.sql(&format!("create table changed ({})", data::COLUMNS))?;
    stage.sql(&format!("create table merged ({})", data::COLUMNS))?;
    stage.write("changed", rows, 2)?;
    let load = stage.configure("changed", &json!({"truncate_onstart": true}))?;
    stage.migrate(&load)?;
    stage.dump("changed")
}

struct Merge<'a> {
    name: &'a str,
    /// The rows of `merged` before each run.
    before: &'a str,
    /// What follows `on conflict (id)`.
    action: &'a str,
    keys: Value,
    /// A query that counts the rows of `merged` that are as they should be.
    equal: &'a str,
    bounds: Bounds,
}

impl Merge<'_> {
    fn measure(self, stage: &Stage, arguments: &Arguments) -> Result<Case, Box<dyn Error>> {
        let config = stage.configure_as("changed", "merged", &self.keys)?;
        let reset = format!(
            "truncate merged; insert into merged {}; analyze merged; checkpoint",
            self.before
        );
        let script = format!(
            "begin\n\
             set local work_mem = '64MB'\n\
             create temporary table staged on commit delete rows as table merged with no data\n\
             \\copy staged from 'changed.bin' (format binary)\n\
             insert into merged as t select * from staged order by id on conflict (id) {}\n\
             commit",
            self.action
        );
        let rows = arguments.merged_rows.to_string();
        let (mut ours, mut limit) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds {
            stage.sql(&reset)?;
            limit.push(stage.psql(&script)?);
            stage.sql(&reset)?;
            ours.push(stage.migrate(&config)?);
            stage.expect(self.equal, &rows)?;
        }
        let (ours, limit) = (median(ours), Some(median(limit)));
        Ok(Case { name: self.name.to_owned(), ours, limit, bounds: self.bounds })
    }
}
