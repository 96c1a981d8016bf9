//! Trigger functions: a change of a row becomes an event, in the transaction that makes the change.
//!
//! ```text
//!  the server fires ──► plan ─────────────► event ────────► delivery
//!  logutriga, …         what this trigger   the six fields  straight into the event table, or
//!                       does, remembered    of an event     by what stands behind pgq.insert_event
//! ```

mod data;
pub(super) mod definition;
mod delivery;
mod event;
mod expressions;
mod fields;
mod letters;
mod memory;
mod options;
pub(super) mod plan;
mod statement;

use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::session;
use crate::pg::text::Text;
use crate::pg::trigger::Firing;
use crate::pg::value::Value;
use definition::Format;
use pgrx::PgSqlErrorCode;

/// `logutriga('queue' [, option, …])`: db-urlencoded rows.
pub fn logutriga(call: &Call) -> Result<Value> {
    capture(call, Format::Urlencoded)
}

/// `jsontriga('queue' [, option, …])`: JSON.
pub fn jsontriga(call: &Call) -> Result<Value> {
    capture(call, Format::Json)
}

/// `sqltriga('queue' [, option, …])`: statements without their heads.
pub fn sqltriga(call: &Call) -> Result<Value> {
    capture(call, Format::PartialSql)
}

/// `logtriga('queue', 'kvvi' [, 'table'])`, and contrib's `logtriga('kvvi', 'query')`: as `sqltriga`, with a letter a
/// column.
pub fn logtriga(call: &Call) -> Result<Value> {
    capture(call, Format::Letters)
}

fn capture(call: &Call, format: Format) -> Result<Value> {
    let firing = call.firing().ok_or_else(|| {
        Error::new(
            PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            format!("function pgq.{}() was not called by a trigger", format.function()),
        )
        .hint("CREATE TRIGGER … EXECUTE FUNCTION makes one; pgq.capture() makes those that fit a table.")
    })?;
    if session::is_local() {
        return Ok(firing.proceed());
    }
    firing.in_context(|| fire(firing, format)).map_err(|error| {
        error.at(format!("Trigger \"{}\" on table {}.", firing.name(), Text(&firing.table_name())))
    })
}

fn fire(firing: Firing, format: Format) -> Result<Value> {
    let plan = memory::plan_of(firing, format)?;
    if firing.is_for_each_row() {
        plan.require_allowed(firing.operation())?;
        event::of_rows(&plan, firing.operation(), firing.rows(), &mut |event| {
            delivery::deliver(&plan, event)
        })?;
    } else {
        statement::capture(&plan, firing)?;
    }
    Ok(if plan.meaning.suppresses { firing.suppress() } else { firing.proceed() })
}
