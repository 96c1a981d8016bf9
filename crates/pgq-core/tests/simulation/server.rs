//! A toy server with one queue: transactions, snapshots, rotating tables, ticks, consumers.
//!
//! It is less careful than PostgreSQL wherever the rules must hold without help: no table is locked, so it
//! truncates under the hands of writers and readers, and a reader may rest between choosing its tables and
//! reading them. It is as careful as the rules ask their caller to be: one transaction at a time changes the
//! queue's row, one ticks.

use std::collections::BTreeMap;

use pgq_core::batch::{TableChoice, previous_table, tables_of_batch};
use pgq_core::rotation;
use pgq_core::snapshot::between;
use pgq_core::tick::{ClockCheck, check_clock};
use pgq_core::{BatchBounds, Micros, Snapshot, TickId, Txid};
use thiserror::Error;

/// The rules in which PgQ 3.5 differed, so that a test can put the old one in.
#[derive(Clone, Copy)]
pub struct Rules {
    pub previous_table_is_free: fn(consumers: Vec<Txid>, newest_tick: Option<Txid>, step2: Txid) -> bool,
    pub step2_value: fn(own: Txid, next: Txid) -> Txid,
    pub may_complete: fn(step1: Txid, own: Txid) -> bool,
    pub tick_is_unreachable: fn(xmin: Txid, old_step2: Txid) -> bool,
    pub tick_snapshot: fn(taken: Snapshot, own: Txid) -> Snapshot,
}

impl Rules {
    pub const OURS: Rules = Rules {
        previous_table_is_free: |consumers, newest_tick, step2| {
            rotation::previous_table_is_free(consumers, newest_tick, step2)
        },
        step2_value: rotation::step2_value,
        may_complete: rotation::may_complete,
        tick_is_unreachable: rotation::tick_is_unreachable,
        tick_snapshot: Snapshot::as_seen_by_others,
    };
}

pub struct Server {
    rules: Rules,
    /// The next id to be assigned.
    next: Txid,
    /// The highest id of a transaction that has ended.
    latest_completed: Txid,
    running: BTreeMap<Txid, Transaction>,
    queue: QueueRow,
    tables: Vec<Vec<Event>>,
    ticks: BTreeMap<TickId, Snapshot>,
    consumers: Vec<Consumer>,
    /// All events ever committed.
    committed: Vec<Event>,
    /// All ticks ever committed, also those deleted since.
    pub tick_history: Vec<Snapshot>,
    pub switches: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    txid: Txid,
    number: usize,
}

#[derive(Clone, Copy)]
struct QueueRow {
    current: i32,
    step1: Txid,
    step2: Option<Txid>,
}

/// What an open transaction has done that nobody else sees yet.
#[derive(Default)]
struct Transaction {
    table: Option<i32>,
    events: Vec<Event>,
    tick: Option<Snapshot>,
    queue: Option<QueueRow>,
    switch: Option<Switch>,
}

struct Switch {
    /// The rows of the truncated table; what the transaction writes there afterwards stays.
    truncated: Vec<Event>,
    old_step2: Txid,
}

struct Consumer {
    registered: Snapshot,
    position: TickId,
    batch: Option<Batch>,
    received: Vec<Event>,
}

struct Batch {
    end: TickId,
    tables: Vec<i32>,
}

impl Consumer {
    fn at(position: TickId, tick: &Snapshot) -> Consumer {
        Consumer { registered: tick.clone(), position, batch: None, received: Vec::new() }
    }
}

/// How the queue broke its promise.
#[derive(Debug, Error)]
pub enum Broken {
    #[error("a consumer's tick is gone")]
    TickIsGone,
    #[error("batch has {expected:?}, found were {found:?}")]
    WrongBatch { expected: Vec<Event>, found: Vec<Event> },
    #[error("consumer should have got {expected:?}, and got {received:?}")]
    WrongTotal { expected: Vec<Event>, received: Vec<Event> },
}

