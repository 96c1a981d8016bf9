//! Shared memory: what the tickers have done, for views and the log.
//!
//! Each queue and each database has a place, which its ticker changes, and only a reset besides; anybody reads. There
//! is a fixed number of places: who comes when all are taken is not shown. With the memory goes all that is counted.
#![allow(unsafe_code)]

use super::shared::{Line, Plain, Shared};
use super::signal;
use super::value::Timestamp;
use pgq_bgworker::Counts;
use pgrx::pg_sys;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::SeqCst};

/// What is told of a queue. A time is in microseconds as in [`Timestamp`], and 0 when there was none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueueStats {
    key: u64,
    /// `queue_name`, or its start.
    pub name: Line<128>,
    /// Ticks taken.
    pub ticks: i64,
    /// Those of them for which a consumer was waiting.
    pub demand_ticks: i64,
    /// By how much these ticks' event sequences have grown.
    pub events: i64,
    /// Switches to the next event table.
    pub rotations: i64,
    /// The newest tick that the ticker knows of.
    pub last_tick: i64,
    /// Its time.
    pub last_tick_time: i64,
    /// The newest tick when the queue was found at rest last.
    pub rest_tick: i64,
    /// The last look that found it so; 0 while it rests.
    pub rest_end: i64,
    /// What went wrong.
    pub errors: Errors,
    /// When the counting began.
    pub since: i64,
}

/// What is told of the ticker of a database.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TickerStats {
    key: u64,
    process: i64,
    /// The start of the process that serves, or served last.
    pub started: i64,
    /// When it was last known which queues are due.
    pub last_look: i64,
    /// Looks at the tables for that.
    pub looks: i64,
    /// Ticks taken.
    pub ticks: i64,
    /// Events put back.
    pub retried_events: i64,
    /// Rounds of maintenance.
    pub rounds: i64,
    /// Calls that these consisted of.
    pub operations: i64,
    /// What went wrong.
    pub errors: Errors,
    /// When the counting began.
    pub since: i64,
}

/// How often something went wrong, and what it was the last time.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Errors {
    pub count: i64,
    pub last_time: i64,
    pub last: Line<256>,
}

// SAFETY: numbers of 64 bits, and bytes in multiples of 8; each has any bytes for values.
unsafe impl Plain for QueueStats {}
// SAFETY: as above.
unsafe impl Plain for TickerStats {}

impl QueueStats {
    /// `queue_id`
    pub fn queue_id(&self) -> i32 {
        self.key as u32 as i32
    }
}

impl TickerStats {
    /// The database.
    pub fn database(&self) -> pg_sys::Oid {
        pg_sys::Oid::from(database_of(self.key))
    }

    /// The process that serves it now.
    pub fn process(&self) -> Option<i32> {
        let process = self.process as i32;
        signal::is_in_database(process, self.database()).then_some(process)
    }

    /// This process serves it from now on.
    pub fn take_over(&mut self, now: Timestamp) {
        // SAFETY: a variable of this process.
        self.process = unsafe { pg_sys::MyProcPid }.into();
        self.started = now.0;
    }
}

/// Something that has a place of its own. All that is not said of it is 0.
trait Keyed: Plain {
    fn new(key: u64, since: Timestamp) -> Self;
    fn key(&self) -> u64;
}

macro_rules! keyed {
    ($($record:ty),*) => { $(
        impl Keyed for $record {
            fn new(key: u64, since: Timestamp) -> Self {
                // SAFETY: any bytes are a value.
                let nothing: Self = unsafe { std::mem::zeroed() };
                Self { key, since: since.0, ..nothing }
            }

            fn key(&self) -> u64 {
                self.key
            }
        }
    )* };
}
keyed!(QueueStats, TickerStats);

/// Places for one kind of record. A key says who has the place, 0: nobody.
#[repr(C)]
struct Places<T, const COUNT: usize> {
    keys: [AtomicU64; COUNT],
    records: [Shared<T>; COUNT],
}

impl<T: Keyed, const COUNT: usize> Places<T, COUNT> {
    fn find(&self, key: u64) -> Option<&Shared<T>> {
        probe::<COUNT>(key)
            .find(|place| self.keys[*place].load(SeqCst) == key)
            .map(|place| &self.records[place])
    }

    fn find_or_take(&self, key: u64) -> Option<&Shared<T>> {
        self.find(key).or_else(|| {
            let is_taken = |place: &usize| self.keys[*place].compare_exchange(0, key, SeqCst, SeqCst).is_ok();
            let record = &self.records[probe::<COUNT>(key).find(is_taken)?];
            let new = T::new(key, Timestamp::clock());
            record.change(|record| *record = new);
            Some(record)
        })
    }

    /// A place that is just changing hands shows nothing.
    fn all(&self) -> impl Iterator<Item = T> {
        let taken = self.keys.iter().zip(&self.records).filter_map(|(key, record)| {
            let key = key.load(SeqCst);
            (key != 0).then(|| (key, record.read()))
        });
        taken.filter(|(key, record)| record.key() == *key).map(|(_, record)| record)
    }

    fn free(&self, is_unwanted: impl Fn(u64) -> bool) {
        for place in &self.keys {
            let key = place.load(SeqCst);
            if key != 0 && is_unwanted(key) {
                place.store(0, SeqCst);
            }
        }
    }
}

/// All places, beginning with the one where this key is to be expected.
fn probe<const COUNT: usize>(key: u64) -> impl Iterator<Item = usize> {
    let first = (key >> 32).wrapping_add(key & 0xffff_ffff) as usize % COUNT;
    (first..COUNT).chain(0..first)
}

