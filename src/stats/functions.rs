//! What is told of all that, and how the counting begins anew.

use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::shared::Line;
use crate::pg::spi::{Statement, View};
use crate::pg::stats::{self, Errors, QueueStats};
use crate::pg::text::Text;
use crate::pg::value::{Timestamp, Type, Value};
use crate::pg::{demand, privilege};

/// `_stat_queues()`: the queues of this database, by number.
pub fn stat_queues(call: &Call) -> Result<Value> {
    let mut rows = call.rows()?;
    let tells = privilege::may_read_all_stats();
    let mut queues = stats::queues();
    queues.sort_by_key(QueueStats::queue_id);
    for queue in queues {
        let [errors, last_error, last_error_time] = errors(&queue.errors, tells);
        rows.put(&[
            queue.queue_id().into(),
            Text(queue.name.bytes()).into(),
            queue.ticks.into(),
            queue.demand_ticks.into(),
            queue.events.into(),
            Some(queue.last_tick).filter(|tick| *tick != 0).into(),
            time(queue.last_tick_time),
            queue.known_until().into(),
            queue.is_at_rest().into(),
            demand::is_waited_for(queue.queue_id()).into(),
            queue.rotations.into(),
            errors,
            last_error,
            last_error_time,
            time(queue.since),
        ]);
    }
    Ok(Value::Null)
}

/// `_stat_tickers()`: the tickers of all databases, by database.
pub fn stat_tickers(call: &Call) -> Result<Value> {
    let mut rows = call.rows()?;
    let tells = privilege::may_read_all_stats();
    let mut tickers = stats::tickers();
    tickers.sort_by_key(|ticker| ticker.database().to_u32());
    for ticker in tickers {
        let [errors, last_error, last_error_time] = errors(&ticker.errors, tells);
        rows.put(&[
            Value::Oid(ticker.database()),
            ticker.process().into(),
            time(ticker.started),
            time(ticker.last_look),
            ticker.looks.into(),
            ticker.ticks.into(),
            ticker.retried_events.into(),
            ticker.rounds.into(),
            ticker.operations.into(),
            errors,
            last_error,
            last_error_time,
            time(ticker.since),
        ]);
    }
    Ok(Value::Null)
}

/// `_idle_until(i_queue_id, i_tick_id)`: until when the ticker knows that nothing came after this tick; NULL if it
/// does not know that from anything but the tick.
pub fn idle_until(call: &Call) -> Result<Value> {
    let (Some(queue), Some(tick)) = (call.int(0).and_then(stats::queue), call.big(1)) else {
        return Ok(Value::Null);
    };
    // Compared with now(), it must not be in the future.
    Ok(queue.idle_until(tick).map(|time| time.min(Timestamp::now())).into())
}

impl QueueStats {
    fn idle_until(&self, tick: i64) -> Option<Timestamp> {
        match self.rest_end {
            // A tick that came to a queue at rest, from a caller or for a rotation, has told nothing new.
            0 if self.rest_tick != 0 && tick >= self.rest_tick => {
                stats::ticker().map(|ticker| Timestamp(ticker.last_look))
            }
            end => Some(Timestamp(end)).filter(|_| end != 0 && tick == self.rest_tick),
        }
    }

    /// The time up to which all events are in ticks.
    fn known_until(&self) -> Option<Timestamp> {
        let tick = Some(Timestamp(self.last_tick_time)).filter(|_| self.last_tick != 0)?;
        Some(self.idle_until(self.last_tick).map_or(tick, |idle| idle.max(tick)))
    }

    fn is_at_rest(&self) -> bool {
        self.last_tick != 0 && self.rest_tick == self.last_tick && self.rest_end == 0
    }
}

fn time(micros: i64) -> Value {
    Some(Timestamp(micros)).filter(|time| time.0 != 0).into()
}

/// Number, message and time; a message may quote what is not for everybody.
fn errors(errors: &Errors, tells: bool) -> [Value; 3] {
    // In whatever encoding the database is in which it happened, the reader's may be another.
    let message = Text(errors.last.bytes()).to_string();
    let message = Some(message).filter(|message| tells && !message.is_empty());
    [errors.count.into(), message.into(), time(errors.last_time)]
}

/// `stat_reset()`: all counts of this database begin anew.
pub fn reset(_: &Call) -> Result<Value> {
    let now = Timestamp::clock().0;
    stats::queues().iter().for_each(|queue| begin_anew(queue.queue_id(), now));
    stats::change_ticker(|ticker| {
        (ticker.looks, ticker.ticks, ticker.retried_events) = (0, 0, 0);
        (ticker.rounds, ticker.operations) = (0, 0);
        (ticker.errors, ticker.since) = (NONE, now);
    });
    Ok(Value::Null)
}

static QUEUE: Statement =
    Statement::reading("SELECT queue_id FROM pgq.queue WHERE queue_name = $1", &[Type::Text]);

/// `stat_reset(i_queue_name)`: the counts of this queue begin anew.
pub fn reset_queue(call: &Call) -> Result<Value> {
    let name = call.text(0).ok_or_else(|| Error::no_such_queue(None::<Text>))?;
    let row = QUEUE.rows_in(View::Latest, &[name.into()]).first();
    let queue = row.and_then(|row| row.int(0)).ok_or_else(|| Error::no_such_queue(Some(name)))?;
    begin_anew(queue, Timestamp::clock().0);
    Ok(Value::Null)
}

const NONE: Errors = Errors { count: 0, last_time: 0, last: Line::EMPTY };

fn begin_anew(queue_id: i32, now: i64) {
    stats::change_queue(queue_id, |queue| {
        (queue.ticks, queue.demand_ticks, queue.events, queue.rotations) = (0, 0, 0, 0);
        (queue.errors, queue.since) = (NONE, now);
    });
}
