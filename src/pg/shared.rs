//! A value in shared memory that is larger than a word, and yet never read half-written.
//!
//! A version counts the changes and is odd during one: who wants to change makes it odd first, and so keeps other
//! changes away; who reads reads again when the version was odd or has grown meanwhile. Nobody waits longer than the
//! copying of a few hundred bytes takes. A process that is killed in between takes the whole memory along: the server
//! makes it anew.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// What may be copied word by word.
///
/// # Safety
/// Any bytes are a value; there is no padding; size and alignment are those of some `u64`s.
pub unsafe trait Plain: Copy {}

/// The value and its version. All-zero bytes are one.
#[repr(C)]
pub struct Shared<T> {
    version: AtomicU64,
    value: UnsafeCell<T>,
}

impl<T: Plain> Shared<T> {
    /// The value, as it was between two changes.
    pub fn read(&self) -> T {
        loop {
            let before = self.version.load(Ordering::Acquire);
            let value = self.copy();
            fence(Ordering::Acquire);
            if before & 1 == 0 && self.version.load(Ordering::Relaxed) == before {
                return value;
            }
            std::thread::yield_now();
        }
    }

    /// Changes the value. The work must be short, and must not fail: others wait for it.
    pub fn change(&self, work: impl FnOnce(&mut T)) {
        let version = self.begin_change();
        let mut value = self.copy();
        work(&mut value);
        let source = std::ptr::from_ref(&value).cast::<u64>();
        for (index, word) in self.words().iter().enumerate() {
            // SAFETY: as many words as the value has.
            word.store(unsafe { source.add(index).read() }, Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// Makes the version odd; what it was before.
    fn begin_change(&self) -> u64 {
        loop {
            let version = self.version.load(Ordering::Relaxed);
            let odd = version.wrapping_add(1);
            if version & 1 == 0
                && self.version.compare_exchange(version, odd, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                // Whoever sees a word of the change sees the odd version too.
                fence(Ordering::Release);
                return version;
            }
            std::thread::yield_now();
        }
    }

    /// The words as they are, perhaps of two versions.
    fn copy(&self) -> T {
        let mut value = MaybeUninit::<T>::uninit();
        let target = value.as_mut_ptr().cast::<u64>();
        for (index, word) in self.words().iter().enumerate() {
            // SAFETY: as many words as the value has.
            unsafe { target.add(index).write(word.load(Ordering::Relaxed)) };
        }
        // SAFETY: each word is written, and any bytes are a value.
        unsafe { value.assume_init() }
    }

    fn words(&self) -> &[AtomicU64] {
        const { assert!(size_of::<T>().is_multiple_of(size_of::<u64>()) && align_of::<T>() == align_of::<u64>()) };
        // SAFETY: `T` is plain words, and nobody ever reaches them but as these atomics.
        unsafe {
            std::slice::from_raw_parts(
                self.value.get().cast::<AtomicU64>(),
                size_of::<T>() / size_of::<u64>(),
            )
        }
    }
}

/// A short text of fixed size: what fits of a longer one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Line<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> Line<SIZE> {
    /// Nothing.
    pub const EMPTY: Self = Line([0; SIZE]);

    /// The most bytes that fit.
    pub const LONGEST: usize = SIZE - 1;

    /// The bytes, of which no more than [`LONGEST`](Self::LONGEST) are kept: callers cut between characters.
    pub fn of(bytes: &[u8]) -> Self {
        let mut line = [0; SIZE];
        let end = bytes.len().min(Self::LONGEST);
        line[..end].copy_from_slice(&bytes[..end]);
        Line(line)
    }

    /// What is kept; a text has no zero byte.
    pub fn bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

// Nothing here knows a server. So these run with the suite (the library itself cannot be linked to a test).
#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Alike([u64; 64]);

    // SAFETY: numbers, any of which is a value.
    unsafe impl Plain for Alike {}
    // SAFETY: reached through atomics only.
    unsafe impl Sync for Shared<Alike> {}

    #[test]
    fn readers_see_all_of_a_change_or_nothing_and_no_change_is_lost() {
        const CHANGES: u64 = 200_000;
        let shared = Shared { version: AtomicU64::new(0), value: UnsafeCell::new(Alike([0; 64])) };
        let change =
            || (0..CHANGES).for_each(|_| shared.change(|value| value.0.iter_mut().for_each(|n| *n += 1)));
        std::thread::scope(|threads| {
            let writers = [threads.spawn(change), threads.spawn(change)];
            let mut newest = 0;
            while !writers.iter().all(|writer| writer.is_finished()) {
                let Alike(seen) = shared.read();
                assert!(seen.iter().all(|number| *number == seen[0]), "{seen:?}");
                assert!(seen[0] >= newest);
                newest = seen[0];
            }
        });
        assert_eq!(shared.read().0[0], 2 * CHANGES);
    }

    #[test]
    fn a_line_keeps_what_fits() {
        assert_eq!(Line::<8>::EMPTY.bytes(), b"");
        assert_eq!(Line::<8>::of(b"short").bytes(), b"short");
        assert_eq!(Line::<8>::of(b"too long a text").bytes(), b"too lon");
    }
}
