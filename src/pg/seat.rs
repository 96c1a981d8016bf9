//! Shared memory: a seat for each ticker, on which it says how far it has come, and what launcher and backends tell
//! each other.
//!
//! The server does not tell the launcher with which status a child ended, and somebody who wants a database for
//! himself must find the process that sits in it. Nothing here is locked; a word that comes too late, from a
//! ticker whose seat has been given to another, is not heard, since each start has a number of its own.
#![allow(unsafe_code)]

use super::signal;
use pgq_bgworker::{Rounds, Stage};
use pgrx::pg_sys;
use pgrx::pg_sys::Oid;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// The head of the shared memory; as many [`Place`]s as there may be background workers follow it.
#[repr(C)]
struct Board {
    places: u32,
    /// How many tickers were ever started.
    starts: AtomicU32,
    /// The latch of the launcher. Its memory outlives it: at worst a stranger is woken for nothing.
    launcher: AtomicPtr<pg_sys::Latch>,
    /// How many tickers should make room for others.
    room_wanted: AtomicU32,
    /// Databases in which an extension was made, for the launcher to look into.
    newcomers: Notes,
    /// Databases that somebody wants for himself, for the launcher to stay away from.
    claims: Notes,
}

/// Some databases, noted for the launcher; 0 is free. What finds no room here the launcher finds out later.
#[repr(C)]
struct Notes([AtomicU32; 32]);

/// What the owner of a database waits for a ticker that is sent away.
const PATIENCE_MS: u32 = 100;

impl Notes {
    fn add(&self, database: Oid) {
        let oid = database.to_u32();
        self.0.iter().any(|note| note.compare_exchange(0, oid, SeqCst, SeqCst).is_ok());
    }

    fn take(&self) -> Vec<u32> {
        self.0.iter().map(|note| note.swap(0, SeqCst)).filter(|oid| *oid != 0).collect()
    }
}

#[repr(C)]
struct Place {
    /// The number of the start, and in the lowest byte the stage.
    word: AtomicU64,
    database: AtomicU32,
    process: AtomicI32,
    /// When the rounds were done last: from the launcher to the ticker when it comes, and back when it leaves.
    rounds: [AtomicU64; 3],
}

/// Null in a server that has not preloaded us.
static BOARD: AtomicPtr<Board> = AtomicPtr::new(std::ptr::null_mut());

/// The shared memory that is needed.
pub(super) fn size() -> usize {
    // SAFETY: a setting that is fixed before libraries are asked for their wants.
    let places = unsafe { pg_sys::max_worker_processes } as usize;
    size_of::<Board>() + places * size_of::<Place>()
}

/// Takes over the memory.
///
/// # Safety
/// `memory` is zeroed, as large as asked for, aligned for any type, shared by all processes, and not yet seen by any
/// other.
pub(super) unsafe fn settle(memory: *mut u8) {
    let board = memory.cast::<Board>();
    // SAFETY: room for it was asked for, and nobody else looks yet.
    unsafe { (*board).places = pg_sys::max_worker_processes as u32 };
    BOARD.store(board, SeqCst);
}

fn board() -> Option<(&'static Board, &'static [Place])> {
    // SAFETY: null or what `settle` was given, which lives as long as the process; it is changed through
    // atomics only, and the number of places not at all.
    unsafe {
        let board = BOARD.load(SeqCst).as_ref()?;
        let places = std::ptr::from_ref(board).add(1).cast::<Place>();
        Some((board, std::slice::from_raw_parts(places, board.places as usize)))
    }
}

/// In the launcher: from now on a ticker that has news wakes this process.
pub fn wake_me() {
    if let Some((board, _)) = board() {
        // SAFETY: a variable of this process, which points to its latch in shared memory.
        board.launcher.store(unsafe { pg_sys::MyLatch }, SeqCst);
    }
}

/// Something has happened that the launcher should look at. May be called where nothing may fail.
pub(super) fn wake_launcher() {
    let launcher = board().map_or(std::ptr::null_mut(), |(board, _)| board.launcher.load(SeqCst));
    if !launcher.is_null() {
        // SAFETY: a latch in shared memory, which is never freed.
        unsafe { pg_sys::SetLatch(launcher) };
    }
}

/// Tells the launcher that an extension was made in this database. Called at the end of a commit, where nothing may
/// fail.
pub fn announce(database: Oid) {
    if let Some((board, _)) = board() {
        board.newcomers.add(database);
        wake_launcher();
    }
}

/// In the launcher: the databases that were announced since the last call.
pub fn newcomers() -> Vec<u32> {
    board().map_or_else(Vec::new, |(board, _)| board.newcomers.take())
}

/// Has the ticker of this database, if there is one, leave at once, and the launcher stay away from it for some
/// seconds.
///
/// First the note, then the look for a ticker: a launcher that has not seen the note when it gives out the seat sees
/// it right after that, and sends the ticker away itself.
pub fn claim(database: Oid) {
    if let Some((board, _)) = board() {
        board.claims.add(database);
        wake_launcher();
        send_away(database);
    }
}

/// In the launcher: the databases that were claimed since the last call.
pub fn claimed() -> Vec<u32> {
    board().map_or_else(Vec::new, |(board, _)| board.claims.take())
}