impl Server {
    /// A server on which some transactions run already when the queue is created.
    pub fn new(rules: Rules, ntables: usize, running_before: usize) -> Server {
        let first = Txid::FIRST_NORMAL;
        let mut server = Server {
            rules,
            next: first,
            latest_completed: Txid::new(first.get() - 1),
            running: BTreeMap::new(),
            queue: QueueRow { current: 0, step1: first, step2: Some(first) },
            tables: vec![Vec::new(); ntables],
            ticks: BTreeMap::new(),
            consumers: Vec::new(),
            committed: Vec::new(),
            tick_history: Vec::new(),
            switches: 0,
        };
        for _ in 0..running_before {
            server.begin();
        }
        let creator = server.begin();
        server.queue = QueueRow { current: 0, step1: creator, step2: Some(creator) };
        server.tick(creator);
        server.commit(creator);
        server
    }

    /// The open transactions, oldest first.
    pub fn open(&self) -> Vec<Txid> {
        self.running.keys().copied().collect()
    }

    pub fn next(&self) -> Txid {
        self.next
    }

    pub fn tick_count(&self) -> usize {
        self.ticks.len()
    }

    pub fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    // Transactions

    /// Begins a transaction and assigns its id.
    pub fn begin(&mut self) -> Txid {
        let txid = self.next;
        self.next = Txid::new(txid.get() + 1);
        self.running.insert(txid, Transaction::default());
        txid
    }

    pub fn commit(&mut self, txid: Txid) {
        let done = self.end(txid);
        self.committed.extend(done.events);
        self.queue = done.queue.unwrap_or(self.queue);
        if let Some(Switch { truncated, old_step2 }) = done.switch {
            self.remove_rows(&truncated);
            self.ticks.retain(|_, tick| !(self.rules.tick_is_unreachable)(tick.xmin(), old_step2));
            self.switches += 1;
        }
        if let Some(snapshot) = done.tick {
            self.tick_history.push(snapshot.clone());
            self.ticks.insert(TickId::from(self.tick_history.len() as i64), snapshot);
        }
    }

    pub fn abort(&mut self, txid: Txid) {
        let undone = self.end(txid);
        self.remove_rows(&undone.events);
    }

    fn remove_rows(&mut self, rows: &[Event]) {
        for table in &mut self.tables {
            table.retain(|row| !rows.contains(row));
        }
    }

    fn end(&mut self, txid: Txid) -> Transaction {
        self.latest_completed = self.latest_completed.max(txid);
        self.running.remove(&txid).expect("an open transaction")
    }

    fn transaction(&mut self, txid: Txid) -> &mut Transaction {
        self.running.get_mut(&txid).expect("an open transaction")
    }

    /// As the server does it: the own id is never listed, but nothing from it on is below xmin.
    fn snapshot(&self, own: Option<Txid>) -> Snapshot {
        let xmax = Txid::new(self.latest_completed.get() + 1);
        let xmin = self.running.keys().next().map_or(xmax, |&oldest| oldest.min(xmax));
        let xip = self.running.keys().copied().filter(|&txid| txid < xmax && Some(txid) != own);
        Snapshot::new(xmin, xmax, xip.collect()).expect("a snapshot")
    }

    // Producers

    /// Reads the queue's row and remembers the current table, as a producer may for the rest of its
    /// transaction.
    pub fn look(&mut self, txid: Txid) {
        let current = self.queue_seen_by(txid).current;
        self.transaction(txid).table = Some(current);
    }

    /// Begins a transaction that has read the queue's row before its id was assigned.
    pub fn begin_after_look(&mut self, current_table: i32) -> Txid {
        let txid = self.begin();
        self.transaction(txid).table = Some(current_table);
        txid
    }

    /// What a look into the queue's row tells at the moment.
    pub fn current_table(&self) -> i32 {
        self.queue.current
    }

