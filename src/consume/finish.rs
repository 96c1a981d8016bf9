//! Finishing a batch.

use super::is_subconsumer;
use crate::error::{Error, Result, or_null};
use crate::pg::call::Call;
use crate::pg::failpoint;
use crate::pg::spi::Statement;
use crate::pg::value::{Type, Value};
use pgrx::PgSqlErrorCode;

/// A sub-consumer's position was moved on its main consumer's row when it got the batch; its own row just becomes
/// idle. (In PgQ 3.5 it kept a position, held rotation back, and was taken for a main consumer.)
static FINISH: Statement = Statement::changing(
    concat!(
        "UPDATE pgq.subscription s
            SET sub_active = pg_catalog.now(),
                sub_last_tick = CASE WHEN ",
        is_subconsumer!(),
        " THEN NULL ELSE s.sub_next_tick END,
                sub_next_tick = NULL,
                sub_batch = NULL
          WHERE s.sub_batch = $1"
    ),
    &[Type::Big],
);

/// `finish_batch(x_batch_id)`: moves the position to the end of the batch; 1. Of a batch that nobody has open: a
/// warning and 0.
pub fn finish_batch(call: &Call) -> Result<Value> {
    let batch = call.big(0);
    let finished = FINISH.rows(&[batch.into()]).count() > 0;
    if !finished {
        Error::new(
            PgSqlErrorCode::ERRCODE_WARNING,
            format!("finish_batch: batch {} not found", or_null(batch)),
        )
        .detail("It was finished before, its consumer was moved, or it was never handed out.")
        .warn();
    }
    failpoint::hit(failpoint::BATCH_FINISHED);
    Ok(i32::from(finished).into())
}
