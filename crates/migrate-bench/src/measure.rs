//! One process, from start to end: time, CPU, memory. Read from `/proc`, so Linux only.

use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What one run of a program cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// From its start to its end.
    pub wall: Duration,
    /// Of its user and of the system for it.
    pub cpu: Duration,
    /// The most that was resident, in MiB.
    pub peak_mib: u64,
}

/// Clock ticks per second in `/proc`; 100 on every Linux since 2.6.
const TICKS: u32 = 100;

/// Runs the command to its end.
///
/// # Errors
///
/// When it fails, with what it said on stderr.
pub fn measure(command: &mut Command) -> Result<Cost, Box<dyn Error>> {
    let errors = tempfile::NamedTempFile::new()?;
    let started = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.reopen()?).spawn()?;
    let mut cost = Cost::default();
    let status = loop {
        look(child.id(), &mut cost);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(2));
    };
    cost.wall = started.elapsed();
    if status.success() {
        return Ok(cost);
    }
    let said = fs::read_to_string(errors.path()).unwrap_or_default();
    Err(format!("{command:?} ended with {status}: {said}").into())
}

/// The numbers of a process that still runs; a process that has ended keeps the last ones.
fn look(pid: u32, cost: &mut Cost) {
    if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status"))
        && let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        && let Some(kib) = line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok())
    {
        cost.peak_mib = kib / 1024;
    }
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat"))
        && let Some((_, fields)) = stat.rsplit_once(") ")
    {
        // The 12th and 13th field after the name: user and system time.
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u32 = ticks.filter_map(|word| word.parse::<u32>().ok()).sum();
        cost.cpu = Duration::from_secs(1) * ticks / TICKS;
    }
}

/// The run with the median wall time.
pub fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.wall);
    costs.get(costs.len() / 2).copied().unwrap_or_default()
}
