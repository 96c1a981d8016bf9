//! Rights: checked by hand where no planner does it, and lent where our tables have to be written.
#![allow(unsafe_code)]

use pgrx::pg_sys;

/// A right on a table.
#[derive(Clone, Copy)]
pub enum TableRight {
    /// `SELECT`
    Select,
    /// `INSERT`
    Insert,
}

/// Refuses, in the server's own words, when the current user lacks the right.
pub fn require(table: pg_sys::Oid, right: TableRight) {
    let mode = match right {
        TableRight::Select => pg_sys::ACL_SELECT,
        TableRight::Insert => pg_sys::ACL_INSERT,
    };
    // SAFETY: plain look-ups by OID; the name is used before the cache entry can go away.
    unsafe {
        let result = pg_sys::pg_class_aclcheck(table, pg_sys::GetUserId(), mode.into());
        if result != pg_sys::AclResult::ACLCHECK_OK {
            let name = pg_sys::get_rel_name(table);
            pg_sys::aclcheck_error(result, pg_sys::ObjectType::OBJECT_TABLE, name);
        }
    }
}
