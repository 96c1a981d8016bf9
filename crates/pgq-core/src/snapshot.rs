//! Which transactions were finished at a moment.
//!
//! A tick stores a snapshot. Two facts carry the whole queue: a transaction once visible stays visible in
//! every later snapshot, and what lies between two snapshots is decided by the snapshots alone, however long
//! a transaction ran and in whatever order transactions ended.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::txid::Txid;

/// A transaction snapshot.
///
/// ```text
///    visible       some run (xip), the others are visible      not visible
///  ───────────┬────────────────────────────────────────────┬────────────────►  txid
///           xmin                                         xmax
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    xmin: Txid,
    xmax: Txid,
    xip: Vec<Txid>,
}

/// Why something is not a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// The text is not of the form `xmin:xmax:xip,xip`.
    #[error("snapshot is not of the form xmin:xmax:xip,xip")]
    Malformed,
    /// xmin is 0, which no transaction ever has.
    #[error("snapshot has no xmin")]
    NoXmin,
    /// xmax is below xmin.
    #[error("xmax {xmax} of snapshot is below its xmin {xmin}")]
    XmaxBelowXmin {
        /// The lower bound.
        xmin: Txid,
        /// The upper bound, which is lower.
        xmax: Txid,
    },
    /// A running transaction is below xmin, or not below xmax.
    #[error("running transaction {0} of snapshot is outside its bounds")]
    XipOutOfBounds(Txid),
    /// A running transaction is listed after one that is not lower.
    #[error("running transaction {0} of snapshot is out of order")]
    XipOutOfOrder(Txid),
}

impl Snapshot {
    /// A snapshot of its three parts: `xip` holds the running transactions in `xmin..xmax`, ascending, each
    /// once.
    pub fn new(xmin: Txid, xmax: Txid, xip: Vec<Txid>) -> Result<Snapshot, SnapshotError> {
        if xmin == Txid::new(0) {
            return Err(SnapshotError::NoXmin);
        }
        if xmax < xmin {
            return Err(SnapshotError::XmaxBelowXmin { xmin, xmax });
        }
        if let Some(&stray) = xip.iter().find(|&&txid| txid < xmin || txid >= xmax) {
            return Err(SnapshotError::XipOutOfBounds(stray));
        }
        if let Some(pair) = xip.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(SnapshotError::XipOutOfOrder(pair[1]));
        }
        Ok(Snapshot { xmin, xmax, xip })
    }

    /// The snapshot as a tick must store it: a transaction that takes a tick has not finished itself.
    ///
    /// The server never lists the own id as running, since one sees one's own rows. But a tick is for others.
    /// PgQ 3.5 stored the snapshot as it was; when the id was below xmax, all events of the ticking
    /// transaction fell into the batch before the tick, also those that it inserted after the tick, maybe
    /// after a table switch: into a table that nobody searches for this batch. And a consumer that was
    /// registered in the transaction never saw its events.
    pub fn as_seen_by_others(mut self, own: Txid) -> Snapshot {
        if own.is_normal() && self.contains(own) {
            let position = self.xip.partition_point(|&txid| txid < own);
            self.xip.insert(position, own);
            self.xmin = self.xmin.min(own);
        }
        self
    }

    /// Every transaction below this one is finished.
    pub fn xmin(&self) -> Txid {
        self.xmin
    }

    /// No transaction from this one on is finished.
    pub fn xmax(&self) -> Txid {
        self.xmax
    }

    /// The transactions in between that still run, ascending.
    pub fn xip(&self) -> &[Txid] {
        &self.xip
    }

    /// Whether the transaction was finished, as `txid_visible_in_snapshot` tells.
    pub fn contains(&self, txid: Txid) -> bool {
        txid < self.xmin || txid < self.xmax && self.xip.binary_search(&txid).is_err()
    }

    /// The transactions that were listed as running in `older` and are finished in this snapshot, ascending.
    pub fn finished_since<'a>(
        &'a self,
        older: &'a Snapshot,
    ) -> impl DoubleEndedIterator<Item = Txid> + use<'a> {
        older.xip.iter().copied().filter(|&txid| self.contains(txid))
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (position, txid) in self.xip.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{txid}")?;
        }
        Ok(())
    }
}

