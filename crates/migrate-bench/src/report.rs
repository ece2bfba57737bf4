//! How results are shown.

use std::process::Command;

use serde_json::json;

use crate::case::Case;
use crate::stage::Stage;

pub(crate) const HEADINGS: &str =
    "case                              psql   migrate  ratio  (most)      CPU      peak  (most)";

/// Machine, server and commit.
pub(crate) fn machine(stage: &Stage) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let commit = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    format!(
        "{cores} cores ({}), PostgreSQL {}, fsync on, commit {}",
        model.map_or("unknown", |model| model.trim_start_matches([' ', '\t', ':'])),
        stage.version(),
        commit.unwrap_or_default()
    )
}

/// One case as a line under [`HEADINGS`].
pub(crate) fn line(case: &Case) -> String {
    let seconds = |seconds: f64| format!("{seconds:.2} s");
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    format!(
        "{:<28} {:>9} {:>9} {:>6} {:>7} {:>8} {:>5} MiB {:>7}",
        case.name,
        or_dash(case.limit.map(|limit| seconds(limit.wall.as_secs_f64()))),
        seconds(case.ours.wall.as_secs_f64()),
        or_dash(case.ratio().map(|ratio| format!("{ratio:.2}"))),
        or_dash(case.bounds.ratio.map(|most| format!("({most:.2})"))),
        seconds(case.ours.cpu.as_secs_f64()),
        case.ours.peak_mib,
        or_dash(case.bounds.peak_mib.map(|most| format!("({most})"))),
    )
}

/// All of it for programs.
pub(crate) fn json(stage: &Stage, cases: &[Case]) -> String {
    let cases: Vec<_> = cases.iter().map(Case::json).collect();
    format!("{:#}\n", json!({"on": machine(stage), "cases": cases}))
}
