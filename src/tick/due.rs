//! What the ticker's process asks for: first which queues are due, then one queue at a time.

use super::queue::Queue;
use crate::error::{Error, Result};
use crate::pg::demand;
use crate::pg::text::Text;
use crate::pg::xact;

/// The names of the queues that are due. Only looks: no transaction id is assigned, no lock taken. A queue of which
/// that cannot be told is named too, so that the attempt to tick it shows what is wrong with it.
pub fn due_queues() -> Vec<Vec<u8>> {
    let next = xact::next_txid();
    Queue::ticked_here().filter(|queue| queue.wants_attention(next)).map(|queue| queue.name).collect()
}

/// Ticks the queue if that is (still) due; one that was dropped or paused meanwhile is left alone.
pub fn tick_queue(name: Text) -> Result<()> {
    Queue::to_be_ticked(name).map_or(Ok(()), |queue| queue.tick_if_due().map(drop))
}

/// Ticks those of the queues with these marks that have news, however young their newest ticks are; those that could
/// not be ticked, and why. An error of one is its own.
pub fn tick_wanted(marks: demand::Queues, spared: impl Fn(Text) -> bool) -> Vec<(Vec<u8>, Error)> {
    let mut failed = Vec::new();
    let mut ticked = 0;
    for queue in Queue::ticked_here_with(marks).filter(|queue| !spared(Text(&queue.name))) {
        match xact::isolated(|| queue.tick_if_news()) {
            Ok(Some(_)) => ticked |= demand::mark(queue.id),
            Ok(None) => (),
            Err(error) => failed.push((queue.name, error)),
        }
    }
    demand::give_back(marks & !ticked);
    failed
}
