//! `{"id":1,"name":"Jane Doe","note":null}`: the rows of jsontriga, and its event types.
//!
//! They are read by hand, as strings need not be UTF-8 and a number keeps its spelling, however long it is. The bytes
//! of a string are taken as they are; only an escape `\u0080` and above, which the trigger never writes, becomes UTF-8.

use super::reader::Reader;
use super::{Malformed, Row, escape_into, from_hex, hex, run_without};
use crate::operation::Operation;

/// Control characters, the quote and the backslash.
#[inline]
const fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Appends a text as a JSON string, with its quotes.
#[inline]
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    escape_into(out, bytes, is_special, |out, byte| {
        let letter = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            b'"' | b'\\' => byte,
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex(byte));
                return;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    });
    out.push(b'"');
}

/// The type of an event: what happened to which table, and the names of its key's columns.
pub fn event_type(operation: Operation, schema: &[u8], table: &[u8], key: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(b"{\"op\":\"");
    out.extend_from_slice(operation.name().as_bytes());
    out.extend_from_slice(b"\",\"table\":");
    strings(&mut out, &[schema, table]);
    out.extend_from_slice(b",\"pkey\":");
    strings(&mut out, key);
    out.push(b'}');
    out
}

fn strings(out: &mut Vec<u8>, texts: &[impl AsRef<[u8]>]) {
    out.push(b'[');
    for (position, text) in texts.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        string(out, text.as_ref());
    }
    out.push(b']');
}

/// What an event's type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    /// What happened.
    pub operation: Operation,
    /// The table's schema.
    pub schema: Vec<u8>,
    /// The table's name.
    pub table: Vec<u8>,
    /// The names of its key's columns.
    pub key: Vec<Vec<u8>>,
}

/// Reads an event's type.
pub fn decode_event_type(text: &[u8]) -> Result<EventType, Malformed> {
    let (mut operation, mut table, mut key) = (None, None, None);
    let mut reader = Reader::new(text);
    reader.list("{", "}", |reader| {
        match member_name(reader)?.as_slice() {
            b"op" => operation = Some(read_operation(reader)?),
            b"table" => table = Some(read_table(reader)?),
            b"pkey" => key = Some(read_strings(reader)?),
            _ => return Err(reader.expected("value of op, table or pkey")),
        }
        Ok(())
    })?;
    reader.end()?;
    let (schema, table) = table.ok_or(reader.expected("table"))?;
    Ok(EventType {
        operation: operation.ok_or(reader.expected("op"))?,
        schema,
        table,
        key: key.ok_or(reader.expected("pkey"))?,
    })
}

/// Reads a row. A boolean's value is the text `true` or `false`, which the server's type reads as well as its own `t`
/// and `f`.
pub fn decode(text: &[u8]) -> Result<Row, Malformed> {
    let mut reader = Reader::new(text);
    let row = reader.list("{", "}", |reader| Ok((member_name(reader)?, read_value(reader)?)))?;
    reader.end()?;
    Ok(row)
}

fn member_name(reader: &mut Reader) -> Result<Vec<u8>, Malformed> {
    let name = read_string(reader)?;
    reader.require(":")?;
    Ok(name)
}

fn read_operation(reader: &mut Reader) -> Result<Operation, Malformed> {
    let unknown = reader.expected("INSERT, UPDATE, DELETE or TRUNCATE");
    let name = read_string(reader)?;
    Operation::ALL.into_iter().find(|operation| operation.name().as_bytes() == name).ok_or(unknown)
}

fn read_table(reader: &mut Reader) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
    let neither = reader.expected("schema and table");
    let [schema, table] = <[Vec<u8>; 2]>::try_from(read_strings(reader)?).map_err(|_| neither)?;
    Ok((schema, table))
}

fn read_strings(reader: &mut Reader) -> Result<Vec<Vec<u8>>, Malformed> {
    reader.list("[", "]", read_string)
}

fn read_value(reader: &mut Reader) -> Result<Option<Vec<u8>>, Malformed> {
    let rest = reader.rest();
    if rest.starts_with(b"\"") {
        return read_string(reader).map(Some);
    }
    let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte));
    let word = &rest[..end.unwrap_or(rest.len())];
    let value = match word {
        b"null" => None,
        b"true" | b"false" => Some(word.to_vec()),
        _ if is_number(word) => Some(word.to_vec()),
        _ => return Err(reader.expected("string, number, true, false or null")),
    };
    reader.pass(word.len());
    Ok(value)
}