    /// Inserts an event into the remembered table.
    pub fn write(&mut self, txid: Txid) {
        if self.transaction(txid).table.is_none() {
            self.look(txid);
        }
        let number =
            self.committed.len() + self.running.values().map(|open| open.events.len()).sum::<usize>();
        let event = Event { txid, number };
        let transaction = self.transaction(txid);
        transaction.events.push(event);
        let table = transaction.table.expect("a table");
        self.tables[table as usize].push(event);
    }

    fn queue_seen_by(&self, txid: Txid) -> QueueRow {
        self.running[&txid].queue.unwrap_or(self.queue)
    }

    // Ticks

    /// Takes a tick in a transaction that has its id already.
    pub fn tick(&mut self, txid: Txid) {
        if self.nobody_ticks() {
            let taken = self.snapshot(Some(txid));
            self.store_tick(txid, taken);
        }
    }

    /// Takes a tick in a transaction that gets its id by storing it, which is what a ticker does.
    pub fn begin_with_tick(&mut self) -> Option<Txid> {
        self.nobody_ticks().then(|| {
            let taken = self.snapshot(None);
            let txid = self.begin();
            self.store_tick(txid, taken);
            txid
        })
    }

    fn nobody_ticks(&self) -> bool {
        self.running.values().all(|open| open.tick.is_none())
    }

    fn store_tick(&mut self, txid: Txid, taken: Snapshot) {
        if let Some(last) = self.tick_history.last() {
            assert_eq!(check_clock(last, self.next), ClockCheck::Ok);
        }
        let tick = (self.rules.tick_snapshot)(taken, txid);
        self.transaction(txid).tick = Some(tick);
    }

    // Rotation

    /// `maint_rotate_tables_step1`
    pub fn step1(&mut self, txid: Txid) {
        let queue = self.queue_seen_by(txid);
        assert!(!rotation::counter_went_back(self.queue.step1, self.next));
        if !self.can_lock_queue(txid) || !rotation::is_due(queue.step2, Micros::new(1), Micros::ZERO) {
            return;
        }
        let own_tick = self.running[&txid].tick.as_ref();
        let newest_tick = own_tick.or(self.ticks.values().next_back()).map(Snapshot::xmin);
        let positions = self.consumers.iter().map(|consumer| self.ticks[&consumer.position].xmin()).collect();
        let ntables = self.tables.len() as i32;
        if let (Some(old_step2), Some(next)) = (queue.step2, rotation::next_table(queue.current, ntables))
            && (self.rules.previous_table_is_free)(positions, newest_tick, old_step2)
        {
            let truncated = self.tables[next as usize].clone();
            let transaction = self.transaction(txid);
            transaction.queue = Some(QueueRow { current: next, step1: txid, step2: None });
            transaction.switch = Some(Switch { truncated, old_step2 });
        }
    }

    /// `maint_rotate_tables_step2`
    pub fn step2(&mut self, txid: Txid) {
        let queue = self.queue_seen_by(txid);
        if self.can_lock_queue(txid) && queue.step2.is_none() && (self.rules.may_complete)(queue.step1, txid)
        {
            let step2 = (self.rules.step2_value)(txid, self.next);
            self.transaction(txid).queue = Some(QueueRow { step2: Some(step2), ..queue });
        }
    }

    fn can_lock_queue(&self, txid: Txid) -> bool {
        self.running.iter().all(|(&holder, open)| holder == txid || open.queue.is_none())
    }

    // Consumers

    /// Registers a consumer at the newest tick, unless a switch is under way: then it would wait for the
    /// queue's row.
    pub fn register(&mut self) {
        if !self.switch_is_under_way()
            && let Some((&position, tick)) = self.ticks.last_key_value()
        {
            self.consumers.push(Consumer::at(position, tick));
        }
    }