impl FromStr for Snapshot {
    type Err = SnapshotError;

    /// Reads the server's text form. Like the server it drops a running transaction that is listed twice in a
    /// row.
    fn from_str(text: &str) -> Result<Snapshot, SnapshotError> {
        let read = |txid: &str| txid.parse().map_err(|_| SnapshotError::Malformed);
        let (xmin, rest) = text.split_once(':').ok_or(SnapshotError::Malformed)?;
        let (xmax, list) = rest.split_once(':').ok_or(SnapshotError::Malformed)?;
        let mut xip = Vec::new();
        if !list.is_empty() {
            xip = list.split(',').map(read).collect::<Result<_, _>>()?;
            xip.dedup();
        }
        Snapshot::new(read(xmin)?, read(xmax)?, xip)
    }
}

/// The transactions between two snapshots: visible in `newer` and not visible in `older`. A batch is their
/// events.
pub fn between<'a>(older: &'a Snapshot, newer: &'a Snapshot) -> Between<'a> {
    Between { older, newer }
}

/// The transactions between two snapshots, see [`between`].
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    older: &'a Snapshot,
    newer: &'a Snapshot,
}

impl<'a> Between<'a> {
    /// Whether the transaction lies between the snapshots.
    pub fn contains(&self, txid: Txid) -> bool {
        self.newer.contains(txid) && !self.older.contains(txid)
    }

