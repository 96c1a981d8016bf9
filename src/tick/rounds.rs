//! What the ticker's process does besides looking: it ticks several queues at a time.

use super::queue::Queue;
use super::take::{self, Taken};
use crate::error::{Error, Result};
use crate::pg::demand::Queues;
use crate::pg::text::Text;
use crate::pg::xact;

/// What became of the queues that were to be ticked.
#[derive(Default)]
pub struct Outcome {
    /// The ticks.
    pub taken: Vec<Taken>,
    /// Queues that were not ticked, and why.
    pub failed: Vec<(Vec<u8>, Error)>,
}

/// Somebody who holds a lock on a queue for longer than this keeps the ticker from this queue only. Far below the
/// server's `deadlock_timeout`: a session that drops several queues must not be chosen as the victim.
pub const PATIENCE_MS: u32 = 100;

/// Ticks those of the queues that are (still) due; one that was dropped or paused meanwhile is left alone.
pub fn tick_due(queues: &[Text]) -> Outcome {
    let ids = queues.iter().filter_map(|name| Some((Queue::id_of(*name)?, name.0.to_vec())));
    tick_each(ids, |id| {
        take::tick_by_id(id, |queue, event_seq| {
            Ok(queue.is_due(event_seq) || queue.is_due(queue.event_seq_with_news()?))
        })
    })
}

/// Ticks those of the queues with these marks, however young their newest ticks are.
pub fn tick_wanted(marks: &Queues, spared: impl Fn(Text) -> bool) -> Outcome {
    let marked = Queue::ids_with(marks).into_iter().filter(|(_, name)| !spared(Text(name)));
    tick_each(marked, |id| take::tick_by_id(id, |_, _| Ok(true)))
}

/// They share a transaction, whose commit costs more than the ticks, but an error of one is its own.
fn tick_each(
    queues: impl Iterator<Item = (i32, Vec<u8>)>,
    mut tick: impl FnMut(i32) -> Result<Option<Taken>>,
) -> Outcome {
    xact::limit_lock_waits(PATIENCE_MS);
    let mut outcome = Outcome::default();
    for (id, name) in queues {
        match xact::isolated(|| tick(id)) {
            Ok(taken) => outcome.taken.extend(taken),
            Err(error) => outcome.failed.push((name, error)),
        }
    }
    // The commit takes its turn among all that notify, who keep theirs while they wait for the disk or a standby.
    xact::limit_lock_waits(0);
    outcome
}

/// Ticks the queue, if that is done here, so that it can rotate.
pub fn tick_for_rotation(name: Text) -> Result<Option<Taken>> {
    Queue::id_of(name).map_or(Ok(None), |id| take::tick_by_id(id, |_, _| Ok(true)))
}
