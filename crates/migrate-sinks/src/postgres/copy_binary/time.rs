//! Days and microseconds in PostgreSQL's calendar, which starts in 2000.

use super::misfit::Misfit;

/// Days and microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

pub(super) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Days since 1970 as days since 2000. The extremes would be infinities there.
pub(super) fn days(since_1970: i32) -> Result<i32, Misfit> {
    since_1970
        .checked_sub(EPOCH_DAYS)
        .filter(|days| *days != i32::MIN && *days != i32::MAX)
        .ok_or(Misfit::BeyondCalendar)
}

/// Microseconds since 1970 as microseconds since 2000.
pub(super) fn micros(since_1970: i64) -> Result<i64, Misfit> {
    since_1970
        .checked_sub(EPOCH_MICROS)
        .filter(|micros| *micros != i64::MIN && *micros != i64::MAX)
        .ok_or(Misfit::BeyondCalendar)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server reads the least and the greatest number as minus infinity and infinity.
    #[test]
    fn what_the_server_would_read_as_an_infinity_is_refused() {
        assert_eq!(days(i32::MIN + EPOCH_DAYS), Err(Misfit::BeyondCalendar));
        assert_eq!(days(i32::MIN + EPOCH_DAYS + 1), Ok(i32::MIN + 1));
        assert_eq!(micros(i64::MIN + EPOCH_MICROS), Err(Misfit::BeyondCalendar));
        assert_eq!(micros(i64::MIN + EPOCH_MICROS + 1), Ok(i64::MIN + 1));
    }
}
