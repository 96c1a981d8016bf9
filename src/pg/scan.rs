//! The events of a batch, read from the tables without the planner.
//!
//! The planner knows event tables badly: they are never analysed while they fill, so it takes a parallel scan of
//! the whole table, or compiles the query first (0.8 ms become 21.6 at 14 million rows). Here the btree on ev_txid
//! is always used, and the rows go into the result as they lie in the page: an event for everybody has a NULL
//! owner, which takes no room in a row, so leaving that column out only means to move a few bits in the header.
#![allow(unsafe_code)]

use super::compat;
use super::event_table::{column, has_our_columns};
use super::privilege::{self, TableRight};
use super::tuplestore::RowSink;
use pgq_core::{BatchBounds, Txid};
use pgrx::pg_sys;
use std::convert::Infallible;
use std::ops::ControlFlow;

const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
const NO_LOCK: pg_sys::LOCKMODE = pg_sys::NoLock as pg_sys::LOCKMODE;

/// The columns that a batch shows: those of an event table less ev_owner.
const SHOWN: usize = 10;

/// An event table opened for reading, with its index on ev_txid. Locked until the end of the transaction.
pub struct ReadableTable {
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
}

impl ReadableTable {
    /// Opens a table for the current user; `None` when it (or its index) is not as we made it, so that it has to
    /// be read in SQL.
    pub fn open(oid: pg_sys::Oid) -> Option<ReadableTable> {
        // SAFETY: the lock is taken before the relation is looked at; what is opened is closed in `drop`, or by the
        // server after an error.
        unsafe {
            // Before the lock, which nobody may take without the right, and after it, when the right is settled.
            privilege::require(oid, TableRight::Select);
            let heap = pg_sys::table_open(oid, LOCK);
            privilege::require(oid, TableRight::Select);
            match has_our_columns(heap).then(|| txid_index(heap)).flatten() {
                Some(index) => Some(ReadableTable { heap, index }),
                None => {
                    pg_sys::table_close(heap, NO_LOCK);
                    None
                }
            }
        }
    }

    pub(super) fn heap(&self) -> pg_sys::Relation {
        self.heap
    }
}

impl Drop for ReadableTable {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by `open`; the locks stay, as for any reader.
            unsafe {
                pg_sys::index_close(self.index, NO_LOCK);
                pg_sys::table_close(self.heap, NO_LOCK);
            }
        }
    }
}

/// The btree whose first column is ev_txid, opened and locked.
unsafe fn txid_index(heap: pg_sys::Relation) -> Option<pg_sys::Relation> {
    // SAFETY: the list is a copy, of OIDs; each index is open while it is looked at.
    unsafe {
        let list = pg_sys::RelationGetIndexList(heap);
        let count = if list.is_null() { 0 } else { (*list).length as usize };
        for number in 0..count {
            let index = pg_sys::index_open((*(*list).elements.add(number)).oid_value, LOCK);
            let form = (*index).rd_index;
            let fits = (*(*index).rd_rel).relam == pg_sys::BTREE_AM_OID
                && (*form).indisvalid
                && (*form).indkey.values.as_slice(1)[0] == column::TXID as i16 + 1
                && (*index).rd_indpred.is_null()
                && pg_sys::RelationGetIndexPredicate(index).is_null();
            if fits {
                return Some(index);
            }
            pg_sys::index_close(index, LOCK);
        }
        None
    }
}

/// Puts the events of a batch into a sink, in the order of their ids.
///
/// `owner` is the subscription that reads; events for another one are left out. Sorts only if the events do not lie
/// in order already; memory stays within work_mem in either case, and temporary files take the rest.
pub fn read_batch(sink: &mut RowSink, tables: &[ReadableTable], bounds: &BatchBounds, owner: i32) {
    let mut collector = Collector::new(sink);
    // SAFETY: the event is pinned as long as it is looked at.
    let ControlFlow::Continue(()) = visit(tables, bounds, |event, heap| unsafe {
        if event.is_for(owner) {
            collector.put(event, heap);
        }
        ControlFlow::<Infallible>::Continue(())
    });
    collector.finish();
}

/// Whether there are events within these bounds, whomever they are for.
pub fn has_events(tables: &[ReadableTable], bounds: &BatchBounds) -> bool {
    visit(tables, bounds, |_, _| ControlFlow::Break(())).is_break()
}

