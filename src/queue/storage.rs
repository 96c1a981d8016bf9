//! How event tables are stored.

use super::objects::{Objects, quoted};
use crate::error::Result;
use crate::pg::call::Call;
use crate::pg::spi;
use crate::pg::value::Value;

/// Rows are only ever added, so pages may be filled, and there is nothing for autovacuum to do.
pub const OPTIONS: &str = "fillfactor = 100, autovacuum_enabled = off, toast.autovacuum_enabled = off";

/// `tune_storage(i_queue_name)`: sets the storage options again, with the caller's rights; 0 for an unknown queue.
pub fn tune_storage(call: &Call) -> Result<Value> {
    let Some(objects) = Objects::lock(call.text(0)) else {
        return Ok(Value::Int(0));
    };
    for table in objects.event_tables() {
        let table = quoted(&table);
        spi::run(&[b"ALTER TABLE ", table.as_slice(), b" SET (", OPTIONS.as_bytes(), b")"].concat(), &[]);
    }
    Ok(Value::Int(1))
}
