//! The few SQL types that PgQ's functions speak, as Rust values.
#![allow(unsafe_code)]

use super::raw;
use super::text::Text;
use pgq_core::Micros;
use pgrx::pg_sys;
use std::borrow::Cow;
use std::fmt;

/// A point in time: microseconds since 2000-01-01 UTC, as the server counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The start of the current transaction, which is what SQL's `now()` says.
    #[inline]
    pub fn now() -> Self {
        // SAFETY: reads a variable of the transaction system.
        Timestamp(unsafe { raw::GetCurrentTransactionStartTimestamp() })
    }

    /// The time by the clock, which is what SQL's `clock_timestamp()` says.
    pub fn clock() -> Self {
        // SAFETY: asks the operating system.
        Timestamp(unsafe { pg_sys::GetCurrentTimestamp() })
    }
}

impl From<Timestamp> for Micros {
    fn from(time: Timestamp) -> Micros {
        Micros::new(time.0)
    }
}

impl From<Micros> for Timestamp {
    fn from(time: Micros) -> Timestamp {
        Timestamp(time.get())
    }
}

/// An SQL interval in its three parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Microseconds.
    pub time: i64,
    /// Days, of 24 hours when compared.
    pub day: i32,
    /// Months, of 30 days when compared.
    pub month: i32,
}

impl Interval {
    /// The length in microseconds by which the server compares intervals, cut off at what `i64` holds.
    pub fn micros(self) -> i64 {
        const DAY: i128 = 86_400_000_000;
        let days = i128::from(self.day) + i128::from(self.month) * 30;
        (i128::from(self.time) + days * DAY).clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

impl From<Interval> for Micros {
    fn from(interval: Interval) -> Micros {
        Micros::from_interval(interval.month, interval.day, interval.time)
    }
}

/// A SQL value, as argument of a statement, as column of a result, or as what a function returns.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL of any type.
    Null,
    /// `boolean`
    Bool(bool),
    /// `integer`
    Int(i32),
    /// `bigint`
    Big(i64),
    /// `text`, bytes in the database's encoding
    Text(Vec<u8>),
    /// `timestamp with time zone`
    Time(Timestamp),
    /// `interval`
    Interval(Interval),
    /// `oid`
    Oid(pg_sys::Oid),
    /// `bigint[]`
    BigArray(Vec<i64>),
    /// `text[]`
    TextArray(Vec<Vec<u8>>),
    /// A row, as what a function with OUT parameters returns.
    Record(Vec<Value>),
    /// What only a trigger function returns: a row, or null, which is not NULL.
    Pointer(pg_sys::Datum),
}

/// The type of a statement's parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `boolean`
    Bool,
    /// `integer`
    Int,
    /// `bigint`
    Big,
    /// `text`
    Text,
    /// `timestamp with time zone`
    Time,
    /// `interval`
    Interval,
}

impl Type {
    pub(super) fn oid(self) -> pg_sys::Oid {
        match self {
            Type::Bool => pg_sys::BOOLOID,
            Type::Int => pg_sys::INT4OID,
            Type::Big => pg_sys::INT8OID,
            Type::Text => pg_sys::TEXTOID,
            Type::Time => pg_sys::TIMESTAMPTZOID,
            Type::Interval => pg_sys::INTERVALOID,
        }
    }
}

impl Value {
    /// The value as the server holds it (by-reference types in the current memory context); `None` is NULL.
    pub(super) fn to_datum(&self) -> Option<pg_sys::Datum> {
        Some(match self {
            Value::Null => return None,
            Value::Bool(value) => pg_sys::Datum::from(*value),
            Value::Int(value) => pg_sys::Datum::from(*value),
            Value::Big(value) => pg_sys::Datum::from(*value),
            Value::Text(bytes) => Text(bytes).to_datum(),
            Value::Time(value) => pg_sys::Datum::from(value.0),
            Value::Interval(value) => {
                // SAFETY: the chunk is as large as the struct that is written to it.
                unsafe {
                    let copy = pg_sys::palloc(size_of::<pg_sys::Interval>()).cast::<pg_sys::Interval>();
                    copy.write(pg_sys::Interval { time: value.time, day: value.day, month: value.month });
                    pg_sys::Datum::from(copy)
                }
            }
            Value::Oid(value) => pg_sys::Datum::from(*value),
            Value::BigArray(elements) => big_array(elements),
            Value::TextArray(elements) => text_array(elements),
            Value::Pointer(datum) => *datum,
            Value::Record(_) => unreachable!("a record is only ever a function's result, made in pg::call"),
        })
    }

