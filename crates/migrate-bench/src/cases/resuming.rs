//! The second half of a run that was killed, beside a whole `\copy`.

use std::error::Error;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::copying::mixed;
use crate::Arguments;
use crate::case::{Bounds, Case};
use crate::stage::Stage;
use migrate_bench::measure::{measure, median};

const COMPLETED: &str = "select count(*) from migration_status.migration_chunk_status c \
     join migration_status.migration_runs r using (run_id) \
     where c.status = 'completed' and r.started_at = \
     (select max(started_at) from migration_status.migration_runs)";

/// Killed when half of its chunks are committed, then run again.
pub(crate) fn half(stage: &Stage, arguments: &Arguments) -> Result<Vec<Case>, Box<dyn Error>> {
    mixed(stage, "shared", arguments.merged_rows)?;
    let rows = arguments.merged_rows.to_string();
    let keys = json!({"truncate_onstart": true, "batch_size": arguments.merged_rows / 10});
    let config = stage.configure("shared", &keys)?;
    let config = config.to_str().ok_or("the temporary folder's name is not UTF-8")?;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        stage.sql("truncate shared; checkpoint")?;
        limit.push(stage.psql("\\copy shared from 'shared.bin' (format binary)")?);
        stage.sql("truncate shared; checkpoint")?;
        let mut killed = stage
            .program(&["--no-resume", "--config", config])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        while stage.value(COMPLETED)?.parse::<u64>()? < 5 {
            if let Some(status) = killed.try_wait()? {
                return Err(format!("the run that was to be killed ended first: {status}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        killed.kill()?;
        killed.wait()?;
        ours.push(measure(&mut stage.program(&["--config", config]))?);
        stage.expect("select count(*) from shared", &rows)?;
    }
    let (ours, limit) = (median(ours), Some(median(limit)));
    Ok(vec![Case { name: "resume of the second half".into(), ours, limit, bounds: Bounds::NONE }])
}
