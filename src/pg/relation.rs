//! Tables and sequences by name.
#![allow(unsafe_code)]

use super::text::Text;
use pgrx::pg_sys;
use std::ffi::CString;

/// The same as [`find`], locked to the end of the transaction: it waits for who is making or removing it.
pub fn lock(name: Text, mode: pg_sys::LOCKMODE) -> Option<pg_sys::Oid> {
    let mut locked = None;
    loop {
        let found = find(name);
        if found == locked {
            return found;
        }
        // SAFETY: plain lock calls by OID; the lock lets others' changes of the name be seen.
        unsafe {
            if let Some(other) = locked {
                pg_sys::UnlockRelationOid(other, mode);
            }
            if let Some(oid) = found {
                pg_sys::LockRelationOid(oid, mode);
            }
        }
        locked = found;
    }
}

/// The number of pages of the table. Does not wait for who has locked it: then it is unknown.
pub fn pages(table: pg_sys::Oid) -> Option<u32> {
    const SHARE: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: opened under a lock; the table may have been dropped before that.
    unsafe {
        if !pg_sys::ConditionalLockRelationOid(table, SHARE) {
            return None;
        }
        let relation = pg_sys::try_relation_open(table, pg_sys::NoLock as pg_sys::LOCKMODE);
        let pages = (!relation.is_null()).then(|| {
            let pages = pg_sys::RelationGetNumberOfBlocksInFork(relation, pg_sys::ForkNumber::MAIN_FORKNUM);
            pg_sys::relation_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            pages
        });
        pg_sys::UnlockRelationOid(table, SHARE);
        pages
    }
}

/// The table, index or sequence of this `schema.name`, split at the first dot; nothing is locked.
pub fn find(name: Text) -> Option<pg_sys::Oid> {
    let (schema, relation) = name.split_qualified();
    let (schema, relation) = (CString::new(schema.0).ok()?, CString::new(relation.0).ok()?);
    // SAFETY: both names are NUL-terminated; a missing schema is reported as the invalid OID.
    let oid = unsafe {
        let namespace = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        match namespace {
            pg_sys::InvalidOid => pg_sys::InvalidOid,
            namespace => pg_sys::get_relname_relid(relation.as_ptr(), namespace),
        }
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}