/// Shows the transactions with events within the bounds, and the highest id that each has drawn for them. One that
/// wrote several tables comes once for each. Events that come back to one subscription keep the id that was drawn long
/// ago; they count as if they were the last.
pub fn visit_transactions(tables: &[ReadableTable], bounds: &BatchBounds, mut see: impl FnMut(Txid, i64)) {
    for table in tables {
        let mut last: Option<(i64, i64)> = None;
        let mut next = |event: Option<(i64, i64)>| match (&mut last, event) {
            (Some((txid, highest)), Some((of, id))) if *txid == of => *highest = id.max(*highest),
            (last, event) => {
                last.iter().for_each(|(txid, highest)| see(Txid::new(*txid as u64), *highest));
                *last = event;
            }
        };
        // SAFETY: the event is pinned as long as it is looked at.
        let ControlFlow::Continue(()) = visit(std::slice::from_ref(table), bounds, |event, _| unsafe {
            let id = if event.has_owner() { i64::MAX } else { event.big(column::ID) };
            next(Some((event.big(column::TXID), id)));
            ControlFlow::<Infallible>::Continue(())
        });
        next(None);
    }
}

/// Shows the events within the bounds, those of one transaction in a table together, until it is enough.
pub(super) fn visit<B>(
    tables: &[ReadableTable],
    bounds: &BatchBounds,
    mut see: impl FnMut(&Event, pg_sys::Relation) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut filter = Filter::new(bounds);
    for table in tables {
        for single in bounds.singles() {
            scan(table, *single, *single, &mut filter, &mut see)?;
        }
        let range = bounds.range();
        scan(table, *range.start(), *range.end(), &mut filter, &mut see)?;
    }
    ControlFlow::Continue(())
}

/// Which transactions are in the batch. Events of one lie together, so the last answer is most often the next.
pub(super) struct Filter<'a> {
    bounds: &'a BatchBounds,
    last: Option<(i64, bool)>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(bounds: &'a BatchBounds) -> Self {
        Filter { bounds, last: None }
    }

    #[inline]
    pub(super) fn covers(&mut self, txid: i64) -> bool {
        match self.last {
            Some((last, answer)) if last == txid => answer,
            _ => {
                let answer = self.bounds.covers(Txid::new(txid as u64));
                self.last = Some((txid, answer));
                answer
            }
        }
    }
}

fn scan<B>(
    table: &ReadableTable,
    low: Txid,
    high: Txid,
    filter: &mut Filter,
    see: &mut impl FnMut(&Event, pg_sys::Relation) -> ControlFlow<B>,
) -> ControlFlow<B> {
    // SAFETY: everything the server needs lives until the scan ends; an error leaves scan, slot and snapshot to the
    // end of the transaction. Each call has its own guard: one around the loop saves 20 ns an event, but an error of
    // a guarded call inside of another guard would abort the process.
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let mut keys = [pg_sys::ScanKeyData::default(); 2];
        let first = 1;
        let bounds = [
            (pg_sys::BTGreaterEqualStrategyNumber, pg_sys::F_INT8GE, low),
            (pg_sys::BTLessEqualStrategyNumber, pg_sys::F_INT8LE, high),
        ];
        for (key, (strategy, function, bound)) in keys.iter_mut().zip(bounds) {
            let (strategy, function) = (strategy as pg_sys::StrategyNumber, pg_sys::Oid::from(function));
            pg_sys::ScanKeyInit(key, first, strategy, function, pg_sys::Datum::from(bound.to_i64()));
        }
        let slot = pg_sys::table_slot_create(table.heap, std::ptr::null_mut());
        let scan = compat::begin_index_scan(table.heap, table.index, snapshot, keys.len() as i32);
        pg_sys::index_rescan(scan, keys.as_mut_ptr(), keys.len() as i32, std::ptr::null_mut(), 0);
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue()
            && pg_sys::index_getnext_slot(scan, pg_sys::ScanDirection::ForwardScanDirection, slot)
        {
            pgrx::check_for_interrupts!();
            let event = Event::new((*slot.cast::<pg_sys::BufferHeapTupleTableSlot>()).base.tuple);
            if filter.covers(event.big(column::TXID)) {
                flow = see(&event, table.heap);
            }
        }
        pg_sys::index_endscan(scan);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::UnregisterSnapshot(snapshot);
        flow
    }
}

/// A row of an event table in its page.
pub(super) struct Event {
    pub(super) tuple: pg_sys::HeapTuple,
    data: pg_sys::HeapTupleHeader,
}

impl Event {
    /// # Safety
    /// The row is one of an event table, and pinned as long as the event is used.
    #[inline]
    pub(super) unsafe fn new(tuple: pg_sys::HeapTuple) -> Event {
        // SAFETY: passed on to the caller.
        Event { tuple, data: unsafe { (*tuple).t_data } }
    }

