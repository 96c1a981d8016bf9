//! `"Qty"='7.00' where id='1'`: the statements of sqltriga and logtriga, without their heads.
//!
//! | operation | implied head | tail |
//! |---|---|---|
//! | insert | `insert into T ` | `(c1,c2) values ('v1',null)` |
//! | update | `update T set ` | `c='v',d=NULL where k1='x' and k2='y'` |
//! | delete | `delete from T where ` | `k1='x' and k2='y'` |

use super::reader::Reader;
use super::{Column, Malformed, Row, escape_into, run_without};
use crate::quoted;

/// Appends a text as the server's `quote_literal` writes it: with a backslash in it, it says `E'…'`, and so means the
/// same whatever `standard_conforming_strings` is.
#[inline]
pub fn literal(out: &mut Vec<u8>, bytes: &[u8]) {
    if run_without(bytes, |byte| byte == b'\\') < bytes.len() {
        out.push(b'E');
    }
    out.push(b'\'');
    let is_doubled = |byte| byte == b'\'' || byte == b'\\';
    escape_into(out, bytes, is_doubled, |out, byte| out.extend_from_slice(&[byte, byte]));
    out.push(b'\'');
}

/// Reads an insert's columns.
pub fn decode_insert(text: &[u8]) -> Result<Row, Malformed> {
    let mut reader = Reader::new(text);
    let names = reader.list("(", ")", read_name)?;
    if !reader.take_keyword("values") {
        return Err(reader.expected("values"));
    }
    let values = reader.list("(", ")", read_value)?;
    if values.len() != names.len() {
        return Err(reader.expected("as many values as columns"));
    }
    reader.end()?;
    Ok(names.into_iter().zip(values).collect())
}

/// Reads the columns that an update sets, and those by which it finds the row.
pub fn decode_update(text: &[u8]) -> Result<(Row, Row), Malformed> {
    let mut reader = Reader::new(text);
    let mut set = vec![read_column(&mut reader)?];
    while reader.take(",") {
        set.push(read_column(&mut reader)?);
    }
    if !reader.take_keyword("where") {
        return Err(reader.expected("where"));
    }
    Ok((set, read_condition(&mut reader)?))
}

/// Reads the columns by which a delete finds the row.
pub fn decode_delete(text: &[u8]) -> Result<Row, Malformed> {
    read_condition(&mut Reader::new(text))
}

/// Reads `k1='x' and k2='y'` up to the end. There is no NULL in it, as nothing equals NULL.
fn read_condition(reader: &mut Reader) -> Result<Row, Malformed> {
    let mut condition = Row::new();
    loop {
        let name = read_name(reader)?;
        reader.require("=")?;
        condition.push((name, Some(read_literal(reader)?)));
        if !reader.take_keyword("and") {
            reader.end()?;
            return Ok(condition);
        }
    }
}

fn read_column(reader: &mut Reader) -> Result<Column, Malformed> {
    let name = read_name(reader)?;
    reader.require("=")?;
    Ok((name, read_value(reader)?))
}

/// Reads a name as the server's `quote_ident` writes it: without quotes it has no capital letters.
fn read_name(reader: &mut Reader) -> Result<Vec<u8>, Malformed> {
    let malformed = reader.expected("column name");
    if reader.take("\"") {
        let (name, length) = quoted::read(reader.unread(), b'"').ok_or(malformed)?;
        reader.pass(length);
        return Ok(name);
    }
    let word = reader.word();
    let begins_like_a_name = word.first().is_some_and(|byte| !byte.is_ascii_digit());
    if !begins_like_a_name || word.iter().any(u8::is_ascii_uppercase) {
        return Err(malformed);
    }
    reader.pass(word.len());
    Ok(word.to_vec())
}

fn read_value(reader: &mut Reader) -> Result<Option<Vec<u8>>, Malformed> {
    if reader.take_keyword("null") { Ok(None) } else { read_literal(reader).map(Some) }
}

fn read_literal(reader: &mut Reader) -> Result<Vec<u8>, Malformed> {
    let malformed = reader.expected("literal");
    let has_escapes = reader.take("E'");
    if !has_escapes && !reader.take("'") {
        return Err(malformed);
    }
    let (text, length) = quoted::read(reader.unread(), b'\'').ok_or(malformed)?;
    reader.pass(length);
    if has_escapes { undouble_backslashes(&text).ok_or(malformed) } else { Ok(text) }
}

