//! The edge: how the server's function calls become calls of safe Rust functions, and their answers datums.
#![allow(unsafe_code)]

use super::guard::passing_on;
use super::text::Text;
use super::tuplestore::RowSink;
use super::value::{Interval, Timestamp, Value, to_arrays};
use crate::error::{Error, Result};
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;

/// One call of one of our SQL functions: its arguments, and ways to answer.
pub struct Call {
    fcinfo: pg_sys::FunctionCallInfo,
}

impl Call {
    /// Wraps what the server hands to a C-language function.
    ///
    /// # Safety
    /// `fcinfo` is the live argument of a function called by the server, whose declared SQL signature matches
    /// the accessors that will be used.
    pub unsafe fn new(fcinfo: pg_sys::FunctionCallInfo) -> Self {
        Call { fcinfo }
    }

    /// The number of arguments.
    #[inline]
    pub fn count(&self) -> usize {
        // SAFETY: `new` promises a live fcinfo.
        unsafe { (*self.fcinfo).nargs as usize }
    }

    /// The argument as the server holds it, to be passed on unseen; `None` is NULL.
    #[inline]
    pub(crate) fn datum(&self, index: usize) -> Option<pg_sys::Datum> {
        // SAFETY: `new` promises a live fcinfo; the bound is checked here.
        unsafe {
            let fcinfo = &*self.fcinfo;
            assert!(index < fcinfo.nargs as usize, "argument {index} of a function declared with fewer");
            let argument = fcinfo.args.as_slice(fcinfo.nargs as usize)[index];
            (!argument.isnull).then_some(argument.value)
        }
    }

    /// What else the server tells about the call; null in a plain one.
    pub(super) fn context(&self) -> *mut pg_sys::Node {
        // SAFETY: `new` promises a live fcinfo.
        unsafe { (*self.fcinfo).context }
    }

    /// A `text` argument.
    pub fn text(&self, index: usize) -> Option<Text<'_>> {
        // SAFETY: `new` promises that the declared type fits; arguments outlive the call.
        self.datum(index).map(|datum| unsafe { Text::from_datum(datum) })
    }

    /// An `integer` argument.
    pub fn int(&self, index: usize) -> Option<i32> {
        self.datum(index).map(|datum| datum.value() as i32)
    }

    /// An `oid` argument, or one of an object's own types, as `regclass`.
    pub fn oid(&self, index: usize) -> Option<pg_sys::Oid> {
        self.datum(index).map(|datum| pg_sys::Oid::from(datum.value() as u32))
    }

    /// A `bigint` argument.
    pub fn big(&self, index: usize) -> Option<i64> {
        self.datum(index).map(|datum| datum.value() as i64)
    }

    /// A `boolean` argument.
    pub fn flag(&self, index: usize) -> Option<bool> {
        self.datum(index).map(|datum| datum.value() & 0xff != 0)
    }

    /// A `timestamp with time zone` argument.
    pub fn time(&self, index: usize) -> Option<Timestamp> {
        self.big(index).map(Timestamp)
    }

    /// An `interval` argument.
    pub fn interval(&self, index: usize) -> Option<Interval> {
        self.datum(index).map(|datum| {
            // SAFETY: `new` promises that the declared type fits.
            let interval = unsafe { *datum.cast_mut_ptr::<pg_sys::Interval>() };
            Interval { time: interval.time, day: interval.day, month: interval.month }
        })
    }

    /// Starts the answer of a set-returning function: rows go into the sink, the function then returns NULL.
    pub fn rows(&self) -> Result<RowSink> {
        // SAFETY: `new` promises a live fcinfo.
        unsafe { RowSink::of_call(self.fcinfo) }
    }

    fn returns(&self, value: Value) -> pg_sys::Datum {
        let datum = match value {
            // SAFETY: the call is live, as `new` promises.
            Value::Record(columns) => Some(unsafe { self.record(&columns) }),
            value => value.to_datum(),
        };
        // SAFETY: the call is live, as `new` promises.
        unsafe { (*self.fcinfo).isnull = datum.is_none() };
        datum.unwrap_or(pg_sys::Datum::null())
    }

    unsafe fn record(&self, columns: &[Value]) -> pg_sys::Datum {
        // SAFETY: the result type is resolved by the server itself; the descriptor is blessed before a row of it
        // leaves, and the arrays are as long as the declared columns (asserted).
        unsafe {
            let mut descriptor: pg_sys::TupleDesc = std::ptr::null_mut();
            pg_sys::get_call_result_type(self.fcinfo, std::ptr::null_mut(), &mut descriptor);
            assert!(!descriptor.is_null(), "a record was returned by a function without OUT parameters");
            assert_eq!((*descriptor).natts as usize, columns.len(), "columns of the declared result");
            let descriptor = pg_sys::BlessTupleDesc(descriptor);
            let (mut values, mut nulls) = to_arrays(columns);
            let tuple = pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data)
        }
    }
}

/// Runs one function of ours for the server.
///
/// # Safety
/// As [`Call::new`].
pub unsafe fn answer(
    fcinfo: pg_sys::FunctionCallInfo,
    function: fn(&Call) -> Result<Value>,
) -> pg_sys::Datum {
    // SAFETY: the guard turns a panic into a server error, so nothing unwinds into C.
    unsafe {
        pg_sys::panic::pgrx_extern_c_guard(move || {
            let call = Call::new(fcinfo);
            match passing_on(|| function(&call)) {
                Ok(value) => call.returns(value),
                Err(error) => error.raise(),
            }
        })
    }
}

impl Error {
    /// Ends the current SQL function, and with it the transaction, with this error.
    pub fn raise(self) -> ! {
        self.into_report().report(pgrx::PgLogLevel::ERROR);
        unreachable!("an ERROR does not return")
    }

    /// Tells the client (and the log) without ending anything.
    pub fn warn(self) {
        self.into_report().report(pgrx::PgLogLevel::WARNING);
    }

    fn into_report(self) -> ErrorReport {
        let mut report = ErrorReport::new(self.state, self.message, "pgq");
        if let Some(detail) = self.detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = self.hint {
            report = report.set_hint(hint);
        }
        report
    }
}

/// Writes a line to the server's log.
pub fn log(line: String) {
    let state = pg_sys::errcodes::PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION;
    ErrorReport::new(state, line, "pgq").report(pgrx::PgLogLevel::LOG);
}

/// Exports `NAME_wrapper` (and the record by which the server knows its calling convention) for each function.
#[macro_export]
macro_rules! sql_functions {
    ($($symbol:ident => $function:path,)*) => { $(
        const _: () = {
            #[unsafe(export_name = concat!("pg_finfo_", stringify!($symbol), "_wrapper"))]
            extern "C" fn convention() -> *const ::pgrx::pg_sys::Pg_finfo_record {
                const RECORD: ::pgrx::pg_sys::Pg_finfo_record = ::pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
                &RECORD
            }

            #[unsafe(export_name = concat!(stringify!($symbol), "_wrapper"))]
            unsafe extern "C-unwind" fn wrapper(
                fcinfo: ::pgrx::pg_sys::FunctionCallInfo,
            ) -> ::pgrx::pg_sys::Datum {
                // SAFETY: only the server calls this, for the SQL function declared in sql/ with this symbol.
                unsafe { $crate::pg::call::answer(fcinfo, $function) }
            }
        };
    )* };
}
