//! Event tables, written directly: no planner, no executor.
//!
//! A direct insert skips privileges, triggers, constraints, row security and defaults. So it is done only where
//! there is nothing to skip: a plain heap table of exactly our eleven columns, whose indexes are plain btrees.
#![allow(unsafe_code)]

use super::compat::{attribute, has_virtual_columns};
use super::guard::guarded;
use super::{raw, watch};
use crate::error::{Error, Result};
use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, Oid};

/// The columns of an event table, in order.
pub const COLUMNS: usize = 11;

/// Positions in [`EventRow`].
pub mod column {
    #![allow(missing_docs)]
    pub const ID: usize = 0;
    pub const TIME: usize = 1;
    pub const TXID: usize = 2;
    pub const OWNER: usize = 3;
    pub const TYPE: usize = 5;
}

/// Their types.
pub const COLUMN_TYPES: [Oid; COLUMNS] = [
    pg_sys::INT8OID,
    pg_sys::TIMESTAMPTZOID,
    pg_sys::INT8OID,
    pg_sys::INT4OID,
    pg_sys::INT4OID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
];

/// The values of one event as the server holds them. Payload may be compressed or out of line; it is passed on.
pub struct EventRow {
    pub(super) values: [Datum; COLUMNS],
    pub(super) nulls: [bool; COLUMNS],
}

impl Default for EventRow {
    fn default() -> Self {
        EventRow { values: [Datum::null(); COLUMNS], nulls: [true; COLUMNS] }
    }
}

impl EventRow {
    /// Sets a column; `None` is NULL.
    #[inline]
    pub(crate) fn set(&mut self, column: usize, value: Option<Datum>) {
        self.values[column] = value.unwrap_or(Datum::null());
        self.nulls[column] = value.is_none();
    }
}

/// An index that has to be kept up with the table.
struct PlainIndex {
    oid: Oid,
    /// Positions of the indexed columns in [`EventRow`].
    columns: Vec<usize>,
    /// In the session's memory, freed with this struct.
    info: *mut pg_sys::IndexInfo,
}

impl Drop for PlainIndex {
    fn drop(&mut self) {
        // SAFETY: allocated by `inspect_index` in memory of the session, and owned by this struct alone.
        unsafe { pg_sys::pfree(self.info.cast()) };
    }
}

/// An event table that has been found to be exactly ours.
pub struct EventTable {
    /// The table.
    pub oid: Oid,
    indexes: Vec<PlainIndex>,
}

/// What an event table turned out to be.
pub enum Found {
    /// Ours: it can be written directly.
    Ours(EventTable),
    /// Somebody added a trigger, a constraint, a column, …: it has to be written in SQL.
    Altered,
    /// It does not exist (any more).
    Gone,
}

/// A lock that stays until the end of the transaction, also when the savepoint in which it was taken is rolled
/// back: what is remembered for the transaction relies on it.
pub fn lock_for_insert(relation: Oid) {
    // SAFETY: as nextval() does with its sequence: an error leaves the resource owner to the abort, which resets it.
    unsafe {
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
        pg_sys::LockRelationOid(relation, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE);
        pg_sys::CurrentResourceOwner = owner;
    }
}

impl EventTable {
    /// Looks whether a (locked) table can be written directly, and from now on watches it for changes.
    pub fn inspect(oid: Oid) -> Found {
        watch::watch(oid);
        // SAFETY: the relation is open while it is looked at, and the lock of the caller keeps it from changing.
        unsafe {
            let relation = pg_sys::RelationIdGetRelation(oid);
            if relation.is_null() {
                return Found::Gone;
            }
            let indexes = is_ours(relation).then(|| inspect_indexes(relation)).flatten();
            pg_sys::RelationClose(relation);
            match indexes {
                Some(indexes) => Found::Ours(EventTable { oid, indexes }),
                None => Found::Altered,
            }
        }
    }

    /// Locks the indexes as the executor would; the table is locked already.
    pub fn lock_indexes(&self) {
        self.indexes.iter().for_each(|index| lock_for_insert(index.oid));
    }

