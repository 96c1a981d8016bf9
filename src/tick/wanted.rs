//! What the ticker's process does besides looking: ticks, of one queue that is due or of all that are waited for.

use super::queue::Queue;
use crate::error::{Error, Result};
use crate::pg::demand::{self, Queues};
use crate::pg::text::Text;
use crate::pg::xact;

/// Ticks the queue if that is (still) due; one that was dropped or paused meanwhile is left alone.
pub fn tick_queue(name: Text) -> Result<()> {
    Queue::to_be_ticked(name).map_or(Ok(()), |queue| queue.tick_if_due_or_late().map(drop))
}

/// Ticks the queue, if that is done here, so that it can rotate; whether it did.
pub fn tick_for_rotation(name: Text) -> Result<bool> {
    Queue::to_be_ticked(name).map_or(Ok(false), |queue| Ok(queue.tick_at_once()?.is_some()))
}

/// Ticks those of the queues with these marks, however young their newest ticks are; those that could not be ticked,
/// and why. They share a transaction, whose commit costs more than the ticks, but an error of one is its own.
pub fn tick_wanted(marks: &Queues, spared: impl Fn(Text) -> bool) -> Vec<(Vec<u8>, Error)> {
    let mut failed = Vec::new();
    let mut ticked = Queues::default();
    let marked = Queue::ticked_here_with(marks);
    for queue in marked.filter(|queue| !spared(Text(&queue.name))) {
        match xact::isolated(|| queue.tick_at_once()) {
            Ok(_) => ticked.add(queue.id),
            Err(error) => failed.push((queue.name, error)),
        }
    }
    // Who waits for the others waits on.
    demand::give_back_waiting(&marks.without(&ticked));
    failed
}
