//! Rows into empty tables, beside `\copy` of the same rows from a binary file.

use std::error::Error;
use std::path::Path;

use migrate_bench::data;
use serde_json::json;

use crate::Arguments;
use crate::case::{Bounds, Case};
use crate::snowflake::Snowflake;
use crate::stage::Stage;
use migrate_bench::measure::median;

/// Bounds of the two main cases.
const PARQUET: Bounds = Bounds::ratio(1.08).with_peak_mib(120);
const SNOWFLAKE: Bounds = Bounds::ratio(1.25).with_peak_mib(200);

/// 20 mixed columns from a Parquet file.
pub(crate) fn parquet(stage: &Stage, arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    mixed(stage, "copied", arguments.rows)?;
    let config = stage.configure("copied", &json!({"truncate_onstart": true}))?;
    let named = |rows| format!("parquet, {rows} rows");
    Ok(vec![beside_copy(stage, named(arguments.rows), "copied", &config, arguments, PARQUET)?])
}

/// The same from the stand-in for Snowflake.
pub(crate) fn snowflake(stage: &Stage, arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    mixed(stage, "copied", arguments.rows)?;
    let tables = ["copied".to_owned()];
    let snowflake = Snowflake::start(stage, &tables)?;
    let keys = json!({"truncate_onstart": true});
    let config = snowflake.configure(stage, "snowflake", &tables, &keys)?;
    // The first run makes the answers.
    stage.migrate(&config)?;
    let named = format!("snowflake, {} rows", arguments.rows);
    Ok(vec![beside_copy(stage, named, "copied", &config, arguments, SNOWFLAKE)?])
}

/// The Parquet file by other numbers of workers.
pub(crate) fn workers(stage: &Stage, arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    mixed(stage, "shared", arguments.merged_rows)?;
    let measured = [1, 2, 4, 8].map(|count| {
        let keys = json!({"truncate_onstart": true, "parallel_threads": count});
        let config = stage.configure("shared", &keys)?;
        let named = format!("workers: {count}");
        beside_copy(stage, named, "shared", &config, arguments, Bounds::NONE)
    });
    measured.into_iter().collect()
}

/// 250 columns, of which the target has 43.
pub(crate) fn wide(stage: &Stage, arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    stage.sql(&format!("create table wide ({})", data::wide_target()))?;
    data::write_wide(&stage.path("wide.parquet"), arguments.wide_rows)?;
    let config = stage.configure("wide", &json!({"truncate_onstart": true}))?;
    stage.migrate(&config)?;
    stage.dump("wide")?;
    let named = format!("wide: 43 of {} columns", data::WIDE_COLUMNS);
    Ok(vec![beside_copy(stage, named, "wide", &config, arguments, Bounds::NONE)?])
}

/// A table of 20 mixed columns with its Parquet and its binary file, unless there is one.
pub(super) fn mixed(stage: &Stage, table: &str, rows: u64) -> Result<(), Box<dyn Error>> {
    if stage.path(&format!("{table}.bin")).exists() {
        return Ok(());
    }
    stage.sql(&format!("create table {table} ({})", data::COLUMNS))?;
    stage.write(table, rows, 1)?;
    let config = stage.configure(table, &json!({"truncate_onstart": true}))?;
    stage.migrate(&config)?;
    stage.dump(table)
}

pub(super) fn beside_copy(
    stage: &Stage,
    name: String,
    table: &str,
    config: &Path,
    arguments: &Arguments,
    bounds: Bounds,
) -> Result<Case, Box<dyn Error>> {
    let rows = stage.value(&format!("select count(*) from {table}"))?;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        stage.sql(&format!("truncate {table}; checkpoint"))?;
        limit.push(stage.psql(&format!("\\copy {table} from '{table}.bin' (format binary)"))?);
        stage.sql(&format!("truncate {table}; checkpoint"))?;
        ours.push(stage.migrate(config)?);
        stage.expect(&format!("select count(*) from {table}"), &rows)?;
    }
    Ok(Case { name, ours: median(ours), limit: Some(median(limit)), bounds })
}
