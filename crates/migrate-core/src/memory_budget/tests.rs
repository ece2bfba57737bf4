use futures::FutureExt;
use proptest::prelude::*;

use super::*;

fn budget(bytes: u64) -> MemoryBudget {
    MemoryBudget::new(NonZeroU64::new(bytes).expect("not zero"))
}

fn admitted(budget: &MemoryBudget, least_bytes: u64) -> Option<MemoryShare> {
    budget.admit(least_bytes).now_or_never()
}

#[test]
fn a_chunk_is_let_in_only_when_its_least_is_free() {
    let budget = budget(100);
    let first = admitted(&budget, 60).expect("all is free");
    assert!(admitted(&budget, 60).is_none());
    let second = admitted(&budget, 40).expect("40 are free");
    assert!(admitted(&budget, 1).is_none());
    drop((first, second));
    assert_eq!(budget.taken_bytes(), 0);
    assert!(admitted(&budget, 100).is_some());
}

#[test]
fn a_chunk_that_needs_more_than_all_is_let_in_alone() {
    let budget = budget(100);
    let large = admitted(&budget, 1 << 40).expect("nobody else is there");
    assert!(admitted(&budget, 1 << 40).is_none());
    assert!(admitted(&budget, 1).is_none());
    let held = large.reserve(1 << 40).now_or_never().expect("it holds nothing");
    assert_eq!(budget.taken_bytes(), 1 << 40);
    drop((large, held));
    assert!(admitted(&budget, 1 << 40).is_some());
}

#[test]
fn a_small_chunk_does_not_overtake_a_large_one_at_the_door() {
    let budget = budget(100);
    let inside = admitted(&budget, 60).expect("all is free");
    let mut large = std::pin::pin!(budget.admit(80));
    assert!(large.as_mut().now_or_never().is_none());
    assert!(admitted(&budget, 10).is_none());
    drop(inside);
    assert!(large.now_or_never().is_some());
}

#[test]
fn what_is_its_own_is_there_at_once_and_more_waits() {
    let budget = budget(100);
    let (one, other) = (admitted(&budget, 40).expect("free"), admitted(&budget, 40).expect("free"));
    let _own = one.reserve(40).now_or_never().expect("its own");
    let more = one.try_reserve(20).expect("free");
    assert!(one.try_reserve(1).is_none());
    assert!(one.reserve(1).now_or_never().is_none(), "it can give something back");
    let own = other.try_reserve(40).expect("its own, whatever others do");
    assert!(other.try_reserve(1).is_none());
    drop(more);
    assert!(other.try_reserve(20).is_some());
    drop(own);
    assert_eq!(budget.taken_bytes(), 100 - 20, "what is its own is kept for it");
}

#[test]
fn one_chunk_at_a_time_goes_beyond_the_ceiling() {
    let budget = budget(100);
    let (one, other) = (admitted(&budget, 50).expect("free"), admitted(&budget, 50).expect("free"));
    let beyond = one.reserve(200).now_or_never().expect("it could never give anything back");
    let mut second = std::pin::pin!(other.reserve(200));
    assert!(second.as_mut().now_or_never().is_none(), "only one");
    assert_eq!(budget.taken_bytes(), 250);
    drop(beyond);
    assert!(second.now_or_never().is_some());
}

#[test]
fn chunks_inside_come_before_those_at_the_door() {
    let budget = budget(100);
    let (one, other) = (admitted(&budget, 30).expect("free"), admitted(&budget, 30).expect("free"));
    let held = other.reserve(60).now_or_never().expect("free");
    let _own = one.reserve(30).now_or_never().expect("its own");
    {
        let mut more = std::pin::pin!(one.reserve(30));
        assert!(more.as_mut().now_or_never().is_none());
        assert!(admitted(&budget, 5).is_none(), "somebody inside waits");
        drop(held);
        assert!(more.now_or_never().is_some());
    }
    assert!(admitted(&budget, 5).is_some());
}

#[test]
fn a_number_is_corrected_when_it_is_known() {
    let budget = budget(100);
    let share = admitted(&budget, 10).expect("free");
    let held = share.reserve(20).now_or_never().expect("free");
    held.correct(150);
    assert_eq!(budget.taken_bytes(), 150);
    held.correct(5);
    assert_eq!((held.bytes(), budget.taken_bytes()), (5, 10));
}

