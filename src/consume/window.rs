//! Finding the tick at which a batch ends.

use crate::error::Result;
use crate::pg::call::Call;
use crate::pg::spi::{Row, Rows, Statement};
use crate::pg::value::{Interval, Timestamp, Type, Value};
use pgq_core::Micros;
use pgq_core::window::{BatchLimits, TickPoint, Window, choose};

static NEWEST: Statement = Statement::reading(
    "SELECT t.tick_id, t.tick_time, t.tick_event_seq FROM pgq.tick t
      WHERE t.tick_queue = $1
      ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1",
    &[Type::Int],
);

static NEXT: Statement = Statement::reading(
    "SELECT t.tick_id, t.tick_time, t.tick_event_seq FROM pgq.tick t
      WHERE t.tick_queue = $1 AND t.tick_id > $2
      ORDER BY t.tick_queue, t.tick_id LIMIT 1",
    &[Type::Int, Type::Big],
);

/// What `BatchLimits::are_met` says, asked where the ticks are.
static FIRST_MEETING_EITHER: Statement = Statement::reading(
    "SELECT t.tick_id, t.tick_time, t.tick_event_seq FROM pgq.tick t
      WHERE t.tick_queue = $1 AND t.tick_id > $2
        AND (t.tick_event_seq - $3 >= $5 OR t.tick_time - $4 >= $6)
      ORDER BY t.tick_queue, t.tick_id LIMIT 1",
    &[Type::Int, Type::Big, Type::Big, Type::Time, Type::Big, Type::Interval],
);

/// How big a consumer wants its batch to be; without wishes it gets one tick's worth.
pub struct Wishes {
    /// At least so many events.
    pub min_count: Option<i64>,
    /// At least so much time.
    pub min_interval: Option<Interval>,
}

impl Wishes {
    /// Whether there are none.
    pub fn are_none(&self) -> bool {
        self.min_count.is_none() && self.min_interval.is_none()
    }

    /// The end of the batch that begins at `prev`; `None`: not yet.
    pub fn end_tick(&self, queue_id: i32, prev: &TickPoint) -> Option<TickPoint> {
        // Without wishes the answer does not depend on the newest tick.
        if self.are_none() {
            return next_tick(queue_id, prev);
        }
        let newest = tick_of(NEWEST.rows(&[queue_id.into()]))?;
        let limits =
            BatchLimits { min_count: self.min_count, min_interval: self.min_interval.map(Micros::from) };
        match choose(prev, &newest, &limits) {
            Window::Nothing => None,
            Window::NextTick => next_tick(queue_id, prev),
            Window::Newest => Some(newest),
            Window::FirstMeetingEither => tick_of(FIRST_MEETING_EITHER.rows(&[
                queue_id.into(),
                prev.id.get().into(),
                prev.event_seq.into(),
                Timestamp::from(prev.time).into(),
                self.min_count.into(),
                self.min_interval.into(),
            ])),
        }
    }
}

fn next_tick(queue_id: i32, prev: &TickPoint) -> Option<TickPoint> {
    tick_of(NEXT.rows(&[queue_id.into(), prev.id.get().into()]))
}

fn tick_of(rows: Rows) -> Option<TickPoint> {
    rows.first().and_then(|row| tick_at(&row, 0))
}

/// The tick in three columns of a row: id, time, event sequence. `None` if there is none.
pub fn tick_at(row: &Row, column: usize) -> Option<TickPoint> {
    let (id, time) = (row.big(column)?, row.time(column + 1)?);
    Some(TickPoint { id: id.into(), time: time.into(), event_seq: row.big(column + 2).unwrap_or(0) })
}

/// `find_tick_helper(i_queue_id, i_prev_tick_id, i_prev_tick_time, i_prev_tick_seq, i_min_count, i_min_interval)`:
/// the tick at which a batch with these limits would end. Without limits there is none, unlike in `next_batch`.
pub fn find_tick_helper(call: &Call) -> Result<Value> {
    let (time, event_seq) = (call.time(2), call.big(3));
    // A limit means nothing without the value from which it is counted.
    let wishes = Wishes { min_count: event_seq.and(call.big(4)), min_interval: time.and(call.interval(5)) };
    let end = call.int(0).zip(call.big(1)).filter(|_| !wishes.are_none()).and_then(|(queue_id, id)| {
        let time = time.map_or(Micros::ZERO, Micros::from);
        wishes.end_tick(queue_id, &TickPoint { id: id.into(), time, event_seq: event_seq.unwrap_or(0) })
    });
    Ok(Value::Record(match end {
        Some(tick) => {
            vec![tick.id.get().into(), Timestamp::from(tick.time).into(), tick.event_seq.into()]
        }
        None => vec![Value::Null; 3],
    }))
}
