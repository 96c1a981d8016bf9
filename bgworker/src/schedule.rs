//! When something is done again.

use std::time::Duration;

/// Something that is done once in a period, counted from start to start. The period is asked for each time, so a
/// changed setting holds at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Every {
    /// `None`: not done yet, so it is due.
    last: Option<Duration>,
}

impl Every {
    /// Something that began for the last time then, if it ever did.
    pub fn since(last: Option<Duration>) -> Self {
        Every { last }
    }

    /// When it began for the last time.
    pub fn last(&self) -> Option<Duration> {
        self.last
    }

    /// Whether it is due, and if so, starts the next period.
    pub fn begins(&mut self, now: Duration, period: Duration) -> bool {
        let due = self.next(period) <= now;
        if due {
            self.last = Some(now);
        }
        due
    }

    /// When it is due; zero is "at once".
    pub fn next(&self, period: Duration) -> Duration {
        self.last.map_or(Duration::ZERO, |last| last.saturating_add(period))
    }
}

/// How long to wait after so many failures in a row (from 1): doubling from the first pause up to the longest.
pub fn back_off(failures: u32, first: Duration, longest: Duration) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_time_is_at_once_and_the_next_a_period_after_its_start() {
        let mut every = Every::default();
        assert!(every.begins(s(5), s(10)));
        assert!(!every.begins(s(14), s(10)));
        assert_eq!(every.next(s(10)), s(15));
        assert!(every.begins(s(15), s(10)));
    }

    #[test]
    fn a_changed_period_holds_at_once() {
        let mut every = Every::default();
        assert!(every.begins(s(5), s(100)));
        assert!(every.begins(s(6), s(1)));
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let mut every = Every::default();
        assert!(every.begins(s(0), s(1)));
        assert!(every.begins(s(60), s(1)));
        assert!(!every.begins(s(60), s(1)));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<u64> = [1, 2, 3, 4, 5, 1000].map(|n| back_off(n, s(10), s(60)).as_secs()).to_vec();
        assert_eq!(pauses, [10, 20, 40, 60, 60, 60]);
    }
}