    /// Where the values begin. The first three columns are 8 bytes each and never NULL.
    #[inline]
    unsafe fn values(&self) -> *const u8 {
        // SAFETY: the tuple is pinned by the scan's slot.
        unsafe { self.data.cast::<u8>().add((*self.data).t_hoff as usize) }
    }

    /// One of the first three columns.
    #[inline]
    pub(super) unsafe fn big(&self, column: usize) -> i64 {
        // SAFETY: `has_our_columns` has checked that they are there and NOT NULL.
        unsafe { self.values().cast::<i64>().add(column).read() }
    }

    #[inline]
    unsafe fn null_bits(&self) -> u16 {
        // SAFETY: a whole tuple with the flag has a bitmap of 11 bits, so two bytes.
        unsafe {
            match (*self.data).t_infomask & pg_sys::HEAP_HASNULL as u16 {
                0 => u16::MAX,
                _ => {
                    let bits = (*self.data).t_bits.as_ptr();
                    u16::from_le_bytes([bits.read(), bits.add(1).read()])
                }
            }
        }
    }

    #[inline]
    unsafe fn has_owner(&self) -> bool {
        // SAFETY: a tuple with the flag has a bitmap of at least one byte; a set bit is a value that is there.
        unsafe {
            (*self.data).t_infomask & pg_sys::HEAP_HASNULL as u16 == 0
                || (*self.data).t_bits.as_ptr().read() & (1 << column::OWNER) != 0
        }
    }

    /// Whether the row was written with all columns, as every row of a table that we made is.
    #[inline]
    unsafe fn is_whole(&self) -> bool {
        // SAFETY: the tuple is pinned by the scan's slot.
        let columns = unsafe { (*self.data).t_infomask2 } & pg_sys::HEAP_NATTS_MASK as u16;
        columns as usize == super::event_table::COLUMNS
    }

    /// Whether this subscription may see the event.
    #[inline]
    pub(super) unsafe fn is_for(&self, owner: i32) -> bool {
        // SAFETY: an owner that is there follows the three columns of 8 bytes.
        unsafe { !self.has_owner() || self.values().add(3 * size_of::<i64>()).cast::<i32>().read() == owner }
    }
}

/// Collects events in order: straight into the sink as long as they come in order, through a sort from then on.
struct Collector<'a> {
    sink: &'a mut RowSink,
    last_id: i64,
    /// Where a row is put together; grown as needed.
    scratch: *mut u8,
    scratch_size: usize,
    sort: *mut pg_sys::Tuplesortstate,
    slot: *mut pg_sys::TupleTableSlot,
}

impl<'a> Collector<'a> {
    fn new(sink: &'a mut RowSink) -> Self {
        const START: usize = 8192;
        // SAFETY: plain allocation, freed in `finish` or with the call's memory.
        let scratch = unsafe { pg_sys::palloc(START).cast() };
        Collector {
            sink,
            last_id: i64::MIN,
            scratch,
            scratch_size: START,
            sort: std::ptr::null_mut(),
            slot: std::ptr::null_mut(),
        }
    }

    #[inline]
    unsafe fn put(&mut self, event: &Event, heap: pg_sys::Relation) {
        // SAFETY: the event is pinned; the scratch row is copied by who takes it.
        unsafe {
            let id = event.big(column::ID);
            if id < self.last_id && self.sort.is_null() {
                self.start_sorting();
            }
            self.last_id = id;
            if event.has_owner() || !event.is_whole() {
                let row = self.convert(event, heap);
                self.pass_on(row);
                pg_sys::heap_freetuple(row);
            } else {
                let mut row = self.copy(event);
                self.pass_on(&mut row);
            }
        }
    }

    /// Gives a row to who copies it.
    #[inline]
    unsafe fn pass_on(&mut self, row: pg_sys::HeapTuple) {
        // SAFETY: store, sort and slot are live; the slot lets go of the row before the caller does.
        unsafe {
            if self.sort.is_null() {
                pg_sys::tuplestore_puttuple(self.sink.store, row);
            } else {
                pg_sys::ExecStoreHeapTuple(row, self.slot, false);
                pg_sys::tuplesort_puttupleslot(self.sort, self.slot);
                pg_sys::ExecClearTuple(self.slot);
            }
        }
    }