    /// Inserts one event. The caller holds the locks, and nothing that needs a destructor.
    #[inline]
    pub fn insert(&self, row: &mut EventRow) -> Result<()> {
        // SAFETY: `inspect` has checked that the table has exactly these columns and only plain indexes, and
        // `watch` tells the caller when that is no longer so. Errors jump to the server's handler, which closes
        // the relations.
        unsafe {
            let relation = raw::RelationIdGetRelation(self.oid);
            if relation.is_null() {
                return Err(gone());
            }
            let tuple =
                raw::heap_form_tuple((*relation).rd_att, row.values.as_mut_ptr(), row.nulls.as_mut_ptr());
            raw::heap_insert(relation, tuple, raw::GetCurrentCommandId(true), APPEND, std::ptr::null_mut());
            for index in &self.indexes {
                let opened = raw::RelationIdGetRelation(index.oid);
                if opened.is_null() {
                    return Err(gone());
                }
                index.insert(opened, relation, row, &mut (*tuple).t_self);
                raw::RelationClose(opened);
            }
            raw::heap_freetuple(tuple);
            raw::RelationClose(relation);
            Ok(())
        }
    }

    /// Inserts many events at once; `fill` sets the row of the given number. Pages are filled and logged whole,
    /// which is what makes this cheaper than as many single inserts.
    ///
    /// Without a bulk-insert ring: with it the backend itself would have to write out the pages that consumers
    /// read next, and its pin must not outlive the statement.
    pub fn insert_many(&self, count: usize, mut fill: impl FnMut(usize, &mut EventRow)) -> Result<()> {
        /// Rows of one call of the server: some pages full, and their slots still in the processor's cache.
        const CHUNK: usize = 1000;
        // SAFETY: as `insert`; tuples and what the server leaks live in a context that is reset a chunk; slots are as
        // many as rows of a chunk. An error comes out of the guard as a panic, so the vectors are dropped.
        unsafe {
            let relation = pg_sys::RelationIdGetRelation(self.oid);
            if relation.is_null() {
                return Err(gone());
            }
            let opened: Vec<pg_sys::Relation> =
                self.indexes.iter().map(|index| pg_sys::index_open(index.oid, NO_LOCK)).collect();
            let context = pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"pgq bulk insert".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            let slots: Vec<*mut pg_sys::TupleTableSlot> = (0..CHUNK.min(count))
                .map(|_| {
                    pg_sys::MakeSingleTupleTableSlot((*relation).rd_att, &raw const pg_sys::TTSOpsHeapTuple)
                })
                .collect();
            let mut rows: Vec<EventRow> = (0..slots.len()).map(|_| EventRow::default()).collect();
            let caller = pg_sys::MemoryContextSwitchTo(context);
            let slots_start = slots.as_ptr().cast_mut();
            let rows_start = rows.as_mut_ptr();
            for start in (0..count).step_by(CHUNK) {
                pgrx::check_for_interrupts!();
                let size = CHUNK.min(count - start);
                // One guard a chunk: within it nothing needs a destructor.
                guarded(|| {
                    for offset in 0..size {
                        let row = &mut *rows_start.add(offset);
                        fill(start + offset, row);
                        let (values, nulls) = (row.values.as_mut_ptr(), row.nulls.as_mut_ptr());
                        let tuple = raw::heap_form_tuple((*relation).rd_att, values, nulls);
                        raw::ExecStoreHeapTuple(tuple, *slots_start.add(offset), false);
                    }
                    let command = raw::GetCurrentCommandId(true);
                    let no_ring = std::ptr::null_mut();
                    raw::heap_multi_insert(relation, slots_start, size as i32, command, APPEND, no_ring);
                    for (number, index) in self.indexes.iter().enumerate() {
                        let opened = *opened.as_ptr().add(number);
                        for offset in 0..size {
                            let slot = *slots_start.add(offset);
                            index.insert(
                                opened,
                                relation,
                                &mut *rows_start.add(offset),
                                &raw mut (*slot).tts_tid,
                            );
                        }
                    }
                });
                slots.iter().for_each(|slot| {
                    pg_sys::ExecClearTuple(*slot);
                });
                pg_sys::MemoryContextReset(context);
            }
            pg_sys::MemoryContextSwitchTo(caller);
            slots.iter().for_each(|slot| pg_sys::ExecDropSingleTupleTableSlot(*slot));
            pg_sys::MemoryContextDelete(context);
            opened.iter().for_each(|index| pg_sys::index_close(*index, NO_LOCK));
            pg_sys::RelationClose(relation);
            Ok(())
        }
    }
}

/// Do not ask the free space map. In a table without updates and deletes it only knows the rests of full pages;
/// short events would be scattered over them, and a batch of a thousand would touch 140 pages instead of 20.
const APPEND: i32 = pg_sys::HEAP_INSERT_SKIP_FSM as i32;

const NO_LOCK: pg_sys::LOCKMODE = pg_sys::NoLock as pg_sys::LOCKMODE;

