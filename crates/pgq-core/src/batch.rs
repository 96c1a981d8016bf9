//! Which rows of which tables belong to a batch.
//!
//! A batch is every event whose transaction is visible in the end tick's snapshot and not in the start
//! tick's. The naive search goes through the index on `ev_txid` from the start's xmin, and that may be hours
//! old when one long transaction was running. But between the old xmin and the old xmax only the transactions
//! that were *running* can have become visible since; everything else there was visible already. So PgQ
//! searches in two ways:
//!
//! ```text
//!        start.xmin                          start.xmax          end.xmax
//!  ──────────┬───────────────────────────────────┬───────────────────┬──────►  ev_txid
//!            ●             ●              ●  ●  ●[═══════════════════]
//!         singles: looked up by exact id  └─ lowered ─┘     range: read in one go
//! ```

use std::ops::RangeInclusive;

use crate::snapshot::{Snapshot, between};
use crate::txid::Txid;

/// How far below the range a finished transaction may lie and still be reached by lowering the range (PgQ
/// 3.5).
///
/// Walking over a hundred foreign ids in the index costs about as much as one more descent from its root, and
/// in a busy database most transactions that run at a tick are this young: they make the range a little
/// longer instead of making hundreds of look-ups.
pub const LOWER_BY_AT_MOST: u64 = 100;

/// Where to search for the events of a batch.
///
/// Rows found through [`range`](Self::range) must be tested with [`covers`](Self::covers): a range holds
/// transactions that were finished before the batch and others that still run. Rows found through
/// [`singles`](Self::singles) need no test, their transactions are in the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchBounds {
    start: Snapshot,
    end: Snapshot,
    low: Txid,
    singles: Vec<Txid>,
}

impl BatchBounds {
    /// The search for the batch between two ticks' snapshots.
    pub fn new(start: &Snapshot, end: &Snapshot) -> BatchBounds {
        let mut low = start.xmax();
        let mut singles = Vec::new();
        for txid in end.finished_since(start).rev() {
            // Once an id is too far away, all below it are as well: the bound stays where it is.
            if low.get() - txid.get() <= LOWER_BY_AT_MOST {
                low = txid;
            } else {
                singles.push(txid);
            }
        }
        singles.reverse();
        BatchBounds { start: start.clone(), end: end.clone(), low, singles }
    }

    /// The ids to be read in one go, each row to be tested with [`covers`](Self::covers). Empty if start is
    /// above end.
    pub fn range(&self) -> RangeInclusive<Txid> {
        self.low..=self.end.xmax()
    }

    /// The ids to be looked up one by one, ascending, all below the range.
    pub fn singles(&self) -> &[Txid] {
        &self.singles
    }

    /// Whether the events of this transaction are in the batch.
    pub fn covers(&self, txid: Txid) -> bool {
        between(&self.start, &self.end).contains(txid)
    }
}

/// Which of a queue's tables can hold events of a batch: the one being written, the one written before it, or
/// both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableChoice {
    /// The table that was written until the last switch.
    pub previous: bool,
    /// The table that is being written.
    pub current: bool,
}

/// The tables that a batch must read, given the queue's switch columns (see [`rotation`](crate::rotation)).
///
/// * The end tick was taken before the switch was committed: nobody visible in it had seen the new table. (It
///   takes a tick [as seen by others](Snapshot::as_seen_by_others): who ticks may go on and see the switch.)
/// * Everything in the batch got its id after `step2` was taken, when all could see the switch: only the new
///   table.
/// * Else, and always while the switch is half done, a transaction may have used either.
pub fn tables_of_batch(start: &Snapshot, end: &Snapshot, step1: Txid, step2: Option<Txid>) -> TableChoice {
    if end.xmax() < step1 {
        TableChoice { previous: true, current: false }
    } else if step2.is_some_and(|step2| start.xmin() > step2) {
        TableChoice { previous: false, current: true }
    } else {
        TableChoice { previous: true, current: true }
    }
}

