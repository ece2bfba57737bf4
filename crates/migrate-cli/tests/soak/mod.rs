//! Killed at random moments in every write mode, then run once more: the target is as a model says,
//! its schema as before, the ledger completed, and nothing is left behind.
//!
//! `make soak` kills 200 times. `SOAK_KILLS` says how often, `SOAK_SEED` draws other moments, and
//! `SOAK_ROUND` repeats one round; what a round draws depends on the seed and its number alone.

mod case;
mod round;

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use tokio::task::JoinSet;

use self::case::cases;
use self::round::{Killed, Stage};

/// Enough for a test that runs with each change.
const FEW_KILLS: u64 = 10;

/// A round waits for the leases of its dead process, which leaves room for another one.
const ROUNDS_AT_ONCE: usize = 2;

/// What a round draws.
#[derive(Debug)]
struct Draw {
    seed: u64,
    round: u64,
    /// Moments of the kills, as parts of an undisturbed run.
    moments: Vec<f64>,
}

impl Draw {
    fn new(seed: u64, round: u64) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ round);
        let kills = if rng.u8(..4) == 0 { 2 } else { 1 };
        Self { seed, round, moments: (0..kills).map(|_| rng.f64()).collect() }
    }
}

impl Drop for Draw {
    #[expect(clippy::print_stdout, reason = "whoever reads of a failed round wants to repeat it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, round, moments } = self;
            println!("round {round} failed, killed at {moments:.3?} of an undisturbed run");
            println!("repeat it with: SOAK_SEED={seed} SOAK_ROUND={round} make soak");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_the_same_command_ends_as_the_model_says() {
    let seed = number("SOAK_SEED").unwrap_or(4711);
    let mut soak = Soak::default();
    if let Some(round) = number("SOAK_ROUND") {
        soak.begin(Draw::new(seed, round)).await;
    } else {
        let wanted = number("SOAK_KILLS").unwrap_or(FEW_KILLS);
        let mut rounds = (0..).map(|round| Draw::new(seed, round));
        while soak.planned_kills < wanted {
            soak.begin(rounds.next().expect("endless")).await;
        }
    }
    while !soak.running.is_empty() {
        soak.await_one().await;
    }
    println!("seed {seed}: {}", soak.report());
    assert_eq!(soak.failed_rounds, 0, "rounds that failed; how to repeat them stands above");
}

/// Rounds under way and done.
#[derive(Default)]
struct Soak {
    /// Made when the first round needs them.
    stages: BTreeMap<usize, Arc<Stage>>,
    running: JoinSet<Vec<Killed>>,
    planned_kills: u64,
    failed_rounds: u32,
    kills: Vec<Killed>,
}

impl Soak {
    async fn begin(&mut self, draw: Draw) {
        self.planned_kills += draw.moments.len() as u64;
        let mut cases = cases();
        let turn = usize::try_from(draw.round).expect("small") % cases.len();
        let stage = match self.stages.get(&turn) {
            Some(stage) => Arc::clone(stage),
            None => {
                let stage = Arc::new(Stage::rehearse(cases.swap_remove(turn)).await);
                self.stages.insert(turn, Arc::clone(&stage));
                stage
            }
        };
        if self.running.len() == ROUNDS_AT_ONCE {
            self.await_one().await;
        }
        self.running.spawn(async move { stage.survives(&draw).await });
    }

    async fn await_one(&mut self) {
        match self.running.join_next().await.expect("one is running") {
            Ok(kills) => self.kills.extend(kills),
            Err(_panicked) => self.failed_rounds += 1,
        }
    }

    /// What was hit.
    fn report(&self) -> String {
        let hits = self.kills.iter().filter_map(|kill| kill.phase.as_deref());
        let alive = hits.clone().count();
        format!(
            "{} kills, {alive} of them hit a process at work\n  in: {}\n  of: {}",
            self.kills.len(),
            tally(hits),
            tally(self.kills.iter().map(|kill| kill.case)),
        )
    }
}

/// How often each word comes.
fn tally<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    counts.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", ")
}

#[expect(clippy::disallowed_methods, reason = "whoever runs a soak says how long")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("SOAK_KILLS, SOAK_SEED and SOAK_ROUND are numbers"))
}
