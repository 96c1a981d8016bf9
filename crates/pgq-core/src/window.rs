//! Up to which tick does the next batch go?
//!
//! A consumer takes one tick's worth of events at a time unless it asks for more. With limits it gets a batch
//! between one and two times the wanted size while it keeps up, and about the wanted size while it works off
//! a backlog.

use crate::ids::TickId;
use crate::micros::Micros;

/// A tick as the choice sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickPoint {
    /// `tick_id`.
    pub id: TickId,
    /// `tick_event_seq`: a hint, so that counts include the gaps and jumps of the sequence.
    pub event_seq: i64,
    /// `tick_time`, from the same epoch for all ticks.
    pub time: Micros,
}

/// What a consumer wants of a batch; reaching either is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// At least this many events.
    pub min_count: Option<i64>,
    /// At least this much time between the two ticks.
    pub min_interval: Option<Micros>,
}

/// Which tick ends the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// None yet.
    Nothing,
    /// The lowest tick above the consumer's position.
    NextTick,
    /// The newest tick.
    Newest,
    /// The lowest tick above the consumer's position by which [`BatchLimits::are_met`]; none yet if there is
    /// none.
    FirstMeetingEither,
}

impl BatchLimits {
    /// Whether a batch from `prev` to `tick` is big enough.
    pub fn are_met(&self, prev: &TickPoint, tick: &TickPoint) -> bool {
        let (count, interval) = size(prev, tick);
        self.min_count.is_some_and(|min| count >= min) || self.min_interval.is_some_and(|min| interval >= min)
    }

    fn are_met_twice(&self, prev: &TickPoint, tick: &TickPoint) -> bool {
        let (count, interval) = size(prev, tick);
        self.min_count.is_some_and(|min| count > min.saturating_mul(2))
            || self.min_interval.is_some_and(|min| interval > min.doubled())
    }
}

fn size(prev: &TickPoint, tick: &TickPoint) -> (i64, Micros) {
    (tick.event_seq.saturating_sub(prev.event_seq), tick.time.since(prev.time))
}

/// Chooses the end of the batch that begins at the consumer's position `prev` (PgQ 3.5, `find_tick_helper`).
///
/// The newest tick is looked at first: in a consumer that keeps up it is the answer, and no other tick has to
/// be read.
pub fn choose(prev: &TickPoint, newest: &TickPoint, limits: &BatchLimits) -> Window {
    if newest.id <= prev.id {
        Window::Nothing
    } else if limits.min_count.is_none() && limits.min_interval.is_none() {
        Window::NextTick
    } else if limits.are_met_twice(prev, newest) {
        Window::FirstMeetingEither
    } else if limits.are_met(prev, newest) {
        Window::Newest
    } else {
        Window::Nothing
    }
}

