//! Sequences by name: looking at them, and raising them. With the caller's rights.

use crate::error::Result;
use crate::pg::call::Call;
use crate::pg::value::Value;
use crate::pg::{sequence, spi, xact};

/// `seq_getval(i_seq_name)`: the last value, without side effect.
pub fn seq_getval(call: &Call) -> Result<Value> {
    let Some(name) = call.text(0) else {
        return Ok(Value::Null);
    };
    let sql = [b"SELECT last_value::bigint FROM ", name.quoted_qualified().as_slice()].concat();
    Ok(spi::run(&sql, &[]).first().and_then(|row| row.big(0)).into())
}

/// `_sequence_last_value(i_sequence)`: the same for a sequence that may be gone or was never called.
pub fn sequence_last_value(call: &Call) -> Result<Value> {
    let sequence = call.text(0).and_then(|name| sequence::find(name).ok());
    Ok(sequence.map(|sequence| sequence::last_value(sequence).unwrap_or(0)).into())
}

/// `seq_setval(i_seq_name, i_new_value)`: raises a sequence to a value; the resulting last value.
///
/// A sequence that was never called has not handed out its start value yet, so that is raised to as well. (PgQ 3.5
/// left it, and the value came out again later.)
pub fn seq_setval(call: &Call) -> Result<Value> {
    let (Some(name), Some(value)) = (call.text(0), call.big(1)) else {
        return Ok(Value::Null);
    };
    xact::require_writable(c"pgq.seq_setval()");
    Ok(sequence::raise(sequence::find(name)?, value).into())
}
