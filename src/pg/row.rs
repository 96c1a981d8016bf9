//! Rows of a table, as triggers get them.
#![allow(unsafe_code)]

use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, Oid};
use std::marker::PhantomData;

/// A row as it was and as it is; one of them is there at least.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// Before an update or delete.
    pub old: Option<Row<'a>>,
    /// After an insert or update.
    pub new: Option<Row<'a>>,
}

/// A row of a table.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The table that has such rows.
    pub table: Oid,
    slot: *mut pg_sys::TupleTableSlot,
    life: PhantomData<&'a ()>,
}

impl<'a> Row<'a> {
    /// # Safety
    /// The slot is null or holds a row of this table, as long as `'a`.
    #[inline]
    pub(super) unsafe fn of_slot(table: Oid, slot: *mut pg_sys::TupleTableSlot) -> Option<Row<'a>> {
        if slot.is_null() {
            return None;
        }
        // SAFETY: the caller's promise.
        unsafe {
            let count = (*(*slot).tts_tupleDescriptor).natts;
            if i32::from((*slot).tts_nvalid) < count {
                pg_sys::slot_getsomeattrs_int(slot, count);
            }
        }
        Some(Row { table, slot, life: PhantomData })
    }

    /// The stored value at a position (from 0; dropped columns count); `None` is NULL.
    #[inline]
    pub fn get(self, position: usize) -> Option<Datum> {
        // SAFETY: `of_slot` has unpacked all values; the position is checked against their number.
        unsafe {
            let slot = &*self.slot;
            assert!(position < slot.tts_nvalid as usize, "position of a column");
            (!*slot.tts_isnull.add(position)).then(|| *slot.tts_values.add(position))
        }
    }

    /// The slot that holds it.
    pub(super) fn slot(self) -> *mut pg_sys::TupleTableSlot {
        self.slot
    }
}