#[repr(C)]
struct Memory {
    counts: SharedCounts,
    tickers: Places<TickerStats, 256>,
    queues: Places<QueueStats, 2048>,
}

/// What all tickers together have done since the log heard of it.
#[repr(C)]
struct SharedCounts {
    ticks: AtomicU64,
    rounds: AtomicU64,
    retries: AtomicU64,
    errors: AtomicU64,
}

/// Null in a server that has not preloaded us.
static MEMORY: AtomicPtr<Memory> = AtomicPtr::new(std::ptr::null_mut());

/// The shared memory that is needed.
pub(super) fn size() -> usize {
    size_of::<Memory>()
}

/// Takes over the memory.
///
/// # Safety
/// `memory` is zeroed, as large as asked for, aligned for any type, shared by all processes, and not yet seen by any
/// other.
pub(super) unsafe fn settle(memory: *mut u8) {
    MEMORY.store(memory.cast(), SeqCst);
}

fn memory() -> Option<&'static Memory> {
    // SAFETY: null or what `settle` was given, which lives as long as the process; it is changed through atomics only.
    unsafe { MEMORY.load(SeqCst).as_ref() }
}

/// The oid of this process's database.
pub fn this_database() -> u32 {
    // SAFETY: a variable of this process.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

fn database_of(key: u64) -> u32 {
    (key >> 32) as u32
}

fn ticker_key() -> u64 {
    u64::from(this_database()) << 32
}

fn queue_key(queue_id: i32) -> u64 {
    ticker_key() | u64::from(queue_id as u32)
}

/// The queues of this database that have a place.
pub fn queues() -> Vec<QueueStats> {
    let database = this_database();
    let all = memory().into_iter().flat_map(|memory| memory.queues.all());
    all.filter(|queue| database_of(queue.key) == database).collect()
}

/// A queue of this database.
pub fn queue(queue_id: i32) -> Option<QueueStats> {
    let key = queue_key(queue_id);
    memory()?.queues.find(key).map(Shared::read).filter(|queue| queue.key == key)
}

/// Gives a queue of this database a place, if it has none and one is free. A queue of another name is another one.
pub fn seat(queue_id: i32, name: &[u8]) {
    let (key, now) = (queue_key(queue_id), Timestamp::clock());
    let Some(record) = memory().and_then(|memory| memory.queues.find_or_take(key)) else { return };
    if record.read().name.bytes() != name {
        record.change(|queue| *queue = QueueStats { name: Line::of(name), ..QueueStats::new(key, now) });
    }
}

/// Changes what is told of a queue of this database; the work must not fail.
pub fn change_queue(queue_id: i32, work: impl FnOnce(&mut QueueStats)) {
    if let Some(record) = memory().and_then(|memory| memory.queues.find(queue_key(queue_id))) {
        record.change(work);
    }
}

/// The tickers of all databases that have a place.
pub fn tickers() -> Vec<TickerStats> {
    memory().into_iter().flat_map(|memory| memory.tickers.all()).collect()
}

/// The ticker of this database.
pub fn ticker() -> Option<TickerStats> {
    let key = ticker_key();
    memory()?.tickers.find(key).map(Shared::read).filter(|ticker| ticker.key == key)
}

/// Gives this database a place, if it has none and one is free.
pub fn seat_ticker() {
    memory().and_then(|memory| memory.tickers.find_or_take(ticker_key()));
}

/// Changes what is told of the ticker of this database; the work must not fail.
pub fn change_ticker(work: impl FnOnce(&mut TickerStats)) {
    if let Some(record) = memory().and_then(|memory| memory.tickers.find(ticker_key())) {
        record.change(work);
    }
}

/// Takes the places of other queues of this database away.
pub fn keep_queues(is_there: impl Fn(i32) -> bool) {
    let database = this_database();
    let is_gone = |key: u64| database_of(key) == database && !is_there(key as u32 as i32);
    memory().into_iter().for_each(|memory| memory.queues.free(is_gone));
}

/// The databases that have a place, or whose queues do; each may come several times.
pub fn databases() -> impl Iterator<Item = u32> {
    let keys = memory().into_iter().flat_map(|memory| memory.tickers.keys.iter().chain(&memory.queues.keys));
    keys.map(|key| database_of(key.load(SeqCst))).filter(|oid| *oid != 0)
}

/// Takes the places of a database and its queues away.
pub fn forget_database(oid: u32) {
    if let Some(memory) = memory() {
        memory.queues.free(|key| database_of(key) == oid);
        memory.tickers.free(|key| database_of(key) == oid);
    }
}

/// Adds to what the log will hear of.
pub fn count(done: Counts) {
    let Some(Memory { counts, .. }) = memory() else { return };
    counts.ticks.fetch_add(done.ticks, SeqCst);
    counts.rounds.fetch_add(done.rounds, SeqCst);
    counts.retries.fetch_add(done.retries, SeqCst);
    counts.errors.fetch_add(done.errors, SeqCst);
}

/// What was added since the last call.
pub fn take_counts() -> Counts {
    memory().map_or(Counts::default(), |Memory { counts, .. }| Counts {
        ticks: counts.ticks.swap(0, SeqCst),
        rounds: counts.rounds.swap(0, SeqCst),
        retries: counts.retries.swap(0, SeqCst),
        errors: counts.errors.swap(0, SeqCst),
    })
}
