//! One firing of a trigger, as the server describes it to the function that the trigger names.
#![allow(unsafe_code)]

use super::call::Call;
use super::guard::guarded;
use super::raw;
use super::row::{Row, Rows};
use super::table::Table;
use super::text::Text;
use super::value::Value;
use pgq_core::change::Operation;
use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, Oid};
use std::ffi::CStr;
use std::marker::PhantomData;

/// When a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Before the operation, which it can suppress.
    Before,
    /// After it.
    After,
    /// In place of it, on a view.
    Instead,
}

/// A table that shares its rows with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Its rows are also changed through the name of the table that it is a partition of.
    Partition,
    /// The same, of a table that it inherits from.
    Child,
    /// Its rows lie in partitions.
    Partitioned,
    /// What is done to it is also done to the tables that inherit from it.
    Parent,
}

impl Family {
    /// # Safety
    /// The relation is open.
    unsafe fn of(relation: pg_sys::Relation) -> Option<Family> {
        // SAFETY: the caller's promise.
        let (table, class) = unsafe { ((*relation).rd_id, &*(*relation).rd_rel) };
        if class.relispartition {
            Some(Family::Partition)
        } else if class.relkind == pg_sys::RELKIND_PARTITIONED_TABLE as std::ffi::c_char {
            Some(Family::Partitioned)
        } else {
            // The flag stays when the last child goes.
            (class.relhassubclass && has_children(table)).then_some(Family::Parent)
        }
    }
}

fn has_children(table: Oid) -> bool {
    const NO_LOCK: pg_sys::LOCKMODE = pg_sys::NoLock as pg_sys::LOCKMODE;
    // SAFETY: a look into the catalog by OID.
    guarded(|| unsafe { !raw::find_inheritance_children(table, NO_LOCK).is_null() })
}

/// A trigger that is firing: what for, and on which table.
#[derive(Clone, Copy)]
pub struct Firing<'a> {
    data: &'a pg_sys::TriggerData,
}

impl Call {
    /// The trigger that fires; `None` when the function was called in another way.
    pub fn firing(&self) -> Option<Firing<'_>> {
        let context = self.context();
        // SAFETY: a context is a node, whose type says which; this one lives as long as the call.
        unsafe {
            let is_trigger = !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_TriggerData;
            is_trigger.then(|| Firing { data: &*context.cast::<pg_sys::TriggerData>() })
        }
    }
}

impl<'a> Firing<'a> {
    fn trigger(self) -> &'a pg_sys::Trigger {
        // SAFETY: the server describes the trigger as long as it fires.
        unsafe { &*self.data.tg_trigger }
    }

    /// The trigger's OID, which `CREATE OR REPLACE TRIGGER` keeps.
    #[inline]
    pub fn oid(self) -> Oid {
        self.trigger().tgoid
    }

    /// The trigger's name.
    pub fn name(self) -> Text<'a> {
        // SAFETY: a NUL-terminated name that lives as long as the description.
        Text(unsafe { CStr::from_ptr(self.trigger().tgname) }.to_bytes())
    }

    /// What stands in the parentheses of `EXECUTE FUNCTION f(…)`.
    #[inline]
    pub fn arguments(self) -> impl Iterator<Item = &'a [u8]> {
        let trigger = self.trigger();
        // SAFETY: the server keeps so many NUL-terminated strings.
        let argument = |number| unsafe { CStr::from_ptr(*trigger.tgargs.add(number)) }.to_bytes();
        (0..trigger.tgnargs as usize).map(argument)
    }

    /// The OID of the table that changes.
    #[inline]
    pub fn table(self) -> Oid {
        // SAFETY: the relation is open.
        unsafe { (*self.data.tg_relation).rd_id }
    }

    /// `schema.table` as it is called now, unquoted.
    pub fn table_name(self) -> Vec<u8> {
        // SAFETY: the relation is open, so its schema exists; both names are NUL-terminated.
        unsafe {
            let class = &*(*self.data.tg_relation).rd_rel;
            let schema = CStr::from_ptr(pg_sys::get_namespace_name(class.relnamespace)).to_bytes();
            [schema, CStr::from_ptr(class.relname.data.as_ptr()).to_bytes()].join(&b'.')
        }
    }

    /// The table, described; what has to be kept for that is kept in the current memory context.
    pub fn describe_table(self) -> Table {
        // SAFETY: the server holds the relation open and locked while the trigger fires.
        unsafe { Table::describe(self.data.tg_relation) }
    }

    /// What the table is to other tables, if rows of it are changed through another's name or others' through its name.
    pub fn family(self) -> Option<Family> {
        // SAFETY: the relation is open.
        unsafe { Family::of(self.data.tg_relation) }
    }

    /// What happens to the table.
    #[inline]
    pub fn operation(self) -> Operation {
        match self.data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => Operation::Insert,
            pg_sys::TRIGGER_EVENT_DELETE => Operation::Delete,
            pg_sys::TRIGGER_EVENT_UPDATE => Operation::Update,
            _ => Operation::Truncate,
        }
    }

    /// Whether it fires once for each row, and not once for the statement.
    #[inline]
    pub fn is_for_each_row(self) -> bool {
        self.data.tg_event & pg_sys::TRIGGER_EVENT_ROW != 0
    }

    /// When it fires.
    #[inline]
    pub fn timing(self) -> Timing {
        match self.data.tg_event & pg_sys::TRIGGER_EVENT_TIMINGMASK {
            pg_sys::TRIGGER_EVENT_BEFORE => Timing::Before,
            pg_sys::TRIGGER_EVENT_INSTEAD => Timing::Instead,
            _ => Timing::After,
        }
    }

    /// Does work; a server error in it says in its context which trigger it was.
    #[inline]
    pub fn in_context<R>(self, work: impl FnOnce() -> R) -> R {
        struct Line(pg_sys::ErrorContextCallback);
        impl Drop for Line {
            fn drop(&mut self) {
                // SAFETY: lines are taken off in the order opposite to that in which they were put on.
                unsafe { pg_sys::error_context_stack = self.0.previous };
            }
        }
        let argument = std::ptr::from_ref(self.data).cast_mut().cast();
        // SAFETY: reads a variable of the error system.
        let previous = unsafe { pg_sys::error_context_stack };
        let mut line = Line(pg_sys::ErrorContextCallback { previous, callback: Some(tell), arg: argument });
        // SAFETY: the line stays where it is until it is dropped, which takes it off, also when a panic goes through.
        unsafe { pg_sys::error_context_stack = &raw mut line.0 };
        work()
    }

    /// The row before and after the change, of a trigger for each row.
    #[inline]
    pub fn rows(self) -> Rows<'a> {
        let (first, second) = (self.data.tg_trigslot, self.data.tg_newslot);
        match self.operation() {
            Operation::Insert => Rows { old: None, new: self.row(first) },
            Operation::Delete => Rows { old: self.row(first), new: None },
            _ => Rows { old: self.row(first), new: self.row(second) },
        }
    }

    fn row(self, slot: *mut pg_sys::TupleTableSlot) -> Option<Row<'a>> {
        // SAFETY: a trigger for each row has the row that is there in the first slot and, updating, the new one in the
        // second; both stay as long as it fires.
        unsafe { Row::of_slot(self.table(), slot) }
    }

    /// What a trigger function returns to let the operation happen as it is.
    pub fn proceed(self) -> Value {
        let row = match (self.timing(), self.operation()) {
            _ if !self.is_for_each_row() => std::ptr::null_mut(),
            (Timing::After, _) => std::ptr::null_mut(),
            (_, Operation::Update) => self.data.tg_newtuple,
            _ => self.data.tg_trigtuple,
        };
        Value::Pointer(Datum::from(row))
    }

    /// What a trigger function returns to suppress the operation.
    pub fn suppress(self) -> Value {
        Value::Pointer(Datum::null())
    }

    /// The rows of the statement, if the trigger has asked for them (`REFERENCING`) as far as its operation has them.
    pub fn transition(self) -> Option<Transition<'a>> {
        let (old, new) = (self.data.tg_oldtable, self.data.tg_newtable);
        let complete = match self.operation() {
            Operation::Insert => !new.is_null(),
            Operation::Delete => !old.is_null(),
            Operation::Update => !old.is_null() && !new.is_null(),
            Operation::Truncate => false,
        };
        let relation = self.data.tg_relation;
        // SAFETY: the relation is open, and the tables of rows live, as long as the trigger fires.
        let open = |store| unsafe { Stored::open(store, relation) };
        complete.then(|| Transition { old: open(old), new: open(new), life: PhantomData })
    }
}

