//! The two main cases with five and ten times the rows: what a row costs stays, and so does the memory.

use std::error::Error;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::copying::{beside_copy, mixed};
use crate::Arguments;
use crate::case::{Bounds, Case};
use crate::snowflake::Snowflake;
use crate::stage::Stage;

/// What a row of a large table may cost beside one of a small table, both as multiples of what psql
/// takes for them; and the memory.
const MOST_PER_ROW: f64 = 1.05;
const MOST_MEMORY_PERCENT: u64 = 110;

/// From Parquet files.
pub(crate) fn parquet(stage: &Stage, arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    grow(stage, arguments, "parquet", |stage, table, measured| {
        let config = stage.configure(table, &json!({"truncate_onstart": true}))?;
        measured(&config)
    })
}

/// From the stand-in for Snowflake.
pub(crate) fn snowflake(stage: &Stage, arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    grow(stage, arguments, "snowflake", |stage, table, measured| {
        let tables = [table.to_owned()];
        let snowflake = Snowflake::start(stage, &tables)?;
        let keys = json!({"truncate_onstart": true});
        let config: PathBuf = snowflake.configure(stage, table, &tables, &keys)?;
        // The first run makes the answers.
        stage.migrate(&config)?;
        measured(&config)
    })
}

type Measured<'a> = &'a mut dyn FnMut(&Path) -> Result<(), Box<dyn Error>>;

fn grow(
    stage: &Stage,
    arguments: &Arguments,
    source: &str,
    with_config: impl Fn(&Stage, &str, Measured<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<Vec<Case>, Box<dyn Error>> {
    let mut cases: Vec<Case> = Vec::new();
    for factor in [1, 5, 10] {
        let rows = arguments.rows * factor;
        let table = format!("grown_{factor}");
        mixed(stage, &table, rows)?;
        let bounds = cases.first().map_or(Bounds::NONE, |small| {
            Bounds::ratio(small.ratio().unwrap_or(f64::MAX) * MOST_PER_ROW)
                .with_peak_mib(small.ours.peak_mib * MOST_MEMORY_PERCENT / 100)
        });
        let name = format!("{source}, {rows} rows");
        with_config(stage, &table, &mut |config| {
            cases.push(beside_copy(stage, name.clone(), &table, config, arguments, bounds)?);
            Ok(())
        })?;
        stage.sql(&format!("truncate {table}"))?;
    }
    Ok(cases)
}
