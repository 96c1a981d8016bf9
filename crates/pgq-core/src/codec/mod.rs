//! The three spellings of a changed row in an event's text, each with both directions in one file.
//!
//! All text is bytes: a database may be in LATIN1, or in SQL_ASCII, where nobody knows the encoding. In every encoding
//! that a server can have, a byte below 128 is an ASCII character and never a part of another one, so looking for
//! ASCII bytes is enough. A client that reads events in an encoding which only clients can have (SJIS, BIG5, GBK, …)
//! must not: there `\` can be half a character.

use thiserror::Error;

pub mod json;
pub mod partial_sql;
mod reader;
pub mod urlencoded;

/// A column's name and its value as the type's text; `None` is NULL.
pub type Column = (Vec<u8>, Option<Vec<u8>>);

/// Columns in the order of the text.
pub type Row = Vec<Column>;

/// Why a text cannot be read: something else should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{expected} expected at byte {}", .at + 1)]
pub struct Malformed {
    /// What should be there.
    pub expected: &'static str,
    /// Where, counted from zero.
    pub at: usize,
}

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

/// The number that hexadecimal digits of either case mean.
fn from_hex(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |number, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(number << 4 | digit as u16)
    })
}

/// Everything that a database can store, with what the codecs look at more often than by chance.
#[cfg(test)]
pub(crate) mod any {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![1..=255u8, select(&b"'\"\\,&=%+ \n\t:{}[]()0aE"[..])]
    }

    pub fn name() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof!["[a-z_][a-z0-9_]{0,8}".prop_map(String::into_bytes), vec(byte(), 1..12)]
    }

    pub fn value() -> impl Strategy<Value = Vec<u8>> {
        vec(byte(), 0..20)
    }

    pub fn row() -> impl Strategy<Value = super::Row> {
        vec((name(), proptest::option::weighted(0.8, value())), 0..6)
    }
}
