//! What held a run up, and what to change.

use migrate_engine::{Bound, Effort};

/// What bounded the run with its share, and the next step; nothing for a run that was over soon.
pub(super) fn described(effort: &Effort) -> Option<(String, &'static str)> {
    let workers = |time| percent(effort.of_workers(time));
    let processor = percent(effort.of_processor());
    let (what, next) = match effort.bound() {
        Bound::Source => (
            format!(
                "the source: {} of the workers' time was waiting for rows",
                workers(effort.reading)
            ),
            "More rows at once: a larger warehouse, or more chunks at once by `parallel_threads`.",
        ),
        Bound::Target => (
            format!(
                "the target: {} of the workers' time was writing, with the processor {processor} busy",
                workers(effort.writing)
            ),
            "PostgreSQL takes no more: `disable_index` for a full load, faster disks, or more \
             `parallel_threads` while its processors are idle.",
        ),
        Bound::Locks => (
            format!("locks: {} of the workers' time", workers(effort.awaiting_locks)),
            "Others hold locks on the target; the notes above name their sessions.",
        ),
        Bound::Processor => (
            format!("this process: its processor time was {processor} of all cores"),
            "Run it where it has more cores; more `parallel_threads` do not help.",
        ),
        Bound::Memory => (
            format!(
                "memory: {} of the workers' time was waiting for it",
                workers(effort.awaiting_memory)
            ),
            "Raise `memory_budget`, or lower `parallel_threads`.",
        ),
        _ => return None,
    };
    Some((what, next))
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_bound_names_its_share_and_the_next_step() {
        let mut effort = Effort::default();
        assert_eq!(described(&effort), None);
        effort.elapsed = Duration::from_secs(10);
        effort.cores = 2;
        (effort.reading, effort.writing) = (Duration::from_secs(30), Duration::from_secs(10));
        let (what, next) = described(&effort).expect("long enough");
        assert_eq!(what, "the source: 75 % of the workers' time was waiting for rows");
        assert!(next.contains("parallel_threads"), "{next}");
        (effort.reading, effort.writing) = (effort.writing, effort.reading);
        effort.processor = Duration::from_secs(2);
        let (what, _) = described(&effort).expect("long enough");
        let wanted =
            "the target: 75 % of the workers' time was writing, with the processor 10 % busy";
        assert_eq!(what, wanted);
    }
}
