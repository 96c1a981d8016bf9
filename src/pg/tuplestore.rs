//! Where a set-returning function puts its rows: memory up to work_mem, then a temporary file.
#![allow(unsafe_code)]

use super::value::{Value, to_arrays};
use crate::error::{Error, Result};
use pgrx::pg_sys;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;

/// The rows of a set-returning function, in the order in which they are put.
pub struct RowSink {
    pub(super) store: *mut pg_sys::Tuplestorestate,
    pub(super) descriptor: pg_sys::TupleDesc,
    result: *mut pg_sys::ReturnSetInfo,
    /// Where the rows live: until the end of the query.
    pub(super) memory: pg_sys::MemoryContext,
}

impl RowSink {
    /// # Safety
    /// `fcinfo` is the live argument of a function declared to return a set of rows.
    pub(super) unsafe fn of_call(fcinfo: pg_sys::FunctionCallInfo) -> Result<RowSink> {
        // SAFETY: the server sets resultinfo to a ReturnSetInfo when it wants a set; what must outlive the call is
        // allocated in the per-query context, as the materialize protocol asks.
        unsafe {
            let result = (*fcinfo).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            let wants_set = !result.is_null() && pgrx::is_a(result.cast(), pg_sys::NodeTag::T_ReturnSetInfo);
            let materialize = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
            if !wants_set || (*result).allowedModes & materialize as i32 == 0 {
                return Err(Error::new(
                    PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                    "set-valued function called in context that cannot accept a set",
                ));
            }
            let per_query = (*(*result).econtext).ecxt_per_query_memory;
            let caller = pg_sys::MemoryContextSwitchTo(per_query);
            let mut descriptor: pg_sys::TupleDesc = std::ptr::null_mut();
            let mut scalar = pg_sys::InvalidOid;
            pg_sys::get_call_result_type(fcinfo, &mut scalar, &mut descriptor);
            if descriptor.is_null() {
                descriptor = pg_sys::CreateTemplateTupleDesc(1);
                pg_sys::TupleDescInitEntry(descriptor, 1, std::ptr::null(), scalar, -1, 0);
            } else {
                descriptor = pg_sys::CreateTupleDescCopy(descriptor);
            }
            let store = pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem);
            pg_sys::MemoryContextSwitchTo(caller);
            (*result).returnMode = materialize;
            (*result).setResult = store;
            (*result).setDesc = descriptor;
            Ok(RowSink { store, descriptor, result, memory: per_query })
        }
    }

    /// Puts an empty store, of so many kilobytes, in the place of the one that the caller has ended.
    ///
    /// # Safety
    /// The old store has ended; the query's memory is the current context.
    pub(super) unsafe fn replace_store(&mut self, kilobytes: i32) {
        // SAFETY: the result is that of the live call.
        unsafe {
            self.store = pg_sys::tuplestore_begin_heap(false, false, kilobytes);
            (*self.result).setResult = self.store;
        }
    }

    /// Adds a row.
    pub fn put(&mut self, columns: &[Value]) {
        let (mut values, mut nulls) = to_arrays(columns);
        // SAFETY: the store is live until the query ends; the arrays have a place for each declared column.
        unsafe {
            assert_eq!((*self.descriptor).natts as usize, columns.len(), "columns of the declared result");
            let (values, nulls) = (values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::tuplestore_putvalues(self.store, self.descriptor, values, nulls);
        }
    }
}
