//! ev_data in its three formats. What they look like is said, and read back, in `pgq_core::codec`.
//!
//! Several triggers on a table each render the row. To remember it for the next one would save a twentieth: of the
//! samples of a large captured INSERT 4.5 % were here, 45 % in the insertion of the event, which each of them needs
//! (`perf record`, logutriga, six columns).

use super::definition::Format;
use super::plan::{Plan, Written};
use crate::error::{Error, Result};
use crate::pg::room;
use crate::pg::row::{Row, Rows};
use crate::pg::table::Column;
use crate::pg::text::Text;
use pgq_core::change::Operation;
use pgq_core::codec::{json, partial_sql, urlencoded};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys;

/// The data of a change.
pub fn of_change(plan: &Plan, operation: Operation, rows: Rows) -> Result<Vec<u8>> {
    let row = rows.new.or(rows.old).expect("a change has a row");
    match plan.format {
        Format::Urlencoded => encoded(plan, row),
        Format::Json => object(plan, row),
        Format::PartialSql | Format::Letters => match (operation, rows.old) {
            (Operation::Delete, Some(old)) => deleted(plan, old),
            (Operation::Update, Some(old)) => updated(plan, old, row),
            _ => inserted(plan, row),
        },
    }
}

/// The row before an update, for ev_extra2.
pub fn backup(plan: &Plan, old: Row) -> Result<Vec<u8>> {
    match plan.format {
        Format::Json => object(plan, old),
        _ => encoded(plan, old),
    }
}

/// `name=value&name`
fn encoded(plan: &Plan, row: Row) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(256);
    for logged in &plan.logged {
        match plan.table.columns[logged.column].text(row) {
            Some(text) => {
                let pair = |data: &mut Vec<u8>, text: &[u8]| {
                    urlencoded::pair(data, &logged.encoded_name, Some(text));
                };
                put(&mut data, &text, pair)?;
            }
            None => urlencoded::pair(&mut data, &logged.encoded_name, None),
        }
    }
    Ok(data)
}

/// `{"name":value,"name":null}`
fn object(plan: &Plan, row: Row) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(256);
    data.push(b'{');
    for logged in &plan.logged {
        if data.len() > 1 {
            data.push(b',');
        }
        data.extend_from_slice(&logged.name);
        data.push(b':');
        json_value(&mut data, &plan.table.columns[logged.column], row)?;
    }
    data.push(b'}');
    Ok(data)
}

fn json_value(data: &mut Vec<u8>, column: &Column, row: Row) -> Result<()> {
    let text = match column.type_id {
        pg_sys::DATEOID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => column.xsd_time(row),
        _ => column.text(row),
    };
    let Some(text) = text else {
        data.extend_from_slice(b"null");
        return Ok(());
    };
    match column.type_id {
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID => data.extend_from_slice(&text),
        pg_sys::BOOLOID => data.extend_from_slice(if *text == *b"t" { b"true" } else { b"false" }),
        _ => put(data, &text, json::string)?,
    }
    Ok(())
}

/// `(a,b) values ('1',null)`
fn inserted(plan: &Plan, row: Row) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(256);
    data.push(b'(');
    for (number, logged) in plan.logged.iter().enumerate() {
        if number > 0 {
            data.push(b',');
        }
        data.extend_from_slice(&logged.name);
    }
    data.extend_from_slice(b") values (");
    for (number, logged) in plan.logged.iter().enumerate() {
        if number > 0 {
            data.push(b',');
        }
        match plan.table.columns[logged.column].text(row) {
            Some(text) => put(&mut data, &text, partial_sql::literal)?,
            None => data.extend_from_slice(b"null"),
        }
    }
    data.push(b')');
    Ok(data)
}

/// `a='1',b=NULL where id='7'`: what changed, and nothing else.
fn updated(plan: &Plan, old: Row, new: Row) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(256);
    for logged in &plan.logged {
        let column = &plan.table.columns[logged.column];
        if column.is_same(old, new) {
            continue;
        }
        if !data.is_empty() {
            data.push(b',');
        }
        data.extend_from_slice(&logged.name);
        data.push(b'=');
        match column.text(new) {
            Some(text) => put(&mut data, &text, partial_sql::literal)?,
            None => data.extend_from_slice(b"NULL"),
        }
    }
    if data.is_empty() {
        // The event says that the row was touched: its key becomes what it is.
        condition(plan, &plan.condition[..1], old, &mut data)?;
    }
    data.extend_from_slice(b" where ");
    condition(plan, &plan.condition, old, &mut data)?;
    Ok(data)
}

/// `id='7' and line='2'`
fn deleted(plan: &Plan, old: Row) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(64);
    condition(plan, &plan.condition, old, &mut data)?;
    Ok(data)
}

fn condition(plan: &Plan, key: &[Written], row: Row, data: &mut Vec<u8>) -> Result<()> {
    for (number, logged) in key.iter().enumerate() {
        if number > 0 {
            data.extend_from_slice(b" and ");
        }
        let column = &plan.table.columns[logged.column];
        let Some(text) = column.text(row) else {
            return Err(null_key(plan, column));
        };
        data.extend_from_slice(&logged.name);
        data.push(b'=');
        put(data, &text, partial_sql::literal)?;
    }
    Ok(())
}

fn null_key(plan: &Plan, column: &Column) -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_NOT_NULL_VIOLATION,
        format!("key column \"{}\" of table {} is NULL", Text(&column.name), Text(&plan.full_name)),
    )
    .detail("The row cannot be told from others.")
    .hint("Name columns as the key that are NOT NULL.")
}

/// Writes a text, with care where much memory is needed for it.
#[inline]
fn put(data: &mut Vec<u8>, text: &[u8], write: impl Fn(&mut Vec<u8>, &[u8])) -> Result<()> {
    const LARGE: usize = 1 << 20;
    if data.len() + text.len() > LARGE {
        room::reserve(data, length(text, &write))?;
    }
    write(data, text);
    Ok(())
}

/// How long a text becomes when it is written, or a little more: each byte is written by itself.
#[cold]
fn length(text: &[u8], write: impl Fn(&mut Vec<u8>, &[u8])) -> usize {
    const PIECE: usize = 1 << 16;
    let mut written = Vec::new();
    let pieces = text.chunks(PIECE).map(|piece| {
        written.clear();
        write(&mut written, piece);
        written.len()
    });
    pieces.sum()
}
