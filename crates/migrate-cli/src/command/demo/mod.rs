//! `migrate demo`: the main job on a machine that has neither Snowflake nor PostgreSQL.
//!
//! A stand-in for Snowflake serves five real tables over the wire protocol, a private PostgreSQL
//! takes them, and between the two runs the same code as ever, on a configuration file like any
//! other.

mod data;
mod stage;

use migrate_config::{Config, Environment};
use migrate_core::{Outcome, Result, RunContext};

use super::{Invocation, run};
use crate::args::DemoArguments;
use crate::exit::Exit;
use crate::output::{Columns, duration, grouped, print, rate};
use stage::Stage;

pub(crate) async fn demo(
    invocation: &Invocation,
    arguments: &DemoArguments,
    cx: &RunContext,
) -> Result<Exit> {
    let started = std::time::Instant::now();
    let stage = Stage::set(cx).await?;
    print(&format!("\n-- target.sql\n{}\n", data::TARGET_SQL.trim_end()));
    let config = Config::load(stage.config_path(), &Environment::from_map::<&str, &str>([]))?;
    let report = run::execute(invocation, &config, cx).await?;
    print(&run::summary(&report));

    let mut columns = Columns::new(&["table", "source rows", "target rows", ""]);
    let mut all_equal = true;
    for (table, source, target) in stage.counts(cx).await? {
        all_equal &= source == target;
        let verdict = if source == target { "equal" } else { "DIFFERENT" };
        columns.row([table.to_owned(), grouped(source), grouped(target), verdict.to_owned()]);
    }
    print(&format!(
        "\n{}\n{} from Snowflake's protocol to PostgreSQL, {} with both servers' start\n",
        columns.render(),
        rate(report.committed_rows, report.elapsed),
        duration(started.elapsed()),
    ));
    if arguments.keep {
        print(&format!(
            "\nLook around:    {}\nConfiguration:  {}\nRun it again:   migrate --config {} plan\n\
             Ctrl-C ends both servers and removes their files.\n",
            stage.psql_line(),
            stage.config_path().display(),
            stage.config_path().display(),
        ));
        cx.cancel.cancelled().await;
    } else {
        print("\nBoth servers have ended; `migrate demo --keep` leaves them running.\n");
    }
    stage.clear().await?;
    Ok(match report.outcome {
        Outcome::Completed if !all_equal => Exit::Failed,
        outcome => Exit::from(outcome),
    })
}