/// The number of the table that was written before the `current` one. They are used in a circle from 0, so
/// that right after the queue's creation the previous table of 0 is the last one, which is empty.
pub fn previous_table(current: i32, ntables: i32) -> i32 {
    current.checked_sub(1).filter(|&previous| previous >= 0).unwrap_or(ntables.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::tests::{any_snapshot, snapshot};

    fn bounds(start: &str, end: &str) -> BatchBounds {
        BatchBounds::new(&snapshot(start), &snapshot(end))
    }

    fn txids(values: &[u64]) -> Vec<Txid> {
        values.iter().copied().map(Txid::new).collect()
    }

    #[test]
    fn the_example_of_the_specification() {
        let bounds = bounds("1657:1810:1657,1808", "1813:1813:");
        assert_eq!(bounds.range(), Txid::new(1808)..=Txid::new(1813));
        assert_eq!(bounds.singles(), txids(&[1657]));
    }

    #[test]
    fn the_bound_is_lowered_step_by_step() {
        let bounds = bounds("100:1000:100,599,700,800,900", "1001:1001:");
        assert_eq!(bounds.range(), Txid::new(700)..=Txid::new(1001));
        assert_eq!(bounds.singles(), txids(&[100, 599]));
    }

    #[test]
    fn what_still_runs_neither_lowers_the_bound_nor_is_looked_up() {
        let bounds = bounds("100:1000:100,950", "100:1001:100,950");
        assert_eq!(bounds.range(), Txid::new(1000)..=Txid::new(1001));
        assert_eq!(bounds.singles(), []);
    }

    #[test]
    fn the_search_backwards_finds_nothing() {
        let bounds = bounds("1000:1000:", "500:500:");
        assert!(bounds.range().is_empty());
        assert_eq!(bounds.singles(), []);
    }

    #[test]
    fn tables_around_a_switch() {
        let choice = |start: &str, end: &str, step2: Option<u64>| {
            let TableChoice { previous, current } =
                tables_of_batch(&snapshot(start), &snapshot(end), Txid::new(100), step2.map(Txid::new));
            (previous, current)
        };
        assert_eq!(choice("80:80:", "99:99:", Some(105)), (true, false));
        assert_eq!(choice("80:80:", "99:99:", None), (true, false));
        assert_eq!(choice("80:80:", "100:100:", Some(105)), (true, true));
        assert_eq!(choice("105:110:105", "120:120:", Some(105)), (true, true));
        assert_eq!(choice("106:110:106", "120:120:", Some(105)), (false, true));
        assert_eq!(choice("106:110:106", "120:120:", None), (true, true));
    }

    #[test]
    fn tables_are_used_in_a_circle() {
        assert_eq!(previous_table(0, 3), 2);
        assert_eq!(previous_table(1, 3), 0);
        assert_eq!(previous_table(2, 3), 1);
        assert_eq!(previous_table(0, 1), 0);
    }

    proptest! {
        #[test]
        fn the_search_reaches_the_batch_and_nothing_twice(start in any_snapshot(), end in any_snapshot()) {
            let bounds = BatchBounds::new(&start, &end);
            let between = between(&start, &end);
            prop_assert!(bounds.singles().is_sorted_by(|a, b| a < b));
            for txid in (0..800).map(Txid::new) {
                let in_range = bounds.range().contains(&txid);
                let single = bounds.singles().contains(&txid);
                prop_assert!(!(in_range && single));
                prop_assert_eq!(bounds.covers(txid), between.contains(txid));
                prop_assert_eq!(single || in_range && bounds.covers(txid), between.contains(txid));
            }
        }

        #[test]
        fn the_range_is_lowered_from_one_finished_id_to_the_next(start in any_snapshot(), end in any_snapshot()) {
            let bounds = BatchBounds::new(&start, &end);
            let low = *bounds.range().start();
            prop_assert!(low == start.xmax() || between(&start, &end).contains(low));
            if let Some(highest) = bounds.singles().last() {
                prop_assert!(low.get() - highest.get() > LOWER_BY_AT_MOST);
            }
        }
    }
}
