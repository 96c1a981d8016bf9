//! The ticker's functions.

use super::queue::Queue;
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::text::Text;
use crate::pg::value::Value;
use crate::pg::xact;

/// `ticker(i_queue_name)`: takes a tick if one is due; its id, else NULL.
pub fn ticker(call: &Call) -> Result<Value> {
    let name = call.text(0);
    let queue = Queue::by_name(name).ok_or_else(|| Error::no_such_queue(name))?;
    queue.require_ticked_here()?;
    Ok(queue.tick_if_due()?.map(|taken| taken.id).into())
}

/// `ticker()`: the same for every queue that is ticked here; the number of ticks taken.
///
/// A queue that cannot be ticked is reported and does not stop the others.
pub fn ticker_all(_: &Call) -> Result<Value> {
    xact::require_writable(c"pgq.ticker()");
    let mut ticks = 0i64;
    for queue in Queue::ticked_here() {
        match xact::isolated(|| queue.tick_if_due()) {
            Ok(Some(_)) => ticks += 1,
            Ok(None) => (),
            Err(_) if Queue::by_name(Some(Text(&queue.name))).is_none() => (), // dropped meanwhile
            Err(error) => not_ticked(&queue, error).warn(),
        }
    }
    Ok(ticks.into())
}

fn not_ticked(queue: &Queue, error: Error) -> Error {
    Error { message: format!("queue \"{}\" was not ticked: {}", Text(&queue.name), error.message), ..error }
}
