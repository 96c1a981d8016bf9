//! Rights: checked by hand where no planner does it, and lent where our tables have to be written.
#![allow(unsafe_code)]

use super::compat;
use super::settings::{FIXED_SEARCH_PATH, Overrides};
use pgrx::pg_sys;
use std::ffi::CStr;

/// A right on a table.
#[derive(Clone, Copy)]
pub enum TableRight {
    /// `SELECT`
    Select,
    /// `INSERT`
    Insert,
    /// `TRIGGER`
    Trigger,
}

/// Refuses, in the server's own words, when the current user lacks the right.
pub fn require(table: pg_sys::Oid, right: TableRight) {
    let mode = match right {
        TableRight::Select => pg_sys::ACL_SELECT,
        TableRight::Insert => pg_sys::ACL_INSERT,
        TableRight::Trigger => pg_sys::ACL_TRIGGER,
    };
    // SAFETY: plain look-ups by OID; the name is used before the cache entry can go away.
    unsafe {
        let result = pg_sys::pg_class_aclcheck(table, pg_sys::GetUserId(), mode as _);
        if result != pg_sys::AclResult::ACLCHECK_OK {
            let name = pg_sys::get_rel_name(table);
            pg_sys::aclcheck_error(result, pg_sys::ObjectType::OBJECT_TABLE, name);
        }
    }
}

/// Refuses, in the server's own words, when the current user does not own the table.
pub fn require_owner(table: pg_sys::Oid) {
    // SAFETY: as above.
    unsafe {
        if !compat::owns_table(table, pg_sys::GetUserId()) {
            let name = pg_sys::get_rel_name(table);
            let not_owner = pg_sys::AclResult::ACLCHECK_NOT_OWNER;
            pg_sys::aclcheck_error(not_owner, pg_sys::ObjectType::OBJECT_TABLE, name);
        }
    }
}

/// Whether the current user may read what others did: messages of errors may quote their data.
pub fn may_read_all_stats() -> bool {
    // SAFETY: look-ups by OID and by a NUL-terminated name, which may be missing.
    unsafe {
        let user = pg_sys::GetUserId();
        let admin = pg_sys::get_role_oid(c"pgq_admin".as_ptr(), true);
        pg_sys::has_privs_of_role(user, pg_sys::Oid::from(pg_sys::ROLE_PG_READ_ALL_STATS))
            || admin != pg_sys::InvalidOid && pg_sys::has_privs_of_role(user, admin)
    }
}

/// The role of this name, if there is one.
pub fn role(name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: the name is NUL-terminated.
    let role = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
    (role != pg_sys::InvalidOid).then_some(role)
}

/// Runs code that others wrote with the rights of a role and a fixed search_path, so that nothing outlasts it: it
/// cannot go back to the calling user (`RESET ROLE`), leave a deferred trigger to the commit, or keep a setting.
pub fn run_as_restricted<R>(role: pg_sys::Oid, work: impl FnOnce() -> R) -> R {
    let identity = Identity::assume(role, pg_sys::SECURITY_RESTRICTED_OPERATION as i32);
    let result = work();
    drop(identity);
    result
}

/// Another user's rights, with a fixed search_path, until dropped. After an error the server itself restores user
/// and settings.
pub(super) struct Identity {
    user: pg_sys::Oid,
    context: i32,
    /// Put back after the user is.
    _settings: Overrides,
}

impl Identity {
    /// The rights of a table's owner.
    pub(super) fn of_owner(table: pg_sys::Oid) -> Identity {
        // SAFETY: the caller has the table locked, so it is there; only its owner is copied.
        let owner = unsafe {
            let relation = pg_sys::RelationIdGetRelation(table);
            let owner = (*(*relation).rd_rel).relowner;
            pg_sys::RelationClose(relation);
            owner
        };
        Identity::assume(owner, 0)
    }

    fn assume(user: pg_sys::Oid, restrictions: i32) -> Identity {
        // SAFETY: switches of session state, undone in `drop` or by the abort.
        unsafe {
            let (mut caller, mut context) = (pg_sys::InvalidOid, 0);
            pg_sys::GetUserIdAndSecContext(&mut caller, &mut context);
            let local = pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32;
            pg_sys::SetUserIdAndSecContext(user, context | local | restrictions);
            Identity { user: caller, context, _settings: Overrides::begin(&[FIXED_SEARCH_PATH]) }
        }
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the values are those that were in force before.
            unsafe {
                pg_sys::SetUserIdAndSecContext(self.user, self.context);
            }
        }
    }
}
