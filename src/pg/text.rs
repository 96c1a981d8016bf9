//! Text in the server's encoding.
#![allow(unsafe_code)]

use super::raw;
use pgrx::pg_sys;
use std::fmt;

/// A text value: bytes in the database's encoding, which need not be UTF-8.
///
/// A Rust `&str` would refuse `é` in a LATIN1 database, so names and payloads stay bytes; only messages are
/// made readable, by [`Display`](fmt::Display).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// Reads a text argument, decompressing it if need be; the bytes live as long as the call.
    ///
    /// # Safety
    /// `datum` is a non-NULL `text` (or another varlena of plain bytes) that outlives `'a`.
    pub unsafe fn from_datum(datum: pg_sys::Datum) -> Self {
        // SAFETY: the caller promises a varlena; the detoasted copy, if one is made, is in the current memory
        // context, which lives at least as long as the call.
        unsafe {
            let mut varlena = datum.cast_mut_ptr::<pg_sys::varlena>();
            let plain = pgrx::varlena::varatt_is_4b_u(varlena)
                || (pgrx::varlena::varatt_is_1b(varlena) && !pgrx::varlena::varatt_is_1b_e(varlena));
            if !plain {
                varlena = pg_sys::pg_detoast_datum_packed(varlena);
            }
            let bytes = pgrx::varlena::vardata_any(varlena).cast::<u8>();
            Text(std::slice::from_raw_parts(bytes, pgrx::varlena::varsize_any_exhdr(varlena)))
        }
    }

    /// The same bytes as a `text` in the current memory context.
    pub fn to_datum(self) -> pg_sys::Datum {
        // SAFETY: pointer and length are those of a live slice; the function copies.
        let copy = unsafe { pg_sys::cstring_to_text_with_len(self.0.as_ptr().cast(), self.0.len() as i32) };
        pg_sys::Datum::from(copy)
    }

    /// Splits `schema.name` at the first dot, as PgQ always did; without a dot the schema is `public`.
    pub fn split_qualified(self) -> (Text<'a>, Text<'a>) {
        match self.0.iter().position(|&byte| byte == b'.') {
            Some(dot) => (Text(&self.0[..dot]), Text(&self.0[dot + 1..])),
            None => (Text(b"public"), self),
        }
    }

    /// The name as an SQL identifier, always quoted, so that it can never be anything else.
    pub fn quoted(self) -> Vec<u8> {
        let mut quoted = Vec::with_capacity(self.0.len() + 2);
        quoted.push(b'"');
        for &byte in self.0 {
            if byte == b'"' {
                quoted.push(b'"');
            }
            quoted.push(byte);
        }
        quoted.push(b'"');
        quoted
    }

    /// Both halves of `schema.name` quoted.
    pub fn quoted_qualified(self) -> Vec<u8> {
        let (schema, name) = self.split_qualified();
        [schema.quoted(), name.quoted()].join(&b'.')
    }
}

impl<'a> Text<'a> {
    /// As many whole characters from the start as fit into so many bytes.
    pub fn clipped(self, bytes: usize) -> &'a [u8] {
        let (start, length) = (self.0.as_ptr().cast(), self.0.len() as i32);
        // SAFETY: the length is that of the text, in the database's encoding.
        let end = unsafe { pg_sys::pg_mbcliplen(start, length, bytes as i32) };
        &self.0[..end as usize]
    }

    /// The text after a prefix, in so many bytes at most: what is too long is cut, and ends with a hash of the whole,
    /// which is the same on all servers.
    pub fn fitted(self, prefix: &[u8], bytes: usize) -> Vec<u8> {
        let whole = [prefix, self.0].concat();
        if whole.len() <= bytes {
            return whole;
        }
        // SAFETY: reads as many bytes as there are.
        let hash = unsafe { raw::hash_bytes_extended(self.0.as_ptr(), self.0.len() as i32, 0) };
        let hash = format!("~{hash:016x}");
        [Text(&whole).clipped(bytes - hash.len()), hash.as_bytes()].concat()
    }

    /// Refuses, in the server's own words, bytes that are no text in the database's encoding.
    pub fn require_valid(self) {
        // SAFETY: reads as many bytes as there are; raises an error or does nothing.
        unsafe { pg_sys::pg_verifymbstr(self.0.as_ptr().cast(), self.0.len() as i32, false) };
    }

    /// As a string constant in SQL.
    pub fn quoted_literal(self) -> Vec<u8> {
        let mut quoted = b"E'".to_vec();
        for &byte in self.0 {
            match byte {
                b'\'' => quoted.extend_from_slice(b"''"),
                b'\\' => quoted.extend_from_slice(b"\\\\"),
                byte => quoted.push(byte),
            }
        }
        quoted.push(b'\'');
        quoted
    }

    /// The name cut to the length that the server can store, with its notice if that is shorter.
    pub fn truncated_identifier(self) -> Vec<u8> {
        let mut name = [self.0, &[0]].concat();
        // SAFETY: the buffer holds the name and its terminator; the function may move the terminator forward.
        unsafe { pg_sys::truncate_identifier(name.as_mut_ptr().cast(), self.0.len() as i32, true) };
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(0));
        name
    }
}

impl fmt::Display for Text<'_> {
    /// Readable in any encoding: what is not UTF-8, or cannot be shown in this database, is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: reads a setting of the connected database.
        let in_utf8 = unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as i32;
        match std::str::from_utf8(self.0) {
            Ok(text) if in_utf8 || text.is_ascii() => f.write_str(text),
            _ => self.0.iter().try_for_each(|&byte| match byte {
                0x20..=0x7e => write!(f, "{}", byte as char),
                _ => write!(f, "\\x{byte:02x}"),
            }),
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