/// Asks the ticker of this database, if there is one, to leave at once.
///
/// First the word, then the look whether it is in the database: one that is just entering does it the other way
/// round, so it sees the word if it is not seen.
pub fn send_away(database: Oid) {
    let Some((_, places)) = board() else { return };
    for place in places.iter().filter(|place| place.database.load(SeqCst) == database.to_u32()) {
        place.word.update(SeqCst, SeqCst, |word| word & !0xff | Stage::SentAway as u64);
        let process = place.process.load(SeqCst);
        signal::wake(process);
        // One that has nothing to do leaves by itself; one that works is told more firmly.
        let leaves = (0..PATIENCE_MS).any(|_| {
            let is_there = signal::is_in_database(process, database);
            if is_there {
                std::thread::sleep(Duration::from_millis(1));
            }
            !is_there
        });
        if !leaves {
            signal::terminate(process);
        }
    }
}

/// In the launcher: so many tickers should leave when they have nothing to do.
pub fn want_room(tickers: usize) {
    let Some((board, places)) = board() else { return };
    let wanted = tickers as u32;
    if board.room_wanted.swap(wanted, SeqCst) < wanted {
        places.iter().for_each(|place| signal::wake(place.process.load(SeqCst)));
    }
}

/// In a ticker: whether some should leave.
pub fn is_room_wanted() -> bool {
    board().is_some_and(|(board, _)| board.room_wanted.load(SeqCst) > 0)
}

/// In a ticker: whether it is one of those who leave.
pub fn make_room() -> bool {
    board().is_some_and(|(board, _)| {
        board.room_wanted.fetch_update(SeqCst, SeqCst, |wanted| wanted.checked_sub(1)).is_ok()
    })
}

/// The number of a process that has ended may be given to anybody's session.
unsafe extern "C-unwind" fn on_exit(_: std::ffi::c_int, number: pg_sys::Datum) {
    // SAFETY: a variable of this process.
    let own = unsafe { pg_sys::MyProcPid };
    if let Some(place) = board().and_then(|(_, places)| places.get(number.value())) {
        let _ = place.process.compare_exchange(own, 0, SeqCst, SeqCst);
    }
}

/// A place on the board, for one process.
#[derive(Clone, Copy)]
pub struct Seat {
    number: u32,
    start: u32,
}

impl Seat {
    /// In the launcher: finds a place for a ticker that is about to be started; `taken` are those of living ones.
    pub fn reserve(database: Oid, rounds: Rounds, taken: &[u32]) -> Option<Seat> {
        let (board, places) = board()?;
        let number = (0..board.places).find(|number| !taken.contains(number))?;
        let seat = Seat { number, start: board.starts.fetch_add(1, SeqCst).wrapping_add(1) };
        let place = &places[number as usize];
        place.process.store(0, SeqCst);
        place.database.store(database.to_u32(), SeqCst);
        place.word.store(seat.word(Stage::Looking), SeqCst);
        seat.hand_over(rounds);
        Some(seat)
    }

    /// Which place it is.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// In the ticker: lets itself be found.
    pub fn sit_down(&self) {
        if let Some(place) = self.place() {
            // SAFETY: a variable of this process; the callback has the declared type, and cannot raise an error.
            unsafe {
                place.process.store(pg_sys::MyProcPid, SeqCst);
                pg_sys::before_shmem_exit(Some(on_exit), pg_sys::Datum::from(u64::from(self.number)));
            }
        }
    }

    /// In the ticker: tells the launcher. That it was sent away remains its last word.
    pub fn say(&self, stage: Stage) {
        let Some(place) = self.place() else { return };
        let sent_away = self.word(Stage::SentAway);
        place.word.update(SeqCst, SeqCst, |word| if word == sent_away { word } else { self.word(stage) });
        wake_launcher();
    }

    /// Notes when the rounds were done last, for who comes next.
    pub fn hand_over(&self, rounds: Rounds) {
        if let Some(place) = self.place() {
            place.rounds.iter().zip(rounds.to_micros()).for_each(|(note, micros)| note.store(micros, SeqCst));
        }
    }

    /// When the rounds were done last, as noted.
    pub fn rounds(&self) -> Rounds {
        let noted = |place: &Place| place.rounds.each_ref().map(|note| note.load(SeqCst));
        self.place().map_or_else(Rounds::default, |place| Rounds::from_micros(noted(place)))
    }

    /// What was said last.
    pub fn stage(&self) -> Stage {
        let said = self.place().map(|place| place.word.load(SeqCst) as u8);
        said.and_then(Stage::from_number).unwrap_or(Stage::Looking)
    }

    fn word(&self, stage: Stage) -> u64 {
        u64::from(self.start) << 8 | stage as u64
    }

    /// The place, as long as it is this seat's.
    fn place(&self) -> Option<&'static Place> {
        let place = board()?.1.get(self.number as usize)?;
        (place.word.load(SeqCst) >> 8 == u64::from(self.start)).then_some(place)
    }

    /// As handed to the process that will sit there.
    pub fn to_bytes(self) -> [u8; 8] {
        (u64::from(self.number) << 32 | u64::from(self.start)).to_le_bytes()
    }

    /// What [`to_bytes`](Self::to_bytes) has made, at the start of a longer field.
    pub fn from_bytes(bytes: &[u8]) -> Seat {
        let word = u64::from_le_bytes(std::array::from_fn(|index| bytes[index]));
        Seat { number: (word >> 32) as u32, start: word as u32 }
    }
}