/// Adds the line to the error that is being made. No catalog is read: the error may be that this is impossible.
unsafe extern "C-unwind" fn tell(firing: *mut std::ffi::c_void) {
    // SAFETY: `in_context` gives the description of a trigger that is still firing; names are NUL-terminated.
    unsafe {
        let data = &*firing.cast::<pg_sys::TriggerData>();
        let table = (*(*data.tg_relation).rd_rel).relname.data.as_ptr();
        raw::set_errcontext_domain(std::ptr::null());
        raw::errcontext_msg(c"trigger \"%s\" on table \"%s\"".as_ptr(), (*data.tg_trigger).tgname, table);
    }
}

/// The rows that a statement has changed.
pub struct Transition<'a> {
    old: Option<Stored>,
    new: Option<Stored>,
    life: PhantomData<&'a ()>,
}

/// A table of rows, read from its beginning.
struct Stored {
    table: Oid,
    store: *mut pg_sys::Tuplestorestate,
    slot: *mut pg_sys::TupleTableSlot,
}

impl Stored {
    unsafe fn open(store: *mut pg_sys::Tuplestorestate, relation: pg_sys::Relation) -> Option<Stored> {
        if store.is_null() {
            return None;
        }
        // SAFETY: the store is live; nobody else reads it by this pointer while the trigger fires.
        unsafe {
            pg_sys::tuplestore_rescan(store);
            let slot =
                pg_sys::MakeSingleTupleTableSlot((*relation).rd_att, &raw const pg_sys::TTSOpsMinimalTuple);
            // Computed columns may ask for it.
            (*slot).tts_tableOid = (*relation).rd_id;
            Some(Stored { table: (*relation).rd_id, store, slot })
        }
    }

    fn advance(&mut self) -> bool {
        // SAFETY: store and slot are live.
        unsafe { pg_sys::tuplestore_gettupleslot(self.store, true, false, self.slot) }
    }

    fn row(&self) -> Option<Row<'_>> {
        // SAFETY: `advance` has filled the slot; the row is borrowed until it does so again.
        unsafe { Row::of_slot(self.table, self.slot) }
    }
}

impl Transition<'_> {
    /// The next row, before and after; both tables of an update are in step.
    pub fn next(&mut self) -> Option<Rows<'_>> {
        pgrx::check_for_interrupts!();
        let has_old = self.old.as_mut().is_some_and(Stored::advance);
        let has_new = self.new.as_mut().is_some_and(Stored::advance);
        (has_old || has_new).then(|| Rows {
            old: self.old.as_ref().and_then(Stored::row),
            new: self.new.as_ref().and_then(Stored::row),
        })
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the slot is ours; after an error its memory goes with the transaction.
            unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.slot) };
        }
    }
}
