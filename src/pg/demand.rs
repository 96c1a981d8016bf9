//! Shared memory: which queues of a database have news, and for which somebody waits.
//!
//! A producer's commit marks its queues as *pending*, a consumer that found nothing marks its queue as *waited for*.
//! Where both meet, the ticker is woken and ticks at once. Queues are told apart by their number modulo 1024: a
//! false alarm costs a look or a tick, and nothing has to be kept in step with `pgq.queue`.
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

use super::seat;
use pgq_bgworker::Demand;
use pgrx::pg_sys;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::SeqCst};

/// The marks of one database, in cache lines of their own.
#[repr(C, align(64))]
struct Desk {
    /// 0: free.
    database: AtomicU32,
    /// The latch of the ticker, or null: then the launcher has to send one. Its memory outlives it: at worst a stranger
    /// is woken for nothing.
    ticker: AtomicPtr<pg_sys::Latch>,
    pending: SharedMarks,
    waiting: SharedMarks,
    /// Those that were waited for and are being ticked: a ticker that is ended meanwhile leaves them to the next.
    in_hand: SharedMarks,
}

/// Databases beyond these are polled.
const DESKS: usize = 256;

/// Null in a server that has not preloaded us.
static HALL: AtomicPtr<Desk> = AtomicPtr::new(std::ptr::null_mut());

/// The lock under which desks are given out and taken back; null as the hall.
static LOCK: AtomicPtr<pg_sys::LWLock> = AtomicPtr::new(std::ptr::null_mut());

/// This process's desk, looked up once.
static MINE: AtomicPtr<Desk> = AtomicPtr::new(std::ptr::null_mut());

/// The queues that this transaction has inserted into; the flag says whether there are any.
static TOUCHED: SharedMarks = SharedMarks([const { AtomicU64::new(0) }; WORDS]);
static HAS_TOUCHED: AtomicBool = AtomicBool::new(false);

const WORDS: usize = 16;

/// Queues whose numbers are the same modulo this share a mark.
pub const RESIDUES: i32 = (WORDS * 64) as i32;

/// Some queues of a database.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Queues([u64; WORDS]);

impl Queues {
    /// All.
    pub const EVERY: Queues = Queues([u64::MAX; WORDS]);

    /// Adds a queue.
    pub fn add(&mut self, queue_id: i32) {
        let (word, bit) = place(queue_id);
        self.0[word] |= bit;
    }

    /// Whether the queue is among them, or one with its mark.
    pub fn have(&self, queue_id: i32) -> bool {
        let (word, bit) = place(queue_id);
        self.0[word] & bit != 0
    }

    /// Whether there are none.
    pub fn are_none(&self) -> bool {
        *self == Queues::default()
    }

    /// The marks as the remainders that they stand for.
    pub fn residues(&self) -> impl Iterator<Item = i32> {
        (0..RESIDUES).filter(|residue| self.have(*residue))
    }

    /// Those that are among the others too.
    pub fn among(self, others: &Queues) -> Queues {
        Queues(std::array::from_fn(|word| self.0[word] & others.0[word]))
    }

    /// Those that are not among the others.
    pub fn without(self, others: &Queues) -> Queues {
        Queues(std::array::from_fn(|word| self.0[word] & !others.0[word]))
    }
}

/// The mark of a queue: the number of the word, and the bit in it.
#[inline]
fn place(queue_id: i32) -> (usize, u64) {
    let residue = queue_id.rem_euclid(RESIDUES) as usize;
    (residue / 64, 1 << (residue % 64))
}

#[repr(C)]
struct SharedMarks([AtomicU64; WORDS]);

impl SharedMarks {
    fn add(&self, queues: &Queues) {
        for (word, marks) in self.0.iter().zip(queues.0).filter(|(_, marks)| *marks != 0) {
            word.fetch_or(marks, SeqCst);
        }
    }

    fn remove(&self, queues: &Queues) {
        for (word, marks) in self.0.iter().zip(queues.0).filter(|(_, marks)| *marks != 0) {
            word.fetch_and(!marks, SeqCst);
        }
    }

    fn take_all(&self) -> Queues {
        Queues(std::array::from_fn(|word| match self.0[word].load(SeqCst) {
            0 => 0,
            _ => self.0[word].swap(0, SeqCst),
        }))
    }
}

/// The shared memory that is needed.
pub(super) fn size() -> usize {
    DESKS * size_of::<Desk>() + align_of::<Desk>()
}

/// Asks for the lock under which desks are given out and taken back.
///
/// # Safety
/// This is the time at which the server lets libraries ask.
pub(super) unsafe fn request_lock() {
    // SAFETY: passed on to the caller; the name is copied.
    unsafe { pg_sys::RequestNamedLWLockTranche(c"pgq".as_ptr(), 1) };
}

