//! How soon after a tick that somebody waited for the next one may follow.
//!
//! A tick and the batch that it brings cost about as much as ten commits of an event. Where few events come that is
//! well spent, since each is delivered within milliseconds. Where thousands come, producers would pay for it: with 8 of
//! them at their limit on 2 cores, 37 % of their rate. So the higher the rate, the longer the pause.

use std::time::Duration;

/// Up to this rate, in events a second, there is no pause beyond the setting's.
const FREE: f64 = 2000.0;

/// At this rate the pause has reached its longest; at 10,000 it is 20 ms.
const FULL: f64 = 22_000.0;

/// It brings a thousand events a tick at that rate. With 20 ms the producers at their limit kept 94 to 100 %.
const LONGEST: Duration = Duration::from_millis(50);

/// The pace of one database's ticks.
#[derive(Debug, Default)]
pub struct Pace {
    last: Option<Duration>,
    pause: Duration,
}

impl Pace {
    /// When the next tick may come, `interval` being the least distance; zero is "at once".
    pub fn next(&self, interval: Duration) -> Duration {
        self.last.map_or(Duration::ZERO, |last| last.saturating_add(interval.max(self.pause)))
    }

    /// A tick begins now.
    pub fn begin(&mut self, now: Duration) -> Option<Duration> {
        self.last.replace(now).map(|last| now.saturating_sub(last))
    }

    /// It brought so many events, `since` the tick before.
    pub fn brought(&mut self, events: u64, since: Option<Duration>) {
        let seconds = since.map_or(1.0, |since| since.as_secs_f64().max(1e-4));
        #[allow(clippy::cast_precision_loss)]
        let rate = events as f64 / seconds;
        self.pause = LONGEST.mul_f64(((rate - FREE) / (FULL - FREE)).clamp(0.0, 1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The pause after ticks that come as soon as they may, at this rate.
    fn settled(rate: u64) -> Duration {
        let mut pace = Pace::default();
        let mut now = ms(1000);
        for _ in 0..100 {
            let since = pace.begin(now);
            pace.brought(since.map_or(1, |since| rate * since.as_micros() as u64 / 1_000_000), since);
            now = pace.next(ms(1));
        }
        now.saturating_sub(pace.last.expect("ticks"))
    }

    #[test]
    fn the_setting_rules_where_few_events_come() {
        assert_eq!(Pace::default().next(ms(1)), Duration::ZERO);
        assert_eq!(settled(10), ms(1));
        assert_eq!(settled(1000), ms(1));
    }

    #[test]
    fn the_pause_grows_with_the_rate_up_to_its_longest() {
        assert!(ms(5) < settled(5000) && settled(5000) < ms(10), "{:?}", settled(5000));
        assert!(ms(15) < settled(10_000) && settled(10_000) < ms(22), "{:?}", settled(10_000));
        assert_eq!(settled(30_000), LONGEST);
        assert_eq!(settled(1_000_000), LONGEST);
    }

    #[test]
    fn a_longer_setting_is_respected() {
        let mut pace = Pace::default();
        pace.begin(ms(1000));
        pace.brought(1_000_000, None);
        assert_eq!(pace.next(ms(500)), ms(1500));
        assert_eq!(pace.next(ms(1)), ms(1050));
    }

    #[test]
    fn after_a_quiet_time_the_first_event_is_not_held_up() {
        let mut pace = Pace::default();
        pace.begin(ms(1000));
        pace.brought(1_000_000, None);
        let since = pace.begin(ms(9000));
        pace.brought(1, since);
        assert_eq!(pace.next(ms(1)), ms(9001));
    }
}
