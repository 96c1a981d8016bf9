//! How long a ticker stays in its database while other databases wait for a place.
//!
//! Those that are quiet go first and at once. One that serves consumers who wait goes too when nobody else has gone
//! for a while: so the busiest databases keep their tickers as long as others can do without, and none for ever.

use std::time::Duration;

/// Entering a database costs more than what there mostly is to do in it.
const LEAST: Duration = Duration::from_millis(100);

/// One ticker's stay.
#[derive(Debug, Default)]
pub struct Stay {
    quiet_since: Duration,
    asked_since: Option<Duration>,
}

impl Stay {
    /// It begins now.
    pub fn from(now: Duration) -> Self {
        Stay { quiet_since: now, asked_since: None }
    }

    /// Somebody who waited has been served.
    pub fn was_busy(&mut self, now: Duration) {
        self.quiet_since = now;
    }

    /// Nobody waits for a place.
    pub fn may_last(&mut self) {
        self.asked_since = None;
    }

    /// Somebody waits for a place: when this one may be given up.
    pub fn ends_at(&mut self, now: Duration) -> Duration {
        let asked_since = *self.asked_since.get_or_insert(now);
        asked_since.min(self.quiet_since).saturating_add(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn who_is_quiet_may_go_at_once_but_not_before_it_has_looked_around() {
        let mut stay = Stay::from(ms(1000));
        assert_eq!(stay.ends_at(ms(1000)), ms(1100));
        let mut stay = Stay::from(ms(1000));
        assert!(stay.ends_at(ms(5000)) <= ms(5000));
    }

    #[test]
    fn who_is_busy_may_go_when_others_have_waited_for_a_while() {
        let mut stay = Stay::from(ms(0));
        stay.was_busy(ms(1000));
        assert_eq!(stay.ends_at(ms(1000)), ms(1100));
        stay.was_busy(ms(1099));
        assert_eq!(stay.ends_at(ms(1099)), ms(1100));
        stay.may_last();
        assert_eq!(stay.ends_at(ms(1100)), ms(1199));
    }
}