/// Takes over the memory.
///
/// # Safety
/// `memory` is zeroed, as large as asked for, shared by all processes, and not yet seen by any other; the lock was
/// asked for.
pub(super) unsafe fn settle(memory: *mut u8) {
    // SAFETY: room for the alignment was asked for.
    let hall = unsafe { memory.add(memory.align_offset(align_of::<Desk>())) };
    // SAFETY: the server has made the one lock that was asked for.
    LOCK.store(unsafe { &raw mut (*pg_sys::GetNamedLWLockTranche(c"pgq".as_ptr())).lock }, SeqCst);
    HALL.store(hall.cast(), SeqCst);
}

/// All desks; none without preloading.
fn desks() -> &'static [Desk] {
    let hall = HALL.load(SeqCst);
    match hall.is_null() {
        true => &[],
        // SAFETY: as large as `size` says; changed through atomics only.
        false => unsafe { std::slice::from_raw_parts(hall, DESKS) },
    }
}

/// The desk that is, or for 0 may become, this database's.
fn desk_of(database: u32, near: u32) -> Option<&'static Desk> {
    let (before, from) = desks().split_at_checked(near as usize % DESKS)?;
    from.iter().chain(before).find(|desk| desk.database.load(SeqCst) == database)
}

/// Does something while no desk is given out or taken back.
fn locked<R>(work: impl FnOnce() -> R) -> R {
    let lock = LOCK.load(SeqCst);
    // SAFETY: the lock was made together with the desks. What is done under it raises no error.
    unsafe {
        pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE);
        let result = work();
        pg_sys::LWLockRelease(lock);
        result
    }
}

/// The desk of this process's database; `None` without preloading, or when all are taken.
fn mine() -> Option<&'static Desk> {
    // SAFETY: null or a desk in shared memory, which lives as long as the process.
    if let Some(desk) = unsafe { MINE.load(SeqCst).as_ref() } {
        return Some(desk);
    }
    // SAFETY: a variable of this process.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    let find = || desk_of(database, database);
    let desk = match find() {
        Some(desk) => desk,
        // Not worth the lock if there is no other.
        None => desk_of(0, database).and_then(|_| {
            locked(|| {
                find().or_else(|| desk_of(0, database).inspect(|desk| desk.database.store(database, SeqCst)))
            })
        })?,
    };
    MINE.store(std::ptr::from_ref(desk).cast_mut(), SeqCst);
    Some(desk)
}

/// In the launcher: the databases that have a desk.
pub fn databases() -> Vec<u32> {
    desks().iter().map(|desk| desk.database.load(SeqCst)).filter(|database| *database != 0).collect()
}

/// In the launcher: takes the desk from a database that is gone.
pub fn forget(database: u32) {
    for desk in desks().iter().filter(|desk| desk.database.load(SeqCst) == database) {
        locked(|| {
            desk.pending.take_all();
            desk.waiting.take_all();
            desk.in_hand.take_all();
            desk.ticker.store(std::ptr::null_mut(), SeqCst);
            desk.database.store(0, SeqCst);
        });
    }
}

/// In the launcher: what goes on in a database. Where there was no desk left for it, there may always be something.
pub fn in_database(database: u32) -> Demand {
    match desk_of(database, database) {
        Some(desk) if !desk.wanted().are_none() => Demand::Wanted,
        Some(desk) if !desk.is_pending() => Demand::Nothing,
        _ => Demand::News,
    }
}

impl Desk {
    fn wake(&self) {
        let ticker = self.ticker.load(SeqCst);
        match ticker.is_null() {
            true => seat::wake_launcher(),
            // SAFETY: a latch in shared memory, which is never freed.
            false => unsafe { pg_sys::SetLatch(ticker) },
        }
    }

    fn is_pending(&self) -> bool {
        self.pending.0.iter().any(|word| word.load(SeqCst) != 0)
    }

    /// Woken once for each mark that is new, not with each commit.
    fn add_pending(&self, queues: &Queues) {
        let mut is_waited_for = false;
        for (word, marks) in queues.0.into_iter().enumerate().filter(|(_, marks)| *marks != 0) {
            let new = marks & !self.pending.0[word].fetch_or(marks, SeqCst);
            is_waited_for |= new & self.waiting.0[word].load(SeqCst) != 0;
        }
        if is_waited_for {
            self.wake();
        }
    }

    fn wanted(&self) -> Queues {
        Queues(std::array::from_fn(|word| {
            self.pending.0[word].load(SeqCst) & self.waiting.0[word].load(SeqCst)
        }))
    }
}

