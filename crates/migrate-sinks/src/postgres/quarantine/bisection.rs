//! Finding the rows that a server refuses, when it answers for many rows at once.
//!
//! Pure: ranges that are still to be tried, in ascending order, so that rows are written and locks are
//! taken in the order in which they would be without a bad one.

use std::ops::Range;

/// Ranges of rows to try; each is wholly taken or split.
#[derive(Debug)]
pub(super) struct Bisection {
    /// The last is the next.
    due: Vec<Range<u64>>,
}

impl Bisection {
    /// Everything in `rows` is to be tried.
    pub(super) fn of(rows: Range<u64>) -> Self {
        let mut bisection = Self { due: Vec::new() };
        bisection.push(rows);
        bisection
    }

    /// Rows that were refused as a whole: what is to be tried instead, or the one bad row. `suspect`
    /// is the row that the server names; it is tried alone, between the rows before and after it.
    pub(super) fn split(&mut self, rows: &Range<u64>, suspect: Option<u64>) -> Option<u64> {
        let count = rows.end.saturating_sub(rows.start);
        if count <= 1 {
            return Some(rows.start);
        }
        match suspect.filter(|suspect| rows.contains(suspect)) {
            Some(suspect) => {
                self.push(suspect + 1..rows.end);
                self.push(suspect..suspect + 1);
                self.push(rows.start..suspect);
            }
            None => {
                let middle = rows.start + count / 2;
                self.push(middle..rows.end);
                self.push(rows.start..middle);
            }
        }
        None
    }

    fn push(&mut self, rows: Range<u64>) {
        if !rows.is_empty() {
            self.due.push(rows);
        }
    }
}

impl Iterator for Bisection {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        self.due.pop()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    /// Who names the first bad row of a range: nobody, somebody reliable, somebody who errs.
    #[derive(Debug, Clone, Copy)]
    enum Server {
        Silent,
        Right,
        Wrong(u64),
    }

    /// Taken and refused rows in the order in which they were settled, and the number of tries.
    fn settled(count: u64, bad: &BTreeSet<u64>, server: Server) -> (Vec<u64>, Vec<u64>, usize) {
        let (mut taken, mut refused, mut tries) = (Vec::new(), Vec::new(), 0);
        let mut bisection = Bisection::of(0..count);
        while let Some(rows) = bisection.next() {
            tries += 1;
            let first = bad.range(rows.clone()).next().copied();
            let suspect = match server {
                Server::Silent => None,
                Server::Right => first,
                Server::Wrong(offset) => Some(rows.start + offset),
            };
            match first {
                None => taken.extend(rows),
                Some(_) => refused.extend(bisection.split(&rows, suspect)),
            }
        }
        (taken, refused, tries)
    }

    proptest! {
        #[test]
        fn exactly_the_bad_rows_are_found_and_order_is_kept(
            count in 0..400_u64,
            bad in btree_set(0..400_u64, 0..20),
            server in prop_oneof![
                Just(Server::Silent), Just(Server::Right), (0..500_u64).prop_map(Server::Wrong)
            ],
        ) {
            let expected: Vec<u64> = bad.range(..count).copied().collect();
            let good: Vec<u64> = (0..count).filter(|row| !bad.contains(row)).collect();
            let (taken, refused, _) = settled(count, &bad, server);
            prop_assert_eq!(taken, good);
            prop_assert_eq!(refused, expected);
        }
    }

    #[test]
    fn three_bad_rows_among_ten_thousand_cost_few_tries() {
        let bad = BTreeSet::from([17, 5000, 9999]);
        assert_eq!(settled(10_000, &bad, Server::Right).2, 9);
        let (.., tries) = settled(10_000, &bad, Server::Silent);
        assert!(tries < 90, "{tries} tries");
    }
}