/// Whether the chosen tick is old enough for a consumer that wants to stay `min_lag` behind. If not, it gets
/// nothing; an older tick is not searched for.
pub fn lags_enough(tick: &TickPoint, now: Micros, min_lag: Option<Micros>) -> bool {
    min_lag.is_none_or(|min_lag| now.since(tick.time) >= min_lag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(id: i64, event_seq: i64, time: i64) -> TickPoint {
        TickPoint { id: id.into(), event_seq, time: Micros::new(time) }
    }

    fn limits(min_count: Option<i64>, min_interval: Option<i64>) -> BatchLimits {
        BatchLimits { min_count, min_interval: min_interval.map(Micros::new) }
    }

    /// What the consumer gets out of these ticks.
    fn end_tick(prev: &TickPoint, ticks: &[TickPoint], limits: &BatchLimits) -> Option<TickPoint> {
        let newest = ticks.last()?;
        let mut after = ticks.iter().copied().filter(|tick| tick.id > prev.id);
        match choose(prev, newest, limits) {
            Window::Nothing => None,
            Window::NextTick => after.next(),
            Window::Newest => Some(*newest),
            Window::FirstMeetingEither => after.find(|tick| limits.are_met(prev, tick)),
        }
    }

    /// Ticks whose ids, sequences and times grow, the first being the consumer's position.
    fn any_ticks() -> impl Strategy<Value = Vec<TickPoint>> {
        prop::collection::vec((1i64..3, 0i64..50, 0i64..50), 1..20).prop_map(|steps| {
            let grow = |at: &mut (i64, i64, i64), step: (i64, i64, i64)| {
                *at = (at.0 + step.0, at.1 + step.1, at.2 + step.2);
                Some(point(at.0, at.1, at.2))
            };
            steps.into_iter().scan((0, 0, 0), grow).collect()
        })
    }

    #[test]
    fn without_limits_the_next_tick_is_taken() {
        assert_eq!(choose(&point(1, 0, 0), &point(9, 900, 900), &limits(None, None)), Window::NextTick);
    }

    #[test]
    fn at_the_newest_tick_there_is_nothing() {
        let newest = point(9, 900, 900);
        assert_eq!(choose(&newest, &newest, &limits(None, None)), Window::Nothing);
        assert_eq!(choose(&newest, &newest, &limits(Some(0), Some(0))), Window::Nothing);
    }

    #[test]
    fn limits_are_reached_at_the_newest_tick_or_before_it() {
        let with_count = |seq: i64| choose(&point(1, 0, 0), &point(9, seq, 0), &limits(Some(100), None));
        assert_eq!(with_count(99), Window::Nothing);
        assert_eq!(with_count(100), Window::Newest);
        assert_eq!(with_count(200), Window::Newest);
        assert_eq!(with_count(201), Window::FirstMeetingEither);
        let with_interval = |time: i64| choose(&point(1, 0, 0), &point(9, 0, time), &limits(None, Some(100)));
        assert_eq!(with_interval(99), Window::Nothing);
        assert_eq!(with_interval(100), Window::Newest);
        assert_eq!(with_interval(201), Window::FirstMeetingEither);
    }

    #[test]
    fn either_limit_is_enough() {
        let with_both =
            |seq, time| choose(&point(1, 0, 0), &point(9, seq, time), &limits(Some(10), Some(10)));
        assert_eq!(with_both(9, 9), Window::Nothing);
        assert_eq!(with_both(10, 9), Window::Newest);
        assert_eq!(with_both(9, 10), Window::Newest);
        assert_eq!(with_both(9, 21), Window::FirstMeetingEither);
        assert_eq!(with_both(21, 9), Window::FirstMeetingEither);
    }

    #[test]
    fn extreme_limits_do_not_overflow() {
        let (prev, newest) = (point(1, i64::MIN, i64::MIN), point(2, i64::MAX, i64::MAX));
        assert_eq!(choose(&prev, &newest, &limits(Some(i64::MAX), Some(i64::MAX))), Window::Newest);
        assert_eq!(choose(&prev, &newest, &limits(Some(i64::MIN), None)), Window::FirstMeetingEither);
    }

    #[test]
    fn a_consumer_may_stay_behind() {
        let tick = point(1, 0, 100);
        assert!(lags_enough(&tick, Micros::new(100), None));
        assert!(lags_enough(&tick, Micros::new(150), Some(Micros::new(50))));
        assert!(!lags_enough(&tick, Micros::new(149), Some(Micros::new(50))));
    }

    proptest! {
        #[test]
        fn a_batch_is_big_enough_and_not_bigger_than_it_must_be(
            ticks in any_ticks(),
            min_count in prop::option::of(1i64..300),
            min_interval in prop::option::of(1i64..300),
        ) {
            let (prev, limits) = (ticks[0], limits(min_count, min_interval));
            let after = &ticks[1..];
            match end_tick(&prev, &ticks, &limits) {
                None if limits.min_count.is_none() && limits.min_interval.is_none() => prop_assert!(after.is_empty()),
                None => prop_assert!(!after.iter().any(|tick| limits.are_met(&prev, tick))),
                Some(end) if limits.min_count.is_none() && limits.min_interval.is_none() => {
                    prop_assert_eq!(end, after[0]);
                }
                Some(end) => {
                    prop_assert!(limits.are_met(&prev, &end));
                    // Above twice the limits only because no earlier tick would do.
                    if limits.are_met_twice(&prev, &end) {
                        let earlier = after.iter().take_while(|tick| tick.id < end.id);
                        prop_assert!(!earlier.into_iter().any(|tick| limits.are_met(&prev, tick)));
                    }
                }
            }
        }

        #[test]
        fn negative_limits_take_the_next_tick(ticks in any_ticks(), min_count in -9i64..0) {
            prop_assert_eq!(
                end_tick(&ticks[0], &ticks, &limits(Some(min_count), None)),
                ticks.get(1).copied()
            );
        }
    }
}
