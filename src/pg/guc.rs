//! What settings need beyond pgrx's registry.
#![allow(unsafe_code)]

use pgrx::PgList;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;
use std::ffi::{CStr, CString, c_char, c_void};

/// Makes a setting known that is a list of names, as `search_path` is.
pub fn define_names(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
) {
    let flags = GucFlags::from_bits_retain(pg_sys::GUC_LIST_INPUT as i32);
    // SAFETY: the hook has the declared type.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            name,
            short,
            long,
            setting,
            GucContext::Sighup,
            flags,
            Some(check_names),
            None,
            None,
        );
    }
}

unsafe extern "C-unwind" fn check_names(
    value: *mut *mut c_char,
    _: *mut *mut c_void,
    _: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server hands over a NUL-terminated string, the default's is not null; what it is told must be
    // allocated by it.
    unsafe {
        let is_list = names(CStr::from_ptr(*value)).is_some();
        if !is_list {
            pg_sys::GUC_check_errdetail_string = pg_sys::pstrdup(c"List syntax is invalid.".as_ptr());
        }
        is_list
    }
}

/// The names in a list that are separated by commas, and may be in double quotes; `None`: it is no such list.
pub fn names(list: &CStr) -> Option<Vec<Vec<u8>>> {
    // SAFETY: the server's function works on a copy of its own, into which the result points.
    unsafe {
        let mut names = std::ptr::null_mut();
        let copy = pg_sys::pstrdup(list.as_ptr());
        let is_list = pg_sys::SplitIdentifierString(copy, b',' as c_char, &mut names);
        let list = PgList::<c_char>::from_pg(names);
        let found = list.iter_ptr().map(|name| CStr::from_ptr(name).to_bytes().to_vec()).collect();
        pg_sys::list_free(names);
        pg_sys::pfree(copy.cast());
        is_list.then_some(found)
    }
}

/// From now on a setting `pgq.something` that nobody has defined is an error. Called after the last definition.
pub fn reserve_prefix() {
    // SAFETY: the name is NUL-terminated and copied.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"pgq".as_ptr()) };
}

/// Whether the server is starting, and lets libraries add processes, memory and hooks.
pub fn is_preloading() -> bool {
    // SAFETY: reads variables of this process.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress && !pg_sys::IsBinaryUpgrade }
}
