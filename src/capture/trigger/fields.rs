//! The six fields of an event, as a trigger puts them together and as the server holds them.

use crate::error::{Error, Result};
use crate::pg::room;
use crate::pg::text::Text;
pub use pgq_core::trigger_arguments::FIELDS;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Datum;
use std::borrow::Cow;

/// The fields of an event, in the order of [`FIELDS`]; `None` is NULL.
pub type Event<'p> = [Option<Cow<'p, [u8]>>; FIELDS.len()];

/// The places of fields in [`FIELDS`].
pub const TYPE: usize = 0;
pub const DATA: usize = 1;
pub const EXTRA1: usize = 2;
pub const EXTRA2: usize = 3;

/// The fields of an event as the server holds them.
pub type Fields = [Option<Datum>; FIELDS.len()];

/// The fields in the server's current memory.
pub fn to_fields(event: &Event) -> Result<Fields> {
    if let Some(position) =
        event.iter().position(|field| field.as_ref().is_some_and(|text| text.len() > room::MOST))
    {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("{} of the event is larger than 1 GB", FIELDS[position]),
        )
        .hint("Leave large columns out by the trigger's option ignore=."));
    }
    Ok(event.each_ref().map(|field| field.as_ref().map(|text| Text(text).to_datum())))
}
