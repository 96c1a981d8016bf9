//! A queue as the ticker sees it.

use crate::batch::News;
use crate::error::{Error, Result};
use crate::pg::demand::{self, Queues};
use crate::pg::spi::{Row, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Timestamp, Type};
use crate::pg::{lock, sequence};
use pgq_core::tick::{
    ClockCheck, LastTick, TickDecision, TickRule, TickState, backlog_piece, check_clock, decide,
};
use pgq_core::{Micros, Snapshot, Txid};
use pgrx::PgSqlErrorCode;
use std::collections::BTreeSet;

/// A queue's ticker settings and its newest tick, as committed by now.
pub struct Queue {
    /// `queue_id`
    pub id: i32,
    /// `queue_name`
    pub name: Vec<u8>,
    /// Ticks come from a caller, not from here.
    pub is_external: bool,
    /// No ticks at all.
    pub is_paused: bool,
    /// When to tick.
    pub rule: TickRule,
    event_sequence: Vec<u8>,
    tick_sequence: Vec<u8>,
    newest: Option<Newest>,
}

/// The newest tick.
struct Newest {
    id: i64,
    time: Timestamp,
    event_seq: i64,
    snapshot: Vec<u8>,
    /// The time of the tick before it.
    before: Option<Timestamp>,
}

/// The newest two ticks are found through the primary key, however many there are.
macro_rules! queues {
    ($condition:literal) => {
        concat!(
            "SELECT q.queue_id, q.queue_name, q.queue_external_ticker, q.queue_ticker_paused,
                    q.queue_ticker_max_count, q.queue_ticker_max_lag, q.queue_ticker_idle_period,
                    q.queue_event_seq, q.queue_tick_seq,
                    newest.tick_time, newest.tick_event_seq, newest.tick_snapshot::pg_catalog.text, before.tick_time,
                    newest.tick_id
               FROM pgq.queue q
               LEFT JOIN LATERAL (
                    SELECT * FROM pgq.tick t WHERE t.tick_queue = q.queue_id
                     ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1) newest ON true
               LEFT JOIN LATERAL (
                    SELECT * FROM pgq.tick t WHERE t.tick_queue = q.queue_id AND t.tick_id < newest.tick_id
                     ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1) before ON true
              WHERE ",
            $condition
        )
    };
}

static BY_NAME: Statement = Statement::reading(queues!("q.queue_name = $1"), &[Type::Text]);
static BY_ID: Statement = Statement::reading(queues!("q.queue_id = $1"), &[Type::Int]);
static TICKED_HERE: Statement = Statement::reading(
    queues!("NOT q.queue_external_ticker AND NOT q.queue_ticker_paused ORDER BY q.queue_name"),
    &[],
);
static ALL: Statement = Statement::reading("SELECT queue_id, queue_name FROM pgq.queue", &[]);
// As `demand` marks them.
static MARKED: Statement = Statement::reading(
    "SELECT queue_id, queue_name FROM pgq.queue
      WHERE queue_id % $2 = ANY ($1::pg_catalog.int4[]) ORDER BY queue_name",
    &[Type::Text, Type::Int],
);
static ID: Statement =
    Statement::reading("SELECT queue_id FROM pgq.queue WHERE queue_name = $1", &[Type::Text]);
static TICKED_HERE_EXCEPT: Statement = Statement::reading(
    queues!(
        "q.queue_id <> ALL ($1::pg_catalog.int4[])
         AND NOT q.queue_external_ticker AND NOT q.queue_ticker_paused ORDER BY q.queue_name"
    ),
    &[Type::Text],
);

impl Queue {
    /// The queue of this name.
    pub fn by_name(name: Option<Text>) -> Option<Queue> {
        BY_NAME.rows_in(View::Latest, &[name?.into()]).first().map(Queue::from)
    }

    /// The queue of this number.
    pub fn by_id(id: i32) -> Option<Queue> {
        BY_ID.rows_in(View::Latest, &[id.into()]).first().map(Queue::from)
    }

    /// Number and name of each queue, also of those that the ticker does not look after.
    pub fn all() -> Vec<(i32, Vec<u8>)> {
        let rows = ALL.rows_in(View::Latest, &[]).into_iter();
        rows.filter_map(|row| Some((row.int(0)?, row.text(1)?.0.to_vec()))).collect()
    }

    /// All queues that the ticker has to look after, by name.
    pub fn ticked_here() -> impl Iterator<Item = Queue> {
        TICKED_HERE.rows_in(View::Latest, &[]).into_iter().map(Queue::from)
    }

