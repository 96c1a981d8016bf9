//! The row of `pgq.queue` that a writer needs, read as it is committed by now.
//!
//! A writer must see the latest row whatever its isolation level, after it has a transaction id: then, if the row
//! still names the old table, the rotation that follows takes its second transaction id above the writer's, and
//! readers look into the old table for it. One read a transaction is enough. Ways that were measured for a
//! one-event transaction of 10 us: SPI with the active snapshot +6.5 us, and wrong in REPEATABLE READ; a catalog
//! scan +3.5 us; the remembered place of the row (below) +1.2 us.
#![allow(unsafe_code)]

use super::relation;
use super::text::Text;
use pgrx::pg_sys;

const NO_LOCK: pg_sys::LOCKMODE = pg_sys::NoLock as pg_sys::LOCKMODE;

/// What a writer needs to know of a queue.
pub struct QueueRow {
    /// `queue_id`
    pub id: i32,
    /// Where the row was found, for the next time.
    pub place: Place,
    /// `queue_cur_table`
    pub current_table: i32,
    /// What may change from statement to statement.
    pub settings: Settings,
    /// `queue_data_pfx`
    pub table_prefix: Vec<u8>,
    /// `queue_event_seq`
    pub event_sequence: Vec<u8>,
}

/// Whom a queue takes events from, and how many.
#[derive(Clone, Copy, Default)]
pub struct Settings {
    /// `queue_disable_insert`
    pub is_disabled: bool,
    /// `queue_external_ticker`
    pub is_external: bool,
    /// `queue_per_tx_limit`; one below 0 is none.
    pub per_tx_limit: Option<i32>,
}

/// Where a row version lies. It may be gone at the next look; then the index is asked.
#[derive(Clone, Copy)]
pub struct Place(pg_sys::ItemPointerData);

impl Place {
    /// Reading past the end of a table is an error.
    unsafe fn is_within(&self, table: pg_sys::Relation) -> bool {
        let block = u32::from(self.0.ip_blkid.bi_hi) << 16 | u32::from(self.0.ip_blkid.bi_lo);
        // SAFETY: the table is open.
        block < unsafe { pg_sys::RelationGetNumberOfBlocksInFork(table, pg_sys::ForkNumber::MAIN_FORKNUM) }
    }
}

mod column {
    pub const QUEUE_ID: usize = 1;
    pub const QUEUE_NAME: usize = 2;
    pub const CUR_TABLE: usize = 4;
    pub const EXTERNAL_TICKER: usize = 9;
    pub const DISABLE_INSERT: usize = 10;
    pub const PER_TX_LIMIT: usize = 15;
    pub const DATA_PFX: usize = 16;
    pub const EVENT_SEQ: usize = 17;
    pub const COUNT: usize = 19;
}

/// The relations that hold the row; watched by who remembers its place.
#[derive(Clone, Copy)]
pub struct QueueTable {
    /// `pgq.queue`
    pub table: pg_sys::Oid,
    name_index: pg_sys::Oid,
}

impl QueueTable {
    /// Finds table and index; `None` when the extension is not (or no longer) there.
    pub fn find() -> Option<QueueTable> {
        Some(QueueTable {
            table: relation::find(Text(b"pgq.queue"))?,
            name_index: relation::find(Text(b"pgq.queue_name_uq"))?,
        })
    }

    /// Reads the row of the queue of this name as it is committed by now. The table stays locked, as by any query; it
    /// may have been dropped since it was found.
    pub fn read(&self, name: Text, remembered: Option<Place>) -> Option<QueueRow> {
        const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        // SAFETY: the table is open (and locked) while its tuples are looked at; the snapshot is registered; an
        // error on the way leaves both to the end of the transaction.
        unsafe {
            let table = pg_sys::try_relation_open(self.table, LOCK);
            if table.is_null() {
                return None;
            }
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
            let row = remembered
                .filter(|place| place.is_within(table))
                .and_then(|place| fetch(table, snapshot, place, |tuple| decode(tuple, (*table).rd_att, name)))
                .or_else(|| look_up(table, self.name_index, snapshot, name));
            pg_sys::UnregisterSnapshot(snapshot);
            pg_sys::table_close(table, NO_LOCK);
            row
        }
    }

    /// Reads the settings at the place where [`read`](Self::read) has found the row in this transaction; `None` if
    /// the row is no longer there: a newer version lies elsewhere, and another queue's may have taken the place.
    ///
    /// 0.1 us: the table is locked already, so it cannot have become shorter, and whether a version is the newest
    /// can be told without a snapshot of all transactions. With both as in `read` it took 1.0 us.
    pub fn settings(&self, name: Text, place: Place) -> Option<Settings> {
        // SAFETY: as in `read`; the server's constant snapshot is only read.
        unsafe {
            let table = pg_sys::table_open(self.table, NO_LOCK);
            let newest = &raw mut pg_sys::SnapshotSelfData;
            let settings = fetch(table, newest, place, |tuple| {
                let columns = Columns::of(tuple, (*table).rd_att);
                (columns.text(column::QUEUE_NAME) == name).then(|| columns.settings())
            });
            pg_sys::table_close(table, NO_LOCK);
            settings
        }
    }
}

