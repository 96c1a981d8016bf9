//! Lengths and points of time in microseconds, the resolution of PostgreSQL's `timestamptz` and `interval`.

/// A length of time in microseconds, or a point of time counted from whatever epoch the caller uses
/// throughout.
///
/// Arithmetic saturates: an operator may write any interval into `pgq.queue`, and a rule must not fail on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(i64);

impl Micros {
    /// No time at all.
    pub const ZERO: Micros = Micros(0);

    /// This many microseconds.
    pub const fn new(micros: i64) -> Micros {
        Micros(micros)
    }

    /// An interval as the server stores it. A month counts 30 days, as it does when the server compares
    /// intervals. PostgreSQL's longest interval (178 million years) is longer than `Micros::MAX` (292
    /// thousand) and becomes it.
    pub fn from_interval(months: i32, days: i32, micros: i64) -> Micros {
        const MICROS_PER_DAY: i128 = 24 * 60 * 60 * 1_000_000;
        let days = i128::from(months) * 30 + i128::from(days);
        let total = days * MICROS_PER_DAY + i128::from(micros);
        Micros(total.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    /// The number of microseconds.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to this point; negative when `earlier` is later.
    pub const fn since(self, earlier: Micros) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }

    /// Twice as long.
    pub const fn doubled(self) -> Micros {
        Micros(self.0.saturating_mul(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_counts_months_of_30_days() {
        assert_eq!(Micros::from_interval(1, -30, 5), Micros::new(5));
        assert_eq!(Micros::from_interval(0, 1, -1), Micros::new(86_399_999_999));
    }

    #[test]
    fn the_longest_intervals_saturate() {
        assert_eq!(Micros::from_interval(i32::MAX, i32::MAX, i64::MAX), Micros::new(i64::MAX));
        assert_eq!(Micros::from_interval(i32::MIN, i32::MIN, i64::MIN), Micros::new(i64::MIN));
        assert_eq!(Micros::new(i64::MIN).since(Micros::new(i64::MAX)), Micros::new(i64::MIN));
        assert_eq!(Micros::new(i64::MAX).doubled(), Micros::new(i64::MAX));
    }
}
