//! The last tick of a queue that is to be ticked elsewhere.

use super::queue::Queue;
use super::take;
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::lock::TickLock;
use crate::pg::value::{Timestamp, Value};
use crate::pg::{demand, sequence, xact};

/// `_final_tick(i_queue_name)`: takes a tick, whatever the queue's settings; its id.
///
/// The id is drawn under the lock: a ticker that had seen the queue as its own is waited for, and its tick is the one
/// before.
pub fn final_tick(call: &Call) -> Result<Value> {
    let name = call.text(0);
    let queue = Queue::by_name(name).ok_or_else(|| Error::no_such_queue(name))?;
    xact::require_writable(c"pgq._final_tick()");
    let lock = TickLock::take(queue.id);
    let id = sequence::draw(queue.tick_sequence()?);
    let event_seq = sequence::draw(queue.event_sequence()?);
    demand::touch(queue.id);
    take::store(&lock, &queue, Some(id), Some(Timestamp::now()), Some(event_seq));
    queue.tell(id);
    Ok(id.into())
}
