//! What the ticker's process does besides looking: it ticks several queues at a time.

use super::queue::Queue;
use super::take;
use crate::error::{Error, Result};
use crate::pg::demand::{self, Queues};
use crate::pg::text::Text;
use crate::pg::xact;

/// Queues that were not ticked, and why.
pub type Failed = Vec<(Vec<u8>, Error)>;

/// Somebody who holds a lock on a queue for longer than this keeps the ticker from this queue only. Far below the
/// server's `deadlock_timeout`: a session that drops several queues must not be chosen as the victim.
const PATIENCE_MS: u32 = 100;

/// Ticks those of the queues that are (still) due; one that was dropped or paused meanwhile is left alone.
pub fn tick_due(queues: &[Text]) -> Failed {
    let ids = queues.iter().filter_map(|name| Some((Queue::id_of(*name)?, name.0.to_vec())));
    tick_each(ids, |id| {
        take::tick_by_id(id, |queue, event_seq| {
            Ok(queue.is_due(event_seq) || queue.is_due(queue.event_seq_with_news()?))
        })
    })
}

/// Ticks those of the queues with these marks, however young their newest ticks are.
pub fn tick_wanted(marks: &Queues, spared: impl Fn(Text) -> bool) -> Failed {
    let mut ticked = Queues::default();
    let marked = Queue::ids_with(marks).into_iter().filter(|(_, name)| !spared(Text(name)));
    let failed = tick_each(marked, |id| {
        let tick = take::tick_by_id(id, |_, _| Ok(true));
        if tick.as_ref().is_ok_and(Option::is_some) {
            ticked.add(id);
        }
        tick
    });
    // Who waits for the others waits on.
    demand::give_back_waiting(&marks.without(&ticked));
    failed
}

/// They share a transaction, whose commit costs more than the ticks, but an error of one is its own.
fn tick_each(
    queues: impl Iterator<Item = (i32, Vec<u8>)>,
    mut tick: impl FnMut(i32) -> Result<Option<i64>>,
) -> Failed {
    xact::limit_lock_waits(PATIENCE_MS);
    let outcomes = queues.map(|(id, name)| (name, xact::isolated(|| tick(id))));
    outcomes.filter_map(|(name, outcome)| Some((name, outcome.err()?))).collect()
}

/// Ticks the queue, if that is done here, so that it can rotate; whether it did.
pub fn tick_for_rotation(name: Text) -> Result<bool> {
    match Queue::id_of(name) {
        Some(id) => Ok(take::tick_by_id(id, |_, _| Ok(true))?.is_some()),
        None => Ok(false),
    }
}
