//! Ticks that may be forgotten.
//!
//! Where consumers wait, every commit brings a tick, hundreds a second. Once the consumers have passed them, nobody
//! needs that many: of those ahead of a consumer that is slow as many are kept as the classic rule would have taken, of
//! those behind all consumers a tenth of that. A batch is what lies between two ticks, whichever these are, so leaving
//! some out only makes batches bigger.

use crate::micros::Micros;
use crate::tick::TickRule;

/// A tick, as far as the rule looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// `tick_id`
    pub id: i64,
    /// `tick_time`
    pub time: Micros,
    /// `tick_event_seq`
    pub event_seq: i64,
}

/// The ids of the ticks to forget, of a queue's ticks in the order of their ids. The first and the last are kept, and
/// all that `is_needed`. A gap that this makes is no longer than `max_lag`, nor wider than `max_count` events.
pub fn superfluous(
    rule: &TickRule,
    ticks: impl IntoIterator<Item = Tick>,
    is_needed: impl Fn(i64) -> bool,
) -> Vec<i64> {
    let mut ticks = ticks.into_iter().peekable();
    let mut superfluous = Vec::new();
    let Some(mut kept) = ticks.next() else { return superfluous };
    while let Some(tick) = ticks.next() {
        let Some(next) = ticks.peek() else { break };
        let is_close = next.event_seq.saturating_sub(kept.event_seq) <= i64::from(rule.max_count)
            && next.time.since(kept.time) <= rule.max_lag;
        if is_close && !is_needed(tick.id) {
            superfluous.push(tick.id);
        } else {
            kept = tick;
        }
    }
    superfluous
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000;
    const RULE: TickRule =
        TickRule { max_count: 500, max_lag: Micros::new(3 * SECOND), idle_period: Micros::new(60 * SECOND) };

    /// `(milliseconds since the tick before, events since then)`
    fn ticks(steps: &[(i64, i64)]) -> Vec<Tick> {
        let (mut time, mut event_seq) = (0, 0);
        (1..)
            .zip(steps)
            .map(|(id, (millis, events))| {
                (time, event_seq) = (time + millis * 1000, event_seq + events);
                Tick { id, time: Micros::new(time), event_seq }
            })
            .collect()
    }

    #[test]
    fn two_hours_at_500_a_second_leave_one_for_every_three_seconds() {
        let all = ticks(&vec![(2, 0); 3_600_000]);
        let left = all.len() - superfluous(&RULE, all, |_| false).len();
        assert_eq!(left, 2401);
    }

    #[test]
    fn no_batch_becomes_bigger_than_max_count_by_it() {
        let all = ticks(&[(1, 0), (1, 200), (1, 200), (1, 200), (1, 700), (1, 1), (1, 1)]);
        assert_eq!(superfluous(&RULE, all, |_| false), [2, 6]);
    }

    #[test]
    fn what_is_needed_stays() {
        let all = ticks(&[(1, 1); 9]);
        assert_eq!(superfluous(&RULE, all, |id| id == 5), [2, 3, 4, 6, 7, 8]);
    }

    #[test]
    fn few_are_all_needed() {
        for count in 0..3 {
            assert!(superfluous(&RULE, ticks(&vec![(1, 1); count]), |_| false).is_empty());
        }
    }

    proptest! {
        #[test]
        fn gaps_stay_within_the_rule_and_thinning_again_finds_nothing(
            steps in proptest::collection::vec((0..4000i64, 0..700i64), 0..60),
            needed in proptest::collection::btree_set(1..60i64, 0..5),
        ) {
            let all = ticks(&steps);
            let gone = superfluous(&RULE, all.clone(), |id| needed.contains(&id));
            let left: Vec<Tick> = all.iter().filter(|tick| !gone.contains(&tick.id)).copied().collect();
            prop_assert!(gone.iter().all(|id| !needed.contains(id)));
            prop_assert_eq!((left.first(), left.last()), (all.first(), all.last()));
            for pair in left.windows(2) {
                let was_there = pair[1].id == pair[0].id + 1;
                let is_small = pair[1].event_seq - pair[0].event_seq <= 500
                    && pair[1].time.since(pair[0].time) <= RULE.max_lag;
                prop_assert!(was_there || is_small);
            }
            prop_assert!(superfluous(&RULE, left, |id| needed.contains(&id)).is_empty());
        }
    }
}