impl PlainIndex {
    #[inline]
    unsafe fn insert(
        &self,
        opened: pg_sys::Relation,
        heap: pg_sys::Relation,
        row: &mut EventRow,
        place: *mut pg_sys::ItemPointerData,
    ) {
        const MAX: usize = pg_sys::INDEX_MAX_KEYS as usize;
        let mut values = [Datum::null(); MAX];
        let mut nulls = [true; MAX];
        for (position, column) in self.columns.iter().enumerate() {
            values[position] = row.values[*column];
            nulls[position] = row.nulls[*column];
        }
        // SAFETY: the index belongs to the table, has these columns, and is not unique.
        unsafe {
            let no_check = pg_sys::IndexUniqueCheck::UNIQUE_CHECK_NO;
            raw::index_insert(
                opened,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
                place,
                heap,
                no_check,
                false,
                self.info,
            );
        }
    }
}

fn gone() -> Error {
    Error::new(pgrx::PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "the event table was dropped")
        .detail("It was there at the first event of this transaction.")
}

/// Whether a table has exactly our columns, in plain heap storage that anybody may read who may read the table.
///
/// # Safety
/// The relation is open.
pub(super) unsafe fn has_our_columns(relation: pg_sys::Relation) -> bool {
    // SAFETY: an open relation has a class tuple, and its descriptor as many attributes as it says.
    unsafe {
        let class = &*(*relation).rd_rel;
        let descriptor = (*relation).rd_att;
        class.relkind == pg_sys::RELKIND_RELATION as std::ffi::c_char
            && class.relam == pg_sys::HEAP_TABLE_AM_OID
            && !class.relrowsecurity
            && !class.relhasrules
            && (*descriptor).natts as usize == COLUMNS
            && (0..COLUMNS).all(|position| {
                let column = &*attribute(descriptor, position);
                let is_required = position <= column::TXID;
                !column.attisdropped
                    && column.atttypid == COLUMN_TYPES[position]
                    && column.attnotnull == is_required
            })
    }
}

/// Whether nothing hangs on an insert but the columns and the indexes.
unsafe fn is_ours(relation: pg_sys::Relation) -> bool {
    // SAFETY: as `has_our_columns`.
    unsafe {
        let constraints = (*(*relation).rd_att).constr;
        let has_constraints = !constraints.is_null()
            && ((*constraints).num_check > 0
                || (*constraints).has_generated_stored
                || has_virtual_columns(constraints));
        has_our_columns(relation)
            && !(*(*relation).rd_rel).relispartition
            && (*relation).trigdesc.is_null()
            && !has_constraints
    }
}

/// All indexes, if each of them is a plain btree; `None` otherwise.
unsafe fn inspect_indexes(relation: pg_sys::Relation) -> Option<Vec<PlainIndex>> {
    // SAFETY: the list is a copy of ours, of OIDs; each index is open while it is looked at.
    unsafe {
        let list = pg_sys::RelationGetIndexList(relation);
        if list.is_null() {
            return Some(Vec::new());
        }
        let oids: Vec<Oid> =
            (0..(*list).length as usize).map(|number| (*(*list).elements.add(number)).oid_value).collect();
        pg_sys::list_free(list);
        oids.into_iter().map(|oid| inspect_index(oid)).collect()
    }
}

unsafe fn inspect_index(oid: Oid) -> Option<PlainIndex> {
    const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: the index is open while it is looked at; its description is made in memory of the session, since it
    // is used until the index changes.
    unsafe {
        let index = pg_sys::index_open(oid, LOCK);
        let caller = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let info = pg_sys::BuildIndexInfo(index);
        pg_sys::MemoryContextSwitchTo(caller);
        let numbers = &(&(*info).ii_IndexAttrNumbers)[..(*info).ii_NumIndexAttrs as usize];
        let plain = (*(*index).rd_rel).relam == pg_sys::BTREE_AM_OID
            && (*info).ii_ReadyForInserts
            && !(*info).ii_Unique
            && (*info).ii_Predicate.is_null()
            && (*info).ii_Expressions.is_null()
            && (*info).ii_ExclusionOps.is_null()
            && numbers.iter().all(|number| *number > 0);
        // An expression counts as column 0, and makes the index not plain.
        let columns = numbers.iter().map(|number| (*number as usize).saturating_sub(1)).collect();
        let found = PlainIndex { oid, columns, info };
        pg_sys::index_close(index, LOCK);
        plain.then_some(found)
    }
}
