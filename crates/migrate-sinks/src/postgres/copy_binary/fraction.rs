//! Fractions of a second that a column does not keep.

use migrate_core::{MICRO_SCALE, OnFraction};

use super::misfit::Misfit;

const NANOS_PER_MICRO: i64 = 1_000;

/// How times become the microseconds of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct FractionRules {
    /// Fraction digits that the column keeps, at most 6.
    pub(super) digits: u8,
    /// What the user decided about finer ones.
    pub(super) policy: Option<OnFraction>,
}

impl FractionRules {
    /// Whether times of so many digits lose some of them.
    pub(in super::super) fn cuts(self, source_digits: u8) -> bool {
        let is_cut = match self.policy {
            Some(OnFraction::Round | OnFraction::Truncate) => true,
            // No column of PostgreSQL keeps nanoseconds; one that keeps less was declared so.
            None => source_digits > MICRO_SCALE,
            Some(_) => false,
        };
        is_cut && source_digits > self.digits
    }

    /// A time given as microseconds and nanoseconds after them (0 to 999), as microseconds that the
    /// column keeps. The server would round to the column's digits without a word.
    pub(super) fn micros(self, micros: i64, nanos: i64) -> Result<i64, Misfit> {
        if self.digits >= MICRO_SCALE && nanos == 0 {
            return Ok(micros);
        }
        let unit = 10_i64.pow(u32::from(MICRO_SCALE.saturating_sub(self.digits)));
        let surplus = micros.rem_euclid(unit);
        if surplus == 0 && nanos == 0 {
            return Ok(micros);
        }
        let cut = micros - surplus;
        match self.policy {
            Some(OnFraction::Round) => {
                let is_up = (surplus * NANOS_PER_MICRO + nanos) * 2 >= unit * NANOS_PER_MICRO;
                cut.checked_add(if is_up { unit } else { 0 }).ok_or(Misfit::BeyondCalendar)
            }
            Some(OnFraction::Truncate) => Ok(cut),
            // No column of PostgreSQL keeps nanoseconds; one that keeps less was declared so.
            None if surplus == 0 => Ok(micros),
            None | Some(_) => Err(Misfit::FinerThan(self.digits)),
        }
    }

    /// The same for nanoseconds.
    pub(super) fn nanos(self, nanos: i64) -> Result<i64, Misfit> {
        self.micros(nanos.div_euclid(NANOS_PER_MICRO), nanos.rem_euclid(NANOS_PER_MICRO))
    }

    /// The same for seconds and nanoseconds after them.
    pub(super) fn parts(self, seconds: i64, nanos: i64) -> Result<i64, Misfit> {
        let micros = seconds
            .checked_mul(1_000_000)
            .and_then(|micros| micros.checked_add(nanos / NANOS_PER_MICRO))
            .ok_or(Misfit::BeyondCalendar)?;
        self.micros(micros, nanos % NANOS_PER_MICRO)
    }

    /// Nanoseconds by which a time, given as seconds and nanoseconds after them, exceeds what the
    /// column keeps of it; less than none where it is rounded up.
    pub(super) fn surplus(self, seconds: i64, nanos: i64) -> Result<i32, Misfit> {
        let kept = self.parts(seconds, nanos)?;
        let whole =
            seconds.checked_mul(1_000_000).and_then(|it| it.checked_add(nanos / NANOS_PER_MICRO));
        let above = whole.ok_or(Misfit::BeyondCalendar)? - kept;
        i32::try_from(above * NANOS_PER_MICRO + nanos % NANOS_PER_MICRO)
            .map_err(|_wide| Misfit::BeyondCalendar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(digits: u8, policy: Option<OnFraction>) -> FractionRules {
        FractionRules { digits, policy }
    }

    #[test]
    fn each_policy_does_what_its_name_says_on_both_sides_of_the_epoch() {
        let all = [OnFraction::Truncate, OnFraction::Round, OnFraction::Reject].map(Some);
        let at = |nanos| all.map(|policy| rules(6, policy).parts(-1, nanos).ok());
        assert_eq!(at(999_999_999), [Some(-1), Some(0), None]);
        assert_eq!(at(999_999_499), [Some(-1), Some(-1), None]);
        assert_eq!(at(999_999_500), [Some(-1), Some(0), None]);
        assert_eq!(at(999_999_000), [Some(-1); 3]);
    }

    #[test]
    fn what_is_kept_and_its_surplus_are_the_whole_time() {
        for policy in [None, Some(OnFraction::Truncate), Some(OnFraction::Round)] {
            for (digits, nanos) in [(6, 999_999_999), (6, 1), (6, 500), (6, 0), (0, 500_000_000)] {
                let rules = rules(digits, policy);
                let Ok(kept) = rules.parts(-7, nanos) else { continue };
                let surplus = rules.surplus(-7, nanos).map(i64::from);
                assert_eq!(surplus, Ok(-7_000_000_000 + nanos - kept * 1000), "{rules:?} {nanos}");
            }
        }
    }

    #[test]
    fn without_a_word_only_what_no_column_keeps_is_cut() {
        assert_eq!(rules(6, None).parts(0, 123_456_789), Ok(123_456));
        assert_eq!(rules(3, None).parts(0, 123_000_789), Ok(123_000));
        assert_eq!(rules(3, None).parts(0, 123_456_789), Err(Misfit::FinerThan(3)));
        assert_eq!(rules(3, Some(OnFraction::Truncate)).parts(0, 123_456_789), Ok(123_000));
        assert_eq!(rules(3, Some(OnFraction::Round)).parts(0, 123_500_000), Ok(124_000));
    }
}
