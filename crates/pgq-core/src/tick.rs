//! Is a tick due?
//!
//! A tick ends a batch, so ticks decide latency and batch size. Under load one comes with every `max_count`
//! events, and `max_lag` after the previous one at the latest. An idle queue is ticked at doubling distances
//! until they reach `idle_period`: a consumer that waits for a tick soon gets one after the last event, and a
//! queue that sleeps writes little.

use crate::micros::Micros;
use crate::snapshot::Snapshot;
use crate::txid::Txid;

/// A queue's three settings (`pgq.queue.queue_ticker_*`). Negative ones are reached at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickRule {
    /// Tick when this many events are new.
    pub max_count: i32,
    /// Tick when there are new events and the last tick is this old.
    pub max_lag: Micros,
    /// The longest distance between two ticks of an idle queue.
    pub idle_period: Micros,
}

/// Where batches may be bigger than ticks make them: a round trip more or less should not count beside the events.
const RELAXED: i32 = 10;

impl TickRule {
    /// The rule for pieces that are cut afterwards, out of a backlog or out of what nobody needs any more.
    pub fn relaxed(self) -> TickRule {
        TickRule {
            max_count: self.max_count.saturating_mul(RELAXED).max(SMALLEST_PIECE),
            max_lag: Micros::new(self.max_lag.get().saturating_mul(RELAXED.into())),
            idle_period: self.idle_period,
        }
    }
}

/// What the rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickState {
    /// The last value of the queue's event sequence; 0 when the sequence was never used.
    ///
    /// PgQ 3.5 took the raw `last_value`, which reads 1 before the first event and after it, so that the
    /// first event was not counted and waited for an idle tick.
    pub event_seq: i64,
    /// The newest tick, none if the queue has never been ticked.
    pub last: Option<LastTick>,
}

/// What the rule needs to know of the newest tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTick {
    /// Its `tick_event_seq`.
    pub event_seq: i64,
    /// How long ago it was taken.
    pub age: Micros,
    /// Its distance to the tick before it, if there is one.
    pub step: Option<Micros>,
}

/// Whether to tick now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickDecision {
    /// A tick is due.
    Tick(TickReason),
    /// Not yet.
    Wait,
}

/// Why a tick is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickReason {
    /// The queue has no tick.
    First,
    /// `max_count` events are new.
    Count,
    /// Events are new, and the last tick is `max_lag` old.
    Lag,
    /// The queue is idle, and it is time for the next of the doubling distances.
    Idle,
}

impl TickState {
    /// Whether the sequence is behind the newest tick: somebody has set it back, or restored it from an older
    /// dump. Worth a warning; the queue ticks as if idle until the sequence has caught up.
    ///
    /// A first tick of PgQ 3.5 says 1 when no event has been inserted yet.
    pub fn sequence_went_back(&self) -> bool {
        self.last.is_some_and(|last| self.event_seq.max(1) < last.event_seq)
    }
}

/// The tick rule of PgQ 3.5.
///
/// One addition: PgQ 3.5 took a newest tick from the future for a very young one. When the server's clock was
/// set back by an hour, few events waited for an hour. Here such a tick is replaced at once, and the next one
/// is measured from it.
pub fn decide(rule: &TickRule, state: &TickState) -> TickDecision {
    let Some(last) = state.last else {
        return TickDecision::Tick(TickReason::First);
    };
    let new_events = state.event_seq.saturating_sub(last.event_seq);
    let from_the_future = last.age < Micros::ZERO;
    if new_events > 0 {
        if new_events >= rule.max_count.into() {
            TickDecision::Tick(TickReason::Count)
        } else if last.age >= rule.max_lag || from_the_future {
            TickDecision::Tick(TickReason::Lag)
        } else {
            TickDecision::Wait
        }
    } else if from_the_future || idle_tick_is_due(rule, &last) {
        TickDecision::Tick(TickReason::Idle)
    } else {
        TickDecision::Wait
    }
}

fn idle_tick_is_due(rule: &TickRule, last: &LastTick) -> bool {
    // The second tick follows the first immediately: it makes the first distance.
    let Some(step) = last.step else { return true };
    let half_the_lag_is_over = last.age.doubled() >= rule.max_lag;
    let distance_has_doubled = last.age >= step.doubled();
    half_the_lag_is_over && (distance_has_doubled || last.age >= rule.idle_period)
}

/// How long a tick must be overdue before the backlog is cut: above what a busy ticker is late.
const OVERDUE: Micros = Micros::new(10_000_000);

/// Pieces are no smaller than this.
const SMALLEST_PIECE: i32 = 1000;

