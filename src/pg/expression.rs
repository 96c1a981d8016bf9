//! A query of a user's over the values of a row: prepared once, and made anew by the server itself when something
//! changes that it depends on.
#![allow(unsafe_code)]

use super::output::{self, names_objects};
use super::spi::connected;
use crate::error::{Error, Result};
use crate::pg::xact::from_caught;
use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, Oid};
use std::ffi::{CStr, CString};
use std::panic::AssertUnwindSafe;

/// A prepared query.
pub struct Query(pg_sys::SPIPlanPtr);

/// What it answered.
pub enum Answer {
    /// The first column of the one row, as text; `None` is NULL, or that there is no column.
    One(Option<Vec<u8>>),
    /// So many rows, where one was wanted; 2 stands for more.
    Rows(u64),
}

impl Query {
    /// Prepares it with the rights of the current user; `types` are those of `$1`, `$2`, …
    pub fn prepare(sql: &[u8], types: &[Oid]) -> Result<Query> {
        let text = CString::new(sql).expect("arguments of a trigger contain no zero byte");
        let mut types = types.to_vec();
        refused(|| {
            connected(|| {
                // SAFETY: the text is NUL-terminated, the array as long as announced; both are copied. A plan that is kept
                // lives until it is freed.
                unsafe {
                    let plan = pg_sys::SPI_prepare(text.as_ptr(), types.len() as i32, types.as_mut_ptr());
                    assert!(!plan.is_null(), "SPI_prepare");
                    pg_sys::SPI_keepplan(plan);
                    Query(plan)
                }
            })
        })
    }

    /// Whether it is one statement.
    pub fn is_single(&self) -> bool {
        // SAFETY: a kept plan has a list of sources, one for each statement; an empty text has none.
        unsafe {
            pgrx::PgList::<pg_sys::CachedPlanSource>::from_pg(pg_sys::SPI_plan_get_plan_sources(self.0))
        }
        .len()
            == 1
    }

    /// The type of its first column, as far as it has one.
    pub fn type_id(&self) -> Option<Oid> {
        // SAFETY: a kept plan has a source for each statement.
        unsafe {
            let sources = pg_sys::SPI_plan_get_plan_sources(self.0);
            let sources = pgrx::PgList::<pg_sys::CachedPlanSource>::from_pg(sources);
            let descriptor = (*sources.get_ptr(0)?).resultDesc;
            let has_columns = !descriptor.is_null() && (*descriptor).natts > 0;
            has_columns.then(|| pg_sys::SPI_gettypeid(descriptor, 1))
        }
    }

    /// Runs it with the rights of the current user; it must not write by itself.
    pub fn answer(&self, values: &[Option<Datum>]) -> Result<Answer> {
        let nulls: Vec<u8> = values.iter().map(|value| if value.is_none() { b'n' } else { b' ' }).collect();
        let mut values: Vec<Datum> = values.iter().map(|value| value.unwrap_or(Datum::null())).collect();
        refused(|| {
            connected(|| {
                // SAFETY: the arrays are as long as the plan has parameters; what is read of the result is copied before it
                // is freed.
                unsafe {
                    let nulls = nulls.as_ptr().cast();
                    let code = pg_sys::SPI_execute_plan(self.0, values.as_mut_ptr(), nulls, true, 2);
                    if code != pg_sys::SPI_OK_SELECT as i32 || pg_sys::SPI_processed != 1 {
                        return Answer::Rows(pg_sys::SPI_processed);
                    }
                    let table = pg_sys::SPI_tuptable;
                    let (row, descriptor) = (*(*table).vals, (*table).tupdesc);
                    if (*descriptor).natts == 0 {
                        return Answer::One(None);
                    }
                    let type_id = pg_sys::SPI_gettypeid(descriptor, 1);
                    let text =
                        output::exactly(names_objects(type_id), || pg_sys::SPI_getvalue(row, descriptor, 1));
                    Answer::One((!text.is_null()).then(|| CStr::from_ptr(text).to_bytes().to_vec()))
                }
            })
        })
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        // SAFETY: made by `prepare`, and ours alone.
        unsafe { pg_sys::SPI_freeplan(self.0) };
    }
}

/// A server error as a value, to be raised again with what we know about its place. The transaction is as broken as it
/// was, so nothing else may be asked of the server.
fn refused<R>(work: impl FnOnce() -> R) -> Result<R> {
    let mut work = Some(work);
    pgrx::PgTryBuilder::new(AssertUnwindSafe(|| Ok((work.take().expect("executed once"))())))
        .catch_others(|caught| Err::<R, Error>(from_caught(caught)))
        .execute()
}
