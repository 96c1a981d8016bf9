//! When the next table may be emptied and written.
//!
//! Events are never deleted. A queue writes its tables in a circle, and before one is written again it is
//! truncated. A switch takes two transactions, because those who write at that moment may have seen the queue
//! before or after it:
//!
//! ```text
//!   step1 commits        step2 commits
//!  ──────┬─────────────────────┬──────────────►  txid
//!   old  │    old or new       │   new table
//! ```
//!
//! `step1` is the id of the transaction that switched, `step2` the highest id that had been assigned when the
//! switch was visible to all. Writers get their id first and read the queue's row with a latest snapshot
//! after that, so an id above `step2` means the new table. Batches read the current table and the previous
//! one ([`tables_of_batch`](crate::batch::tables_of_batch)); a switch makes the previous table unreachable,
//! so every position from which somebody may still read must lie wholly behind `step2` before the next
//! switch.
//!
//! The caller keeps three promises:
//!
//! * a producer gets its id first and reads the queue's row afterwards, with a latest snapshot;
//! * the queue's row is locked from these tests until the switch is committed, and whoever puts a consumer at
//!   a tick takes a lock that conflicts with it: else a consumer could be put at a tick that the switch
//!   deletes;
//! * ticks are stored [as seen by others](crate::Snapshot::as_seen_by_others).
//!
//! Where the rules differ from PgQ 3.5, it could lose events or raise false alarms; each function says how.

use crate::micros::Micros;
use crate::txid::Txid;

/// Whether the queue should switch tables: the last switch is complete and longer ago than the rotation
/// period.
pub fn is_due(step2: Option<Txid>, since_switch: Micros, rotation_period: Micros) -> bool {
    step2.is_some() && since_switch > rotation_period
}

/// Whether the server's transaction counter is behind the last switch, as after restoring a dump into a new
/// cluster. An error: events to come would be searched for in the wrong tables.
///
/// PgQ 3.5 compared with the caller's own id, and raised a false alarm in a transaction whose id is older
/// than the switch.
pub fn counter_went_back(step1: Txid, next: Txid) -> bool {
    step1 >= next
}

/// Whether nobody needs the table before the current one any more, so that it may become unreachable.
///
/// `consumers` are the xmins of the ticks at which the queue's subscriptions stand (those that have a
/// position), `newest_tick` is the xmin of the queue's newest tick. A batch from a tick can hold any id from
/// its xmin on.
///
/// PgQ 3.5 looked at the consumers only. With none registered, two switches could pass over a writer whose
/// transaction was still open; a consumer registered then stood at a tick that called the writer running, and
/// never found its event. A consumer to come stands at the newest tick at the earliest, hence that counts as
/// a position. Without any tick nothing is known of the writers, and the table stays.
pub fn previous_table_is_free(
    consumers: impl IntoIterator<Item = Txid>,
    newest_tick: Option<Txid>,
    step2: Txid,
) -> bool {
    newest_tick.is_some_and(|xmin| xmin > step2) && consumers.into_iter().all(|xmin| xmin > step2)
}

/// The number of the table to be emptied and written next. None when there is no other table than the current
/// one: it cannot be emptied while it is written.
pub fn next_table(current: i32, ntables: i32) -> Option<i32> {
    let following = if current < ntables.saturating_sub(1) { current.saturating_add(1) } else { 0 };
    (following != current).then_some(following)
}

/// Whether the switch makes a tick useless, so that it is deleted with it: its batch may hold an id that
/// wrote the table which no batch reads any more. `old_step2` is the value before the switch.
///
/// PgQ 3.5 deleted the ticks with an xmin *below* `step2`. The one with the same xmin stayed, although the
/// transaction `step2` itself may have written the old table; a consumer moved back to that tick would miss
/// the event.
pub fn tick_is_unreachable(xmin: Txid, old_step2: Txid) -> bool {
    xmin <= old_step2
}

/// Whether this transaction may complete the switch: only one that did not make it. Its own change is visible
/// to itself before it is visible to all.
pub fn may_complete(step1: Txid, own: Txid) -> bool {
    own != step1
}

/// The value of `step2`: the highest id assigned so far, read after the switch has become visible.
///
/// PgQ 3.5 took the id of the transaction that runs step2. When that transaction had got it before step1 was
/// committed, writers with a higher id could have seen the old table: their events were lost.
pub fn step2_value(own: Txid, next: Txid) -> Txid {
    own.max(Txid::new(next.get().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_due_when_the_period_is_over_and_the_last_one_complete() {
        let hour = Micros::new(3_600_000_000);
        assert!(!is_due(Some(Txid::new(5)), hour, hour));
        assert!(is_due(Some(Txid::new(5)), Micros::new(hour.get() + 1), hour));
        assert!(!is_due(None, hour.doubled(), hour));
    }

    #[test]
    fn the_counter_must_be_beyond_the_last_switch() {
        assert!(!counter_went_back(Txid::new(100), Txid::new(101)));
        assert!(counter_went_back(Txid::new(100), Txid::new(100)));
    }

    #[test]
    fn every_position_must_be_behind_step2() {
        let free = |consumers: &[u64], newest: Option<u64>| {
            let consumers = consumers.iter().copied().map(Txid::new);
            previous_table_is_free(consumers, newest.map(Txid::new), Txid::new(100))
        };
        assert!(free(&[101, 200], Some(200)));
        assert!(!free(&[100, 200], Some(200)));
        assert!(!free(&[200, 7], Some(200)));
        assert!(free(&[], Some(101)));
        assert!(!free(&[], Some(100)));
        assert!(!free(&[], None));
    }

    #[test]
    fn tables_are_written_in_a_circle() {
        assert_eq!(next_table(0, 3), Some(1));
        assert_eq!(next_table(2, 3), Some(0));
        assert_eq!(next_table(1, 2), Some(0));
        assert_eq!(next_table(0, 1), None);
        assert_eq!(next_table(0, 0), None);
    }

    #[test]
    fn ticks_up_to_step2_go() {
        assert!(tick_is_unreachable(Txid::new(99), Txid::new(100)));
        assert!(tick_is_unreachable(Txid::new(100), Txid::new(100)));
        assert!(!tick_is_unreachable(Txid::new(101), Txid::new(100)));
    }

    #[test]
    fn step2_is_the_highest_id_assigned() {
        assert_eq!(step2_value(Txid::new(100), Txid::new(101)), Txid::new(100));
        assert_eq!(step2_value(Txid::new(100), Txid::new(150)), Txid::new(149));
    }

    #[test]
    fn a_switch_is_completed_by_another_transaction() {
        assert!(!may_complete(Txid::new(100), Txid::new(100)));
        assert!(may_complete(Txid::new(100), Txid::new(99)));
    }
}
