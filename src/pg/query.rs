//! A statement of a user's: prepared once, and made anew by the server itself when something changes that it depends on.
//! It runs with the rights of the current user, and its errors arrive as they are.
#![allow(unsafe_code)]

use super::guard::guarded;
use super::output::{self, names_objects};
use super::raw;
use super::room;
use super::settings::{Overrides, PLAIN_STRINGS};
use crate::error::{Error, Result};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, Oid};
use std::ffi::{CStr, CString};

/// A prepared statement.
pub struct Query(pg_sys::SPIPlanPtr);

/// What it answered.
pub enum Answer {
    /// The first column of the one row, as text; `None` is NULL, or that there is no column.
    One(Option<Vec<u8>>),
    /// So many rows, where one was wanted; 2 stands for more.
    Rows(u64),
}

impl Query {
    /// Prepares it; `types` are those of `$1`, `$2`, …
    pub fn prepare(sql: &[u8], types: &[Oid]) -> Query {
        let _settings = Overrides::begin(&[PLAIN_STRINGS]);
        let text = CString::new(sql).expect("texts of the server contain no zero byte");
        let (count, types) = (types.len() as i32, types.as_ptr().cast_mut());
        // SAFETY: the text is NUL-terminated, the array as long as announced, and both are copied; a plan that is kept lives
        // until it is freed. After an error the abort leaves SPI.
        guarded(|| unsafe {
            raw::SPI_connect();
            let plan = raw::SPI_prepare(text.as_ptr(), count, types);
            assert!(!plan.is_null(), "SPI_prepare");
            raw::SPI_keepplan(plan);
            raw::SPI_finish();
            Query(plan)
        })
    }

    /// Whether it is one statement.
    pub fn is_single(&self) -> bool {
        self.sources().len() == 1
    }

    /// The type of its first column, as far as it has one; it can change with what the statement depends on.
    pub fn type_id(&self) -> Option<Oid> {
        // SAFETY: a source of a prepared statement says what it returns.
        unsafe {
            let descriptor = (*self.sources().get_ptr(0)?).resultDesc;
            let has_columns = !descriptor.is_null() && (*descriptor).natts > 0;
            has_columns.then(|| pg_sys::SPI_gettypeid(descriptor, 1))
        }
    }

    /// One for each statement; an empty text has none.
    fn sources(&self) -> pgrx::PgList<pg_sys::CachedPlanSource> {
        // SAFETY: the list belongs to the kept plan, and is only looked at.
        unsafe { pgrx::PgList::from_pg(pg_sys::SPI_plan_get_plan_sources(self.0)) }
    }

    /// Runs it and says what came out; it must not write by itself.
    pub fn answer(&self, values: &[Option<Datum>]) -> Result<Answer> {
        // SAFETY: what is read of the result is copied before it is freed by leaving SPI.
        unsafe {
            let code = self.run(values, true, 2);
            if code != pg_sys::SPI_OK_SELECT as i32 || pg_sys::SPI_processed != 1 {
                let rows = pg_sys::SPI_processed;
                pg_sys::SPI_finish();
                return Ok(Answer::Rows(rows));
            }
            let table = pg_sys::SPI_tuptable;
            let (row, descriptor) = (*(*table).vals, (*table).tupdesc);
            let text = if (*descriptor).natts == 0 {
                None
            } else {
                let names = names_objects(pg_sys::SPI_gettypeid(descriptor, 1));
                let text = output::exactly(names, || guarded(|| raw::SPI_getvalue(row, descriptor, 1)));
                (!text.is_null()).then(|| room::copied(CStr::from_ptr(text).to_bytes())).transpose()?
            };
            pg_sys::SPI_finish();
            Ok(Answer::One(text))
        }
    }

    /// Runs it for what it does, whatever it returns.
    pub fn perform(&self, values: &[Option<Datum>]) -> Result<()> {
        // SAFETY: `run` has connected.
        let code = unsafe {
            let code = self.run(values, false, 0);
            pg_sys::SPI_finish();
            code
        };
        if code >= 0 {
            return Ok(());
        }
        // What it cannot do it does not do, and only says so.
        Err(Error::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            "a statement that ends the transaction, or copies from or to the client, cannot be run here",
        ))
    }

    /// Runs it, and leaves SPI connected, so that the result can be looked at.
    unsafe fn run(&self, values: &[Option<Datum>], reads: bool, most: i64) -> i32 {
        let nulls: Vec<u8> = values.iter().map(|value| if value.is_none() { b'n' } else { b' ' }).collect();
        let mut values: Vec<Datum> = values.iter().map(|value| value.unwrap_or(Datum::null())).collect();
        let (plan, values, nulls) = (self.0, values.as_mut_ptr(), nulls.as_ptr().cast());
        // SAFETY: the arrays are as long as the plan has parameters, as its preparer sees to.
        guarded(|| unsafe {
            raw::SPI_connect();
            raw::SPI_execute_plan(plan, values, nulls, reads, most as _)
        })
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        // SAFETY: made by `prepare`, and ours alone.
        unsafe { pg_sys::SPI_freeplan(self.0) };
    }
}
