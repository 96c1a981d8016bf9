//! Ticks for a time in which nobody ticked.
//!
//! When the ticker comes back after an hour, one tick would make a single batch of all that has happened. The
//! snapshots that could have been taken in between are gone, but others that do as well can be made up from the
//! events: for any event id, let those transactions be finished whose last event is not above it.
//!
//! ```text
//!  event ids   1 ──── 2 ──── 3 ──── 4 ──── 5 ──── 6 ──── 7 ──── 8
//!  of          A      B      A      C      B      D      C      D
//!                                 ┆                    ┆
//!              a cut at 3: A finished                  a cut at 6: A and B finished
//! ```
//!
//! What a consumer relies on holds: if A was committed before B did something that depends on it, like changing the
//! same row, then all of A's ids were drawn before that event of B's. So no cut has B finished and A not, and who
//! applies the batches one after the other never applies B before A. Each cut has all finished that the cuts before it
//! have, no cut has a transaction finished that still runs, and every event is in one batch. (Of events whose ids are
//! their producer's own, the ids say nothing of the order; they are in one batch all the same.)
//!
//! One thing that a made-up snapshot may not do is to look older than a switch of the event tables: a real one whose
//! xmax is below the switch knows of nobody who had seen the new table, and its batch is searched in the old one only
//! ([`tables_of_batch`](crate::batch::tables_of_batch)). In a cut there may be one who began before the switch and
//! wrote after it. So each cut's xmax is at least the switch.

use crate::snapshot::Snapshot;
use crate::txid::Txid;

/// A cut whose list of running transactions would be longer than this is left out: a transaction that lasted long
/// over many others makes its neighbours' batches grow together rather than every tick's row.
const LONGEST_LIST: usize = 1000;

/// Above this the pieces become bigger: a sequence may have jumped, and then most of its ids are no events.
const MOST_CUTS: i64 = 10_000;

/// Finds the cuts. It is shown each transaction twice, so that it has to remember none: memory goes by the cuts.
#[derive(Debug)]
pub struct Cutter<'a> {
    start: &'a Snapshot,
    now: &'a Snapshot,
    least_xmax: Txid,
    from: i64,
    piece: i64,
    cuts: Vec<Draft>,
}

#[derive(Clone, Debug)]
struct Draft {
    /// The id after the highest that is finished; `None` while none was found.
    xmax: Option<Txid>,
    running: Vec<Txid>,
    has_too_many: bool,
}

