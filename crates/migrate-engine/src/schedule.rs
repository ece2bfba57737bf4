//! Which table a free worker turns to.
//!
//! One pool of workers serves all tables: whoever is free goes to the table with the fewest workers,
//! so small tables never wait for a big one. A table that has nothing due rests; it is woken when a
//! sibling settles something of it. Chunks wait for what [`order`](crate::order) says. A table is parked
//! when the time budget does not suffice for what comes next of it, or this process cannot go on with it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use migrate_core::{RunContext, WorkKind};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::order::Waits;

/// Where each table stands, in this process.
#[derive(Debug)]
pub(crate) struct Schedule {
    entries: Mutex<Vec<Entry>>,
    changed: Notify,
}

#[derive(Debug)]
struct Entry {
    /// What comes next; `None` once the table has ended.
    stage: Option<WorkKind>,
    active: u32,
    most_workers: u32,
    rests_until: Instant,
    waits: Waits,
    is_parked: bool,
}

/// What a table is to this process at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Open,
    /// There is nothing to do, and nobody waits for it.
    Ended,
    /// This process cannot open it, and others may go on with it.
    LeftToOthers,
}

/// A worker's turn at a table; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    schedule: &'a Schedule,
    pub(crate) table: usize,
    pub(crate) stage: WorkKind,
}

impl Schedule {
    /// Tables in their order, each with the most workers that it may have at once and the tables that
    /// it waits for.
    pub(crate) fn new(tables: impl IntoIterator<Item = (Standing, u32, Waits)>) -> Self {
        let now = Instant::now();
        let entry = |(standing, most_workers, waits): (Standing, u32, Waits)| Entry {
            stage: (standing != Standing::Ended).then_some(WorkKind::Prepare),
            active: 0,
            most_workers,
            rests_until: now,
            waits,
            is_parked: standing == Standing::LeftToOthers,
        };
        Self {
            entries: Mutex::new(tables.into_iter().map(entry).collect()),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next turn; `None` when every table has ended or is parked, or the run is to stop.
    pub(crate) async fn next(&self, cx: &RunContext) -> Option<Turn<'_>> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no change goes unnoticed.
            changed.as_mut().enable();
            if cx.cancel.is_cancelled() {
                return None;
            }
            let wake_at = match self.choose() {
                Choice::Turn(turn) => return Some(turn),
                Choice::AllEnded => return None,
                Choice::Wait(at) => at,
            };
            let rested = async {
                match wake_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = rested => {}
                () = cx.cancel.cancelled() => return None,
            }
        }
    }

    fn choose(&self) -> Choice<'_> {
        let now = Instant::now();
        let mut entries = self.lock();
        let is_stuck = stuck(&entries);
        let has_ended = |(entry, is_stuck): (&Entry, &bool)| entry.stage.is_none() || *is_stuck;
        if entries.iter().zip(&is_stuck).all(has_ended) {
            return Choice::AllEnded;
        }
        let may_go_on: Vec<bool> = entries
            .iter()
            .map(|entry| {
                !entry.is_parked && entry.has_room() && entry.may_go_on(&entries, &is_stuck)
            })
            .collect();
        let free = entries
            .iter_mut()
            .enumerate()
            .zip(may_go_on)
            .filter_map(|(entry, may_go_on)| may_go_on.then_some(entry));
        let (due, resting): (Vec<_>, Vec<_>) =
            free.partition(|(_, entry)| entry.rests_until <= now);
        let fewest = due.into_iter().min_by_key(|(_, entry)| entry.active);
        match fewest.and_then(|(table, entry)| Some((table, entry.stage?, entry))) {
            Some((table, stage, entry)) => {
                entry.active += 1;
                Choice::Turn(Turn { schedule: self, table, stage })
            }
            None => Choice::Wait(resting.iter().map(|(_, entry)| entry.rests_until).min()),
        }
    }

    fn change(&self, table: usize, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.lock().get_mut(table) {
            change(entry);
        }
        self.changed.notify_waiters();
    }
}

