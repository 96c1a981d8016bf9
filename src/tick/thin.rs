//! Forgetting ticks that nobody needs, where more were taken than the classic rule would have.

use super::rounds::PATIENCE_MS;
use crate::error::Result;
use crate::pg::spi::{Row, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::Type;
use crate::pg::xact;
use crate::queue::cascaded_queues;
use pgq_core::Micros;
use pgq_core::thinning::{Tick, superfluous};
use pgq_core::tick::TickRule;
use std::collections::{BTreeMap, BTreeSet};

/// More than so many ticks of a queue are looked through.
const ENOUGH: i64 = 1000;

/// So many ticks are looked through in one transaction.
const AT_ONCE: i64 = 2000;

/// What a ticker's process remembers of its thinning. It may be lost.
#[derive(Default)]
pub struct Thinning {
    /// Up to which tick each queue was looked through.
    done: BTreeMap<i32, i64>,
}

static SPANS: Statement = Statement::reading(
    "SELECT q.queue_id, q.queue_name, oldest.tick_id, newest.tick_id
       FROM pgq.queue q
       JOIN LATERAL (SELECT t.tick_id FROM pgq.tick t WHERE t.tick_queue = q.queue_id
                      ORDER BY t.tick_queue, t.tick_id LIMIT 1) oldest ON true
       JOIN LATERAL (SELECT t.tick_id FROM pgq.tick t WHERE t.tick_queue = q.queue_id
                      ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1) newest ON true
      ORDER BY q.queue_name",
    &[],
);

// As rotation does: nobody can be put at a tick meanwhile.
static LOCK: Statement = Statement::changing(
    "SELECT queue_id, queue_ticker_max_count, queue_ticker_max_lag
       FROM pgq.queue WHERE queue_name = $1 FOR NO KEY UPDATE SKIP LOCKED",
    &[Type::Text],
);

/// A consumer with an open batch goes on from the end of that.
macro_rules! stands_before {
    ($rest:literal) => {
        concat!(
            "FROM pgq.subscription
              WHERE sub_queue = $1 AND coalesce(sub_next_tick, sub_last_tick) < $2 ",
            $rest
        )
    };
}

static LOCK_THE_SLOW: Statement = Statement::changing(
    concat!("SELECT sub_consumer ", stands_before!("FOR UPDATE SKIP LOCKED")),
    &[Type::Int, Type::Big],
);
static THE_SLOW: Statement = Statement::reading(
    concat!("SELECT sub_consumer, coalesce(sub_next_tick, sub_last_tick) ", stands_before!("")),
    &[Type::Int, Type::Big],
);
static NEEDED: Statement = Statement::reading(
    "SELECT sub_last_tick, sub_next_tick FROM pgq.subscription WHERE sub_queue = $1",
    &[Type::Int],
);

// Young ones are just being made batches of.
static OLD_TICKS: Statement = Statement::reading(
    "SELECT tick_id, tick_time, tick_event_seq, ctid::pg_catalog.text FROM pgq.tick
      WHERE tick_queue = $1 AND tick_id >= $2 AND tick_time < pg_catalog.now() - '5 seconds'::pg_catalog.interval
      ORDER BY tick_queue, tick_id LIMIT $3",
    &[Type::Int, Type::Big, Type::Big],
);
// By place: the planner, which knows nothing of this table, once compared each of 5,000 ticks with each of a list (350
// ms instead of 6). What was read here cannot have moved, for its place is free to others only when we have ended.
static FORGET: Statement = Statement::changing(
    "DELETE FROM pgq.tick WHERE ctid = ANY ($2::pg_catalog.tid[]) AND tick_queue = $1",
    &[Type::Int, Type::Text],
);

impl Thinning {
    /// The queues with many ticks that were not looked through. Changes nothing.
    pub fn crowded_queues(&mut self) -> Vec<Vec<u8>> {
        let mut crowded = Vec::new();
        let mut done = BTreeMap::new();
        for row in SPANS.rows_in(View::Latest, &[]) {
            let (Some(id), Some(name)) = (row.int(0), row.text(1)) else { continue };
            let (Some(oldest), Some(newest)) = (row.big(2), row.big(3)) else { continue };
            let from = self.done.get(&id).copied().unwrap_or(oldest);
            if newest.saturating_sub(from) > ENOUGH {
                crowded.push(name.0.to_vec());
            }
            done.insert(id, from);
        }
        self.done = done;
        crowded
    }

    /// Forgets ticks of a queue that are closer together than the classic rule would have taken them.
    ///
    /// Waits for nobody who holds a row, and hardly for a table. A consumer that is behind chooses among the ticks ahead of it, so its row is locked meanwhile;
    /// one that was just choosing looks again (`next_batch`). In a cascade other nodes have positions of which only the
    /// watermark is known here: the lowest position, so there nothing is forgotten ahead of that.
    ///
    /// It does a few milliseconds' worth, as consumers wait meanwhile; whether there may be more.
    pub fn thin(&mut self, name: Text) -> Result<bool> {
        xact::limit_lock_waits(PATIENCE_MS);
        let Some(queue) =
            LOCK.rows_in(View::Latest, &[name.into()]).first().and_then(|row| Queue::of_row(&row))
        else {
            return Ok(false);
        };
        let from = self.done.get(&queue.id).copied().unwrap_or(0);
        let rows: Vec<Row> = OLD_TICKS
            .rows_in(View::Latest, &[queue.id.into(), from.into(), AT_ONCE.into()])
            .into_iter()
            .collect();
        let places: BTreeMap<i64, Text> =
            rows.iter().filter_map(|row| Some((row.big(0)?, row.text(3)?))).collect();
        let Some(end) = places.keys().last() else { return Ok(false) };
        let Reach { lowest, free } = queue.reach(*end);
        let ticks: Vec<Tick> = rows.iter().filter_map(tick_of).filter(|tick| tick.id <= free).collect();
        let Some(end) = ticks.last().map(|tick| tick.id) else { return Ok(false) };
        let needed = queue.needed_ticks();
        let (passed, ahead) = ticks.split_at(ticks.partition_point(|tick| tick.id <= lowest));
        let superfluous: Vec<i64> = [(queue.rule.relaxed(), passed), (queue.rule, ahead)]
            .into_iter()
            .flat_map(|(rule, ticks)| superfluous(&rule, ticks.iter().copied(), |id| needed.contains(&id)))
            .collect();
        if !superfluous.is_empty() {
            let places: Vec<String> = superfluous.iter().map(|id| format!("\"{}\"", places[id])).collect();
            FORGET.rows_in(View::Latest, &[queue.id.into(), format!("{{{}}}", places.join(",")).into()]);
        }
        self.done.insert(queue.id, end);
        Ok(end > from && rows.len() as i64 == AT_ONCE)
    }
}

/// Up to which tick, of those looked through, what may be done.
struct Reach {
    /// All consumers have passed it.
    lowest: i64,
    /// Nobody can choose one that we forget.
    free: i64,
}

struct Queue {
    id: i32,
    rule: TickRule,
}

impl Queue {
    fn of_row(row: &Row) -> Option<Queue> {
        let max_lag = Micros::from(row.interval(2)?);
        Some(Queue {
            id: row.int(0)?,
            rule: TickRule { max_count: row.int(1)?, max_lag, idle_period: Micros::ZERO },
        })
    }

    fn reach(&self, end: i64) -> Reach {
        let parameters = [self.id.into(), end.into()];
        let locked: BTreeSet<i32> = match cascaded_queues().contains(&self.id) {
            true => BTreeSet::new(),
            false => {
                let rows = LOCK_THE_SLOW.rows_in(View::Latest, &parameters);
                rows.into_iter().filter_map(|row| row.int(0)).collect()
            }
        };
        let mut reach = Reach { lowest: end, free: end };
        for row in THE_SLOW.rows_in(View::Latest, &parameters) {
            let (Some(consumer), Some(position)) = (row.int(0), row.big(1)) else { continue };
            reach.lowest = reach.lowest.min(position);
            if !locked.contains(&consumer) {
                reach.free = reach.free.min(position);
            }
        }
        reach
    }

    fn needed_ticks(&self) -> BTreeSet<i64> {
        let rows = NEEDED.rows_in(View::Latest, &[self.id.into()]).into_iter();
        rows.flat_map(|row| [row.big(0), row.big(1)]).flatten().collect()
    }
}

fn tick_of(row: &Row) -> Option<Tick> {
    Some(Tick { id: row.big(0)?, time: row.time(1)?.into(), event_seq: row.big(2)? })
}
