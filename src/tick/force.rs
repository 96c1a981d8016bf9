//! Making the ticker tick at its next look.

use super::queue::Queue;
use crate::error::Result;
use crate::pg::call::Call;
use crate::pg::spi::{Statement, View};
use crate::pg::value::{Type, Value};
use crate::pg::{demand, sequence, xact};

static NEWEST_TICK: Statement = Statement::reading(
    "SELECT t.tick_id FROM pgq.tick t WHERE t.tick_queue = $1
      ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1",
    &[Type::Int],
);

/// `force_tick(i_queue_name)`: pushes the event sequence so far that a tick is due by its count; the newest tick's
/// id, which callers watch until it grows. NULL for an unknown queue.
pub fn force_tick(call: &Call) -> Result<Value> {
    let Some(queue) = Queue::by_name(call.text(0)) else { return Ok(Value::Null) };
    if !queue.is_external && !queue.is_paused {
        xact::require_writable(c"pgq.force_tick()");
        let far = 1 + 2 * i64::from(queue.rule.max_count.max(0)) + 1000;
        sequence::skip(queue.event_sequence()?, far);
        demand::touch_at_once(queue.id);
    }
    let newest = NEWEST_TICK.rows_in(View::Latest, &[queue.id.into()]).first();
    Ok(newest.and_then(|row| row.big(0)).into())
}