fn is_number(word: &[u8]) -> bool {
    let begins_like_one = word.first().is_some_and(|&byte| byte == b'-' || byte.is_ascii_digit());
    // Rust's own numbers include "inf" and "nan".
    let has_its_letters = word.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
    begins_like_one && has_its_letters && str::from_utf8(word).is_ok_and(|word| word.parse::<f64>().is_ok())
}

fn read_string(reader: &mut Reader) -> Result<Vec<u8>, Malformed> {
    reader.require("\"")?;
    let mut read = Vec::new();
    loop {
        let rest = reader.unread();
        let run = run_without(rest, is_special);
        read.extend_from_slice(&rest[..run]);
        reader.pass(run);
        match &rest[run..] {
            [b'"', ..] => {
                reader.pass(1);
                return Ok(read);
            }
            [b'\\', escape @ ..] => {
                let length = unescape(escape, &mut read).ok_or(reader.expected("escape sequence"))?;
                reader.pass(1 + length);
            }
            _ => return Err(reader.expected("end of string")),
        }
    }
}

/// Appends what the text behind a backslash means, and tells how long that is.
fn unescape(escape: &[u8], read: &mut Vec<u8>) -> Option<usize> {
    let byte = match escape.first()? {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        byte @ (b'"' | b'\\' | b'/') => *byte,
        b'u' => {
            let (character, length) = unescape_character(escape)?;
            read.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(length);
        }
        _ => return None,
    };
    read.push(byte);
    Some(1)
}