/// What is read from the row version at a place, if the snapshot sees it.
unsafe fn fetch<T>(
    table: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    place: Place,
    read: impl FnOnce(pg_sys::HeapTuple) -> Option<T>,
) -> Option<T> {
    // SAFETY: the place is within the table; the buffer stays pinned while the tuple is decoded.
    unsafe {
        let mut tuple = pg_sys::HeapTupleData { t_self: place.0, ..Default::default() };
        let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
        if !pg_sys::heap_fetch(table, snapshot, &mut tuple, &mut buffer, false) {
            return None;
        }
        let found = read(&mut tuple);
        pg_sys::ReleaseBuffer(buffer);
        found
    }
}

/// The row by its name, through the unique index.
unsafe fn look_up(
    table: pg_sys::Relation,
    name_index: pg_sys::Oid,
    snapshot: pg_sys::Snapshot,
    name: Text,
) -> Option<QueueRow> {
    const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: the scan is ended before its index is closed; the key uses the index's own collation, without which
    // the tree would be walked by another order than it was built in.
    unsafe {
        let index = pg_sys::index_open(name_index, LOCK);
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyEntryInitialize(
            &mut key,
            0,
            column::QUEUE_NAME as pg_sys::AttrNumber,
            pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber,
            pg_sys::InvalidOid,
            *(*index).rd_indcollation,
            pg_sys::Oid::from(pg_sys::F_TEXTEQ),
            name.to_datum(),
        );
        let scan = pg_sys::systable_beginscan_ordered(table, index, snapshot, 1, &mut key);
        let tuple = pg_sys::systable_getnext_ordered(scan, pg_sys::ScanDirection::ForwardScanDirection);
        let row = if tuple.is_null() { None } else { decode(tuple, (*table).rd_att, name) };
        pg_sys::systable_endscan_ordered(scan);
        pg_sys::index_close(index, LOCK);
        row
    }
}

/// The columns of a row of pgq.queue; text points into it.
struct Columns {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Columns {
    /// # Safety
    /// The descriptor is that of pgq.queue, and the tuple one of its rows.
    unsafe fn of(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) -> Columns {
        // SAFETY: the arrays are as long as the table is wide (columns may have been added behind ours).
        unsafe {
            let width = (*descriptor).natts as usize;
            assert!(width >= column::COUNT, "pgq.queue has lost columns");
            let mut columns =
                Columns { values: vec![pg_sys::Datum::null(); width], nulls: vec![true; width] };
            let (values, nulls) = (columns.values.as_mut_ptr(), columns.nulls.as_mut_ptr());
            pg_sys::heap_deform_tuple(tuple, descriptor, values, nulls);
            columns
        }
    }

    fn value(&self, number: usize) -> pg_sys::Datum {
        self.values[number - 1]
    }

    /// # Safety
    /// The column is a text, not NULL; the tuple is still there.
    unsafe fn text(&self, number: usize) -> Text<'_> {
        // SAFETY: text columns are varlenas.
        unsafe { Text::from_datum(self.value(number)) }
    }

    fn settings(&self) -> Settings {
        let is_limited = !self.nulls[column::PER_TX_LIMIT - 1];
        let limit = is_limited.then(|| self.value(column::PER_TX_LIMIT).value() as i32);
        Settings {
            is_disabled: self.value(column::DISABLE_INSERT).value() & 0xff != 0,
            is_external: self.value(column::EXTERNAL_TICKER).value() & 0xff != 0,
            per_tx_limit: limit.filter(|limit| *limit >= 0),
        }
    }
}

/// Decodes a row of pgq.queue; `None` when it is another queue's.
unsafe fn decode(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc, name: Text) -> Option<QueueRow> {
    // SAFETY: the descriptor is the table's; texts are copied before the buffer is released.
    unsafe {
        let columns = Columns::of(tuple, descriptor);
        if columns.text(column::QUEUE_NAME) != name {
            return None;
        }
        Some(QueueRow {
            id: columns.value(column::QUEUE_ID).value() as i32,
            place: Place((*tuple).t_self),
            current_table: columns.value(column::CUR_TABLE).value() as i32,
            settings: columns.settings(),
            table_prefix: columns.text(column::DATA_PFX).0.to_vec(),
            event_sequence: columns.text(column::EVENT_SEQ).0.to_vec(),
        })
    }
}