impl<'a> Cutter<'a> {
    /// Cuts what lies between two snapshots behind every `piece` event ids after `from`, the last one below `to`.
    /// `switch` is the transaction that made the newest switch of the event tables.
    pub fn new(
        start: &'a Snapshot,
        now: &'a Snapshot,
        switch: Txid,
        from: i64,
        to: i64,
        piece: i64,
    ) -> Cutter<'a> {
        let length = to.saturating_sub(from).saturating_sub(1);
        let piece = piece.max(length / MOST_CUTS + 1);
        let draft = Draft { xmax: None, running: Vec::new(), has_too_many: false };
        let cuts = vec![draft; usize::try_from(length / piece).unwrap_or(0)];
        // A switch that `now` does not know was seen by nobody who is finished.
        let least_xmax = start.xmax().max(switch.min(now.xmax()));
        Cutter { start, now, least_xmax, from, piece, cuts }
    }

    /// The first cut that has all ids up to this one; beyond the last, none has.
    fn first_with(&self, id: i64) -> usize {
        let distance = id.saturating_sub(self.from);
        usize::try_from((distance - 1).max(0) / self.piece).unwrap_or(usize::MAX)
    }

    /// The first time: a transaction between the snapshots, and its last event.
    pub fn see(&mut self, txid: Txid, last_id: i64) {
        let first = self.first_with(last_id);
        if let Some(cut) = self.cuts.get_mut(first) {
            cut.xmax = cut.xmax.max(Some(Txid::new(txid.get() + 1)));
        }
    }

    /// The second time, after all were seen once. One that is shown in several parts must be so both times.
    pub fn see_again(&mut self, txid: Txid, last_id: i64) {
        let end = self.first_with(last_id).min(self.cuts.len());
        // The highest id that is finished rises from cut to cut, so only the last ones can list this transaction.
        for cut in
            self.cuts[..end].iter_mut().rev().take_while(|cut| cut.xmax.is_some_and(|xmax| xmax > txid))
        {
            cut.list(txid);
        }
    }

    /// Between the two: a cut has at least what the ones before it have.
    pub fn turn(&mut self) {
        let mut highest = None;
        for cut in &mut self.cuts {
            cut.xmax = cut.xmax.max(highest).map(|xmax| xmax.max(self.least_xmax));
            highest = cut.xmax;
        }
    }

    /// The cuts that make a batch: the event id, and the snapshot.
    pub fn finish(self) -> Vec<(i64, Snapshot)> {
        let mut found: Vec<(i64, Snapshot)> = Vec::new();
        for (number, cut) in (1..).zip(self.cuts) {
            let Some(xmax) = cut.xmax.filter(|_| !cut.has_too_many) else { continue };
            let still = self.now.xip().iter().copied().filter(|txid| *txid < xmax);
            let mut running: Vec<Txid> = cut.running.into_iter().chain(still).collect();
            running.sort_unstable();
            running.dedup();
            let xmin = running.first().copied().unwrap_or(xmax);
            let snapshot = Snapshot::new(xmin, xmax, running).expect("ids between xmin and xmax, sorted");
            if found.last().map_or(self.start, |(_, before)| before) != &snapshot {
                found.push((self.from + number * self.piece, snapshot));
            }
        }
        found
    }
}

