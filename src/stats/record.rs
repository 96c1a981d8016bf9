//! What the ticker's process writes down, after the transaction in which it was done.

use crate::pg::shared::Line;
use crate::pg::stats::{self, Errors, QueueStats};
use crate::pg::text::Text;
use crate::pg::value::Timestamp;
use crate::tick::Taken;
use pgq_bgworker::Counts;
use std::collections::BTreeSet;

/// This process serves its database from now on.
pub fn begin() {
    let now = Timestamp::clock();
    stats::seat_ticker();
    stats::change_ticker(|ticker| ticker.take_over(now));
}

/// The extension is gone, and all that is told of its queues.
pub fn end() {
    stats::forget_database(stats::this_database());
}

/// The databases of which anything is told. For the launcher.
pub fn databases() -> BTreeSet<u32> {
    stats::databases().collect()
}

/// This database is gone. For the launcher.
pub fn forget_database(oid: u32) {
    stats::forget_database(oid);
}

/// These are the queues of the database, by number and name.
pub fn keep(queues: &[(i32, Vec<u8>)]) {
    let numbers: BTreeSet<i32> = queues.iter().map(|(id, _)| *id).collect();
    stats::keep_queues(|id| numbers.contains(&id));
    queues.iter().for_each(|(id, name)| seat(*id, name));
}

fn seat(id: i32, name: &[u8]) {
    stats::seat(id, Text(name).clipped(Line::<128>::LONGEST));
}

/// Whether the state of this queue can be told without a look at its ticks.
pub fn is_shown(queue_id: i32) -> bool {
    stats::queue(queue_id).is_some() && stats::ticker().is_some()
}

/// A look saw this queue, its newest tick, and whether it was at rest.
pub fn saw(queue_id: i32, newest: Option<(i64, Timestamp)>, is_at_rest: bool) {
    let last_look = stats::ticker().map_or(0, |ticker| ticker.last_look);
    let (tick, time) = newest.map_or((0, 0), |(tick, time)| (tick, time.0));
    stats::change_queue(queue_id, |queue| {
        (queue.last_tick, queue.last_tick_time) = (tick, time);
        match is_at_rest {
            true => (queue.rest_tick, queue.rest_end) = (tick, 0),
            false => end_rest(queue, last_look),
        }
    });
}

/// The ticker has nothing to do with this queue (any more): it is paused, or its ticks come from outside.
pub fn left_alone(queue_id: i32) {
    let last_look = stats::ticker().map_or(0, |ticker| ticker.last_look);
    stats::change_queue(queue_id, |queue| end_rest(queue, last_look));
}

fn end_rest(queue: &mut QueueStats, last_look: i64) {
    if queue.rest_tick != 0 && queue.rest_end == 0 {
        queue.rest_end = last_look;
    }
}

/// A look has seen all queues that it had to.
pub fn looked() {
    let now = Timestamp::clock();
    stats::change_ticker(|ticker| {
        ticker.looks += 1;
        ticker.last_look = now.0;
    });
}

/// There was no need for a look: all queues rest.
pub fn still_rests() {
    let now = Timestamp::clock();
    stats::change_ticker(|ticker| ticker.last_look = now.0);
}

/// Ticks were taken, because consumers waited or by the rule.
pub fn ticked(taken: &[Taken], is_on_demand: bool) {
    for ticks in taken {
        seat(ticks.queue_id, &ticks.queue_name);
        stats::change_queue(ticks.queue_id, |queue| {
            queue.ticks += ticks.count;
            queue.demand_ticks += if is_on_demand { ticks.count } else { 0 };
            queue.events = queue.events.saturating_add(ticks.events); // sequences may jump
            (queue.last_tick, queue.last_tick_time) = (ticks.id, ticks.time.0);
        });
    }
    let count = taken.iter().map(|ticks| ticks.count).sum::<i64>();
    stats::change_ticker(|ticker| ticker.ticks += count);
    stats::count(Counts { ticks: count as u64, ..Counts::default() });
}

/// The queue has switched to its next event table.
pub fn rotated(queue_id: i32) {
    stats::change_queue(queue_id, |queue| queue.rotations += 1);
}

/// So many events were put back into their queues.
pub fn retried(events: i64) {
    stats::change_ticker(|ticker| ticker.retried_events += events);
    stats::count(Counts { retries: events.max(0) as u64, ..Counts::default() });
}

/// A round of maintenance begins.
pub fn planned() {
    stats::change_ticker(|ticker| ticker.rounds += 1);
    stats::count(Counts { rounds: 1, ..Counts::default() });
}

/// A call of maintenance was made.
pub fn operated() {
    stats::change_ticker(|ticker| ticker.operations += 1);
}

/// Something went wrong, with this queue if it is about one.
pub fn failed(queue_id: Option<i32>, what: &str) {
    let now = Timestamp::clock();
    let last = Line::of(&what.as_bytes()[..what.floor_char_boundary(Line::<256>::LONGEST)]);
    let add = |errors: &mut Errors| *errors = Errors { count: errors.count + 1, last_time: now.0, last };
    if let Some(queue_id) = queue_id {
        stats::change_queue(queue_id, |queue| add(&mut queue.errors));
    }
    stats::change_ticker(|ticker| add(&mut ticker.errors));
    stats::count(Counts { errors: 1, ..Counts::default() });
}