    /// Those of them that are not among these.
    pub fn ticked_here_except(queues: &BTreeSet<i32>) -> impl Iterator<Item = Queue> + use<> {
        TICKED_HERE_EXCEPT.rows_in(View::Latest, &[array(queues.iter()).into()]).into_iter().map(Queue::from)
    }

    /// The number of the queue of this name.
    pub fn id_of(name: Text) -> Option<i32> {
        ID.rows_in(View::Latest, &[name.into()]).first()?.int(0)
    }

    /// The numbers and names of those that have one of these marks, by name.
    pub fn ids_with(marks: &Queues) -> Vec<(i32, Vec<u8>)> {
        let marks = [array(marks.residues()).into(), demand::RESIDUES.into()];
        let rows = MARKED.rows_in(View::Latest, &marks).into_iter();
        rows.filter_map(|row| Some((row.int(0)?, row.text(1)?.0.to_vec()))).collect()
    }

    /// The sequence of event ids.
    pub fn event_sequence(&self) -> Result<pgrx::pg_sys::Oid> {
        self.sequence(&self.event_sequence)
    }

    /// The sequence of tick ids.
    pub fn tick_sequence(&self) -> Result<pgrx::pg_sys::Oid> {
        self.sequence(&self.tick_sequence)
    }

    /// Without its sequences a queue is broken, or just dropped.
    fn sequence(&self, name: &[u8]) -> Result<pgrx::pg_sys::Oid> {
        sequence::find(Text(name)).map_err(|error| match Queue::by_id(self.id) {
            Some(_) => error,
            None => Error::no_such_queue(Some(Text(&self.name))),
        })
    }

    /// The highest event id that was handed out; 0 if none was.
    pub fn event_seq(&self) -> Result<i64> {
        Ok(sequence::last_value(self.event_sequence()?).unwrap_or(0))
    }

    /// Refuses queues that are not ticked from here.
    pub fn require_ticked_here(&self) -> Result<()> {
        let name = Text(&self.name);
        if self.is_external {
            Err(Error::raised(format!("queue \"{name}\" has an external tick source"))
                .hint("Its ticks come with pgq.ticker(queue, tick_id, time, event_seq)."))
        } else if self.is_paused {
            Err(Error::raised(format!("the ticker has been paused for queue \"{name}\""))
                .hint("pgq.set_queue_config(queue, 'ticker_paused', 'false') lets it go on."))
        } else {
            Ok(())
        }
    }

    /// The id of the newest tick.
    pub fn newest_tick(&self) -> Option<i64> {
        self.newest.as_ref().map(|newest| newest.id)
    }

    /// The time of the newest tick.
    pub fn newest_tick_time(&self) -> Option<Timestamp> {
        self.newest.as_ref().map(|newest| newest.time)
    }

    /// How far the event sequence, standing at `event_seq`, has come since the newest tick.
    pub fn growth(&self, event_seq: i64) -> i64 {
        self.newest.as_ref().map_or(0, |newest| event_seq.saturating_sub(newest.event_seq).max(0))
    }

    /// The event sequence; one more than in the newest tick, at least, if there are events after that tick, of which
    /// the sequence knows nothing when they took their ids before it.
    pub fn event_seq_with_news(&self) -> Result<i64> {
        let event_seq = self.event_seq()?;
        match &self.newest {
            Some(newest) if event_seq <= newest.event_seq && self.has_news()? => Ok(newest.event_seq + 1),
            _ => Ok(event_seq),
        }
    }

    /// Whether there are events that no tick covers yet.
    pub fn has_news(&self) -> Result<bool> {
        Ok(News::of_queue(self.id)?.is_none_or(|news| news.has_events()))
    }

    /// Where ticks should have been while none was taken for long, and the snapshots that make up for them.
    ///
    /// To be called under the queue's lock. While the tick of another is not committed, there are none: made-up snapshots
    /// are older than that tick, and who reads behind it would get events twice.
    pub fn missed_ticks(&self, event_seq: i64) -> Result<Vec<(i64, Snapshot)>> {
        let (Some(newest), Some(piece)) = (&self.newest, backlog_piece(&self.rule, &self.state(event_seq)))
        else {
            return Ok(Vec::new());
        };
        if lock::has_open_tick(self.id) {
            return Ok(Vec::new());
        }
        let news = News::of_queue(self.id)?;
        Ok(news.map_or_else(Vec::new, |news| news.cuts(newest.event_seq, event_seq, piece)))
    }