impl Draft {
    fn list(&mut self, txid: Txid) {
        if self.running.len() < LONGEST_LIST {
            self.running.push(txid);
        } else {
            self.has_too_many = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::between;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The last event of each transaction.
    fn last_ids(events: &[(i64, u64)]) -> BTreeMap<Txid, i64> {
        let mut last = BTreeMap::new();
        for (id, txid) in events {
            let last = last.entry(Txid::new(*txid)).or_insert(*id);
            *last = (*last).max(*id);
        }
        last
    }

    fn cuts(
        start: &Snapshot,
        now: &Snapshot,
        events: &[(i64, u64)],
        to: i64,
        piece: i64,
    ) -> Vec<(i64, Snapshot)> {
        let mut cutter = Cutter::new(start, now, start.xmax(), 0, to, piece);
        let transactions = last_ids(events);
        let shown = || transactions.iter().filter(|(txid, _)| between(start, now).contains(**txid));
        shown().for_each(|(txid, id)| cutter.see(*txid, *id));
        cutter.turn();
        shown().for_each(|(txid, id)| cutter.see_again(*txid, *id));
        cutter.finish()
    }

    fn snapshot(text: &str) -> Snapshot {
        text.parse().expect("a snapshot")
    }

    #[test]
    fn the_picture() {
        let events = [(1, 10), (2, 11), (3, 10), (4, 12), (5, 11), (6, 13), (7, 12), (8, 13)];
        let found = cuts(&snapshot("10:10:"), &snapshot("14:14:"), &events, 8, 3);
        assert_eq!(found, [(3, snapshot("11:11:")), (6, snapshot("12:12:"))]);
    }

    #[test]
    fn who_is_overtaken_counts_as_running() {
        let events = [(1, 12), (2, 11), (3, 11), (4, 10), (5, 13)];
        let found = cuts(&snapshot("10:10:"), &snapshot("14:14:"), &events, 5, 1);
        assert_eq!(
            found,
            [(1, snapshot("10:13:10,11")), (3, snapshot("10:13:10")), (4, snapshot("13:13:"))],
            "at 2 nothing is finished that is not at 1"
        );
    }

    #[test]
    fn one_transaction_cannot_be_cut() {
        let events: Vec<(i64, u64)> = (1..=100).map(|id| (id, 10)).collect();
        assert!(cuts(&snapshot("10:10:"), &snapshot("11:11:"), &events, 100, 10).is_empty());
    }

    #[test]
    fn a_sequence_that_jumped_makes_no_more_cuts() {
        let (start, now) = (snapshot("10:10:"), snapshot("12:12:"));
        let found = cuts(&start, &now, &[(1, 10), (i64::MAX, 11)], i64::MAX, 1);
        assert_eq!(found.len(), 1);
        assert!(Cutter::new(&start, &now, start.xmax(), 0, i64::MAX, 1).cuts.len() as i64 <= MOST_CUTS);
    }

    #[test]
    fn a_cut_that_would_list_thousands_is_left_out() {
        // All began before the first of them had an event.
        let events: Vec<(i64, u64)> = (1..=3000).map(|id| (id, 10_000 - id as u64)).collect();
        let found = cuts(&snapshot("10:10:"), &snapshot("10000:10000:"), &events, 3000, 100);
        assert!(found.iter().all(|(_, snapshot)| snapshot.xip().len() <= LONGEST_LIST));
        assert_eq!(found.first().map(|(id, _)| *id), Some(2000));
    }

    proptest! {
        /// Transactions that begin in the order of their ids, live a while, and draw ids at times of their own.
        #[test]
        fn cuts_are_in_line_with_the_order_of_commits(
            lives in proptest::collection::vec((1..6usize, 1..12usize), 1..40),
            piece in 1..15i64,
            early in 0..10usize,
        ) {
            // At each step one transaction begins; those alive draw an id in turns.
            let (mut next_id, mut events, mut ends) = (0, Vec::new(), BTreeMap::new());
            let mut alive: Vec<(u64, usize, usize)> = Vec::new();
            for (number, (draws, life)) in lives.iter().enumerate() {
                let txid = 100 + number as u64;
                alive.push((txid, *draws, *life));
                for (txid, draws, life) in &mut alive {
                    if *draws > 0 {
                        next_id += 1;
                        events.push((next_id, *txid));
                        *draws -= 1;
                    }
                    *life = life.saturating_sub(1);
                    if *life == 0 { ends.insert(*txid, next_id); }
                }
                alive.retain(|(_, _, life)| *life > 0);
            }
            let open: Vec<u64> = alive.iter().map(|(txid, _, _)| *txid).collect();
            let xmax = Txid::new(100 + lives.len() as u64);
            let xip: Vec<Txid> = open.iter().copied().map(Txid::new).collect();
            let now = Snapshot::new(xip.first().copied().unwrap_or(xmax), xmax, xip).expect("sorted");
            // The first ones had begun before the start.
            let early: Vec<Txid> = (100..100 + early.min(lives.len()) as u64).map(Txid::new).collect();
            let start = Snapshot::new(Txid::new(100), Txid::new(100 + early.len() as u64), early).expect("sorted");
            let mut before = start.clone();
            for (id, cut) in cuts(&start, &now, &events, next_id, piece) {
                for txid in (100..xmax.get()).map(Txid::new) {
                    // It has all that the one before has, and nothing that still runs.
                    prop_assert!(!before.contains(txid) || cut.contains(txid));
                    prop_assert!(!cut.contains(txid) || now.contains(txid));
                }
                // Who was finished when a finished one drew an id is finished too.
                for (event, txid) in &events {
                    if cut.contains(Txid::new(*txid)) {
                        prop_assert!(*event <= id);
                        for (ended, at) in &ends {
                            let had_events = events.iter().any(|(_, who)| who == ended);
                            if at < event && had_events {
                                prop_assert!(cut.contains(Txid::new(*ended)), "{txid} without {ended} at {id}");
                            }
                        }
                    }
                }
                before = cut;
            }
        }
    }
}
