//! Positions that are kept with the results, in whatever database these are.

use crate::error::Result;
use crate::pg::call::Call;
use crate::pg::value::Value;
use crate::pg::xact;

/// `_keep_commit()`: the commit of this transaction waits for the disk.
///
/// A consumer stores its position with its results, and then finishes the batch where the events come from. If the first
/// commit could be lost after the second, the events were lost with it.
pub fn keep_commit(_: &Call) -> Result<Value> {
    xact::force_sync_commit();
    Ok(Value::Null)
}
