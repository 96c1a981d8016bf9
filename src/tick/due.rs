//! What the ticker's process asks for: first which queues are due, then one queue at a time.

use super::queue::Queue;
use crate::error::Result;
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
    match Queue::by_name(Some(name)) {
        Some(queue) if queue.require_ticked_here().is_ok() => queue.tick_if_due().map(|_| ()),
        _ => Ok(()),
    }
}
