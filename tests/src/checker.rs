//! The promises, judged by somebody who has seen both ends.
//!
//! Producers tell what they do (begin, write, undo by a savepoint, commit), consumers tell what they got, and the
//! checker compares. It is plain data: no server, no clock. What is promised, for every consumer:
//!
//! - every committed event arrives ([`Violation::Lost`]), and nothing that was rolled back does;
//! - nothing arrives before its commit was asked for ([`Violation::Uncommitted`]): producers say
//!   [`committing`](Checker::committing) *before* they send COMMIT, so an event seen earlier is a proof;
//! - it arrives in one batch only ([`Violation::Doubled`]); a batch that was not finished comes again, and then it
//!   has the same contents ([`Violation::Changed`]);
//! - all events of a transaction are in one batch ([`Violation::Torn`]);
//! - inside a batch ids ascend, and one producer's consecutive transactions arrive in their order
//!   ([`Violation::Disordered`]);
//! - a consumer stands where it finished last ([`Violation::Jumped`]);
//! - where the position is stored together with the results, each event has been applied exactly once
//!   ([`Violation::Applied`]).
//!
//! A consumer that comes late or leaves early is owed only what lies between its first and its last tick; which
//! events these are is known from the consumers that were there all the time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

/// The name of an event, carried in its data: producer, number of the transaction, number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// The transaction that wrote it.
    pub txn: Txn,
    /// Its place in the transaction.
    pub seq: u32,
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.txn, self.seq)
    }
}

impl FromStr for EventKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = text.split(':').map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(producer)), Some(Ok(number)), Some(Ok(seq)), None) => {
                Ok(Self { txn: Txn { producer, number }, seq })
            }
            _ => Err(format!("not the name of an event: {text:?}")),
        }
    }
}

/// A producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Txn {
    /// The producer.
    pub producer: u32,
    /// The transaction's number within the producer.
    pub number: u32,
}

impl fmt::Display for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.producer, self.number)
    }
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has not asked to commit.
    Open,
    /// It has asked to commit and had no answer; or the server died meanwhile. To be settled before the verdict.
    Committing,
    /// It is known to have committed.
    Committed,
    /// It is known not to have committed.
    RolledBack,
}

#[derive(Debug)]
struct Transaction {
    fate: Fate,
    /// One entry an event: false if a savepoint took it back.
    events: Vec<bool>,
    /// Whether it ended before the producer's next one began.
    in_turn: bool,
    /// What kind it was, for who reads of a violation.
    kind: String,
}

/// A consumer, as the checker numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader(usize);

/// When a consumer was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Before the first event, and it read to the end: it is owed everything.
    TheBeginning,
    /// Some time; or it left before the end.
    Later,
}

/// The ticks between which a batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    prev: i64,
    tick: i64,
}

impl Span {
    const fn overlaps(self, other: Self) -> bool {
        self.prev < other.tick && other.prev < self.tick
    }

    const fn holds(self, other: Self) -> bool {
        self.prev <= other.prev && other.tick <= self.tick
    }
}

#[derive(Debug)]
struct ReaderState {
    name: String,
    since: Since,
    /// Distinct batches, with their events in the order they came.
    batches: BTreeMap<Span, Vec<(i64, EventKey)>>,
    /// Where it has stood; the last is where it stands.
    positions: Vec<i64>,
    /// A finish that had no answer yet.
    finishing: Option<i64>,
    /// The server has crashed since, and this consumer's finishes were not synced: it may stand at an older position.
    may_fall_back: bool,
    applied: Option<HashMap<EventKey, u32>>,
}

impl ReaderState {
    fn covered(&self) -> Option<Span> {
        Some(Span { prev: *self.positions.iter().min()?, tick: *self.positions.iter().max()? })
    }