/// `uXXXX`, or `uXXXX\uXXXX` for a character that takes two in UTF-16. No text in a database holds a NUL.
fn unescape_character(escape: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| from_hex(escape.get(at..at + 4)?);
    let first = unit(1)?;
    let second = if escape.get(5..7) == Some(b"\\u") { unit(7) } else { None };
    let character = char::decode_utf16(std::iter::once(first).chain(second)).next()?.ok()?;
    (character != '\0').then_some((character, if character.len_utf16() == 2 { 11 } else { 5 }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::any;
    use super::*;

    fn encode_row(row: &[super::super::Column]) -> Vec<u8> {
        let mut out = vec![b'{'];
        for (name, value) in row {
            if out.len() > 1 {
                out.push(b',');
            }
            string(&mut out, name);
            out.push(b':');
            match value {
                Some(value) => string(&mut out, value),
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
        out
    }

    fn row_of(row: &[(&str, Option<&str>)]) -> Row {
        row.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.map(Into::into))).collect()
    }

    fn string_of(text: &str) -> String {
        let mut out = Vec::new();
        string(&mut out, text.as_bytes());
        String::from_utf8(out).expect("UTF-8 stays UTF-8")
    }

    #[test]
    fn the_text_of_the_specification() {
        assert_eq!(string_of("a=b&c d\\e'f\t\n%é"), r#""a=b&c d\\e'f\t\n%é""#);
    }

    #[test]
    fn control_characters_are_escaped_and_others_are_not() {
        assert_eq!(string_of("\u{8}\u{c}\r\"/\u{1}\u{1f}\u{7f}"), "\"\\b\\f\\r\\\"/\\u0001\\u001f\u{7f}\"");
    }

    #[test]
    fn the_row_of_the_specification() {
        assert_eq!(
            decode(r#"{"Order Id":1,"line":2,"note":"a=b&c d\\e'f\t\n%é","Qty":"1.50"}"#.as_bytes()),
            Ok(row_of(&[
                ("Order Id", Some("1")),
                ("line", Some("2")),
                ("note", Some("a=b&c d\\e'f\t\n%é")),
                ("Qty", Some("1.50")),
            ]))
        );
        assert_eq!(decode(b"{}"), Ok(vec![]));
    }

    #[test]
    fn the_type_of_the_specification() {
        let text = br#"{"op":"INSERT","table":["Sales","Order Line"],"pkey":["Order Id","line"]}"#;
        let key = vec![b"Order Id".to_vec(), b"line".to_vec()];
        assert_eq!(event_type(Operation::Insert, b"Sales", b"Order Line", &key), text);
        assert_eq!(
            decode_event_type(text),
            Ok(EventType {
                operation: Operation::Insert,
                schema: b"Sales".to_vec(),
                table: b"Order Line".to_vec(),
                key,
            })
        );
        assert_eq!(
            event_type(Operation::Truncate, b"public", b"t", &[]),
            br#"{"op":"TRUNCATE","table":["public","t"],"pkey":[]}"#
        );
    }

    #[test]
    fn numbers_keep_their_spelling() {
        let text = br#"{ "a" : -9223372036854775808, "b":123456789012345678901234567890, "c":1.50e+3,
                         "d":true, "e":false, "f":null }"#;
        assert_eq!(
            decode(text),
            Ok(row_of(&[
                ("a", Some("-9223372036854775808")),
                ("b", Some("123456789012345678901234567890")),
                ("c", Some("1.50e+3")),
                ("d", Some("true")),
                ("e", Some("false")),
                ("f", None),
            ]))
        );
    }

    #[test]
    fn every_escape_can_be_read() {
        assert_eq!(
            decode(br#"{"a":"\"\\\/\b\f\n\r\t\u0001\u00e9\u20AC\ud83d\ude00"}"#),
            Ok(row_of(&[("a", Some("\"\\/\u{8}\u{c}\n\r\t\u{1}é€😀"))]))
        );
    }

    #[test]
    fn what_is_malformed_is_told() {
        let at = |text: &str| decode(text.as_bytes()).expect_err(text).at;
        assert_eq!(at(""), 0);
        assert_eq!(at("{"), 1);
        assert_eq!(at("{}x"), 2);
        assert_eq!(at(r#"{"a":1,}"#), 7);
        assert_eq!(at(r#"{"a":1 "b":2}"#), 7);
        assert_eq!(at(r#"{"a" 1}"#), 5);
        assert_eq!(at(r#"{"a":"x"#), 7);
        assert_eq!(at("{\"a\":\"x\n\"}"), 7);
        for value in ["{}", "[1]", "inf", "-inf", "nan", "+1", "1-2", "-", "tru", "\"\\x\"", "\"\\u12g4\""] {
            assert!((5..=6).contains(&at(&format!("{{\"a\":{value}}}"))), "{value}");
        }
        for value in [r"\u0000", r"\ud83d", r"\ud83d\u0041", r"\ude00", r"\u12"] {
            assert_eq!(at(&format!("{{\"a\":\"{value}\"}}")), 6, "{value}");
        }
    }

    #[test]
    fn a_type_is_whole() {
        let expected = |text: &str| decode_event_type(text.as_bytes()).expect_err(text).expected;
        assert_eq!(expected(r#"{"table":["s","t"],"pkey":[]}"#), "op");
        assert_eq!(expected(r#"{"op":"INSERT","pkey":[]}"#), "table");
        assert_eq!(expected(r#"{"op":"INSERT","table":["s","t"]}"#), "pkey");
        assert_eq!(expected(r#"{"op":"INSERT","table":["t"],"pkey":[]}"#), "schema and table");
        assert_eq!(expected(r#"{"op":"insert"}"#), "INSERT, UPDATE, DELETE or TRUNCATE");
        assert_eq!(expected(r#"{"what":1}"#), "value of op, table or pkey");
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(row in any::row()) {
            prop_assert_eq!(decode(&encode_row(&row)), Ok(row));
        }

        #[test]
        fn what_is_written_is_json(text: String) {
            let mut out = Vec::new();
            string(&mut out, text.as_bytes());
            prop_assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
        }

        #[test]
        fn what_others_write_can_be_read(text in "[^\0]*", number: i64) {
            let object = serde_json::json!({ "a": text, "b": number, "c": null }).to_string();
            let number = number.to_string();
            prop_assert_eq!(
                decode(object.as_bytes()),
                Ok(row_of(&[("a", Some(&text)), ("b", Some(&number)), ("c", None)]))
            );
        }

        #[test]
        fn a_type_that_is_written_can_be_read(
            operation in proptest::sample::select(&Operation::ALL[..]),
            schema in any::name(),
            table in any::name(),
            key in proptest::collection::vec(any::name(), 0..4),
        ) {
            let text = event_type(operation, &schema, &table, &key);
            prop_assert_eq!(decode_event_type(&text), Ok(EventType { operation, schema, table, key }));
        }

        #[test]
        fn anything_can_be_read_or_refused(text in any::value()) {
            let _ = (decode(&text), decode_event_type(&text));
            let text = [b"{\"a\":\"", &text[..]].concat();
            let _ = (decode(&text), decode_event_type(&text));
        }
    }
}
