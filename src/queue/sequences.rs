//! Sequences by name: looking at them, and raising them.

use super::objects::{as_regclass, quoted};
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::lock::RaiseLock;
use crate::pg::spi::{self, Statement};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use crate::pg::{relation, xact};
use pgrx::PgSqlErrorCode;

/// `seq_getval(i_seq_name)`: the last value, without side effect.
pub fn seq_getval(call: &Call) -> Result<Value> {
    let Some(name) = call.text(0) else {
        return Ok(Value::Null);
    };
    let sql = [b"SELECT last_value::bigint FROM ", name.quoted_qualified().as_slice()].concat();
    Ok(spi::run(&sql, &[]).first().and_then(|row| row.big(0)).into())
}

/// `seq_setval(i_seq_name, i_new_value)`: raises a sequence to a value; the resulting last value.
pub fn seq_setval(call: &Call) -> Result<Value> {
    match (call.text(0), call.big(1)) {
        (Some(name), Some(value)) => raise(name, value).map(Value::Big),
        _ => Ok(Value::Null),
    }
}

/// Raises a sequence to at least a value, never lowers it; the resulting last value.
///
/// A sequence that was never called has not handed out its start value yet, so that is raised to as well. (PgQ 3.5
/// left it, and the value came out again later.)
fn raise(name: Text, value: i64) -> Result<i64> {
    let before = State::of(name);
    if before.has_reached(value) {
        return Ok(before.last_value);
    }
    xact::require_writable(c"pgq.seq_setval()");
    let lock = RaiseLock::take(relation::find(name).ok_or_else(|| gone(name))?);
    let now = State::of(name);
    let reached = if now.has_reached(value) {
        now.last_value
    } else if now.is_near(name, value) {
        step(name, now.steps_to(value))
    } else {
        jump(name, value)
    };
    drop(lock);
    Ok(reached)
}

struct State {
    last_value: i64,
    is_called: bool,
}

impl State {
    fn of(name: Text) -> State {
        let sql = [b"SELECT last_value, is_called FROM ", name.quoted_qualified().as_slice()].concat();
        let row = spi::run(&sql, &[]).first();
        let last_value = row.as_ref().and_then(|row| row.big(0)).unwrap_or_default();
        State { last_value, is_called: row.is_some_and(|row| row.flag(1)) }
    }

    fn has_reached(&self, value: i64) -> bool {
        if self.is_called { self.last_value >= value } else { self.last_value > value }
    }

    fn steps_to(&self, value: i64) -> i64 {
        value.saturating_sub(self.last_value).saturating_add(i64::from(!self.is_called))
    }

    /// Whether the value is a few ordinary calls away.
    fn is_near(&self, name: Text, value: i64) -> bool {
        const FEW: i64 = 1000;
        self.steps_to(value) <= FEW
            && COUNTS_BY_ONE.rows(&[as_regclass(name.0)]).first().is_some_and(|row| row.flag(0))
    }
}

static COUNTS_BY_ONE: Statement = Statement::reading(
    "SELECT seqincrement = 1 AND seqcache = 1 FROM pg_sequence WHERE seqrelid = $1::regclass",
    &[Type::Text],
);
static STEP: Statement = Statement::changing(
    "SELECT max(nextval((SELECT $1::regclass))) FROM generate_series(1, $2)",
    &[Type::Text, Type::Big],
);
static JUMP: Statement = Statement::changing("SELECT setval($1::regclass, $2)", &[Type::Text, Type::Big]);

/// Raises by calling: a call can only raise, however many others call at the same time.
fn step(name: Text, steps: i64) -> i64 {
    last_value(&STEP, name, steps)
}

/// Raises by setting. Who calls the sequence between our look at it and this could be set back, but only if there
/// were so many calls in that moment that they went past a value which is not near.
fn jump(name: Text, value: i64) -> i64 {
    last_value(&JUMP, name, value)
}

fn last_value(statement: &Statement, name: Text, number: i64) -> i64 {
    let row = statement.rows(&[Value::Text(quoted(name.0)), number.into()]).first();
    row.and_then(|row| row.big(0)).expect("a sequence function returns a number")
}

fn gone(name: Text) -> Error {
    Error::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, format!("sequence \"{name}\" does not exist"))
}
