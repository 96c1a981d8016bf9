//! The three spellings of a changed row in an event's text, each with both directions in one file.
//!
//! All text is bytes: a database may be in LATIN1, or in SQL_ASCII, where nobody knows the encoding. In every encoding
//! that a server can have, a byte below 128 is an ASCII character and never a part of another one, so looking for
//! ASCII bytes is enough. No client should read events in an encoding that only clients have (SJIS, BIG5, GBK, …): there
//! a `\` can be half a character.

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

/// Appends `bytes`, with `escape` writing those that are special. What is in between is copied in runs.
#[inline]
fn escape_into(
    out: &mut Vec<u8>,
    bytes: &[u8],
    is_special: impl Fn(u8) -> bool + Copy,
    escape: impl Fn(&mut Vec<u8>, u8),
) {
    let mut rest = bytes;
    loop {
        let run = run_without(rest, is_special);
        out.extend_from_slice(&rest[..run]);
        let Some(&byte) = rest.get(run) else { return };
        escape(out, byte);
        rest = &rest[run + 1..];
    }
}

/// How many bytes come before the first special one. All of a chunk are looked at before it is asked whether there was
/// one, which compilers do at once.
#[inline]
fn run_without(bytes: &[u8], is_special: impl Fn(u8) -> bool + Copy) -> usize {
    let (chunks, _) = bytes.as_chunks::<CHUNK>();
    let plain = chunks.iter().take_while(|&chunk| !has_any(chunk, is_special)).count() * CHUNK;
    let rest = &bytes[plain..];
    plain + rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len())
}

const CHUNK: usize = 16;

#[inline]
fn has_any(chunk: &[u8], is_special: impl Fn(u8) -> bool) -> bool {
    chunk.iter().fold(false, |any, &byte| any | is_special(byte))
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

    pub fn column() -> impl Strategy<Value = super::Column> {
        (name(), proptest::option::weighted(0.8, value()))
    }

    pub fn row() -> impl Strategy<Value = super::Row> {
        vec(column(), 0..6)
    }
}
