//! Commands that need a database to be empty: its ticker leaves in time.
//!
//! An idle ticker is a session like any other, for which DROP DATABASE, ALTER DATABASE … RENAME and SET TABLESPACE,
//! and CREATE DATABASE … TEMPLATE would wait five seconds and then give up.
#![allow(unsafe_code)]

use super::compat;
use super::demand;
use super::seat;
use super::session::Session;
use pgrx::PgList;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;
use pgrx::pg_sys::panic::pgrx_extern_c_guard;
use std::ffi::{CStr, c_char};

static NEXT: Session<pg_sys::ProcessUtility_hook_type> = Session::new(None);

// Not through pgrx's guard: an error of the user's statement would lose its context on the way.
unsafe extern "C-unwind" {
    fn standard_ProcessUtility(
        statement: *mut pg_sys::PlannedStmt,
        query: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        parameters: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        destination: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
}

/// Puts us into the chain of those who see utility commands. Only while libraries are being preloaded.
pub fn watch() {
    // SAFETY: hooks are chained as the server's documentation asks.
    unsafe {
        NEXT.with(|next| *next = pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(on_utility);
    }
}

unsafe extern "C-unwind" fn on_utility(
    statement: *mut pg_sys::PlannedStmt,
    query: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the statement is live. The rest is handed on as it came; an error in it jumps over this frame, in
    // which nothing needs a destructor.
    unsafe {
        pgrx_extern_c_guard(|| make_way((*statement).utilityStmt));
        let next = NEXT.with(|next| *next).unwrap_or(standard_ProcessUtility);
        let commits_prepared = is_commit_prepared((*statement).utilityStmt);
        next(statement, query, read_only_tree, context, parameters, environment, destination, completion);
        if commits_prepared {
            demand::committed_prepared();
        }
    }
}

/// A transaction that ends in this way ends without callbacks.
unsafe fn is_commit_prepared(command: *mut pg_sys::Node) -> bool {
    // SAFETY: the tag says of which type the node is.
    unsafe {
        (*command).type_ == NodeTag::T_TransactionStmt
            && (*command.cast::<pg_sys::TransactionStmt>()).kind
                == pg_sys::TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED
    }
}

/// Sends the ticker away from the database that the command is about, if its owner gave the command.
unsafe fn make_way(command: *mut pg_sys::Node) {
    // SAFETY: the caller's command is live; the look-ups are plain catalog reads, in the command's transaction.
    unsafe {
        let name = database_to_empty(command);
        if name.is_null() {
            return;
        }
        let database = pg_sys::get_database_oid(name, true);
        if database != pg_sys::InvalidOid && compat::owns_database(database, pg_sys::GetUserId()) {
            seat::claim(database);
        }
    }
}

/// The name of the database that the command cannot share, or null.
unsafe fn database_to_empty(command: *mut pg_sys::Node) -> *const c_char {
    let none = std::ptr::null();
    // SAFETY: the tag says of which type the node is.
    unsafe {
        match (*command).type_ {
            NodeTag::T_DropdbStmt => (*command.cast::<pg_sys::DropdbStmt>()).dbname,
            NodeTag::T_RenameStmt => {
                let rename = &*command.cast::<pg_sys::RenameStmt>();
                match rename.renameType {
                    pg_sys::ObjectType::OBJECT_DATABASE => rename.subname,
                    _ => none,
                }
            }
            NodeTag::T_AlterDatabaseStmt => {
                let alter = &*command.cast::<pg_sys::AlterDatabaseStmt>();
                match option(alter.options, c"tablespace").is_null() {
                    true => none,
                    false => alter.dbname,
                }
            }
            NodeTag::T_CreatedbStmt => {
                let template = option((*command.cast::<pg_sys::CreatedbStmt>()).options, c"template");
                match template.is_null() || (*template).arg.is_null() {
                    true => none,
                    false => pg_sys::defGetString(template),
                }
            }
            _ => none,
        }
    }
}

unsafe fn option(options: *mut pg_sys::List, name: &CStr) -> *mut pg_sys::DefElem {
    // SAFETY: the options of these commands are a list of definitions with names.
    unsafe {
        PgList::<pg_sys::DefElem>::from_pg(options)
            .iter_ptr()
            .find(|option| CStr::from_ptr((**option).defname) == name)
            .unwrap_or(std::ptr::null_mut())
    }
}