/// Which open tables get no further in this process: those that are parked, and those that wait for
/// one of these.
fn stuck(entries: &[Entry]) -> Vec<bool> {
    let mut is_stuck: Vec<bool> = entries.iter().map(|entry| entry.is_parked).collect();
    loop {
        let next: Vec<bool> = entries
            .iter()
            .zip(&is_stuck)
            .map(|(entry, known)| {
                let by = |number: usize| is_stuck.get(number).copied().unwrap_or_default();
                *known || entry.awaited(entries, &is_stuck).into_iter().any(by)
            })
            .collect();
        if next == is_stuck {
            return is_stuck;
        }
        is_stuck = next;
    }
}

enum Choice<'a> {
    Turn(Turn<'a>),
    AllEnded,
    Wait(Option<Instant>),
}

impl Entry {
    fn has_room(&self) -> bool {
        match self.stage {
            Some(WorkKind::Chunk | WorkKind::Rebuild | WorkKind::Relink) => {
                self.active < self.most_workers
            }
            // One worker does what is done once.
            Some(_) => self.active == 0,
            None => false,
        }
    }

    fn may_go_on(&self, all: &[Self], is_stuck: &[bool]) -> bool {
        self.awaited(all, is_stuck).is_empty()
    }

    /// The numbers of the tables that it waits for.
    fn awaited(&self, all: &[Self], is_stuck: &[bool]) -> Vec<usize> {
        let lacking = |numbers: &[usize], holds: fn(&Self) -> bool| -> Vec<usize> {
            let open = |number: &usize| all.get(*number).is_some_and(|entry| !holds(entry));
            numbers.iter().copied().filter(open).collect()
        };
        match self.stage {
            Some(WorkKind::Chunk) => {
                let mut awaited = lacking(&self.waits.for_preparation, Self::is_ready);
                awaited.extend(lacking(&self.waits.for_rows, Self::has_rows));
                awaited
            }
            // A foreign key needs the rows and the unique constraints of both its tables. It comes
            // back whatever has become of others.
            Some(WorkKind::Relink) => {
                let moves = |number: &usize| !is_stuck.get(*number).copied().unwrap_or_default();
                let counts =
                    |number: &usize| moves(number) || self.waits.for_links.contains(number);
                lacking(&(0..all.len()).filter(counts).collect::<Vec<_>>(), Self::is_rebuilt)
            }
            _ => Vec::new(),
        }
    }

    fn is_ready(&self) -> bool {
        !matches!(self.stage, Some(WorkKind::Prepare | WorkKind::SetAside))
    }

    fn has_rows(&self) -> bool {
        matches!(self.stage, None | Some(WorkKind::Rebuild)) || self.is_rebuilt()
    }

    fn is_rebuilt(&self) -> bool {
        matches!(self.stage, None | Some(WorkKind::Relink | WorkKind::Finish))
    }
}

