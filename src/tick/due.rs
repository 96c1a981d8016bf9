//! What the ticker's process asks for: first which queues are due, then one queue at a time.

use super::queue::Queue;
use crate::error::Result;
use crate::pg::demand;
use crate::pg::text::Text;
use crate::pg::xact;

/// The names of the queues that are due. Only looks: no transaction id is assigned, no lock taken. A queue of which
/// that cannot be told is named too, so that the attempt to tick it shows what is wrong with it.
pub fn due_queues() -> Vec<Vec<u8>> {
    let next = xact::next_txid();
    Queue::ticked_here().filter(|queue| queue.wants_attention(next)).map(|queue| queue.name).collect()
}

/// Of the queues with these marks, the names of those that have news.
pub fn queues_with_news(marks: demand::Queues) -> Vec<Vec<u8>> {
    let with_news: Vec<Queue> =
        Queue::ticked_here_with(marks).filter(|queue| queue.has_news().unwrap_or(true)).collect();
    let found = with_news.iter().fold(0, |found, queue| found | demand::mark(queue.id));
    demand::give_back(marks & !found);
    with_news.into_iter().map(|queue| queue.name).collect()
}

/// Ticks the queue if that is (still) due; one that was dropped or paused meanwhile is left alone.
pub fn tick_queue(name: Text) -> Result<()> {
    Queue::to_be_ticked(name).map_or(Ok(()), |queue| queue.tick_if_due().map(drop))
}

/// Ticks the queue if it (still) has news, however young its newest tick is.
pub fn tick_queue_with_news(name: Text) -> Result<()> {
    Queue::to_be_ticked(name).map_or(Ok(()), |queue| queue.tick_if_news().map(drop))
}