/// The text of `E'…'`, where `quote_literal` has doubled each backslash and escaped nothing else.
fn undouble_backslashes(text: &[u8]) -> Option<Vec<u8>> {
    let mut read = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        if byte == b'\\' && bytes.next() != Some(&b'\\') {
            return None;
        }
        read.push(byte);
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::any;
    use super::*;

    fn literal_of(text: &str) -> String {
        let mut out = Vec::new();
        literal(&mut out, text.as_bytes());
        String::from_utf8(out).expect("UTF-8 stays UTF-8")
    }

    fn row_of(row: &[(&str, Option<&str>)]) -> Row {
        row.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.map(Into::into))).collect()
    }

    #[test]
    fn literals_are_those_of_quote_literal() {
        assert_eq!(literal_of("7.00"), "'7.00'");
        assert_eq!(literal_of(""), "''");
        assert_eq!(literal_of("it's\n"), "'it''s\n'");
        assert_eq!(literal_of(r"it's \o/"), r"E'it''s \\o/'");
    }

    #[test]
    fn the_statements_of_the_specification() {
        assert_eq!(
            decode_insert(b"(c1,c2) values ('v1',null)"),
            Ok(row_of(&[("c1", Some("v1")), ("c2", None)]))
        );
        assert_eq!(
            decode_update(b"c='v',d=NULL where k1='x' and k2='y'"),
            Ok((row_of(&[("c", Some("v")), ("d", None)]), row_of(&[("k1", Some("x")), ("k2", Some("y"))])))
        );
        assert_eq!(
            decode_update(br#""Qty"='7.00' where "Order Id"='1' and line='2'"#),
            Ok((row_of(&[("Qty", Some("7.00"))]), row_of(&[("Order Id", Some("1")), ("line", Some("2"))])))
        );
        assert_eq!(
            decode_delete(br#""Order Id"='1' and line='2'"#),
            Ok(row_of(&[("Order Id", Some("1")), ("line", Some("2"))]))
        );
        assert_eq!(
            decode_update(b"id='5' where id='5'").map(|(set, _)| set),
            Ok(row_of(&[("id", Some("5"))]))
        );
    }

    #[test]
    fn every_column_may_be_left_out_of_an_insert() {
        assert_eq!(decode_insert(b"() values ()"), Ok(vec![]));
    }

    #[test]
    fn a_backslash_without_e_is_a_backslash() {
        assert_eq!(
            decode_delete(br"a='\\' and b=E'\\'"),
            Ok(row_of(&[("a", Some(r"\\")), ("b", Some(r"\"))]))
        );
    }

    #[test]
    fn what_is_malformed_is_told() {
        let malformed = |expected, at| Malformed { expected, at };
        assert_eq!(decode_delete(b""), Err(malformed("column name", 0)));
        assert_eq!(decode_delete(b"Id='1'"), Err(malformed("column name", 0)));
        assert_eq!(decode_delete(b"1='1'"), Err(malformed("column name", 0)));
        assert_eq!(decode_delete(b"\"a='1'"), Err(malformed("column name", 0)));
        assert_eq!(decode_delete(b"a='1' or b='2'"), Err(malformed("end of text", 6)));
        assert_eq!(decode_delete(b"a=null"), Err(malformed("literal", 2)));
        assert_eq!(decode_delete(b"a='it''s"), Err(malformed("literal", 2)));
        assert_eq!(decode_delete(br"a=E'\n'"), Err(malformed("literal", 2)));
        assert_eq!(decode_update(b"w='7' where "), Err(malformed("column name", 11)));
        assert_eq!(decode_update(b"w='7'"), Err(malformed("where", 5)));
        assert_eq!(decode_insert(b"(a,b) values ('1')"), Err(malformed("as many values as columns", 18)));
        assert_eq!(decode_insert(b"(a) ('1')"), Err(malformed("values", 4)));
        assert_eq!(decode_insert(b"(a) values (1)"), Err(malformed("literal", 12)));
        assert_eq!(
            decode_insert(b"(a) values (1)").expect_err("a number").to_string(),
            "literal expected at byte 13"
        );
    }

    /// As `quote_ident` does it, but for the keywords.
    fn identifier(out: &mut Vec<u8>, name: &[u8]) {
        let is_plain = name.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
        if is_plain {
            out.extend_from_slice(name);
        } else {
            out.push(b'"');
            for &byte in name {
                out.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
            }
            out.push(b'"');
        }
    }

    fn value(out: &mut Vec<u8>, value: Option<&[u8]>, null: &str) {
        match value {
            Some(value) => literal(out, value),
            None => out.extend_from_slice(null.as_bytes()),
        }
    }

    fn separated(items: &[Column], separator: &str, mut item: impl FnMut(&mut Vec<u8>, &Column)) -> Vec<u8> {
        let mut out = Vec::new();
        for (position, column) in items.iter().enumerate() {
            if position > 0 {
                out.extend_from_slice(separator.as_bytes());
            }
            item(&mut out, column);
        }
        out
    }

    fn assignments(columns: &[Column], separator: &str) -> Vec<u8> {
        separated(columns, separator, |out, (name, text)| {
            identifier(out, name);
            out.push(b'=');
            value(out, text.as_deref(), "NULL");
        })
    }

    fn key() -> impl Strategy<Value = Row> {
        vec((any::name(), any::value().prop_map(Some)), 1..4)
    }

    proptest! {
        #[test]
        fn an_insert_that_is_written_can_be_read(row in any::row()) {
            let names = separated(&row, ",", |out, (name, _)| identifier(out, name));
            let values = separated(&row, ",", |out, (_, text)| value(out, text.as_deref(), "null"));
            let text = [b"(", &names[..], b") values (", &values, b")"].concat();
            prop_assert_eq!(decode_insert(&text), Ok(row));
        }

        #[test]
        fn an_update_that_is_written_can_be_read(set in vec(any::column(), 1..6), key in key()) {
            let text = [&assignments(&set, ",")[..], b" where ", &assignments(&key, " and ")].concat();
            prop_assert_eq!(decode_update(&text), Ok((set, key)));
        }

        #[test]
        fn a_delete_that_is_written_can_be_read(key in key()) {
            prop_assert_eq!(decode_delete(&assignments(&key, " and ")), Ok(key));
        }

        #[test]
        fn anything_can_be_read_or_refused(head in 0..4usize, text in any::value()) {
            let head = ["", "(a) values (", "a='1' where b=", "a=E'"][head].as_bytes();
            let text = [head, &text].concat();
            let _ = (decode_insert(&text), decode_update(&text), decode_delete(&text));
        }
    }
}
