//! The channel on which a queue's ticks are told.

use crate::error::Result;
use crate::pg::call::Call;
use crate::pg::notify;
use crate::pg::text::Text;
use crate::pg::value::Value;

/// `queue_channel(i_queue_name)`: the name to LISTEN on.
pub fn queue_channel(call: &Call) -> Result<Value> {
    Ok(call.text(0).map(|name| channel(name)).into())
}

/// `pgq.` and the queue's name. A name too long for a channel is cut, and ends with a hash of the whole.
pub fn channel(queue: Text) -> Vec<u8> {
    queue.fitted(b"pgq.", notify::LONGEST_CHANNEL)
}
