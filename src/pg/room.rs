//! Room for what may be large. Where there is no memory, Rust ends the process, and with it the server restarts; here it is
//! an error of the statement, as it is where the server itself needs memory.

use crate::error::{Error, Result};
use pgrx::PgSqlErrorCode;

/// What a value of the server's can hold.
pub const MOST: usize = 0x3fff_ffff - 4;

/// Makes room behind a text for as many bytes, within what a value can hold.
pub fn reserve(text: &mut Vec<u8>, bytes: usize) -> Result<()> {
    if text.len() + bytes > MOST {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            "the row is too large for an event, which holds 1 GB in a field",
        )
        .hint("Leave large columns out by the trigger's option ignore=."));
    }
    text.try_reserve(bytes).map_err(|_| {
        Error::new(PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY, "out of memory")
            .detail(format!("Failed on request of {bytes} bytes for an event."))
    })
}

/// A copy.
pub fn copied(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    reserve(&mut copy, bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