    /// All ids between the snapshots, ascending, made one by one: there may be billions.
    ///
    /// An id can be missing from `older` in two ways: it was running, or it was not begun.
    pub fn iter(&self) -> impl Iterator<Item = Txid> + use<'a> {
        let Between { older, newer } = *self;
        let begun_since = (older.xmax.get()..newer.xmax.get()).map(Txid::new);
        newer.finished_since(older).chain(begun_since.filter(|&txid| newer.contains(txid)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn snapshot(text: &str) -> Snapshot {
        text.parse().expect("a snapshot")
    }

    /// Snapshots over a few small ids, so that two of them often touch and overlap.
    pub(crate) fn any_snapshot() -> impl Strategy<Value = Snapshot> {
        (1u64..400, 0usize..300).prop_flat_map(|(xmin, width)| {
            prop::collection::vec(prop::bool::weighted(0.2), width).prop_map(move |running| {
                let xip = (xmin..).zip(running).filter(|&(_, runs)| runs).map(|(txid, _)| Txid::new(txid));
                Snapshot::new(Txid::new(xmin), Txid::new(xmin + width as u64), xip.collect())
                    .expect("a snapshot")
            })
        })
    }

    fn txids(values: &[u64]) -> Vec<Txid> {
        values.iter().copied().map(Txid::new).collect()
    }

    #[test]
    fn parts_of_the_text_form() {
        let read = snapshot("1657:1810:1657,1808");
        assert_eq!((read.xmin(), read.xmax()), (Txid::new(1657), Txid::new(1810)));
        assert_eq!(read.xip(), txids(&[1657, 1808]));
        assert_eq!(snapshot("1813:1813:").xip(), []);
    }

    #[test]
    fn a_transaction_listed_twice_counts_once() {
        assert_eq!(snapshot("10:20:12,12,15").to_string(), "10:20:12,15");
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in
            ["", "10", "10:20", "10:20:,", "10:20:12,,13", "10:20:12:13", "a:20:", "10:20: 12", "-1:20:"]
        {
            assert_eq!(text.parse::<Snapshot>(), Err(SnapshotError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn impossible_snapshots_are_refused() {
        let refusal = |text: &str| text.parse::<Snapshot>().expect_err(text);
        assert_eq!(refusal("0:20:"), SnapshotError::NoXmin);
        assert_eq!(
            refusal("20:10:"),
            SnapshotError::XmaxBelowXmin { xmin: Txid::new(20), xmax: Txid::new(10) }
        );
        assert_eq!(refusal("10:20:9"), SnapshotError::XipOutOfBounds(Txid::new(9)));
        assert_eq!(refusal("10:20:20"), SnapshotError::XipOutOfBounds(Txid::new(20)));
        assert_eq!(refusal("10:20:15,12"), SnapshotError::XipOutOfOrder(Txid::new(12)));
    }

    #[test]
    fn the_constructor_takes_no_duplicates() {
        let made = Snapshot::new(Txid::new(10), Txid::new(20), txids(&[12, 12]));
        assert_eq!(made, Err(SnapshotError::XipOutOfOrder(Txid::new(12))));
    }

    #[test]
    fn who_ticks_has_not_finished() {
        let tick = |text: &str, own: u64| snapshot(text).as_seen_by_others(Txid::new(own)).to_string();
        assert_eq!(tick("10:20:12,17", 15), "10:20:12,15,17");
        assert_eq!(tick("10:20:12,17", 12), "10:20:12,17");
        assert_eq!(tick("10:20:12", 20), "10:20:12");
        assert_eq!(tick("10:20:12", 8), "8:20:8,12");
    }

    #[test]
    fn what_finished_since() {
        let older = snapshot("1657:1810:1657,1808");
        let finished = |newer: &str| snapshot(newer).finished_since(&older).collect::<Vec<_>>();
        assert_eq!(finished("1813:1813:"), txids(&[1657, 1808]));
        assert_eq!(finished("1657:1813:1657"), txids(&[1808]));
        assert_eq!(finished("1657:1810:1657,1808"), []);
    }

    #[test]
    fn a_huge_distance_is_walked_lazily() {
        let (older, newer) = (snapshot("5:10:7"), snapshot("9000000000000:9000000000000:"));
        let first: Vec<_> = between(&older, &newer).iter().take(3).collect();
        assert_eq!(first, txids(&[7, 10, 11]));
    }

    proptest! {
        #[test]
        fn what_is_printed_can_be_read(snapshot in any_snapshot()) {
            prop_assert_eq!(snapshot.to_string().parse(), Ok(snapshot));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9]{0,3}:?[0-9]{0,3}:?[0-9,]{0,9}") {
            if let Ok(read) = text.parse::<Snapshot>() {
                prop_assert_eq!(read.to_string().parse(), Ok(read));
            }
        }

        #[test]
        fn who_ticks_is_the_only_one_taken_out(snapshot in any_snapshot(), own in (3u64..800).prop_map(Txid::new)) {
            let tick = snapshot.clone().as_seen_by_others(own);
            prop_assert_eq!(tick.to_string().parse(), Ok(tick.clone()));
            for txid in (0..800).map(Txid::new) {
                prop_assert_eq!(tick.contains(txid), snapshot.contains(txid) && txid != own);
            }
        }

        #[test]
        fn visible_is_what_began_and_does_not_run(snapshot in any_snapshot()) {
            for txid in (0..800).map(Txid::new) {
                let runs = snapshot.xip().contains(&txid);
                prop_assert_eq!(snapshot.contains(txid), txid < snapshot.xmax() && !runs);
            }
        }

        #[test]
        fn between_is_every_id_visible_only_in_the_newer(older in any_snapshot(), newer in any_snapshot()) {
            let between = between(&older, &newer);
            let naive: Vec<_> = (0..800)
                .map(Txid::new)
                .filter(|&txid| newer.contains(txid) && !older.contains(txid))
                .collect();
            prop_assert_eq!(between.iter().collect::<Vec<_>>(), naive.clone());
            for txid in (0..800).map(Txid::new) {
                prop_assert_eq!(between.contains(txid), naive.contains(&txid));
            }
        }
    }
}
