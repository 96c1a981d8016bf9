//! Shared memory: which queues of a database have news, and for which somebody waits.
//!
//! A producer's commit marks its queues as *pending*, a consumer that found nothing marks its queue as *waited for*.
//! Where both meet, the ticker is woken and ticks at once. Queues are told apart by their number modulo 64: a
//! false alarm costs a look, and nothing has to be kept in step with `pgq.queue`.
//!
//! ```text
//!   producer, after its commit       consumer, having found nothing
//!   pending |= queue                 waiting |= queue
//!   is it waited for? wake           is it pending? wake
//! ```
//!
//! Both write first and look then, so one of the two sees the other. The ticker takes the marks away before it takes
//! a tick's snapshot: what comes later is seen later.
#![allow(unsafe_code)]

use pgrx::pg_sys;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::SeqCst};

/// The marks of one database, in a cache line of their own.
#[repr(C, align(64))]
struct Desk {
    /// 0: free.
    database: AtomicU32,
    pending: AtomicU64,
    waiting: AtomicU64,
    /// The latch of the ticker. Its memory outlives it: at worst a stranger is woken for nothing.
    ticker: AtomicPtr<pg_sys::Latch>,
}

/// Databases beyond these are polled.
const DESKS: usize = 256;

/// Null in a server that has not preloaded us.
static HALL: AtomicPtr<Desk> = AtomicPtr::new(std::ptr::null_mut());

/// This process's desk, looked up once.
static MINE: AtomicPtr<Desk> = AtomicPtr::new(std::ptr::null_mut());

/// The queues that this transaction has inserted into.
static TOUCHED: AtomicU64 = AtomicU64::new(0);

/// The shared memory that is needed.
pub(super) fn size() -> usize {
    DESKS * size_of::<Desk>() + align_of::<Desk>()
}

/// Takes over the memory.
///
/// # Safety
/// `memory` is zeroed, as large as asked for, shared by all processes, and not yet seen by any other.
pub(super) unsafe fn settle(memory: *mut u8) {
    // SAFETY: room for the alignment was asked for.
    let hall = unsafe { memory.add(memory.align_offset(align_of::<Desk>())) };
    HALL.store(hall.cast(), SeqCst);
}

/// The marks of some queues of a database.
pub type Queues = u64;

/// The mark of a queue.
pub fn mark(queue_id: i32) -> Queues {
    1 << (queue_id as u32 % 64)
}

/// The desk of this process's database; `None` without preloading, or when all are taken.
fn mine() -> Option<&'static Desk> {
    // SAFETY: null or a desk in shared memory, which lives as long as the process.
    if let Some(desk) = unsafe { MINE.load(SeqCst).as_ref() } {
        return Some(desk);
    }
    let hall = HALL.load(SeqCst);
    if hall.is_null() {
        return None;
    }
    // SAFETY: as large as `size` says; changed through atomics only.
    let desks = unsafe { std::slice::from_raw_parts(hall, DESKS) };
    // SAFETY: a variable of this process.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    let first = database as usize;
    let desk = (0..DESKS).map(|step| &desks[(first + step) % DESKS]).find(|desk| {
        match desk.database.compare_exchange(0, database, SeqCst, SeqCst) {
            Ok(_) => true,
            Err(owner) => owner == database,
        }
    })?;
    MINE.store(std::ptr::from_ref(desk).cast_mut(), SeqCst);
    Some(desk)
}

/// Gives back the desks of databases that are gone.
pub fn forget(is_there: impl Fn(u32) -> bool) {
    let hall = HALL.load(SeqCst);
    if hall.is_null() {
        return;
    }
    // SAFETY: as in `mine`.
    for desk in unsafe { std::slice::from_raw_parts(hall, DESKS) } {
        let database = desk.database.load(SeqCst);
        if database != 0 && !is_there(database) {
            desk.pending.store(0, SeqCst);
            desk.waiting.store(0, SeqCst);
            desk.ticker.store(std::ptr::null_mut(), SeqCst);
            desk.database.store(0, SeqCst);
        }
    }
}

impl Desk {
    fn wake(&self) {
        let ticker = self.ticker.load(SeqCst);
        if !ticker.is_null() {
            // SAFETY: a latch in shared memory, which is never freed.
            unsafe { pg_sys::SetLatch(ticker) };
        }
    }

    /// Woken once for each mark that is new, not with each commit.
    fn add_pending(&self, queues: Queues) {
        let new = queues & !self.pending.fetch_or(queues, SeqCst);
        if new & self.waiting.load(SeqCst) != 0 {
            self.wake();
        }
    }
}

/// In a producer: the current transaction has inserted into this queue.
#[inline]
pub fn touch(queue_id: i32) {
    use std::sync::atomic::Ordering::Relaxed;
    TOUCHED.store(TOUCHED.load(Relaxed) | mark(queue_id), Relaxed);
    mine();
}

/// The transaction is committed and visible to others. Called where nothing may fail.
pub(super) fn committed() {
    let touched = TOUCHED.swap(0, SeqCst);
    if touched != 0
        && let Some(desk) = mine()
    {
        desk.add_pending(touched);
    }
}

/// The transaction is rolled back, or prepared, which is not the end of it.
pub(super) fn not_committed() {
    TOUCHED.store(0, SeqCst);
}

/// A prepared transaction was committed; nobody knows any more which queues it touched.
pub(super) fn committed_prepared() {
    if let Some(desk) = mine() {
        desk.add_pending(Queues::MAX);
    }
}

/// In a consumer: it has read all there is.
pub fn wait_for(queue_id: i32) {
    let Some(desk) = mine() else { return };
    let queue = mark(queue_id);
    desk.waiting.fetch_or(queue, SeqCst);
    if desk.pending.load(SeqCst) & queue != 0 {
        desk.wake();
    }
}

/// In the ticker: from now on news wake this process.
pub fn wake_me() {
    if let Some(desk) = mine() {
        // SAFETY: a variable of this process, which points to its latch in shared memory.
        desk.ticker.store(unsafe { pg_sys::MyLatch }, SeqCst);
    }
}

/// In the ticker: whether somebody waits for news that are there.
pub fn is_wanted() -> bool {
    mine().is_some_and(|desk| desk.pending.load(SeqCst) & desk.waiting.load(SeqCst) != 0)
}

/// In the ticker: takes the marks of the queues that are waited for and have news.
pub fn take() -> Queues {
    mine().map_or(0, |desk| {
        let wanted = desk.pending.load(SeqCst) & desk.waiting.load(SeqCst);
        desk.pending.fetch_and(!wanted, SeqCst);
        desk.waiting.fetch_and(!wanted, SeqCst);
        wanted
    })
}

/// In the ticker: these had no news after all, so who waited waits on.
pub fn give_back(queues: Queues) {
    if let Some(desk) = mine() {
        desk.waiting.fetch_or(queues, SeqCst);
    }
}
