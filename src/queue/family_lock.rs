//! A lock for what the SQL of the other extensions does to several rows and tables.

use crate::error::Result;
use crate::pg::call::Call;
use crate::pg::lock;
use crate::pg::value::Value;

/// `_lock(i_name)`: waits for who has locked the name, and keeps it to the end of the transaction.
pub fn lock_name(call: &Call) -> Result<Value> {
    if let Some(name) = call.text(0) {
        lock::lock_name(name);
    }
    Ok(Value::Null)
}
