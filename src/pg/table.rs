//! A table as capture sees it: its name, its columns, its key.
#![allow(unsafe_code)]

use super::compat::attribute;
use super::computed::Computed;
use super::guard::guarded;
use super::output::{Output, Rendered};
use super::raw;
use super::row::Row;
use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, Oid};
use std::ffi::{CStr, CString};

/// What is known of a table until its definition changes.
pub struct Table {
    /// Its OID.
    pub oid: Oid,
    /// The schema's name.
    pub schema: Vec<u8>,
    /// The table's own name.
    pub name: Vec<u8>,
    /// The columns that are there, in order.
    pub columns: Vec<Column>,
    /// Whether it inherits from another table, or is a partition.
    pub is_child: bool,
    /// The columns of the primary key in the order of its index, by their position in `columns`.
    pub key: Vec<usize>,
}

/// A column and its ways of being looked at.
pub struct Column {
    table: Oid,
    /// Its name.
    pub name: Vec<u8>,
    /// Where rows have it: dropped columns keep their place.
    pub position: usize,
    /// Whether the server computes it.
    pub is_generated: bool,
    /// Its type.
    pub type_id: Oid,
    collation: Oid,
    length: i16,
    is_by_value: bool,
    output: Output,
    /// Where rows do not have it.
    computed: Option<Computed>,
}

impl Table {
    /// Describes a table that the caller has locked; what has to be kept for it is kept in the current memory context.
    pub fn of_oid(oid: Oid) -> Table {
        // SAFETY: locked by the caller, so it is there, and stays as it is.
        unsafe {
            let relation = pg_sys::table_open(oid, pg_sys::NoLock as pg_sys::LOCKMODE);
            let table = Table::describe(relation);
            pg_sys::table_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            table
        }
    }

    /// Describes an open table; what has to be kept for it is kept in the current memory context.
    ///
    /// # Safety
    /// The relation is open, and locked against changes of its definition.
    pub(super) unsafe fn describe(relation: pg_sys::Relation) -> Table {
        // SAFETY: an open relation has a class tuple and a descriptor with so many attributes.
        unsafe {
            let class = &*(*relation).rd_rel;
            let descriptor = (*relation).rd_att;
            let oid = (*relation).rd_id;
            let columns: Vec<Column> = (0..(*descriptor).natts as usize)
                .map(|position| &*attribute(descriptor, position))
                .filter(|attribute| !attribute.attisdropped)
                .map(|attribute| Column::describe(relation, attribute))
                .collect();
            let numbers = primary_key(relation);
            let place = |number: &i16| columns.iter().position(|column| column.number() == *number);
            let key = numbers.iter().filter_map(place).collect();
            let schema = pg_sys::get_namespace_name(class.relnamespace);
            Table {
                oid,
                schema: CStr::from_ptr(schema).to_bytes().to_vec(),
                name: CStr::from_ptr(class.relname.data.as_ptr()).to_bytes().to_vec(),
                columns,
                is_child: guarded(|| raw::has_superclass(oid)),
                key,
            }
        }
    }

    /// `schema.name`, unquoted.
    pub fn full_name(&self) -> Vec<u8> {
        [self.schema.as_slice(), &self.name].join(&b'.')
    }

    /// The position in `columns` of the column of this name.
    pub fn column(&self, name: &[u8]) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// The numbers of the primary key's columns. Columns are renamed, and their index's are not: so no names.
unsafe fn primary_key(relation: pg_sys::Relation) -> Vec<i16> {
    const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: the caller has the relation open; the list is ours, and each index is open while it is looked at.
    unsafe {
        let list = pg_sys::RelationGetIndexList(relation);
        let indexes = pgrx::PgList::<pg_sys::Oid>::from_pg(list);
        for oid in indexes.iter_oid() {
            let index = pg_sys::index_open(oid, LOCK);
            let shape = &*(*index).rd_index;
            let numbers = shape.indisprimary.then(|| {
                std::slice::from_raw_parts(shape.indkey.values.as_ptr(), shape.indnkeyatts as usize).to_vec()
            });
            pg_sys::index_close(index, LOCK);
            if let Some(numbers) = numbers {
                return numbers;
            }
        }
        Vec::new()
    }
}

impl Column {
    /// # Safety
    /// The relation is open, and the attribute one of its own.
    unsafe fn describe(relation: pg_sys::Relation, attribute: &pg_sys::FormData_pg_attribute) -> Column {
        // SAFETY: the caller's promise; the name of an attribute is NUL-terminated.
        let (table, name, computed) = unsafe {
            let name = CStr::from_ptr(attribute.attname.data.as_ptr()).to_bytes().to_vec();
            ((*relation).rd_id, name, Computed::of(relation, attribute))
        };
        Column {
            table,
            name,
            position: attribute.attnum as usize - 1,
            is_generated: attribute.attgenerated != 0,
            type_id: attribute.atttypid,
            collation: attribute.attcollation,
            length: attribute.attlen,
            is_by_value: attribute.attbyval,
            output: Output::of(attribute.atttypid),
            computed,
        }
    }