    /// Which batch (the first one, if it came in several) each event arrived in.
    fn arrivals(&self) -> HashMap<EventKey, Span> {
        let mut arrivals = HashMap::new();
        for (&span, events) in &self.batches {
            for &(_, key) in events {
                arrivals.entry(key).or_insert(span);
            }
        }
        arrivals
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum Violation {
    #[error("{reader} never got the committed event {key}")]
    Lost { reader: String, key: EventKey },
    #[error("{reader} got {key}, whose transaction was {fate:?} at that moment")]
    Uncommitted { reader: String, key: EventKey, fate: Fate },
    #[error("{reader} got {key}, which was rolled back")]
    RolledBack { reader: String, key: EventKey },
    #[error("{reader} got {key}, which nobody wrote")]
    Unknown { reader: String, key: EventKey },
    #[error("{reader} got {key} in the batches ({}, {}] and ({}, {}]", .first.0, .first.1, .second.0, .second.1)]
    Doubled { reader: String, key: EventKey, first: (i64, i64), second: (i64, i64) },
    #[error("{reader} got the batch ({}, {}] again with other contents: {before} events, then {after}", .span.0, .span.1)]
    Changed { reader: String, span: (i64, i64), before: usize, after: usize },
    #[error("{reader} got {got} of the {wrote} events of transaction {txn} in the batch ({}, {}]", .span.0, .span.1)]
    Torn { reader: String, txn: Txn, span: (i64, i64), got: usize, wrote: usize },
    #[error("{reader} got {second} after {first} (batch up to tick {tick})")]
    Disordered { reader: String, first: EventKey, second: EventKey, tick: i64 },
    #[error("{reader} stood at tick {stood} and got a batch that begins at {begins}")]
    Jumped { reader: String, stood: i64, begins: i64 },
    #[error("{reader} applied {key} {times} times")]
    Applied { reader: String, key: EventKey, times: u32 },
    #[error("{one} and {other} got {key} in batches that do not overlap")]
    Disagreement { one: String, other: String, key: EventKey },
    #[error("nobody knows whether transaction {txn} committed")]
    Unsettled { txn: Txn },
}

/// What a run without violations has proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Transactions that committed.
    pub committed: usize,
    /// Transactions that did not.
    pub rolled_back: usize,
    /// Committed events.
    pub events: usize,
    /// Distinct batches over all consumers.
    pub batches: usize,
    /// Events over all consumers and distinct batches.
    pub deliveries: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Checker {
    producers: BTreeMap<u32, Vec<Transaction>>,
    readers: Vec<ReaderState>,
    violations: Vec<Violation>,
}

impl Checker {
    /// A producer begins its next transaction, of some kind that only matters to who reads of a violation.
    pub fn begin(&mut self, producer: u32, kind: &str) -> Txn {
        let transactions = self.producers.entry(producer).or_default();
        transactions.push(Transaction {
            fate: Fate::Open,
            events: Vec::new(),
            in_turn: true,
            kind: kind.to_owned(),
        });
        Txn { producer, number: u32::try_from(transactions.len() - 1).expect("fewer than 2^32") }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self, txn: Txn) -> &str {
        self.find(txn).map_or("", |transaction| &transaction.kind)
    }

    /// It is about to write an event, of this name.
    pub fn write(&mut self, txn: Txn) -> EventKey {
        let transaction = self.transaction(txn);
        transaction.events.push(true);
        EventKey { txn, seq: u32::try_from(transaction.events.len() - 1).expect("fewer than 2^32") }
    }

    /// It has rolled back to a savepoint: the events from `first` on are void.
    pub fn undo_from(&mut self, txn: Txn, first: u32) {
        let events = &mut self.transaction(txn).events;
        events[first as usize..].fill(false);
    }

    /// It will end after the producer's next transactions (it is prepared), so no order is promised for it.
    pub fn out_of_turn(&mut self, txn: Txn) {
        self.transaction(txn).in_turn = false;
    }

    /// It is about to send COMMIT or COMMIT PREPARED.
    pub fn committing(&mut self, txn: Txn) {
        self.transaction(txn).fate = Fate::Committing;
    }

    /// It has ended so.
    pub fn settle(&mut self, txn: Txn, committed: bool) {
        self.transaction(txn).fate = if committed { Fate::Committed } else { Fate::RolledBack };
    }

    /// The transactions of which nobody has told the end.
    #[must_use]
    pub fn unsettled(&self) -> Vec<Txn> {
        self.transactions()
            .filter(|(_, transaction)| matches!(transaction.fate, Fate::Open | Fate::Committing))
            .map(|(txn, _)| txn)
            .collect()
    }

    /// The transactions that are said to have committed.
    #[must_use]
    pub fn committed(&self) -> Vec<Txn> {
        self.transactions()
            .filter(|(_, transaction)| transaction.fate == Fate::Committed)
            .map(|(txn, _)| txn)
            .collect()
    }

    /// A consumer was registered.
    pub fn reader(&mut self, name: &str, since: Since) -> Reader {
        self.readers.push(ReaderState {
            name: name.to_owned(),
            since,
            batches: BTreeMap::new(),
            positions: Vec::new(),
            finishing: None,
            may_fall_back: false,
            applied: None,
        });
        Reader(self.readers.len() - 1)
    }

    /// It was given a batch, with these ids and events.
    pub fn delivered(&mut self, reader: Reader, prev: i64, tick: i64, events: Vec<(i64, EventKey)>) {
        let state = &mut self.readers[reader.0];
        let name = state.name.clone();
        let span = Span { prev, tick };
        match state.positions.last() {
            None => state.positions.push(prev),
            Some(&stood) if stood == prev => {}
            Some(_) if state.finishing == Some(prev) => state.positions.push(prev),
            Some(_) if state.may_fall_back && state.positions.contains(&prev) => {
                state.positions.push(prev);
            }
            Some(&stood) => {
                self.violations.push(Violation::Jumped { reader: name.clone(), stood, begins: prev });
                state.positions.push(prev);
            }
        }
        (state.finishing, state.may_fall_back) = (None, false);

        for pair in events.windows(2) {
            if pair[0].0 >= pair[1].0 {
                self.violations.push(Violation::Disordered {
                    reader: name.clone(),
                    first: pair[0].1,
                    second: pair[1].1,
                    tick,
                });
            }
        }
        for &(_, key) in &events {
            match self.fate(key) {
                None => self.violations.push(Violation::Unknown { reader: name.clone(), key }),
                Some(Fate::Open) => self.violations.push(Violation::Uncommitted {
                    reader: name.clone(),
                    key,
                    fate: Fate::Open,
                }),
                // That it was rolled back may also come out later; the verdict looks at all of them.
                Some(_) => {}
            }
        }
        let batches = &mut self.readers[reader.0].batches;
        match batches.get(&span) {
            Some(before) if *before != events => self.violations.push(Violation::Changed {
                reader: name,
                span: (prev, tick),
                before: before.len(),
                after: events.len(),
            }),
            Some(_) => {}
            None => {
                batches.insert(span, events);
            }
        }
    }

    /// It is about to finish the batch that ends at this tick.
    pub fn finishing(&mut self, reader: Reader, tick: i64) {
        self.readers[reader.0].finishing = Some(tick);
    }

    /// The server said that the batch is finished.
    pub fn finished(&mut self, reader: Reader, tick: i64) {
        let state = &mut self.readers[reader.0];
        state.finishing = None;
        state.positions.push(tick);
    }

    /// The server has crashed, and this consumer does not wait for its commits to be written: the last of them may be
    /// gone, so older batches may come again.
    pub fn may_fall_back(&mut self, reader: Reader) {
        self.readers[reader.0].may_fall_back = true;
    }

    /// The events in the store of a consumer that keeps its position with its results, as many times as they are
    /// there.
    pub fn applied(&mut self, reader: Reader, keys: impl IntoIterator<Item = EventKey>) {
        let applied = self.readers[reader.0].applied.get_or_insert_default();
        for key in keys {
            *applied.entry(key).or_default() += 1;
        }
    }

    /// The verdict: call it when all have ended. Violations come in the order found, those at delivery first.
    pub fn verify(&self) -> Result<Verdict, Vec<Violation>> {
        let mut violations = self.violations.clone();
        violations.extend(self.unsettled().into_iter().map(|txn| Violation::Unsettled { txn }));
        let owed: BTreeSet<EventKey> = self.owed().collect();
        let arrivals: Vec<_> = self.readers.iter().map(ReaderState::arrivals).collect();
        // Who was there all the time knows where every event lies.
        let witness = self.readers.iter().position(|reader| reader.since == Since::TheBeginning);

        for (reader, arrived) in self.readers.iter().zip(&arrivals) {
            self.verify_batches(reader, arrived, &mut violations);
            let mine: BTreeSet<EventKey> = match (reader.since, witness) {
                (Since::TheBeginning, _) => owed.clone(),
                (Since::Later, None) => BTreeSet::new(),
                (Since::Later, Some(witness)) => {
                    let name = &self.readers[witness].name;
                    Self::agree(reader, arrived, name, &arrivals[witness], &mut violations);
                    let covered = reader.covered();
                    let inside = |key: &&EventKey| {
                        let span = arrivals[witness].get(key);
                        span.zip(covered).is_some_and(|(&span, covered)| covered.holds(span))
                    };
                    owed.iter().filter(inside).copied().collect()
                }
            };
            let lost = mine.iter().filter(|key| !arrived.contains_key(key));
            violations.extend(lost.map(|&key| Violation::Lost { reader: reader.name.clone(), key }));
            if let Some(applied) = &reader.applied {
                let all: BTreeSet<_> = mine.iter().chain(applied.keys()).copied().collect();
                violations.extend(all.into_iter().filter_map(|key| {
                    let times = applied.get(&key).copied().unwrap_or(0);
                    // One that is not owed but got is already told above.
                    (times != 1).then(|| Violation::Applied { reader: reader.name.clone(), key, times })
                }));
            }
        }
        if !violations.is_empty() {
            return Err(violations);
        }
        let committed = self.transactions().filter(|(_, t)| t.fate == Fate::Committed).count();
        Ok(Verdict {
            committed,
            rolled_back: self.transactions().count() - committed,
            events: owed.len(),
            batches: self.readers.iter().map(|reader| reader.batches.len()).sum(),
            deliveries: self.readers.iter().flat_map(|reader| reader.batches.values()).map(Vec::len).sum(),
        })
    }

    /// What can be said of one consumer's batches alone.
    fn verify_batches(
        &self,
        reader: &ReaderState,
        arrived: &HashMap<EventKey, Span>,
        violations: &mut Vec<Violation>,
    ) {
        let name = || reader.name.clone();
        // The last event of each producer that ended its transactions in turn.
        let mut last: HashMap<u32, EventKey> = HashMap::new();
        for (&span, events) in &reader.batches {
            let ticks = (span.prev, span.tick);
            let mut got: BTreeMap<Txn, usize> = BTreeMap::new();
            for &(_, key) in events {
                *got.entry(key.txn).or_default() += 1;
                let Some(transaction) = self.find(key.txn) else { continue };
                let live = transaction.events.get(key.seq as usize).is_some_and(|&live| live);
                if !live || transaction.fate == Fate::RolledBack {
                    violations.push(Violation::RolledBack { reader: name(), key });
                }
                let first = arrived[&key];
                if first != span && !first.overlaps(span) {
                    violations.push(Violation::Doubled {
                        reader: name(),
                        key,
                        first: (first.prev, first.tick),
                        second: ticks,
                    });
                }
                if transaction.in_turn && first == span {
                    let before = last.insert(key.txn.producer, key);
                    if let Some(before) = before.filter(|&before| before >= key) {
                        violations.push(Violation::Disordered {
                            reader: name(),
                            first: before,
                            second: key,
                            tick: span.tick,
                        });
                    }
                }
            }
            for (txn, got) in got {
                let Some(transaction) = self.find(txn) else { continue };
                let wrote = transaction.events.iter().filter(|&&live| live).count();
                if got != wrote && transaction.fate == Fate::Committed {
                    violations.push(Violation::Torn { reader: name(), txn, span: ticks, got, wrote });
                }
            }
        }
    }

    /// Two consumers of one queue must see an event between the same ticks.
    fn agree(
        reader: &ReaderState,
        arrived: &HashMap<EventKey, Span>,
        witness: &str,
        witnessed: &HashMap<EventKey, Span>,
        violations: &mut Vec<Violation>,
    ) {
        for (key, span) in arrived {
            if witnessed.get(key).is_some_and(|other| !other.overlaps(*span)) {
                violations.push(Violation::Disagreement {
                    one: witness.to_owned(),
                    other: reader.name.clone(),
                    key: *key,
                });
            }
        }
    }

    fn transaction(&mut self, txn: Txn) -> &mut Transaction {
        self.producers
            .get_mut(&txn.producer)
            .and_then(|transactions| transactions.get_mut(txn.number as usize))
            .expect("a transaction that was begun")
    }

    fn find(&self, txn: Txn) -> Option<&Transaction> {
        self.producers.get(&txn.producer)?.get(txn.number as usize)
    }

    fn fate(&self, key: EventKey) -> Option<Fate> {
        let transaction = self.find(key.txn)?;
        transaction.events.get(key.seq as usize)?;
        Some(transaction.fate)
    }

    fn transactions(&self) -> impl Iterator<Item = (Txn, &Transaction)> {
        self.producers.iter().flat_map(|(&producer, transactions)| {
            (0..).zip(transactions).map(move |(number, transaction)| (Txn { producer, number }, transaction))
        })
    }

    /// Every event that committed.
    fn owed(&self) -> impl Iterator<Item = EventKey> {
        self.transactions().filter(|(_, transaction)| transaction.fate == Fate::Committed).flat_map(
            |(txn, transaction)| {
                (0..)
                    .zip(&transaction.events)
                    .filter(|&(_, &live)| live)
                    .map(move |(seq, _)| EventKey { txn, seq })
            },
        )
    }
}

#[cfg(test)]
mod tests;
