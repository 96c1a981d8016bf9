//! `id=1&name=Jane+Doe&note`: the rows of logutriga, and the old rows of `backup`.
//!
//! Names and values are percent-encoded. A name without `=` is NULL, with nothing behind `=` it is the empty text.

use super::{CHUNK, Column, Malformed, Row, from_hex, hex};

/// What a byte is written as.
#[derive(Clone, Copy)]
struct Code {
    text: [u8; 3],
    length: usize,
}

const CODES: [Code; 256] = {
    let mut codes = [Code { text: [0; 3], length: 0 }; 256];
    let mut byte = 0;
    while byte < 256 {
        codes[byte] = code(byte as u8);
        byte += 1;
    }
    codes
};

const fn code(byte: u8) -> Code {
    if is_plain(byte) {
        return Code { text: [byte, 0, 0], length: 1 };
    }
    if byte == b' ' {
        return Code { text: *b"+\0\0", length: 1 };
    }
    let [high, low] = hex(byte);
    Code { text: [b'%', high, low], length: 3 }
}

#[inline]
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || byte == b'-'
}

/// Appends a name or a value, encoded.
///
/// Text has a blank every few bytes, so there are no runs worth being copied: every byte goes through the table, and
/// each is followed by two that count only if it is escaped.
#[inline]
pub fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.chunks(CHUNK) {
        let mut encoded = [0; 3 * CHUNK];
        let mut length = 0;
        for &byte in chunk {
            let code = &CODES[usize::from(byte)];
            encoded[length..length + 3].copy_from_slice(&code.text);
            length += code.length;
        }
        out.extend_from_slice(&encoded[..length]);
    }
}

/// Appends a column to the row that `out` holds. Its name is encoded already: it is the same for every row.
#[inline]
pub fn pair(out: &mut Vec<u8>, encoded_name: &[u8], value: Option<&[u8]>) {
    if !out.is_empty() {
        out.push(b'&');
    }
    out.extend_from_slice(encoded_name);
    if let Some(value) = value {
        out.push(b'=');
        encode(out, value);
    }
}

/// Reads a row. Bytes that need not be escaped may be: PgQ 2.1 escaped `-`, too. Parts without anything in them count
/// for nothing.
pub fn decode(text: &[u8]) -> Result<Row, Malformed> {
    let mut begin = 0;
    let parts = text.split(|&byte| byte == b'&').map(|part| {
        let at = begin;
        begin += part.len() + 1;
        (at, part)
    });
    let columns = parts.filter(|(_, part)| !part.is_empty());
    columns
        .map(|(at, part)| column(part).map_err(|malformed| Malformed { at: at + malformed.at, ..malformed }))
        .collect()
}

fn column(part: &[u8]) -> Result<Column, Malformed> {
    let equals = part.iter().position(|&byte| byte == b'=');
    let value = equals.map(|equals| decode_from(part, equals + 1)).transpose()?;
    Ok((decode_from(&part[..equals.unwrap_or(part.len())], 0)?, value))
}

fn decode_from(text: &[u8], begin: usize) -> Result<Vec<u8>, Malformed> {
    let mut decoded = Vec::with_capacity(text.len() - begin);
    let mut at = begin;
    while let Some(&byte) = text.get(at) {
        let (byte, length) = match byte {
            b'+' => (b' ', 1),
            b'%' => (escaped(&text[at + 1..]).ok_or(Malformed { expected: "%00 to %ff", at })?, 3),
            _ => (byte, 1),
        };
        decoded.push(byte);
        at += length;
    }
    Ok(decoded)
}

/// The byte behind a percent sign.
fn escaped(text: &[u8]) -> Option<u8> {
    u8::try_from(from_hex(text.get(..2)?)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::any;
    use super::*;

    fn encode_row(row: &[Column]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in row {
            let mut encoded_name = Vec::new();
            encode(&mut encoded_name, name);
            pair(&mut out, &encoded_name, value.as_deref());
        }
        out
    }

    fn column_of(name: &str, value: Option<&str>) -> Column {
        (name.into(), value.map(Into::into))
    }

    #[test]
    fn the_row_of_the_specification() {
        let row = [
            column_of("Order Id", Some("1")),
            column_of("line", Some("2")),
            column_of("note", Some("a=b&c d\\e'f\t\n%é")),
            column_of("Qty", Some("1.50")),
        ];
        let text = b"Order+Id=1&line=2&note=a%3db%26c+d%5ce%27f%09%0a%25%c3%a9&Qty=1.50";
        assert_eq!(encode_row(&row), text);
        assert_eq!(decode(text), Ok(row.to_vec()));
    }

    #[test]
    fn null_is_the_name_alone() {
        let row = [column_of("note", None), column_of("Qty", Some(""))];
        assert_eq!(encode_row(&row), b"note&Qty=");
        assert_eq!(decode(b"note&Qty="), Ok(row.to_vec()));
        assert_eq!(decode(b""), Ok(vec![]));
    }

    #[test]
    fn other_escapes_are_read_too() {
        assert_eq!(decode(b"%61=%2D%2d~"), Ok(vec![column_of("a", Some("--~"))]));
    }

    #[test]
    fn parts_without_anything_count_for_nothing() {
        assert_eq!(decode(b"&&x=5&"), Ok(vec![column_of("x", Some("5"))]));
        assert_eq!(decode(b"=1&="), Ok(vec![column_of("", Some("1")), column_of("", Some(""))]));
    }

    #[test]
    fn any_byte_can_be_escaped() {
        assert_eq!(decode(b"p=%00"), Ok(vec![column_of("p", Some("\0"))]));
    }

    #[test]
    fn what_is_malformed_is_told() {
        let at = |text: &str| decode(text.as_bytes()).expect_err(text).at;
        assert_eq!(at("a&b=%"), 4);
        assert_eq!(at("a=12%4&b"), 4);
        assert_eq!(at("a=%+1"), 2);
        assert_eq!(at("&&a=%zz"), 4);
        assert_eq!(at("a&%g0"), 2);
        assert_eq!(decode(b"a=%x1").expect_err("no digit").to_string(), "%00 to %ff expected at byte 3");
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(row in any::row()) {
            prop_assert_eq!(decode(&encode_row(&row)), Ok(row));
        }

        #[test]
        fn anything_can_be_read_or_refused(text in any::value()) {
            let _ = decode(&text);
        }

        #[test]
        fn only_plain_characters_are_written(bytes: Vec<u8>) {
            let mut out = Vec::new();
            encode(&mut out, &bytes);
            prop_assert!(out.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-+%".contains(byte)));
        }
    }
}
