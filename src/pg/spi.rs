//! The one way to ask the server in SQL.
//!
//! pgrx's shortcuts assign a transaction id even for a SELECT: each idle poll would write a commit record, and
//! nothing would work on a standby. Here every statement says whether it changes anything and with which
//! snapshot it looks; a statement that only reads assigns nothing.
#![allow(unsafe_code)]

use super::text::Text;
use super::tuplestore::RowSink;
use super::value::{Interval, Timestamp, Type, Value, to_arrays};
use pgrx::pg_sys;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicPtr, Ordering};

/// A statement of ours: prepared at its first use in a session, and kept.
pub struct Statement {
    sql: &'static str,
    types: &'static [Type],
    effect: Effect,
    plan: AtomicPtr<pg_sys::_SPI_plan>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Changes,
}

/// With whose eyes a statement looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As any statement of the calling transaction would: fresh in READ COMMITTED, fixed from REPEATABLE READ on.
    /// The consumers' side: a client may read the events of a batch by itself, with that same snapshot.
    Transaction,
    /// Everything committed by now, in any isolation level. For decisions about what all sessions share (the
    /// current table, rotation, ticks), where an old view would lose events.
    Latest,
}

impl Statement {
    /// A statement without effects.
    pub const fn reading(sql: &'static str, types: &'static [Type]) -> Self {
        Statement { sql, types, effect: Effect::Reads, plan: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// A statement that changes or locks rows.
    pub const fn changing(sql: &'static str, types: &'static [Type]) -> Self {
        Statement { sql, types, effect: Effect::Changes, plan: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// Runs it in the view of the transaction and returns all its rows.
    pub fn rows(&self, arguments: &[Value]) -> Rows {
        self.rows_in(View::Transaction, arguments)
    }

    /// Runs it in a view of one's choice.
    pub fn rows_in(&self, view: View, arguments: &[Value]) -> Rows {
        connected(|| {
            execute(self.plan(), arguments, view, self.effect);
            take_result()
        })
    }

    /// Called while connected.
    fn plan(&self) -> pg_sys::SPIPlanPtr {
        let mut plan = self.plan.load(Ordering::Relaxed);
        if plan.is_null() {
            plan = prepare(self.sql.as_bytes(), self.types);
            // SAFETY: a valid plan, just made; from now on it lives as long as the backend.
            unsafe { pg_sys::SPI_keepplan(plan) };
            self.plan.store(plan, Ordering::Relaxed);
        }
        plan
    }
}

/// Runs a statement that is put together at run time, in the view of the transaction. Names in it must be quoted
/// by the caller, values belong into the arguments.
pub fn run(sql: &[u8], arguments: &[(Type, Value)]) -> Rows {
    run_in(View::Transaction, sql, arguments)
}

/// [`run`] in a view of one's choice.
pub fn run_in(view: View, sql: &[u8], arguments: &[(Type, Value)]) -> Rows {
    let (types, values): (Vec<Type>, Vec<Value>) = arguments.iter().cloned().unzip();
    connected(|| {
        execute(prepare(sql, &types), &values, view, Effect::Changes);
        take_result()
    })
}

/// Refuses, in the server's own words, what is not one expression by itself: it may then be put into parentheses.
pub fn require_expression(sql: Text) {
    let sql = to_cstring(sql.0);
    // SAFETY: the string is NUL-terminated; what is parsed belongs to the current memory context.
    unsafe { pg_sys::raw_parser(sql.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_PLPGSQL_EXPR) };
}

/// Opens a cursor that outlives this function, for the rest of the transaction. Without a name the server makes
/// one up. Returns the name.
pub fn open_cursor(name: Option<Text>, sql: &[u8]) -> Vec<u8> {
    let sql = to_cstring(sql);
    let name = name.map(|name| to_cstring(name.0));
    connected(|| {
        // SAFETY: connected to SPI; the strings are NUL-terminated and copied by the server; no parameters.
        unsafe {
            let options = pg_sys::CURSOR_OPT_NO_SCROLL as i32;
            let plan = pg_sys::SPI_prepare_cursor(sql.as_ptr(), 0, std::ptr::null_mut(), options);
            assert!(!plan.is_null(), "SPI_prepare_cursor failed");
            let no_values = std::ptr::null_mut();
            let name = name.as_ref().map_or(std::ptr::null(), |name| name.as_ptr());
            let portal = pg_sys::SPI_cursor_open(name, plan, no_values, std::ptr::null(), false);
            CStr::from_ptr((*portal).name).to_bytes().to_vec()
        }
    })
}

/// Closes a cursor before the transaction does.
pub fn close_cursor(name: Text) {
    let name = to_cstring(name.0);
    connected(|| {
        // SAFETY: connected to SPI; the portal is looked up, so it is live if it is found.
        unsafe {
            let portal = pg_sys::SPI_cursor_find(name.as_ptr());
            if !portal.is_null() {
                pg_sys::SPI_cursor_close(portal);
            }
        }
    });
}

/// Moves up to `count` rows from a cursor into a sink whose columns are the cursor's. Fewer: it is exhausted.
pub fn fetch(name: Text, count: u64, sink: &mut RowSink) {
    /// Rows in memory at once.
    const CHUNK: u64 = 1000;
    let name = to_cstring(name.0);
    let mut left = count;
    while left > 0 {
        let wanted = left.min(CHUNK);
        let got = connected(|| {
            // SAFETY: connected to SPI; the portal is looked up again in each round, so it is live; the sink copies
            // the rows, which SPI frees when it is finished with.
            unsafe {
                let portal = pg_sys::SPI_cursor_find(name.as_ptr());
                assert!(!portal.is_null(), "the cursor is open");
                pg_sys::SPI_cursor_fetch(portal, true, wanted as _);
                let table = pg_sys::SPI_tuptable;
                for index in 0..pg_sys::SPI_processed as usize {
                    pg_sys::tuplestore_puttuple(sink.store, *(*table).vals.add(index));
                }
                pg_sys::SPI_processed
            }
        });
        if got < wanted {
            break;
        }
        left -= got;
    }
}

fn connected<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: every connect is paired with a finish, or with the abort of the (sub)transaction after an error.
    unsafe {
        let code = pg_sys::SPI_connect();
        assert_eq!(code, pg_sys::SPI_OK_CONNECT as i32, "SPI_connect");
        let result = work();
        pg_sys::SPI_finish();
        result
    }
}

fn prepare(sql: &[u8], types: &[Type]) -> pg_sys::SPIPlanPtr {
    let text = to_cstring(sql);
    let mut oids: Vec<pg_sys::Oid> = types.iter().map(|of| of.oid()).collect();
    // SAFETY: the text is NUL-terminated, the array as long as announced; both are copied.
    let plan = unsafe { pg_sys::SPI_prepare(text.as_ptr(), oids.len() as i32, oids.as_mut_ptr()) };
    assert!(!plan.is_null(), "SPI_prepare failed for: {}", String::from_utf8_lossy(sql));
    plan
}

fn execute(plan: pg_sys::SPIPlanPtr, arguments: &[Value], view: View, effect: Effect) {
    let (mut values, nulls) = to_arrays(arguments);
    let nulls: Vec<i8> = nulls.iter().map(|null| if *null { b'n' as i8 } else { b' ' as i8 }).collect();
    // SAFETY: the plan is valid, the arrays are as long as its parameters; the snapshot is registered while the
    // statement runs, and the server releases it if the statement fails.
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(match view {
            View::Transaction => pg_sys::GetTransactionSnapshot(),
            View::Latest => pg_sys::GetLatestSnapshot(),
        });
        let nulls = nulls.as_ptr().cast();
        let reads = effect == Effect::Reads;
        let crosscheck = std::ptr::null_mut();
        let code = pg_sys::SPI_execute_snapshot(
            plan,
            values.as_mut_ptr(),
            nulls,
            snapshot,
            crosscheck,
            reads,
            true,
            0,
        );
        assert!(code >= 0, "SPI_execute_snapshot: {code}");
        pg_sys::UnregisterSnapshot(snapshot);
    }
}

/// Copies the rows of the last statement out of the server's memory. Called while connected.
fn take_result() -> Rows {
    // SAFETY: SPI's result variables describe the statement that has just run; columns are numbered from 1 to
    // natts, and a tuple table without rows may be absent.
    unsafe {
        let processed = pg_sys::SPI_processed;
        let table = pg_sys::SPI_tuptable;
        if table.is_null() {
            return Rows { processed, rows: Vec::new() };
        }
        let descriptor = (*table).tupdesc;
        let columns = (*descriptor).natts;
        let rows = (0..(*table).numvals as usize)
            .map(|index| {
                let tuple = *(*table).vals.add(index);
                let column = |number| {
                    let mut null = false;
                    let datum = pg_sys::SPI_getbinval(tuple, descriptor, number, &mut null);
                    match null {
                        true => Value::Null,
                        false => Value::from_datum(datum, pg_sys::SPI_gettypeid(descriptor, number)),
                    }
                };
                Row((1..=columns).map(column).collect())
            })
            .collect();
        pg_sys::SPI_freetuptable(table);
        Rows { processed, rows }
    }
}

fn to_cstring(bytes: &[u8]) -> CString {
    CString::new(bytes).expect("text of the server never contains a zero byte")
}

/// What a statement returned.
pub struct Rows {
    processed: u64,
    rows: Vec<Row>,
}

impl Rows {
    /// The number of rows that the statement returned or changed.
    pub fn count(&self) -> u64 {
        self.processed
    }

    /// The first row, if there is one.
    pub fn first(self) -> Option<Row> {
        self.rows.into_iter().next()
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = std::vec::IntoIter<Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

/// One row of a result; columns are counted from 0. Asking for a type that the column has not is a mistake in
/// this program, and panics.
#[derive(Debug)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// An `integer` column.
    pub fn int(&self, column: usize) -> Option<i32> {
        match self.0[column] {
            Value::Int(value) => Some(value),
            Value::Null => None,
            ref other => panic!("column {column} is not an integer: {other:?}"),
        }
    }

    /// A `bigint` column.
    pub fn big(&self, column: usize) -> Option<i64> {
        match self.0[column] {
            Value::Big(value) => Some(value),
            Value::Null => None,
            ref other => panic!("column {column} is not a bigint: {other:?}"),
        }
    }

    /// A `boolean` column; NULL counts as false.
    pub fn flag(&self, column: usize) -> bool {
        match self.0[column] {
            Value::Bool(value) => value,
            Value::Null => false,
            ref other => panic!("column {column} is not a boolean: {other:?}"),
        }
    }

    /// A `text` column.
    pub fn text(&self, column: usize) -> Option<Text<'_>> {
        match &self.0[column] {
            Value::Text(bytes) => Some(Text(bytes)),
            Value::Null => None,
            other => panic!("column {column} is not a text: {other:?}"),
        }
    }

    /// A `timestamp with time zone` column.
    pub fn time(&self, column: usize) -> Option<Timestamp> {
        match self.0[column] {
            Value::Time(value) => Some(value),
            Value::Null => None,
            ref other => panic!("column {column} is not a timestamp: {other:?}"),
        }
    }

    /// An `interval` column.
    pub fn interval(&self, column: usize) -> Option<Interval> {
        match self.0[column] {
            Value::Interval(value) => Some(value),
            Value::Null => None,
            ref other => panic!("column {column} is not an interval: {other:?}"),
        }
    }
}