/// The current transaction has done something about this queue that the ticker should look at.
#[inline]
pub fn touch(queue_id: i32) {
    use std::sync::atomic::Ordering::Relaxed;
    let (word, bit) = place(queue_id);
    let word = &TOUCHED.0[word];
    if word.load(Relaxed) & bit == 0 {
        word.store(word.load(Relaxed) | bit, Relaxed);
        HAS_TOUCHED.store(true, Relaxed);
        // At the commit there is no time for it.
        mine();
    }
}

/// The transaction is committed and visible to others. Called where nothing may fail.
pub(super) fn committed() {
    if HAS_TOUCHED.swap(false, SeqCst) {
        let touched = TOUCHED.take_all();
        // Found by `touch`; there was none if it is not known by now.
        // SAFETY: null or a desk in shared memory, which lives as long as the process.
        if let Some(desk) = unsafe { MINE.load(SeqCst).as_ref() } {
            desk.add_pending(&touched);
        }
    }
}

/// The transaction is rolled back, or prepared, which is not the end of it.
pub(super) fn not_committed() {
    if HAS_TOUCHED.swap(false, SeqCst) {
        TOUCHED.take_all();
    }
}

/// A prepared transaction was committed; nobody knows any more which queues it touched.
pub(super) fn committed_prepared() {
    mine().into_iter().for_each(|desk| desk.add_pending(&Queues::EVERY));
}

/// What is done about this queue counts at once, whatever becomes of the transaction.
pub fn touch_at_once(queue_id: i32) {
    let mut queues = Queues::default();
    queues.add(queue_id);
    mine().into_iter().for_each(|desk| desk.add_pending(&queues));
}

/// In a consumer: it has read all there is.
pub fn wait_for(queue_id: i32) {
    let Some(desk) = mine() else { return };
    let (word, bit) = place(queue_id);
    desk.waiting.0[word].fetch_or(bit, SeqCst);
    if desk.pending.0[word].load(SeqCst) & bit != 0 {
        desk.wake();
    }
}

/// Whether a consumer has said so, of this queue or of one with its mark, and waits still.
pub fn is_waited_for(queue_id: i32) -> bool {
    let (word, bit) = place(queue_id);
    mine().is_some_and(|desk| desk.waiting.0[word].load(SeqCst) & bit != 0)
}

/// In the ticker: from now on, until it ends in whatever way, news wake this process, and who waited for a tick of its
/// predecessor waits for one of its own.
pub fn wake_me() {
    if let Some(desk) = mine() {
        desk.waiting.add(&desk.in_hand.take_all());
        // SAFETY: a variable of this process, which points to its latch in shared memory; the callback has the declared
        // type, and cannot raise an error.
        unsafe {
            desk.ticker.store(pg_sys::MyLatch, SeqCst);
            pg_sys::before_shmem_exit(Some(on_exit), pg_sys::Datum::null());
        }
    }
}

/// What comes from now on wakes the launcher; at what came before it looks when it hears of this process's end.
unsafe extern "C-unwind" fn on_exit(_: std::ffi::c_int, _: pg_sys::Datum) {
    if let Some(desk) = mine() {
        // SAFETY: a variable of this process.
        let latch = unsafe { pg_sys::MyLatch };
        // Another ticker may sit here already: then the latch is not ours.
        let _ = desk.ticker.compare_exchange(latch, std::ptr::null_mut(), SeqCst, SeqCst);
    }
}

/// In the ticker: whether somebody waits for news that are there.
pub fn is_wanted() -> bool {
    mine().is_some_and(|desk| !desk.wanted().are_none())
}

/// In the ticker: takes the marks of the queues that are waited for and have news; to be followed by [`put_down`].
pub fn take_wanted() -> Queues {
    mine().map_or_else(Queues::default, |desk| {
        let wanted = desk.wanted();
        desk.in_hand.add(&wanted);
        desk.pending.remove(&wanted);
        desk.waiting.remove(&wanted);
        wanted
    })
}

/// In the ticker: of those taken these were not ticked, so who waited for them waits on.
pub fn put_down(not_ticked: &Queues) {
    if let Some(desk) = mine() {
        desk.waiting.add(not_ticked);
        desk.in_hand.take_all();
    }
}

/// In the ticker: whether any queue has news; without marks, always.
pub fn is_pending() -> bool {
    mine().is_none_or(Desk::is_pending)
}

/// In the ticker: takes the marks of all queues that have news; without marks it is as if every queue had some.
pub fn take_pending() -> Queues {
    mine().map_or(Queues::EVERY, |desk| desk.pending.take_all())
}

/// In the ticker: these have news that are not in a tick yet.
pub fn give_back_pending(queues: &Queues) {
    mine().into_iter().for_each(|desk| desk.pending.add(queues));
}
