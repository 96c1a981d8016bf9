//! What stands behind the name `pgq.insert_event`.
//!
//! People replace that function to intercept events. So a trigger looks, and goes the direct way only while the
//! function is the one that this library installed and the current user may execute it.
#![allow(unsafe_code)]

use super::session::Session;
use super::{compat, watch};
use pgrx::pg_sys;

/// The number of text arguments of the full form.
const ARGUMENTS: usize = 7;

struct Memo {
    routines: u64,
    user: pg_sys::Oid,
    is_ours: bool,
}

static MEMO: Session<Option<Memo>> = Session::new(None);

/// Whether calling `pgq.insert_event` as the current user would come to our own function, and to nothing else.
///
/// Remembered until a function, a schema or a role changes, or the user: 2 ns instead of 0.2 us.
#[inline]
pub fn insert_event_is_ours() -> bool {
    // SAFETY: reads a variable of the session.
    let user = unsafe { pg_sys::GetUserId() };
    let routines = watch::routines();
    let remembered = MEMO.with(|memo| {
        memo.as_ref().filter(|memo| memo.routines == routines && memo.user == user).map(|memo| memo.is_ours)
    });
    remembered.unwrap_or_else(|| {
        // Looking up may deliver changes, which count from the next call on.
        let is_ours = look_up(user);
        MEMO.with(|memo| *memo = Some(Memo { routines, user, is_ours }));
        is_ours
    })
}

unsafe extern "C-unwind" {
    /// Defined in `crate::entry`.
    fn insert_event_wrapper(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum;
}

#[cold]
fn look_up(user: pg_sys::Oid) -> bool {
    // SAFETY: the name is NUL-terminated, the array of types as long as announced; `fmgr_info` describes any function that
    // is there, one with settings or its owner's rights by the address of the server's own detour.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"pgq".as_ptr(), true);
        if schema == pg_sys::InvalidOid {
            return false;
        }
        let types = [pg_sys::TEXTOID; ARGUMENTS];
        let function = pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            pg_sys::Anum_pg_proc_oid as pg_sys::AttrNumber,
            pg_sys::Datum::from(c"insert_event".as_ptr()),
            pg_sys::Datum::from(pg_sys::buildoidvector(types.as_ptr(), ARGUMENTS as i32)),
            pg_sys::Datum::from(schema),
            pg_sys::Datum::null(),
        );
        if function == pg_sys::InvalidOid
            || !compat::may_execute(function, user)
            || !compat::may_use_schema(schema, user)
        {
            return false;
        }
        let mut info = pg_sys::FmgrInfo::default();
        pg_sys::fmgr_info(function, &mut info);
        info.fn_addr.is_some_and(|address| std::ptr::fn_addr_eq(address, insert_event_wrapper as EntryPoint))
    }
}

type EntryPoint = unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum;