#[test]
fn what_stays_for_the_whole_scan_is_nothing_to_wait_for() {
    let budget = budget(100);
    let (one, _other) =
        (admitted(&budget, 40).expect("free"), admitted(&budget, 60).expect("free"));
    let _pages = one.hold(30);
    let batch = one.reserve(50).now_or_never().expect("nothing is on its way");
    assert_eq!(budget.taken_bytes(), 140);
    assert!(one.reserve(1).now_or_never().is_none());
    drop(batch);
    assert_eq!(budget.taken_bytes(), 100);
}

/// What a property does to a budget.
#[derive(Debug, Clone)]
enum Step {
    Admit(u64),
    Leave(usize),
    Reserve(usize, u64),
    Ahead(usize, u64),
    GiveBack(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..300_u64).prop_map(Step::Admit),
        (0..8_usize).prop_map(Step::Leave),
        (0..8_usize, 0..200_u64).prop_map(|(at, bytes)| Step::Reserve(at, bytes)),
        (0..8_usize, 0..200_u64).prop_map(|(at, bytes)| Step::Ahead(at, bytes)),
        (0..16_usize).prop_map(Step::GiveBack),
    ]
}

proptest! {
    #[test]
    fn all_but_one_chunk_stay_within_the_budget(steps in proptest::collection::vec(step(), 0..80)) {
        const ALL: u64 = 256;
        let budget = budget(ALL);
        let mut chunks: Vec<(MemoryShare, u64)> = Vec::new();
        let mut held: Vec<(u64, Reservation)> = Vec::new();
        for step in steps {
            match step {
                Step::Admit(least) => chunks.extend(admitted(&budget, least).map(|s| (s, least))),
                Step::Leave(at) if at < chunks.len() => {
                    let (share, _) = chunks.remove(at);
                    held.retain(|(chunk, _)| *chunk != share.owner.chunk);
                }
                Step::Reserve(at, bytes) if at < chunks.len() => {
                    let share = &chunks[at].0;
                    held.extend(share.reserve(bytes).now_or_never().map(|r| (share.owner.chunk, r)));
                }
                Step::Ahead(at, bytes) if at < chunks.len() => {
                    let share = &chunks[at].0;
                    held.extend(share.try_reserve(bytes).map(|r| (share.owner.chunk, r)));
                }
                Step::GiveBack(at) if at < held.len() => drop(held.remove(at)),
                _ => {}
            }
            let of = |chunk: u64| -> u64 {
                held.iter().filter(|(owner, _)| *owner == chunk).map(|(_, r)| r.bytes()).sum()
            };
            let taken = |(share, least): &(MemoryShare, u64)| {
                of(share.owner.chunk).max((*least).min(ALL))
            };
            let all: Vec<u64> = chunks.iter().map(taken).collect();
            let sum: u64 = all.iter().sum();
            prop_assert_eq!(budget.taken_bytes(), sum);
            let largest = all.iter().max().copied().unwrap_or_default();
            prop_assert!(sum <= ALL || sum - largest <= ALL, "{:?}", all);
            // Whoever holds nothing is served, unless one chunk is beyond the ceiling already.
            let is_anybody_beyond = budget.shared.accounts().favoured.is_some();
            for (share, _) in &chunks {
                if of(share.owner.chunk) == 0 && !is_anybody_beyond {
                    prop_assert!(share.reserve(1 << 30).now_or_never().is_some());
                }
            }
        }
        drop((chunks, held));
        prop_assert_eq!(budget.taken_bytes(), 0);
    }
}

/// None waits for ever.
#[tokio::test]
async fn chunks_that_each_want_more_than_all_end_one_after_the_other() {
    let budget = budget(100);
    let chunk = |number: u64| {
        let budget = budget.clone();
        async move {
            let share = budget.admit(60 + number * 10).await;
            for bytes in [10, 500, 90, 1000] {
                let held = share.reserve(bytes).await;
                tokio::task::yield_now().await;
                drop(held);
            }
        }
    };
    futures::future::join_all((0..8).map(chunk)).await;
    assert_eq!(budget.taken_bytes(), 0);
}
