//! Server functions called without pgrx's guard, for the hot path and for users' statements.
//!
//! An error raised in one of them jumps straight to the server's handler. That skips Rust frames without running
//! destructors, so a caller must not hold anything that needs one. Signatures are the same in 15 to 18.
#![allow(unsafe_code)]

use pgrx::pg_sys;

unsafe extern "C-unwind" {
    /// `nextval()` by OID; `check_permissions` false leaves the sequence's own ACL out of it.
    pub fn nextval_internal(relid: pg_sys::Oid, check_permissions: bool) -> i64;
    /// Not among pgrx's bindings, as the one above and the three below.
    pub fn Async_Notify(channel: *const std::ffi::c_char, payload: *const std::ffi::c_char);
    pub fn find_inheritance_children(parent: pg_sys::Oid, lock: pg_sys::LOCKMODE) -> *mut pg_sys::List;
    pub fn hash_bytes_extended(bytes: *const u8, length: std::ffi::c_int, seed: u64) -> u64;
    pub fn has_superclass(relationId: pg_sys::Oid) -> bool;
    pub fn RelationIdGetRelation(relationId: pg_sys::Oid) -> pg_sys::Relation;
    pub fn RelationClose(relation: pg_sys::Relation);
    pub fn GetCurrentCommandId(used: bool) -> pg_sys::CommandId;
    pub fn GetCurrentTransactionStartTimestamp() -> pg_sys::TimestampTz;
    pub fn heap_form_tuple(
        tupleDescriptor: pg_sys::TupleDesc,
        values: *mut pg_sys::Datum,
        isnull: *mut bool,
    ) -> pg_sys::HeapTuple;
    pub fn heap_freetuple(htup: pg_sys::HeapTuple);
    pub fn heap_insert(
        relation: pg_sys::Relation,
        tup: pg_sys::HeapTuple,
        cid: pg_sys::CommandId,
        options: std::ffi::c_int,
        bistate: *mut pg_sys::BulkInsertStateData,
    );
    pub fn heap_multi_insert(
        relation: pg_sys::Relation,
        slots: *mut *mut pg_sys::TupleTableSlot,
        ntuples: std::ffi::c_int,
        cid: pg_sys::CommandId,
        options: std::ffi::c_int,
        bistate: *mut pg_sys::BulkInsertStateData,
    );
    pub fn ExecStoreHeapTuple(
        tuple: pg_sys::HeapTuple,
        slot: *mut pg_sys::TupleTableSlot,
        shouldFree: bool,
    ) -> *mut pg_sys::TupleTableSlot;
    pub fn set_errcontext_domain(domain: *const std::ffi::c_char) -> std::ffi::c_int;
    pub fn errcontext_msg(format: *const std::ffi::c_char, ...) -> std::ffi::c_int;
    pub fn OutputFunctionCall(flinfo: *mut pg_sys::FmgrInfo, val: pg_sys::Datum) -> *mut std::ffi::c_char;
    pub fn SPI_connect() -> std::ffi::c_int;
    pub fn SPI_finish() -> std::ffi::c_int;
    pub fn SPI_prepare(
        src: *const std::ffi::c_char,
        nargs: std::ffi::c_int,
        argtypes: *mut pg_sys::Oid,
    ) -> pg_sys::SPIPlanPtr;
    pub fn SPI_keepplan(plan: pg_sys::SPIPlanPtr) -> std::ffi::c_int;
    pub fn SPI_execute_plan(
        plan: pg_sys::SPIPlanPtr,
        Values: *mut pg_sys::Datum,
        Nulls: *const std::ffi::c_char,
        read_only: bool,
        tcount: std::ffi::c_long,
    ) -> std::ffi::c_int;
    pub fn SPI_getvalue(
        tuple: pg_sys::HeapTuple,
        tupdesc: pg_sys::TupleDesc,
        fnumber: std::ffi::c_int,
    ) -> *mut std::ffi::c_char;
    pub fn index_insert(
        indexRelation: pg_sys::Relation,
        values: *mut pg_sys::Datum,
        isnull: *mut bool,
        heap_t_ctid: pg_sys::ItemPointer,
        heapRelation: pg_sys::Relation,
        checkUnique: pg_sys::IndexUniqueCheck::Type,
        indexUnchanged: bool,
        indexInfo: *mut pg_sys::IndexInfo,
    ) -> bool;
}
