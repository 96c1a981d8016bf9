//! An event on its way into the queue.
//!
//! Straight into the event table, unless somebody has put another function in the place of `pgq.insert_event`, to
//! intercept events; then that is called, with the rights of who changes the table. It is for who may not execute ours, too:
//! the server refuses them in its own words.

use super::definition::Target;
use super::event::Event;
use super::plan::Plan;
use crate::capture::insert_event;
use crate::error::{Error, Result};
use crate::pg::guard::guarded;
use crate::pg::routine;
use crate::pg::spi::{self, Statement};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use pgq_core::trigger_arguments::FIELDS;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Datum;

/// The fields of an event as the server holds them.
pub type Fields = [Option<Datum>; FIELDS.len()];

static INSERT_EVENT: Statement =
    Statement::changing("SELECT pgq.insert_event($1, $2, $3, $4, $5, $6, $7)", &[Type::Text; 7]);

/// Writes one event.
pub fn deliver(plan: &Plan, event: Event) -> Result<()> {
    match &plan.meaning.target {
        Target::Queue(queue) if routine::insert_event_is_ours() => {
            let fields = to_fields(&event)?;
            guarded(|| insert_event::insert_fields(Text(queue), &fields))
        }
        Target::Queue(queue) => {
            intercepted(queue, event);
            Ok(())
        }
        Target::Statement(sql) => {
            let [kind, data, ..] = event.map(|field| (Type::Text, field.into()));
            spi::perform(sql, &[kind, data]);
            Ok(())
        }
    }
}

/// Calls what stands in the place of `pgq.insert_event`.
pub fn intercepted(queue: &[u8], event: Event) {
    let mut arguments = vec![Value::from(queue.to_vec())];
    arguments.extend(event.map(Value::from));
    INSERT_EVENT.perform(&arguments);
}

/// The fields in the server's current memory.
pub fn to_fields(event: &Event) -> Result<Fields> {
    /// What a varlena can hold.
    const MOST: usize = 0x3fff_ffff - 4;
    if let Some(position) =
        event.iter().position(|field| field.as_ref().is_some_and(|text| text.len() > MOST))
    {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("{} of the event is larger than 1 GB", FIELDS[position]),
        )
        .hint("Leave large columns out by the trigger's option ignore=."));
    }
    Ok(event.each_ref().map(|field| field.as_ref().map(|text| Text(text).to_datum())))
}
