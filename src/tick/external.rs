//! Ticks of a queue that is a copy: they come with their ids from where the events come from.

use super::queue::Queue;
use super::take;
use crate::error::{Error, Result, or_null};
use crate::pg::call::Call;
use crate::pg::lock::TickLock;
use crate::pg::value::Value;
use crate::pg::{demand, sequence, xact};

/// `ticker(i_queue_name, i_tick_id, i_orig_timestamp, i_event_seq)`: stores a tick with the local snapshot and
/// raises the queue's sequences to it, so that the queue can take over as origin.
pub fn ticker_external(call: &Call) -> Result<Value> {
    let (name, id, time, event_seq) = (call.text(0), call.big(1), call.time(2), call.big(3));
    let queue =
        Queue::by_name(name).filter(|queue| queue.is_external && !queue.is_paused).ok_or_else(|| {
            Error::raised(format!("queue \"{}\" not found or ticker disabled", or_null(name)))
                .detail("Such a tick needs a queue whose external_ticker is on and that is not paused.")
        })?;
    xact::require_writable(c"pgq.ticker()");
    let lock = TickLock::take(queue.id);
    demand::touch(queue.id);
    take::store(&lock, &queue, id, time, event_seq);
    id.inspect(|id| queue.tell(*id));
    if let (Some(id), Some(event_seq)) = (id, event_seq) {
        sequence::raise(queue.tick_sequence()?, id);
        sequence::raise(queue.event_sequence()?, event_seq);
    }
    Ok(id.into())
}
