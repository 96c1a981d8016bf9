//! An event on its way into the queue.
//!
//! Straight into the event table, unless somebody has put another function in the place of `pgq.insert_event`, to
//! intercept events; then that is called, with the rights of who changes the table. It is for who may not execute ours, too:
//! the server refuses them in its own words.

use super::definition::Target;
use super::fields::{Event, FIELDS, to_fields};
use super::plan::Plan;
use crate::capture::insert_event;
use crate::error::Result;
use crate::pg::guard::guarded;
use crate::pg::query::Query;
use crate::pg::routine;
use crate::pg::session::{self, Session};
use crate::pg::text::Text;
use pgrx::pg_sys;
use pgrx::pg_sys::Oid;
use std::rc::Rc;

/// What stands behind the name, prepared at its first use in a session.
static INSERT_EVENT: Session<Option<(Oid, Rc<Query>)>> = Session::new(None);

/// Writes one event.
pub fn deliver(plan: &Plan, event: Event) -> Result<()> {
    let fields = to_fields(&event)?;
    match &plan.meaning.target {
        Target::Queue(queue) if routine::insert_event_is_ours() => {
            guarded(|| insert_event::insert_fields(Text(queue), &fields))
        }
        Target::Queue(queue) => {
            let mut arguments = vec![Some(Text(queue).to_datum())];
            arguments.extend(fields);
            whatever_it_is().perform(&arguments)
        }
        Target::Statement(statement) => statement.perform(&fields[..2]),
    }
}

fn whatever_it_is() -> Rc<Query> {
    // Who may not use the schema is told so when names are looked up.
    let user = session::user();
    if let Some((_, prepared)) = INSERT_EVENT.with(|known| known.clone()).filter(|(whose, _)| *whose == user)
    {
        return prepared;
    }
    let sql = b"SELECT pgq.insert_event($1, $2, $3, $4, $5, $6, $7)";
    let prepared = Rc::new(Query::prepare(sql, &[pg_sys::TEXTOID; 1 + FIELDS.len()]));
    let replaced = INSERT_EVENT.with(|known| known.replace((user, Rc::clone(&prepared))));
    drop(replaced);
    prepared
}