    /// The row without its NULL owner: the same bytes, one bit less.
    #[inline]
    unsafe fn copy(&mut self, event: &Event) -> pg_sys::HeapTupleData {
        // SAFETY: source and target are as long as the tuple; a row with a NULL has a bitmap, and that of ten
        // columns is as long as that of eleven, so the values stay where they are.
        unsafe {
            let length = (*event.tuple).t_len as usize;
            if length > self.scratch_size {
                self.scratch = pg_sys::repalloc_huge(self.scratch.cast(), length).cast();
                self.scratch_size = length;
            }
            event.data.cast::<u8>().copy_to_nonoverlapping(self.scratch, length);
            let header = self.scratch.cast::<pg_sys::HeapTupleHeaderData>();
            const BEFORE: u16 = (1 << column::OWNER) - 1;
            let old = event.null_bits();
            let [low, high] = ((old & BEFORE) | ((old >> 1) & !BEFORE)).to_le_bytes();
            let bits = (*header).t_bits.as_mut_ptr();
            bits.write(low);
            bits.add(1).write(high);
            (*header).t_infomask2 = SHOWN as u16;
            (*header).t_infomask &=
                (pg_sys::HEAP_HASNULL | pg_sys::HEAP_HASVARWIDTH | pg_sys::HEAP_HASEXTERNAL) as u16;
            pg_sys::HeapTupleData { t_len: length as u32, t_data: header, ..Default::default() }
        }
    }

    /// The same by the book, for the rare row with an owner (a retried event).
    #[cold]
    unsafe fn convert(&mut self, event: &Event, heap: pg_sys::Relation) -> pg_sys::HeapTuple {
        const WIDTH: usize = super::event_table::COLUMNS;
        // SAFETY: the arrays are as wide as the table; the new tuple lives until the end of the call.
        unsafe {
            let mut values = [pg_sys::Datum::null(); WIDTH];
            let mut nulls = [true; WIDTH];
            let (from, isnull) = (values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::heap_deform_tuple(event.tuple, (*heap).rd_att, from, isnull);
            values.copy_within(column::OWNER + 1.., column::OWNER);
            nulls.copy_within(column::OWNER + 1.., column::OWNER);
            pg_sys::heap_form_tuple(self.sink.descriptor, values.as_mut_ptr(), nulls.as_mut_ptr())
        }
    }

    /// Moves what is there into a sort, in half of work_mem: the result takes the other half.
    #[cold]
    unsafe fn start_sorting(&mut self) {
        // SAFETY: store, sort and slot live in the per-query memory of the call; the old store is drained before
        // it ends, and the new one takes its place in the result.
        unsafe {
            let half = (pg_sys::work_mem / 2).max(64);
            let descriptor = self.sink.descriptor;
            let mut key: pg_sys::AttrNumber = 1;
            let mut operator = pg_sys::Oid::from(pg_sys::Int8LessOperator);
            let mut collation = pg_sys::InvalidOid;
            let mut nulls_first = false;
            let caller = pg_sys::MemoryContextSwitchTo(self.sink.memory);
            self.sort = pg_sys::tuplesort_begin_heap(
                descriptor,
                1,
                &mut key,
                &mut operator,
                &mut collation,
                &mut nulls_first,
                half,
                std::ptr::null_mut(),
                pg_sys::TUPLESORT_NONE as i32,
            );
            self.slot = pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsHeapTuple);
            let reader = pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsMinimalTuple);
            while pg_sys::tuplestore_gettupleslot(self.sink.store, true, false, reader) {
                pg_sys::tuplesort_puttupleslot(self.sort, reader);
            }
            pg_sys::ExecDropSingleTupleTableSlot(reader);
            pg_sys::tuplestore_end(self.sink.store);
            self.sink.replace_store(half);
            pg_sys::MemoryContextSwitchTo(caller);
        }
    }

    fn finish(self) {
        // SAFETY: as `start_sorting`.
        unsafe {
            if !self.sort.is_null() {
                pg_sys::ExecClearTuple(self.slot);
                pg_sys::ExecDropSingleTupleTableSlot(self.slot);
                let caller = pg_sys::MemoryContextSwitchTo(self.sink.memory);
                pg_sys::tuplesort_performsort(self.sort);
                let descriptor = self.sink.descriptor;
                let slot =
                    pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsMinimalTuple);
                let no_abbreviation = std::ptr::null_mut();
                while pg_sys::tuplesort_gettupleslot(self.sort, true, false, slot, no_abbreviation) {
                    pg_sys::tuplestore_puttupleslot(self.sink.store, slot);
                }
                pg_sys::ExecDropSingleTupleTableSlot(slot);
                pg_sys::tuplesort_end(self.sort);
                pg_sys::MemoryContextSwitchTo(caller);
            }
            pg_sys::pfree(self.scratch.cast());
        }
    }
}