    /// Whether, the event sequence standing at `event_seq`, there are no events after the newest tick.
    pub fn is_idle(&self, event_seq: i64) -> bool {
        self.newest.as_ref().is_some_and(|newest| event_seq <= newest.event_seq)
    }

    /// Whether [`check`](Self::check) lets it be ticked.
    pub fn fits_the_clock(&self, next: Txid) -> Result<bool> {
        Ok(self.clock(next)? != ClockCheck::Behind)
    }

    /// Whether a tick is due, the event sequence standing at `event_seq`.
    pub fn is_due(&self, event_seq: i64) -> bool {
        decide(&self.rule, &self.state(event_seq)) != TickDecision::Wait
    }

    /// Refuses to tick when the server's transaction counter does not fit the ticks that are stored; warns about
    /// what is only strange.
    pub fn check(&self, event_seq: i64, next: Txid) -> Result<()> {
        let Some(newest) = &self.newest else { return Ok(()) };
        let name = Text(&self.name);
        let last = newest.snapshot()?;
        let counters = || {
            let (xmin, xmax) = (last.xmin(), last.xmax());
            format!("The newest tick has xmin {xmin} and xmax {xmax}, the next transaction id is {next}.")
        };
        match self.clock(next)? {
            ClockCheck::Ok => (),
            ClockCheck::Ahead => Error::new(
                PgSqlErrorCode::ERRCODE_WARNING,
                format!("queue \"{name}\": the newest tick knows of transactions to come"),
            )
            .detail(counters())
            .warn(),
            ClockCheck::Behind => {
                return Err(Error::raised(format!(
                    "queue \"{name}\": the server's transaction counter is behind the newest tick"
                ))
                .detail(counters())
                .hint("A queue that was restored into another cluster is repaired by pgq.rebase_queue()."));
            }
        }
        if self.state(event_seq).sequence_went_back() {
            Error::new(
                PgSqlErrorCode::ERRCODE_WARNING,
                format!("queue \"{name}\": the event sequence is behind the newest tick"),
            )
            .detail(format!("It stands at {event_seq}, the tick at {}.", newest.event_seq))
            .warn();
        }
        Ok(())
    }

    fn clock(&self, next: Txid) -> Result<ClockCheck> {
        self.newest.as_ref().map_or(Ok(ClockCheck::Ok), |newest| Ok(check_clock(&newest.snapshot()?, next)))
    }

    /// Ticks carry the start of their transaction as time, as they always did. The age goes by the clock: by the
    /// start of its own transaction a ticker that began before the newest tick would take it for one from the future.
    fn state(&self, event_seq: i64) -> TickState {
        let now = Micros::from(Timestamp::clock());
        let last = self.newest.as_ref().map(|newest| LastTick {
            event_seq: newest.event_seq,
            age: now.since(newest.time.into()),
            step: newest.before.map(|before| Micros::from(newest.time).since(before.into())),
        });
        TickState { event_seq, last }
    }
}

/// As the server reads an array.
pub fn array(numbers: impl Iterator<Item = impl ToString>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    format!("{{{}}}", numbers.join(","))
}

impl Newest {
    fn snapshot(&self) -> Result<Snapshot> {
        Text(&self.snapshot).to_string().parse().map_err(|error: pgq_core::snapshot::SnapshotError| {
            Error::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, error.to_string())
        })
    }
}

impl From<Row> for Queue {
    fn from(row: Row) -> Queue {
        let text = |column: usize| row.text(column).expect("a column that is NOT NULL").0.to_vec();
        let period = |column: usize| Micros::from(row.interval(column).expect("a column that is NOT NULL"));
        Queue {
            id: row.int(0).expect("queue_id is NOT NULL"),
            name: text(1),
            is_external: row.flag(2),
            is_paused: row.flag(3),
            rule: TickRule {
                max_count: row.int(4).expect("queue_ticker_max_count is NOT NULL"),
                max_lag: period(5),
                idle_period: period(6),
            },
            event_sequence: text(7),
            tick_sequence: text(8),
            newest: row.time(9).map(|time| Newest {
                time,
                id: row.big(13).expect("tick_id is NOT NULL"),
                event_seq: row.big(10).unwrap_or(0),
                snapshot: text(11),
                before: row.time(12),
            }),
        }
    }
}
