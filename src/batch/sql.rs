//! The events of a batch as a query that anybody can run.

use super::description::Batch;
use crate::error::Result;
use crate::pg::call::Call;
use crate::pg::text::Text;
use crate::pg::value::Value;

/// The ten columns in which a batch is shown.
pub const COLUMNS: &str =
    "ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// `batch_event_sql(x_batch_id)`: the text of a complete SELECT. It stays right until the batch is finished.
pub fn batch_event_sql(call: &Call) -> Result<Value> {
    Batch::find(call.big(0)).map(|batch| Value::Text(batch.sql()))
}

/// `batch_event_tables(x_batch_id)`: the tables that the batch has to be searched in, the older one first.
pub fn batch_event_tables(call: &Call) -> Result<Value> {
    let batch = Batch::find(call.big(0))?;
    let mut rows = call.rows()?;
    batch.tables.into_iter().for_each(|table| rows.put(&[table.into()]));
    Ok(Value::Null)
}

impl Batch {
    /// The query, in the order of event ids.
    pub fn sql(&self) -> Vec<u8> {
        let mut sql = self.unordered_sql();
        sql.extend_from_slice(b" ORDER BY 1");
        sql
    }

    /// The query without an order. Each part asks for a range or a list of transaction ids, so that it uses the
    /// index on ev_txid.
    pub fn unordered_sql(&self) -> Vec<u8> {
        let bounds = self.bounds();
        let range = bounds.range();
        let (start, end, owner) = (&self.start, &self.end, self.owner);
        let in_range = format!(
            "ev_txid >= {} AND ev_txid <= {}\n   \
               AND pg_catalog.txid_visible_in_snapshot(ev_txid, '{end}')\n   \
               AND NOT pg_catalog.txid_visible_in_snapshot(ev_txid, '{start}')",
            range.start(),
            range.end()
        );
        let singles: Vec<String> = bounds.singles().iter().map(ToString::to_string).collect();
        let listed = (!singles.is_empty()).then(|| format!("ev_txid IN ({})", singles.join(", ")));
        let conditions: Vec<String> = listed.into_iter().chain([in_range]).collect();

        let parts = self.tables.iter().flat_map(|table| {
            let table = Text(table).quoted_qualified();
            conditions.iter().map(move |condition| {
                let mut part = format!("SELECT {COLUMNS}\n  FROM ").into_bytes();
                part.extend_from_slice(&table);
                let rest = format!("\n WHERE {condition}\n   AND (ev_owner IS NULL OR ev_owner = {owner})\n");
                part.extend_from_slice(rest.as_bytes());
                part
            })
        });
        parts.collect::<Vec<_>>().join(b"UNION ALL\n".as_slice())
    }
}
