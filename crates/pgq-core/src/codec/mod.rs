//! The three spellings of a changed row in an event's text, each with both directions in one file.
//!
//! All text is bytes: a database may be in LATIN1, or in SQL_ASCII, where nobody knows the encoding. In every encoding
//! that a server can have, a byte below 128 is an ASCII character and never a part of another one, so looking for
//! ASCII bytes is enough.

pub mod json;
pub mod partial_sql;
pub mod urlencoded;

/// Marks the bytes that are not copied as they are.
type Special = [bool; 256];

/// Appends `bytes`, with `escape` writing those that are special. What is in between is copied in runs.
#[inline]
fn escape_into(out: &mut Vec<u8>, bytes: &[u8], special: &Special, escape: impl Fn(&mut Vec<u8>, u8)) {
    out.reserve(bytes.len());
    let mut rest = bytes;
    while let Some(run) = rest.iter().position(|&byte| special[usize::from(byte)]) {
        out.extend_from_slice(&rest[..run]);
        escape(out, rest[run]);
        rest = &rest[run + 1..];
    }
    out.extend_from_slice(rest);
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The two hexadecimal digits of a byte, in lower case.
const fn hex(byte: u8) -> [u8; 2] {
    [HEX_DIGITS[(byte >> 4) as usize], HEX_DIGITS[(byte & 15) as usize]]
}
