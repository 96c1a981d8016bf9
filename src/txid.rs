//! Transaction ids and snapshots for use outside: what the server knows about them, in the types of `pgq_core`.

use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::value::Value;
use crate::pg::xact;
use pgq_core::snapshot::between;
use pgq_core::{Snapshot, Txid};
use pgrx::PgSqlErrorCode;

/// `txid_current()`: the id of this transaction, which gets one if it has none.
pub fn current(_: &Call) -> Result<Value> {
    xact::require_primary(c"pgq.txid_current()");
    Ok(xact::assign_txid().into())
}

/// `txid_current_if_assigned()`: the id of this transaction; NULL if it has written nothing yet.
pub fn current_if_assigned(_: &Call) -> Result<Value> {
    Ok(xact::txid_if_assigned().into())
}

/// `txid_snapshot_xmin(snapshot)`: every transaction below it is finished.
pub fn snapshot_xmin(call: &Call) -> Result<Value> {
    Ok(snapshot(call, 0).xmin().into())
}

/// `txid_snapshot_xmax(snapshot)`: no transaction from it on is finished.
pub fn snapshot_xmax(call: &Call) -> Result<Value> {
    Ok(snapshot(call, 0).xmax().into())
}

/// `txid_snapshot_xip(snapshot)`: the transactions between the two that ran.
pub fn snapshot_xip(call: &Call) -> Result<Value> {
    let mut rows = call.rows()?;
    snapshot(call, 0).xip().iter().for_each(|txid| rows.put(&[(*txid).into()]));
    Ok(Value::Null)
}

/// `txid_in_snapshot(txid, snapshot)`: whether the transaction was finished.
pub fn in_snapshot(call: &Call) -> Result<Value> {
    Ok(snapshot(call, 1).contains(txid(call)?).into())
}

/// `txid_between(txid, older, newer)`: whether it finished between the snapshots.
pub fn is_between(call: &Call) -> Result<Value> {
    let (older, newer) = (snapshot(call, 1), snapshot(call, 2));
    Ok(between(&older, &newer).contains(txid(call)?).into())
}

/// The rows are stored before the first is handed out, so their number has a bound: 1 GB of them.
const MOST_LISTED: u64 = 50_000_000;

/// `txids_between(older, newer)`: all ids that finished between the snapshots, ascending.
pub fn all_between(call: &Call) -> Result<Value> {
    let (older, newer) = (snapshot(call, 0), snapshot(call, 1));
    let range = newer.xmax().get().saturating_sub(older.xmin().get());
    if range > MOST_LISTED {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            "too many transactions lie between the snapshots to list them",
        )
        .detail(format!("They span {range} ids; {MOST_LISTED} can be listed."))
        .hint("pgq.txid_between() tells of a single id whether it is among them."));
    }
    let mut rows = call.rows()?;
    for txid in between(&older, &newer).iter().filter(|txid| txid.is_normal()) {
        pgrx::check_for_interrupts!();
        rows.put(&[txid.into()]);
    }
    Ok(Value::Null)
}

/// `txid_to_xid8(txid)`: the same id in the server's own type.
pub fn to_xid8(call: &Call) -> Result<Value> {
    // The two types have the same form.
    Ok(txid(call)?.into())
}

/// `xid8_to_txid(xid8)`: the same id as bigint.
pub fn from_xid8(call: &Call) -> Result<Value> {
    let bits = argument(call.big(0));
    Txid::from_i64(bits).map(Value::from).map_err(|_| {
        let state = PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
        Error::new(state, format!("xid8 {} is out of range for bigint", bits as u64))
    })
}

fn txid(call: &Call) -> Result<Txid> {
    Txid::from_i64(argument(call.big(0)))
        .map_err(|error| Error::new(PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, error.to_string()))
}

fn snapshot(call: &Call, index: usize) -> Snapshot {
    argument(call.snapshot(index))
}

/// All of these functions are declared STRICT.
fn argument<T>(given: Option<T>) -> T {
    given.expect("a strict function is not called with NULL")
}

impl From<Txid> for Value {
    fn from(txid: Txid) -> Value {
        Value::Big(txid.to_i64())
    }
}
