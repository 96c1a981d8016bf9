//! Queues at rest: there is nothing to tick until somebody inserts.
//!
//! By the classic rule an idle queue gets a tick every `ticker_idle_period`, for ever. The ticker in the server leaves
//! out those that would tell nobody anything: every consumer has finished the newest tick, no event came after it, and
//! no other node of a cascade waits to hear that time goes on. Commits mark their queues (`pg::demand`), so a queue
//! at rest is not even looked at, but for one look in a while, which finds what came by ways that mark nothing.
//!
//! That nothing came is then told by the statistics in place of the ticks. A queue that has no place in them never rests.

use super::queue::Queue;
use super::rounds::PATIENCE_MS;
use crate::error::Result;
use crate::pg::demand::{self, Queues};
use crate::pg::spi::{Statement, View};
use crate::pg::value::Type;
use crate::pg::xact;
use crate::queue::cascaded_queues;
use crate::stats;
use pgq_core::Txid;
use std::collections::BTreeSet;

/// What a ticker's process knows of the queues of its database. It may be lost.
#[derive(Default)]
pub struct Resting {
    queues: BTreeSet<i32>,
    /// Whether the last look found all queues at rest.
    are_all: bool,
    /// Whether every queue with events that no tick covers is marked, as far as can be known.
    are_marked: bool,
    /// Whether any queue had news since this was last made false.
    pub was_disturbed: bool,
}

impl Resting {
    /// Whether a look can find anything to do.
    pub fn needs_a_look(&self) -> bool {
        !self.are_all || demand::is_pending()
    }

    /// These have got events.
    pub fn wake(&mut self, queues: &Queues) {
        self.queues.retain(|queue| !queues.have(*queue));
        self.are_all = false;
        self.was_disturbed |= !queues.are_none();
    }

    /// Some marks were taken without a tick: the next look makes them anew.
    pub fn doubt_marks(&mut self) {
        (self.are_all, self.are_marked) = (false, false);
    }

    /// All are to be looked at again.
    pub fn forget(&mut self) {
        *self = Resting { was_disturbed: self.was_disturbed, ..Resting::default() };
    }

    /// The names of the queues that are due. Only looks: no transaction id is assigned, and nobody who is dropping a queue
    /// or altering its tables is waited for. A queue of which that cannot be told is named too, so that the attempt to
    /// tick it shows what is wrong with it.
    pub fn due_queues(&mut self) -> Vec<Vec<u8>> {
        let marks = demand::take_pending();
        self.wake(&marks);
        let next = xact::next_txid();
        let all = Queue::all();
        stats::keep(&all);
        let mut left_alone: BTreeSet<i32> = all.into_iter().map(|(id, _)| id).collect();
        left_alone.retain(|id| !self.queues.contains(id));
        let cascaded = cascaded_queues();
        let (mut due, mut news) = (Vec::new(), Queues::default());
        self.are_all = true;
        let queues = Queue::ticked_here_except(&self.queues);
        xact::limit_lock_waits(PATIENCE_MS);
        for queue in queues {
            left_alone.remove(&queue.id);
            let outlook = xact::isolated(|| queue.outlook(next, &cascaded));
            let newest = queue.newest_tick().zip(queue.newest_tick_time());
            stats::saw(queue.id, newest, matches!(outlook, Ok(Outlook::Rests)));
            match outlook {
                Ok(Outlook::Rests) => _ = self.queues.insert(queue.id),
                Ok(Outlook::Waits) => {
                    self.are_all = false;
                    if self.are_marked || xact::isolated(|| queue.has_news()).unwrap_or(true) {
                        news.add(queue.id);
                    }
                }
                Ok(Outlook::Due) | Err(_) => {
                    self.are_all = false;
                    due.push(queue.name);
                }
            }
        }
        xact::limit_lock_waits(0);
        left_alone.into_iter().for_each(stats::left_alone);
        // With these a consumer that waits, or comes now, gets a tick at once.
        demand::give_back_pending(&if self.are_marked { news.among(&marks) } else { news });
        self.are_marked = true;
        due
    }
}

/// What a look at a queue says.
enum Outlook {
    /// It should be ticked now.
    Due,
    /// Its time has not come.
    Waits,
    /// Nothing will change until there are events.
    Rests,
}

static IS_BEHIND: Statement = Statement::reading(
    "SELECT FROM pgq.subscription s
      WHERE s.sub_queue = $1 AND (s.sub_batch IS NOT NULL OR s.sub_last_tick <> $2)
      LIMIT 1",
    &[Type::Int, Type::Big],
);

impl Queue {
    fn outlook(&self, next: Txid, cascaded: &BTreeSet<i32>) -> Result<Outlook> {
        let event_seq = self.event_seq_with_news()?;
        if !self.fits_the_clock(next)? || self.is_due(event_seq) && !self.is_idle(event_seq) {
            return Ok(Outlook::Due);
        }
        let may_rest = self.is_idle(event_seq) && !cascaded.contains(&self.id) && stats::is_shown(self.id);
        if may_rest && !self.has_consumers_behind() {
            return Ok(Outlook::Rests);
        }
        Ok(if self.is_due(event_seq) { Outlook::Due } else { Outlook::Waits })
    }

    fn has_consumers_behind(&self) -> bool {
        self.newest_tick().is_none_or(|newest| {
            IS_BEHIND.rows_in(View::Latest, &[self.id.into(), newest.into()]).count() > 0
        })
    }
}