/// The number of events in a batch at which a backlog should be cut, if there is one: when ticks were missing for
/// long, one tick would make a single batch of all that has come meanwhile. See [`backlog`](crate::backlog).
pub fn backlog_piece(rule: &TickRule, state: &TickState) -> Option<i64> {
    let last = state.last.as_ref()?;
    let piece = i64::from(rule.relaxed().max_count);
    let is_overdue = last.age.since(rule.max_lag) > OVERDUE;
    (is_overdue && state.event_seq.saturating_sub(last.event_seq) > piece).then_some(piece)
}

/// Whether the server's transaction counter fits the ticks it has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockCheck {
    /// It does.
    Ok,
    /// The newest tick knows of transactions to come. Worth a warning: their events fall into no batch until
    /// then.
    Ahead,
    /// The counter is behind everything that the newest tick calls finished, as after restoring a dump into a
    /// new cluster. An error: all events to come would count as delivered.
    Behind,
}

/// Compares the newest tick's snapshot with the `next` transaction id to be assigned.
///
/// PgQ 3.5 compared with the ticker's own id. That cost each round an id, and was a false alarm in a
/// transaction whose id is older than the last tick; `next` is never below a snapshot's xmax while all is
/// well.
pub fn check_clock(last: &Snapshot, next: Txid) -> ClockCheck {
    if last.xmin() > next {
        ClockCheck::Behind
    } else if last.xmax() > next {
        ClockCheck::Ahead
    } else {
        ClockCheck::Ok
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::tests::snapshot;

    const SECOND: i64 = 1_000_000;

    /// The defaults of a new queue.
    const DEFAULTS: TickRule =
        TickRule { max_count: 500, max_lag: Micros::new(3 * SECOND), idle_period: Micros::new(60 * SECOND) };

    fn decision(new_events: i64, age: i64, step: Option<i64>) -> TickDecision {
        let last = LastTick { event_seq: 1000, age: Micros::new(age), step: step.map(Micros::new) };
        decide(&DEFAULTS, &TickState { event_seq: 1000 + new_events, last: Some(last) })
    }

    fn any_micros() -> impl Strategy<Value = Micros> {
        prop_oneof![-10..100 * SECOND, any::<i64>()].prop_map(Micros::new)
    }

    fn any_rule() -> impl Strategy<Value = TickRule> {
        (prop_oneof![-5..1000, any::<i32>()], any_micros(), any_micros())
            .prop_map(|(max_count, max_lag, idle_period)| TickRule { max_count, max_lag, idle_period })
    }

    /// The moments at which a queue is ticked that is polled in a fixed rhythm and gets no event.
    fn idle_ticks(rule: &TickRule, poll: i64, rounds: i64) -> Vec<i64> {
        let mut ticks: Vec<i64> = Vec::new();
        for now in (0..rounds).map(|round| round * poll) {
            let last = ticks.last().map(|&newest| LastTick {
                event_seq: 0,
                age: Micros::new(now - newest),
                step: ticks.iter().rev().nth(1).map(|&before| Micros::new(newest - before)),
            });
            if let TickDecision::Tick(_) = decide(rule, &TickState { event_seq: 0, last }) {
                ticks.push(now);
            }
        }
        ticks
    }

    #[test]
    fn a_queue_without_ticks_is_ticked() {
        let state = TickState { event_seq: 0, last: None };
        assert_eq!(decide(&DEFAULTS, &state), TickDecision::Tick(TickReason::First));
    }

    #[test]
    fn enough_events_make_a_tick() {
        assert_eq!(decision(499, 0, Some(SECOND)), TickDecision::Wait);
        assert_eq!(decision(500, 0, Some(SECOND)), TickDecision::Tick(TickReason::Count));
    }

    #[test]
    fn one_event_waits_no_longer_than_max_lag() {
        assert_eq!(decision(1, 3 * SECOND - 1, Some(SECOND)), TickDecision::Wait);
        assert_eq!(decision(1, 3 * SECOND, Some(SECOND)), TickDecision::Tick(TickReason::Lag));
    }

    #[test]
    fn the_first_event_counts() {
        let last = LastTick { event_seq: 0, age: DEFAULTS.max_lag, step: Some(DEFAULTS.idle_period) };
        let state = TickState { event_seq: 1, last: Some(last) };
        assert_eq!(decide(&DEFAULTS, &state), TickDecision::Tick(TickReason::Lag));
    }

    #[test]
    fn idle_ticks_wait_for_twice_the_distance() {
        let tick = TickDecision::Tick(TickReason::Idle);
        assert_eq!(decision(0, 0, None), tick);
        assert_eq!(decision(0, 3 * SECOND / 2 - 1, Some(0)), TickDecision::Wait);
        assert_eq!(decision(0, 3 * SECOND / 2, Some(0)), tick);
        assert_eq!(decision(0, 20 * SECOND - 1, Some(10 * SECOND)), TickDecision::Wait);
        assert_eq!(decision(0, 20 * SECOND, Some(10 * SECOND)), tick);
        assert_eq!(decision(0, 60 * SECOND - 1, Some(50 * SECOND)), TickDecision::Wait);
        assert_eq!(decision(0, 60 * SECOND, Some(50 * SECOND)), tick);
    }

    #[test]
    fn a_polled_idle_queue_slows_down_to_the_idle_period() {
        let distances: Vec<_> =
            idle_ticks(&DEFAULTS, SECOND, 300).windows(2).map(|pair| (pair[1] - pair[0]) / SECOND).collect();
        assert_eq!(distances, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_ticks() {
        assert_eq!(decision(1, -3600 * SECOND, Some(SECOND)), TickDecision::Tick(TickReason::Lag));
        assert_eq!(decision(0, -3600 * SECOND, Some(SECOND)), TickDecision::Tick(TickReason::Idle));
        assert_eq!(decision(1, 0, Some(-3600 * SECOND)), TickDecision::Wait);
    }

    #[test]
    fn a_sequence_set_back_is_noticed() {
        let last = LastTick { event_seq: 10, age: Micros::ZERO, step: None };
        assert!(TickState { event_seq: 9, last: Some(last) }.sequence_went_back());
        assert!(!TickState { event_seq: 10, last: Some(last) }.sequence_went_back());
        assert!(!TickState { event_seq: 0, last: None }.sequence_went_back());
        let first = LastTick { event_seq: 1, ..last };
        assert!(!TickState { event_seq: 0, last: Some(first) }.sequence_went_back());
    }

    #[test]
    fn the_counter_is_compared_with_the_newest_tick() {
        let last = snapshot("100:110:100");
        assert_eq!(check_clock(&last, Txid::new(99)), ClockCheck::Behind);
        assert_eq!(check_clock(&last, Txid::new(100)), ClockCheck::Ahead);
        assert_eq!(check_clock(&last, Txid::new(109)), ClockCheck::Ahead);
        assert_eq!(check_clock(&last, Txid::new(110)), ClockCheck::Ok);
    }

    proptest! {
        #[test]
        fn a_tick_is_due_after_the_idle_period_at_the_latest(
            rule in any_rule(),
            new_events in any::<i64>(),
            seq in any::<i64>(),
            step in prop::option::of(any_micros()),
            late in 0i64..,
        ) {
            // With events it is max_lag that counts; an idle tick is never nearer than half of it.
            let longest = rule.idle_period.max(rule.max_lag).max(Micros::ZERO);
            let age = Micros::new(longest.get().saturating_add(late));
            let last = LastTick { event_seq: seq, age, step };
            let state = TickState { event_seq: seq.saturating_add(new_events), last: Some(last) };
            prop_assert_ne!(decide(&rule, &state), TickDecision::Wait);
        }

        #[test]
        fn negative_limits_are_reached_with_the_first_event(
            rule in any_rule(),
            age in any_micros(),
            step in prop::option::of(any_micros()),
        ) {
            let last = LastTick { event_seq: 7, age, step };
            let state = TickState { event_seq: 8, last: Some(last) };
            if rule.max_count < 0 {
                prop_assert_eq!(decide(&rule, &state), TickDecision::Tick(TickReason::Count));
            }
            if rule.max_lag < Micros::ZERO {
                prop_assert_ne!(decide(&rule, &state), TickDecision::Wait);
            }
        }

        #[test]
        fn a_tick_never_becomes_less_due(
            rule in any_rule(),
            events in (0i64..2000, 0i64..2000),
            age in (0..100 * SECOND, 0..100 * SECOND),
            step in prop::option::of(any_micros()),
        ) {
            let decision = |new_events: i64, age: i64| {
                let last = LastTick { event_seq: 5, age: Micros::new(age), step };
                decide(&rule, &TickState { event_seq: 5 + new_events, last: Some(last) })
            };
            if decision(events.0, age.0) != TickDecision::Wait {
                prop_assert_ne!(decision(events.0, age.0 + age.1), TickDecision::Wait);
                if events.0 > 0 {
                    prop_assert_ne!(decision(events.0 + events.1, age.0), TickDecision::Wait);
                }
            }
        }

        #[test]
        fn idle_distances_double_until_the_idle_period(
            max_lag in 0..20 * SECOND,
            idle_period in 20 * SECOND..200 * SECOND,
            poll in SECOND / 5..5 * SECOND,
        ) {
            let rule = TickRule {
                max_count: 500,
                max_lag: Micros::new(max_lag),
                idle_period: Micros::new(idle_period),
            };
            let ticks = idle_ticks(&rule, poll, 500);
            let distances: Vec<_> = ticks.windows(2).map(|pair| pair[1] - pair[0]).collect();
            for pair in distances.windows(2) {
                // As near as possible behind the due moment: before the last poll it was not yet due.
                let due = (pair[0] * 2).min(idle_period).max(max_lag / 2);
                prop_assert!(pair[1] >= due && pair[1] < due + poll, "{pair:?}");
            }
        }
    }
}
