//! What does not depend on rows: many small tables, the demo, the start of the program.

use std::error::Error;
use std::time::Duration;

use migrate_bench::data;
use serde_json::json;

use crate::Arguments;
use crate::case::{Bounds, Case};
use crate::snowflake::Snowflake;
use crate::stage::Stage;
use migrate_bench::measure::{measure, median};

const TABLES: usize = 53;
const ROWS: u64 = 1_000;
const MOST_FOR_TABLES: Bounds = Bounds::wall(Duration::from_secs(6));
const MOST_FOR_VERSION: Bounds = Bounds::wall(Duration::from_millis(10));

/// 53 tables of 1,000 rows from files and from the stand-in for Snowflake, beside as many `\copy` in
/// one session.
pub(crate) fn tables(stage: &Stage, arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    let names: Vec<String> = (1..=TABLES).map(|number| format!("small_{number}")).collect();
    for name in &names {
        stage.sql(&format!("create table {name} ({})", data::COLUMNS))?;
        stage.write(name, ROWS, 1)?;
    }
    let pairs: Vec<_> = names.iter().map(|name| (name.clone(), name.clone())).collect();
    let keys = json!({"truncate_onstart": true});
    let files = stage.configure_all("small", &pairs, &keys)?;
    stage.migrate(&files)?;
    for name in &names {
        stage.dump(name)?;
    }
    let snowflake = Snowflake::start(stage, &names)?;
    let over_http = snowflake.configure(stage, "small-snowflake", &names, &keys)?;
    stage.migrate(&over_http)?;

    let truncate = format!("truncate {}; checkpoint", names.join(", "));
    let copies: Vec<String> = names
        .iter()
        .map(|name| format!("\\copy {name} from '{name}.bin' (format binary)"))
        .collect();
    let copies = copies.join("\n");
    let sums: Vec<String> =
        names.iter().map(|name| format!("select count(*) n from {name}")).collect();
    let sum = format!("select sum(n) from ({}) s", sums.join(" union all "));
    let rows = (ROWS * u64::try_from(TABLES)?).to_string();
    let mut cases = Vec::new();
    for (source, config) in [("parquet", &files), ("snowflake", &over_http)] {
        let (mut ours, mut limit) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds {
            stage.sql(&truncate)?;
            limit.push(stage.psql(&copies)?);
            stage.sql(&truncate)?;
            ours.push(stage.migrate(config)?);
            stage.expect(&sum, &rows)?;
        }
        let (ours, limit) = (median(ours), Some(median(limit)));
        let name = format!("{TABLES} tables, {source}");
        cases.push(Case { name, ours, limit, bounds: MOST_FOR_TABLES });
    }
    Ok(cases)
}

/// The demo with both its servers.
pub(crate) fn demo(stage: &Stage, arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    let costs = (0..arguments.rounds).map(|_| measure(&mut stage.program(&["demo"])));
    let ours = median(costs.collect::<Result<_, _>>()?);
    let bounds = Bounds::NONE.with_peak_mib(400);
    Ok(vec![Case { name: "demo".into(), ours, limit: None, bounds }])
}

/// Start and end of the program.
pub(crate) fn version(stage: &Stage, _arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    let costs = (0..25).map(|_| measure(&mut stage.program(&["--version"])));
    let ours = median(costs.collect::<Result<_, _>>()?);
    Ok(vec![Case { name: "version".into(), ours, limit: None, bounds: MOST_FOR_VERSION }])
}
