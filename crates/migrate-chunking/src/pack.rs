//! Buckets of a histogram become chunks of even size.

use std::num::NonZeroU64;

use migrate_core::{KeyBucket, KeyHistogram, Scalar};

/// Buckets that become one part of the key.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Pack {
    /// Where it begins; nowhere for the first, which begins before all keys.
    pub(crate) first: Option<Scalar>,
    pub(crate) rows: u64,
    pub(crate) is_null_only: bool,
    /// The one value of all its rows, NULL included, if they are too many.
    pub(crate) single: Option<OneValue>,
}

/// The value of a key that many rows share; `None` for NULL.
#[derive(Debug, PartialEq)]
pub(crate) struct OneValue(pub(crate) Option<Scalar>);

/// Packs neighbouring buckets to about the same size, which is at most the aimed rows. The packs are
/// those of [`Predicate::partition`](migrate_core::Predicate::partition) in their order, or of
/// `partition_nulls_apart` where the first is of NULLs only.
pub(crate) fn pack(histogram: &KeyHistogram, aim: NonZeroU64) -> Vec<Pack> {
    let mut packs = Vec::new();
    let mut nulls = histogram.nulls;
    if nulls > aim.get() {
        packs.push(Pack {
            rows: nulls,
            is_null_only: !histogram.buckets.is_empty(),
            single: Some(OneValue(None)),
            ..Pack::default()
        });
        nulls = 0;
    }
    let ranges_start = packs.len();
    let is_crowd = |bucket: &KeyBucket| bucket.is_single && bucket.rows > aim.get();
    let runs = histogram.buckets.chunk_by(|left, right| !is_crowd(left) && !is_crowd(right));
    for run in runs {
        match run {
            [crowd] if is_crowd(crowd) => {
                if nulls > 0 {
                    packs.push(Pack { rows: nulls, ..Pack::default() });
                }
                packs.push(Pack {
                    first: Some(crowd.first.clone()),
                    rows: crowd.rows,
                    single: Some(OneValue(Some(crowd.first.clone()))),
                    ..Pack::default()
                });
            }
            run => pack_run(run, nulls, aim, &mut packs),
        }
        nulls = 0;
    }
    if packs.is_empty() {
        packs.push(Pack { rows: nulls, ..Pack::default() });
    }
    // The first range begins before all keys, whatever its first key is.
    if let Some(first) = packs.get_mut(ranges_start) {
        first.first = None;
    }
    packs
}

/// Packs buckets between two crowds, the rows without a key before them: each pack gets an even share
/// of what is left, as well as the buckets allow.
fn pack_run(run: &[KeyBucket], nulls: u64, aim: NonZeroU64, packs: &mut Vec<Pack>) {
    let share = |rows: u64| rows.div_ceil(rows.div_ceil(aim.get()).max(1));
    let mut left = nulls + run.iter().map(|bucket| bucket.rows).sum::<u64>();
    let mut even = share(left);
    let mut open = Pack { rows: nulls, ..Pack::default() };
    for bucket in run {
        let together = open.rows + bucket.rows;
        let is_nearer_without = together.saturating_sub(even) > even.saturating_sub(open.rows);
        if open.rows > 0 && (together > aim.get() || is_nearer_without) {
            left -= open.rows;
            even = share(left);
            packs.push(std::mem::take(&mut open));
        }
        if open.rows == 0 {
            open.first = Some(bucket.first.clone());
        }
        open.rows += bucket.rows;
    }
    packs.push(open);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(nulls: u64, buckets: &[(i64, u64)], aim: u64) -> Vec<Pack> {
        let buckets = buckets.iter().map(|(first, rows)| KeyBucket {
            first: (*first).into(),
            rows: *rows,
            is_single: *rows > aim,
        });
        let histogram =
            KeyHistogram { nulls, buckets: buckets.collect(), ..KeyHistogram::default() };
        pack(&histogram, NonZeroU64::new(aim).expect("not zero"))
    }

    fn plain(first: Option<i64>, rows: u64) -> Pack {
        Pack { first: first.map(Scalar::from), rows, ..Pack::default() }
    }

    #[test]
    fn neighbours_are_packed_up_to_the_aim() {
        let packs = packed(1, &[(10, 3), (20, 3), (30, 3), (40, 5), (50, 8)], 8);
        assert_eq!(packs, [plain(None, 7), plain(Some(30), 8), plain(Some(50), 8)]);
        assert_eq!(
            packed(0, &[(1, 4), (2, 4), (3, 4), (4, 1)], 8),
            [plain(None, 8), plain(Some(3), 5)]
        );
        assert_eq!(packed(0, &[], 8), [plain(None, 0)]);
        assert_eq!(packed(3, &[], 8), [plain(None, 3)]);
    }

    #[test]
    fn what_is_left_over_is_shared_out() {
        // 24,080 rows at 4,000 each: seven chunks of 3,440, not six and a small one.
        let buckets: Vec<_> = (0..301).map(|key| (key, 80)).collect();
        let rows: Vec<u64> = packed(0, &buckets, 4_000).iter().map(|pack| pack.rows).collect();
        assert_eq!(rows, [3_440; 7]);
        // The rows between two crowds are a run of their own.
        let packs = packed(0, &[(1, 3), (2, 3), (3, 3), (4, 90), (5, 4), (6, 4), (7, 1)], 8);
        let rows: Vec<u64> = packs.iter().map(|pack| pack.rows).collect();
        assert_eq!(rows, [6, 3, 90, 4, 5]);
    }

    #[test]
    fn a_crowded_key_is_alone() {
        let single = |first: Option<i64>, value: i64, rows| Pack {
            single: Some(OneValue(Some(value.into()))),
            ..plain(first, rows)
        };
        let packs = packed(0, &[(10, 3), (20, 9), (30, 3)], 8);
        assert_eq!(packs, [plain(None, 3), single(Some(20), 20, 9), plain(Some(30), 3)]);
        assert_eq!(packed(0, &[(20, 9)], 8), [single(None, 20, 9)]);
        let packs = packed(2, &[(20, 9)], 8);
        assert_eq!(packs, [plain(None, 2), single(Some(20), 20, 9)]);
    }

    #[test]
    fn many_nulls_are_alone() {
        let nulls =
            Pack { rows: 9, is_null_only: true, single: Some(OneValue(None)), ..Pack::default() };
        assert_eq!(packed(9, &[(10, 3), (20, 6)], 8), [nulls, plain(None, 3), plain(Some(20), 6)]);
        let only_nulls = Pack { rows: 9, single: Some(OneValue(None)), ..Pack::default() };
        assert_eq!(packed(9, &[], 8), [only_nulls]);
    }
}