    /// Copies a value out of the server.
    ///
    /// # Safety
    /// `datum` is a live, non-NULL value of the type `oid`.
    pub(super) unsafe fn from_datum(datum: pg_sys::Datum, oid: pg_sys::Oid) -> Value {
        match oid {
            pg_sys::BOOLOID => Value::Bool(datum.value() & 0xff != 0),
            pg_sys::INT4OID => Value::Int(datum.value() as i32),
            pg_sys::INT8OID => Value::Big(datum.value() as i64),
            // SAFETY: all of these are varlenas of plain bytes, as the caller promises by the type.
            pg_sys::TEXTOID => Value::Text(unsafe { Text::from_datum(datum) }.0.to_vec()),
            pg_sys::TIMESTAMPTZOID => Value::Time(Timestamp(datum.value() as i64)),
            pg_sys::INTERVALOID => {
                // SAFETY: the caller promises a live interval.
                let interval = unsafe { *datum.cast_mut_ptr::<pg_sys::Interval>() };
                Value::Interval(Interval { time: interval.time, day: interval.day, month: interval.month })
            }
            _ => panic!("a statement of pgq returned a column of a type it does not speak: {oid:?}"),
        }
    }
}

/// Values in the shape in which the server forms tuples.
pub(super) fn to_arrays(columns: &[Value]) -> (Vec<pg_sys::Datum>, Vec<bool>) {
    columns
        .iter()
        .map(|column| column.to_datum().map_or((pg_sys::Datum::null(), true), |datum| (datum, false)))
        .unzip()
}

/// The array as the server holds it, in the current memory context.
fn big_array(elements: &[i64]) -> pg_sys::Datum {
    // SAFETY: an i64 has the size and alignment of a Datum of int8 on the 64-bit machines we support; the server
    // copies.
    unsafe {
        let array = pg_sys::construct_array(
            elements.as_ptr().cast_mut().cast::<pg_sys::Datum>(),
            elements.len() as i32,
            pg_sys::INT8OID,
            size_of::<i64>() as i32,
            true,
            pg_sys::TYPALIGN_DOUBLE as std::ffi::c_char,
        );
        pg_sys::Datum::from(array)
    }
}

/// The same of texts.
fn text_array(elements: &[Vec<u8>]) -> pg_sys::Datum {
    let mut elements: Vec<pg_sys::Datum> = elements.iter().map(|element| Text(element).to_datum()).collect();
    // SAFETY: the array of datums is as long as announced; the server copies what they point to.
    unsafe {
        let array = pg_sys::construct_array(
            elements.as_mut_ptr(),
            elements.len() as i32,
            pg_sys::TEXTOID,
            -1,
            false,
            pg_sys::TYPALIGN_INT as std::ffi::c_char,
        );
        pg_sys::Datum::from(array)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("NULL"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Big(value) => write!(f, "{value}"),
            Value::Text(bytes) => write!(f, "{}", Text(bytes)),
            Value::Time(value) => write!(f, "{}", value.0),
            Value::Interval(value) => write!(f, "{} us", value.micros()),
            Value::Oid(value) => write!(f, "{}", value.to_u32()),
            Value::BigArray(elements) => f.debug_list().entries(elements).finish(),
            Value::TextArray(elements) => {
                f.debug_list().entries(elements.iter().map(|text| Text(text))).finish()
            }
            Value::Record(columns) => f.debug_list().entries(columns).finish(),
            Value::Pointer(datum) => write!(f, "{datum:?}"),
        }
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Value::Null
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}
impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Value::Int(value)
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Big(value)
    }
}
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Value::Time(value)
    }
}
impl From<Interval> for Value {
    fn from(value: Interval) -> Self {
        Value::Interval(value)
    }
}
impl From<Text<'_>> for Value {
    fn from(value: Text<'_>) -> Self {
        Value::Text(value.0.to_vec())
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.as_bytes().to_vec())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value.into_bytes())
    }
}
impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Value::Text(value)
    }
}
impl From<Cow<'_, [u8]>> for Value {
    fn from(value: Cow<'_, [u8]>) -> Self {
        Value::Text(value.into_owned())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
