//! What differs between the server's majors, under one name each.
#![allow(unsafe_code)]

use pgrx::pg_sys;
use std::ffi::CStr;

/// The attribute at a position (from 0) of a descriptor.
///
/// # Safety
/// The descriptor is live and has more attributes than that.
#[cfg(feature = "pg18")]
pub unsafe fn attribute(
    descriptor: pg_sys::TupleDesc,
    position: usize,
) -> *mut pg_sys::FormData_pg_attribute {
    // SAFETY: passed on to the caller.
    unsafe { pg_sys::TupleDescAttr(descriptor, position as i32) }
}

/// The attribute at a position (from 0) of a descriptor.
///
/// # Safety
/// The descriptor is live and has more attributes than that.
#[cfg(not(feature = "pg18"))]
pub unsafe fn attribute(
    descriptor: pg_sys::TupleDesc,
    position: usize,
) -> *mut pg_sys::FormData_pg_attribute {
    // SAFETY: passed on to the caller.
    unsafe { (*descriptor).attrs.as_mut_ptr().add(position) }
}

/// Whether some column has a generated value that the table does not store.
///
/// # Safety
/// The pointer is that of a live descriptor's constraints.
#[cfg(feature = "pg18")]
pub unsafe fn has_virtual_columns(constraints: *mut pg_sys::TupleConstr) -> bool {
    // SAFETY: passed on to the caller.
    unsafe { (*constraints).has_generated_virtual }
}

/// Whether some column has a generated value that the table does not store.
///
/// # Safety
/// The pointer is that of a live descriptor's constraints.
#[cfg(not(feature = "pg18"))]
pub unsafe fn has_virtual_columns(_: *mut pg_sys::TupleConstr) -> bool {
    false
}

/// Starts an index scan without ordering operators.
///
/// # Safety
/// Both relations are open, and the snapshot stays registered until the scan ends.
pub unsafe fn begin_index_scan(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    keys: i32,
) -> pg_sys::IndexScanDesc {
    // SAFETY: passed on to the caller.
    #[cfg(feature = "pg18")]
    unsafe {
        pg_sys::index_beginscan(heap, index, snapshot, std::ptr::null_mut(), keys, 0)
    }
    // SAFETY: passed on to the caller.
    #[cfg(not(feature = "pg18"))]
    unsafe {
        pg_sys::index_beginscan(heap, index, snapshot, keys, 0)
    }
}

/// Sets the handler of a signal.
///
/// # Safety
/// The handler does only what may be done in one.
pub unsafe fn set_signal_handler(signal: std::ffi::c_int, handler: pg_sys::pqsigfunc) {
    // SAFETY: passed on to the caller.
    #[cfg(feature = "pg18")]
    unsafe {
        pg_sys::pqsignal_be(signal, handler);
    }
    // SAFETY: passed on to the caller.
    #[cfg(not(feature = "pg18"))]
    unsafe {
        pg_sys::pqsignal(signal, handler);
    }
}

/// Settings that a worker fixes for itself and that not all majors have.
pub const FIXED_SETTINGS: &[(&CStr, &CStr)] = &[
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    (c"transaction_timeout", c"0"),
];

/// Whether the user owns the database, or might do as he likes anyway.
pub fn owns_database(database: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up by OID.
    #[cfg(feature = "pg15")]
    unsafe {
        pg_sys::pg_database_ownercheck(database, user)
    }
    // SAFETY: a catalog look-up by OID.
    #[cfg(not(feature = "pg15"))]
    unsafe {
        pg_sys::object_ownercheck(pg_sys::DatabaseRelationId, database, user)
    }
}

/// Whether the user owns the table, or might do as he likes anyway.
pub fn owns_table(table: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up by OID.
    #[cfg(feature = "pg15")]
    unsafe {
        pg_sys::pg_class_ownercheck(table, user)
    }
    // SAFETY: a catalog look-up by OID.
    #[cfg(not(feature = "pg15"))]
    unsafe {
        pg_sys::object_ownercheck(pg_sys::RelationRelationId, table, user)
    }
}

/// Whether tables on other servers can have triggers for TRUNCATE.
pub const FOREIGN_TRUNCATE_TRIGGERS: bool = !cfg!(feature = "pg15");

/// Whether the user may execute the function.
pub fn may_execute(function: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up by OID.
    #[cfg(feature = "pg15")]
    let result = unsafe { pg_sys::pg_proc_aclcheck(function, user, pg_sys::ACL_EXECUTE as pg_sys::AclMode) };
    // SAFETY: a catalog look-up by OID.
    #[cfg(not(feature = "pg15"))]
    let result = unsafe {
        let mode = pg_sys::ACL_EXECUTE as pg_sys::AclMode;
        pg_sys::object_aclcheck(pg_sys::ProcedureRelationId, function, user, mode)
    };
    result == pg_sys::AclResult::ACLCHECK_OK
}

/// Whether the user may name what is in the schema.
pub fn may_use_schema(schema: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up by OID.
    #[cfg(feature = "pg15")]
    let result = unsafe { pg_sys::pg_namespace_aclcheck(schema, user, pg_sys::ACL_USAGE as pg_sys::AclMode) };
    // SAFETY: a catalog look-up by OID.
    #[cfg(not(feature = "pg15"))]
    let result = unsafe {
        let mode = pg_sys::ACL_USAGE as pg_sys::AclMode;
        pg_sys::object_aclcheck(pg_sys::NamespaceRelationId, schema, user, mode)
    };
    result == pg_sys::AclResult::ACLCHECK_OK
}