    fn number(&self) -> i16 {
        self.position as i16 + 1
    }

    /// Whether rows do not have it, and its value is computed each time.
    pub fn is_computed(&self) -> bool {
        self.computed.is_some()
    }

    /// Whether values of the column name objects ([`super::output`]).
    pub fn names_objects(&self) -> bool {
        self.output.names_objects
    }

    /// The value of the column in a row of its table; `None` is NULL.
    #[inline]
    pub fn value(&self, row: Row) -> Option<Datum> {
        assert_eq!(row.table, self.table, "a row of another table");
        match &self.computed {
            None => row.get(self.position),
            // SAFETY: a row of this table, as has just been seen.
            Some(computed) => unsafe { computed.value(row.slot()) },
        }
    }

    /// The value as text; `None` is NULL.
    #[inline]
    pub fn text(&self, row: Row) -> Option<Rendered> {
        // SAFETY: a row of this table has a value of this type here; who keeps a `Table` makes it anew when the
        // table changes.
        self.value(row).map(|value| unsafe { self.output.render(value) })
    }

    /// A date or time as XML Schema and JSON write it, whatever the session's settings; `None` is NULL.
    pub fn xsd_time(&self, row: Row) -> Option<Rendered> {
        /// As much as the server's function may write.
        const LENGTH: usize = pg_sys::MAXDATELEN as usize + 1;
        // SAFETY: the function writes a NUL-terminated text of at most this length; it knows the three types of which
        // callers use this.
        self.value(row).map(|value| unsafe {
            let buffer = pg_sys::palloc(LENGTH).cast::<std::ffi::c_char>();
            let text = pg_sys::JsonEncodeDateTime(buffer, value, self.type_id, std::ptr::null());
            let text = CStr::from_ptr(text).to_bytes();
            Rendered::Bytes(text.as_ptr(), text.len())
        })
    }

    /// Whether the text of the column is the same in both rows. Values that are stored in the same bytes are not even
    /// rendered, so nothing that is stored out of line is read.
    pub fn is_same(&self, old: Row, new: Row) -> bool {
        match (self.value(old), self.value(new)) {
            (None, None) => true,
            (Some(before), Some(after)) => {
                // SAFETY: both are values of this column.
                let is_identical = unsafe { self.is_identical(before, after) };
                is_identical || self.text(old).as_deref() == self.text(new).as_deref()
            }
            _ => false,
        }
    }

    /// Whether the type's `=` says that the column is the same in both rows; where there is none, the text does.
    pub fn is_equal(&self, old: Row, new: Row) -> bool {
        let (Some(before), Some(after)) = (self.value(old), self.value(new)) else {
            return self.value(old).is_none() && self.value(new).is_none();
        };
        if self.is_same(old, new) {
            return true;
        }
        // SAFETY: the entry lives as long as the session; the function takes two values of this type.
        unsafe {
            let entry = pg_sys::lookup_type_cache(self.type_id, pg_sys::TYPECACHE_EQ_OPR_FINFO as i32);
            let has_equality = (*entry).eq_opr_finfo.fn_oid != pg_sys::InvalidOid;
            has_equality
                && pg_sys::FunctionCall2Coll(&mut (*entry).eq_opr_finfo, self.collation, before, after)
                    .value()
                    & 0xff
                    != 0
        }
    }

    /// # Safety
    /// Both are values of this column.
    unsafe fn is_identical(&self, before: Datum, after: Datum) -> bool {
        if self.is_by_value || before == after {
            return before == after;
        }
        // SAFETY: by-reference values are as long as their type, or their own header, says.
        unsafe {
            let bytes = |value: Datum| {
                let start = value.cast_mut_ptr::<u8>();
                let length = match self.length {
                    -1 => pgrx::varlena::varsize_any(start.cast()),
                    -2 => CStr::from_ptr(start.cast()).to_bytes().len(),
                    length => length as usize,
                };
                std::slice::from_raw_parts(start, length)
            };
            bytes(before) == bytes(after)
        }
    }
}

/// A name as the server writes it: in quotes where it needs them, and everywhere under `quote_all_identifiers`.
pub fn quoted_if_needed(name: &[u8]) -> Vec<u8> {
    let name = CString::new(name).expect("names never contain a zero byte");
    // SAFETY: the name is NUL-terminated, and so is the answer, which is copied.
    unsafe { CStr::from_ptr(pg_sys::quote_identifier(name.as_ptr())) }.to_bytes().to_vec()
}