impl Turn<'_> {
    /// The table has reached the next stage.
    pub(crate) fn advance(&self, to: WorkKind) {
        self.schedule.change(self.table, |entry| {
            // Several workers may find the queue drained; the first one moves the table on.
            if entry.stage == Some(self.stage) {
                entry.stage = Some(to);
                entry.rests_until = Instant::now();
            }
        });
    }

    /// Nothing is due for a while.
    pub(crate) fn rest(&self, duration: Duration) {
        self.schedule.change(self.table, |entry| entry.rests_until = Instant::now() + duration);
    }

    /// Nobody here begins what comes next: the time that is left does not suffice, or this process can
    /// do no more for the table.
    pub(crate) fn park(&self) {
        self.schedule.change(self.table, |entry| entry.is_parked = true);
    }

    /// Something was settled: there may be work again.
    pub(crate) fn wake(&self) {
        self.schedule.change(self.table, |entry| entry.rests_until = Instant::now());
    }

    /// The table has ended; answers whether it had not before.
    pub(crate) fn end(&self) -> bool {
        let mut was_open = false;
        self.schedule.change(self.table, |entry| was_open = entry.stage.take().is_some());
        was_open
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.schedule.change(self.table, |entry| entry.active -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cx() -> RunContext {
        RunContext::new()
    }

    fn alone<const N: usize>(tables: [(bool, u32); N]) -> Schedule {
        let standing = |has_work| if has_work { Standing::Open } else { Standing::Ended };
        Schedule::new(tables.map(|(has_work, most)| (standing(has_work), most, Waits::default())))
    }

    #[tokio::test(start_paused = true)]
    async fn workers_spread_over_tables_up_to_their_caps() {
        let schedule = alone([(true, 1), (true, 2), (false, 9)]);
        let cx = cx();
        let preparing = [
            schedule.next(&cx).await.expect("first table"),
            schedule.next(&cx).await.expect("second table"),
        ];
        for turn in preparing {
            turn.advance(WorkKind::Chunk);
        }
        let turns = [
            schedule.next(&cx).await.expect("first"),
            schedule.next(&cx).await.expect("second"),
            schedule.next(&cx).await.expect("third"),
        ];
        let mut tables: Vec<_> = turns.iter().map(|turn| turn.table).collect();
        tables.sort_unstable();
        assert_eq!(tables, [0, 1, 1], "the first table takes one worker only");
    }

    #[tokio::test(start_paused = true)]
    async fn a_resting_table_is_woken_by_a_sibling() {
        let schedule = alone([(true, 2)]);
        let cx = cx();
        schedule.next(&cx).await.expect("prepares").advance(WorkKind::Chunk);
        let busy = schedule.next(&cx).await.expect("copies");
        schedule.next(&cx).await.expect("finds nothing").rest(Duration::from_hours(1));
        let waiting = schedule.next(&cx);
        let waking = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            busy.wake();
        };
        let started = Instant::now();
        let (turn, ()) = tokio::join!(waiting, waking);
        assert!(turn.is_some());
        assert_eq!(started.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_table_to_end_frees_every_worker() {
        let schedule = alone([(true, 4)]);
        let cx = cx();
        let turn = schedule.next(&cx).await.expect("prepares");
        let idle = schedule.next(&cx);
        let ending = async {
            assert!(turn.end());
            assert!(!turn.end(), "only once");
        };
        let (none, ()) = tokio::join!(idle, ending);
        assert!(none.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn foreign_keys_wait_until_every_table_has_its_rows() {
        let schedule = alone([(true, 2), (true, 2)]);
        let cx = cx();
        let first = schedule.next(&cx).await.expect("first table");
        let second = schedule.next(&cx).await.expect("second table");
        first.advance(WorkKind::Relink);
        drop(first);
        let started = Instant::now();
        let waiting = async { (schedule.next(&cx).await, started.elapsed().as_secs()) };
        let loading = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            second.advance(WorkKind::Finish);
        };
        let ((turn, after_seconds), ()) = tokio::join!(waiting, loading);
        assert_eq!(turn.map(|turn| turn.stage), Some(WorkKind::Relink));
        assert_eq!(after_seconds, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_wait_for_a_preparation_that_locks_their_table() {
        let waits = Waits { for_preparation: vec![1], ..Waits::default() };
        let schedule =
            Schedule::new([(Standing::Open, 2, waits), (Standing::Open, 2, Waits::default())]);
        let cx = cx();
        let first = schedule.next(&cx).await.expect("first table");
        let second = schedule.next(&cx).await.expect("second table");
        first.advance(WorkKind::Chunk);
        drop(first);
        assert!(matches!(schedule.choose(), Choice::Wait(_)), "the other is being prepared");
        second.advance(WorkKind::SetAside);
        drop(second);
        let second = schedule.next(&cx).await.expect("it sets aside");
        assert_eq!((second.table, second.stage), (1, WorkKind::SetAside));
        assert!(matches!(schedule.choose(), Choice::Wait(_)), "the other sets aside");
        second.advance(WorkKind::Chunk);
        let turn = schedule.next(&cx).await.expect("its chunks");
        assert_eq!((turn.table, turn.stage), (0, WorkKind::Chunk));
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_wait_for_the_rows_that_theirs_refer_to() {
        let waits = Waits { for_rows: vec![1], ..Waits::default() };
        let schedule =
            Schedule::new([(Standing::Open, 2, waits), (Standing::Open, 1, Waits::default())]);
        let cx = cx();
        let child = schedule.next(&cx).await.expect("first table");
        let parent = schedule.next(&cx).await.expect("second table");
        child.advance(WorkKind::Chunk);
        drop(child);
        assert!(matches!(schedule.choose(), Choice::Wait(_)), "the parent is not prepared");
        parent.advance(WorkKind::Chunk);
        drop(parent);
        let parent = schedule.next(&cx).await.expect("the parent's chunks");
        assert_eq!(parent.table, 1);
        assert!(matches!(schedule.choose(), Choice::Wait(_)), "the parent lacks rows");
        assert!(parent.end(), "whatever came of it");
        assert_eq!(schedule.next(&cx).await.map(|turn| turn.table), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_parked_table_gets_no_turn_and_the_others_go_on_unless_they_wait_for_it() {
        let waits = |tables: &[usize]| Waits { for_rows: tables.to_vec(), ..Waits::default() };
        let schedule = Schedule::new([
            (Standing::Open, 2, waits(&[])),
            (Standing::Open, 2, waits(&[0])),
            (Standing::Open, 2, waits(&[])),
        ]);
        let cx = cx();
        let mut preparing = Vec::new();
        for _ in 0..3 {
            preparing.push(schedule.next(&cx).await.expect("prepares"));
        }
        for turn in &preparing {
            turn.advance(WorkKind::Chunk);
        }
        drop(preparing);
        let parked = schedule.next(&cx).await.expect("the first table's chunks");
        let other = schedule.next(&cx).await.expect("the third table's chunks");
        assert_eq!(
            (parked.table, other.table),
            (0, 2),
            "the second waits for the rows of the first"
        );
        parked.park();
        drop(parked);
        drop(other);
        for _ in 0..3 {
            assert_eq!(schedule.next(&cx).await.map(|turn| turn.table), Some(2));
        }
        assert!(schedule.next(&cx).await.expect("the third").end());
        assert!(schedule.next(&cx).await.is_none(), "nobody waits for what nobody does");
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_that_is_left_to_others_has_not_ended_for_those_that_wait_for_it() {
        let waits = |rows: &[usize], links: &[usize]| Waits {
            for_rows: rows.to_vec(),
            for_links: links.to_vec(),
            ..Waits::default()
        };
        let schedule = Schedule::new([
            (Standing::LeftToOthers, 2, waits(&[], &[])),
            (Standing::Open, 2, waits(&[0], &[0])),
            (Standing::Open, 2, waits(&[], &[0])),
            (Standing::Open, 2, waits(&[], &[])),
        ]);
        let cx = cx();
        for stage in [WorkKind::Chunk, WorkKind::Relink, WorkKind::Relink] {
            schedule.next(&cx).await.expect("prepares").advance(stage);
        }
        let turn = schedule.next(&cx).await.expect("foreign keys of others");
        assert_eq!((turn.table, turn.stage), (3, WorkKind::Relink));
        assert!(turn.end());
        assert!(schedule.next(&cx).await.is_none(), "the others wait for what others do");
    }

    #[tokio::test]
    async fn a_cancelled_run_gives_no_more_turns() {
        let schedule = alone([(true, 4)]);
        let cx = cx();
        cx.cancel.cancel();
        assert!(schedule.next(&cx).await.is_none());
    }
}
