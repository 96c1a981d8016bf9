//! One event of a batch, looked for first around the one that was found last.
//!
//! Event ids have no index: it would cost each insert to serve a few retries. But who sends many events back does it
//! nearly in the order in which they lie: by id, while producers at work at the same time fill a page each. So the way
//! from one to the next is a few pages, forward or back. (Searched from the batch's start each of 60,000 events took
//! 4.3 ms.)
#![allow(unsafe_code)]

use super::event_table::{COLUMN_TYPES, COLUMNS, column};
use super::scan::{Event, Filter, ReadableTable, visit};
use super::session::Session;
use super::spi::Row;
use super::value::Value;
use pgq_core::BatchBounds;
use pgrx::pg_sys;
use std::ops::ControlFlow;

/// The page of an event.
#[derive(Clone, Copy)]
struct Place {
    table: pg_sys::Oid,
    block: pg_sys::BlockNumber,
}

/// Where the last event was found, of whatever batch. It is a guess where the next one is, and nothing relies on it.
static LAST: Session<Option<Place>> = Session::new(None);

/// The event as the batch shows it to this subscription: its columns but for the owner.
pub fn find_event(tables: &[ReadableTable], bounds: &BatchBounds, owner: i32, id: i64) -> Option<Row> {
    let mut wanted = Wanted { filter: Filter::new(bounds), owner, id };
    around(tables, &mut wanted).or_else(|| anywhere(tables, bounds, &wanted))
}

struct Wanted<'a> {
    filter: Filter<'a>,
    owner: i32,
    id: i64,
}

impl Wanted<'_> {
    /// # Safety
    /// The event is pinned.
    unsafe fn is(&self, event: &Event) -> bool {
        // SAFETY: passed on to the caller.
        unsafe { event.big(column::ID) == self.id && event.is_for(self.owner) }
    }
}

/// Looks through the pages from the last place, nearest first; each way to the first page that has nothing of the batch.
fn around(tables: &[ReadableTable], wanted: &mut Wanted) -> Option<Row> {
    let last = LAST.with(|last| *last)?;
    let heap = tables.iter().map(ReadableTable::heap).find(|heap| oid(*heap) == last.table)?;
    // SAFETY: the relation is open; a page that it has stays, since emptying the table takes a stronger lock than
    // ours.
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let pages = pg_sys::RelationGetNumberOfBlocksInFork(heap, pg_sys::ForkNumber::MAIN_FORKNUM);
        // There is no page in front of the first: less than 0 is more than any number of pages.
        let mut ways = [Some((last.block, 1)), Some((last.block.wrapping_sub(1), -1))];
        let mut found = None;
        while found.is_none() && ways != [None, None] {
            pgrx::check_for_interrupts!();
            for way in &mut ways {
                let Some((block, step)) = way.take().filter(|(block, _)| *block < pages) else { continue };
                match in_page(heap, block, snapshot, wanted) {
                    InPage::Found(row) => {
                        found = Some(row);
                        break;
                    }
                    InPage::OthersOfTheBatch => *way = Some((block.wrapping_add_signed(step), step)),
                    InPage::NoneOfTheBatch => (),
                }
            }
        }
        pg_sys::UnregisterSnapshot(snapshot);
        found
    }
}

enum InPage {
    Found(Row),
    OthersOfTheBatch,
    NoneOfTheBatch,
}

/// # Safety
/// The relation is open and has the page; the snapshot is registered.
unsafe fn in_page(
    heap: pg_sys::Relation,
    block: pg_sys::BlockNumber,
    snapshot: pg_sys::Snapshot,
    wanted: &mut Wanted,
) -> InPage {
    // SAFETY: rows are looked at under the page's lock, and the one that is taken under its pin.
    unsafe {
        let buffer = pg_sys::ReadBuffer(heap, block);
        pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as i32);
        let page = pg_sys::BufferGetPage(buffer);
        let mut seen = InPage::NoneOfTheBatch;
        let mut tuple = pg_sys::HeapTupleData::default();
        let mut found = None;
        for offset in 1..=pg_sys::PageGetMaxOffsetNumber(page) {
            let item = pg_sys::PageGetItemId(page, offset);
            if (*item).lp_flags() != pg_sys::LP_NORMAL {
                continue;
            }
            tuple.t_data = pg_sys::PageGetItem(page, item).cast();
            let event = Event::new(&mut tuple);
            if !wanted.filter.covers(event.big(column::TXID)) {
                continue;
            }
            seen = InPage::OthersOfTheBatch;
            // Visibility comes last: to a serializable transaction each row that is asked for it is one that was read.
            if wanted.is(&event) && is_visible(heap, buffer, offset, snapshot, &mut tuple) {
                found = Some(Event::new(&mut tuple));
                break;
            }
        }
        pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_UNLOCK as i32);
        if let Some(event) = found {
            seen = InPage::Found(row(&event, heap));
            LAST.with(|last| *last = Some(Place { table: oid(heap), block }));
        }
        pg_sys::ReleaseBuffer(buffer);
        seen
    }
}

/// # Safety
/// The page is locked; the row is used as long as the page is pinned.
unsafe fn is_visible(
    heap: pg_sys::Relation,
    buffer: pg_sys::Buffer,
    offset: pg_sys::OffsetNumber,
    snapshot: pg_sys::Snapshot,
    tuple: &mut pg_sys::HeapTupleData,
) -> bool {
    let (no_matter, first) = (std::ptr::null_mut(), true);
    let mut tid = pg_sys::ItemPointerData::default();
    // SAFETY: passed on to the caller.
    unsafe {
        pgrx::itemptr::item_pointer_set_all(&mut tid, pg_sys::BufferGetBlockNumber(buffer), offset);
        pg_sys::heap_hot_search_buffer(&mut tid, heap, buffer, snapshot, tuple, no_matter, first)
    }
}

/// Looks through the batch's transactions from the first.
fn anywhere(tables: &[ReadableTable], bounds: &BatchBounds, wanted: &Wanted) -> Option<Row> {
    // SAFETY: the event is pinned as long as it is looked at.
    let flow = visit(tables, bounds, |event, heap| unsafe {
        if !wanted.is(event) {
            return ControlFlow::Continue(());
        }
        let block = pgrx::itemptr::item_pointer_get_block_number(&(*event.tuple).t_self);
        LAST.with(|last| *last = Some(Place { table: oid(heap), block }));
        ControlFlow::Break(row(event, heap))
    });
    flow.break_value()
}

fn oid(heap: pg_sys::Relation) -> pg_sys::Oid {
    // SAFETY: the relation is open.
    unsafe { (*heap).rd_id }
}

/// # Safety
/// The event is pinned, of this relation, which has our columns.
unsafe fn row(event: &Event, heap: pg_sys::Relation) -> Row {
    let mut datums = [pg_sys::Datum::null(); COLUMNS];
    let mut nulls = [true; COLUMNS];
    // SAFETY: the arrays are as wide as the table.
    unsafe {
        pg_sys::heap_deform_tuple(event.tuple, (*heap).rd_att, datums.as_mut_ptr(), nulls.as_mut_ptr());
        let columns = datums.into_iter().zip(nulls).zip(COLUMN_TYPES).enumerate();
        let shown = columns.filter(|(position, _)| *position != column::OWNER);
        Row(shown
            .map(|(_, ((datum, is_null), oid))| match is_null {
                true => Value::Null,
                false => Value::from_datum(datum, oid),
            })
            .collect())
    }
}