    /// Moves a consumer to one of the ticks that exist, under the same condition.
    pub fn register_at(&mut self, consumer: usize, tick: usize) {
        if !self.switch_is_under_way()
            && let Some((&position, tick)) = self.ticks.iter().nth(tick)
        {
            self.consumers[consumer] = Consumer::at(position, tick);
        }
    }

    fn switch_is_under_way(&self) -> bool {
        self.running.values().any(|open| open.switch.is_some())
    }

    pub fn unregister(&mut self, consumer: usize) {
        self.consumers.swap_remove(consumer);
    }

    /// Opens a batch up to `distance` ticks ahead, and chooses its tables.
    pub fn next_batch(&mut self, consumer: usize, distance: usize) -> Result<(), Broken> {
        let Consumer { position, batch, .. } = &self.consumers[consumer];
        let start = self.ticks.get(position).ok_or(Broken::TickIsGone)?;
        let ahead = self.ticks.range(*position..).skip(1).take(distance.max(1));
        if batch.is_none()
            && let Some((&end, end_snapshot)) = ahead.last()
        {
            let QueueRow { current, step1, step2 } = self.queue;
            let choice: TableChoice = tables_of_batch(start, end_snapshot, step1, step2);
            let mut tables = Vec::new();
            tables.extend(choice.previous.then(|| previous_table(current, self.tables.len() as i32)));
            tables.extend(choice.current.then_some(current));
            self.consumers[consumer].batch = Some(Batch { end, tables });
        }
        Ok(())
    }

    /// Reads the batch's events from the tables chosen, and finishes it.
    pub fn finish_batch(&mut self, consumer: usize) -> Result<(), Broken> {
        let position = self.consumers[consumer].position;
        let Some(Batch { end, tables }) = self.consumers[consumer].batch.take() else { return Ok(()) };
        let start_tick = self.ticks.get(&position).ok_or(Broken::TickIsGone)?;
        let end_tick = self.ticks.get(&end).ok_or(Broken::TickIsGone)?;

        let bounds = BatchBounds::new(start_tick, end_tick);
        let rows = tables.iter().flat_map(|&table| &self.tables[table as usize]).copied();
        let committed_rows = rows.filter(|event| !self.running.contains_key(&event.txid));
        let mut found: Vec<Event> = committed_rows
            .filter(|Event { txid, .. }| {
                let by_exact_id = bounds.singles().binary_search(txid).is_ok();
                let in_range = bounds.range().contains(txid);
                by_exact_id || in_range && bounds.covers(*txid)
            })
            .collect();
        found.sort();
        let expected = self.committed_between(start_tick, end_tick);
        if found != expected {
            return Err(Broken::WrongBatch { expected, found });
        }

        let consumer = &mut self.consumers[consumer];
        consumer.received.extend(found);
        consumer.position = end;
        Ok(())
    }

    /// Lets everything end, every consumer read to the end, and compares what it got with what was committed.
    pub fn finish(&mut self) -> Result<(), Broken> {
        for txid in self.open() {
            self.commit(txid);
        }
        let ticker = self.begin_with_tick().expect("nobody ticks any more");
        self.commit(ticker);
        for consumer in 0..self.consumers.len() {
            // The first round finishes a batch that was open.
            for _ in 0..=self.tick_history.len() {
                self.next_batch(consumer, 1)?;
                self.finish_batch(consumer)?;
            }
            let Consumer { registered, received, .. } = &self.consumers[consumer];
            let expected = self.committed_between(registered, &self.snapshot(None));
            let mut received = received.clone();
            received.sort();
            if received != expected {
                return Err(Broken::WrongTotal { expected, received });
            }
        }
        Ok(())
    }

    fn committed_between(&self, older: &Snapshot, newer: &Snapshot) -> Vec<Event> {
        let between = between(older, newer);
        let mut events: Vec<_> =
            self.committed.iter().copied().filter(|event| between.contains(event.txid)).collect();
        events.sort();
        events
    }
}
