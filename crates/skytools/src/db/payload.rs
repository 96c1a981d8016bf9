//! Rows as the text of an event: url-encoded, and the statements of the older triggers.

use indexmap::IndexMap;
pub use pgq_core::Operation;
use pgq_core::codec::{Malformed, Row, partial_sql, urlencoded};

use crate::{Error, Result};

/// Columns by name, in the order of the text; `None` is NULL. A name that comes twice has the last value.
pub type Record = IndexMap<String, Option<String>>;

/// Writes columns as `id=7&title=R%26D&note`, in the order given; `None` is NULL.
pub fn encode<N: AsRef<str>, V: AsRef<str>>(columns: impl IntoIterator<Item = (N, Option<V>)>) -> String {
    let mut text = Vec::new();
    for (name, value) in columns {
        let mut encoded_name = Vec::new();
        urlencoded::encode(&mut encoded_name, name.as_ref().as_bytes());
        urlencoded::pair(&mut text, &encoded_name, value.as_ref().map(|value| value.as_ref().as_bytes()));
    }
    String::from_utf8(text).expect("only ASCII is left unescaped, and only ASCII is written")
}

/// Reads what [`encode`] or a trigger has written. An error tells the place of a bad escape, or the column that is
/// not UTF-8.
pub fn decode(text: &str) -> Result<Record> {
    record(urlencoded::decode(text.as_bytes()).map_err(|malformed| refused("url-encoded row", malformed))?)
}

/// A change as sqltriga and logtriga tell it, and the triggers of PgQ 2.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The columns by which the row is found; none for an insert, which does not tell them.
    pub key: Record,
    /// The columns that are new; none for a delete.
    pub data: Record,
}

impl Change {
    /// Reads the statement without its head: `(c,…) values (v,…)`, `c=v,… where k=v and …`, `k=v and …`. Conditions of
    /// another form are refused, and so is an operation without such a statement.
    pub fn from_sql(operation: Operation, text: &str) -> Result<Self> {
        let (key, data) = match operation {
            Operation::Insert => partial_sql::decode_insert(text.as_bytes()).map(|data| (Row::new(), data)),
            Operation::Update => partial_sql::decode_update(text.as_bytes()).map(|(data, key)| (key, data)),
            Operation::Delete => partial_sql::decode_delete(text.as_bytes()).map(|key| (key, Row::new())),
            Operation::Truncate => return Err(Error::bad("a truncate has no row")),
        }
        .map_err(|malformed| refused(operation.name(), malformed))?;
        Ok(Self { key: record(key)?, data: record(data)? })
    }

    /// The row as far as it is told: the key's columns, and over them the new ones.
    #[must_use]
    pub fn into_record(self) -> Record {
        let mut record = self.key;
        record.extend(self.data);
        record
    }
}

fn refused(what: &str, malformed: Malformed) -> Error {
    Error::bad(format!("{what}: {malformed}"))
}

fn record(row: Row) -> Result<Record> {
    row.into_iter()
        .map(|(name, value)| {
            let name = String::from_utf8(name).map_err(|bad| not_utf8(bad.as_bytes()))?;
            let value = value.map(String::from_utf8).transpose().map_err(|_| not_utf8(name.as_bytes()))?;
            Ok((name, value))
        })
        .collect()
}

fn not_utf8(name: &[u8]) -> Error {
    Error::bad(format!("column {} is not UTF-8", String::from_utf8_lossy(name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    type Columns<'a> = &'a [(&'a str, Option<&'a str>)];

    fn record_of(columns: Columns) -> Record {
        columns.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
    }

    #[test]
    fn the_encoded_records_of_the_specification() {
        let rows: [(Columns, &str); 6] = [
            (
                &[("id", Some("7")), ("title", Some("R&D + 50%")), ("note", None), ("memo", Some(""))],
                "id=7&title=R%26D+%2b+50%25&note&memo=",
            ),
            (&[("path", Some("a/b c")), ("city", Some("Tõrva"))], "path=a%2fb+c&city=T%c3%b5rva"),
            (&[("order no", Some("x=1"))], "order+no=x%3d1"),
            (&[("v", Some("l1\nl2\\end"))], "v=l1%0al2%5cend"),
            (&[("g", Some("~*"))], "g=%7e%2a"),
            (&[], ""),
        ];
        for (columns, text) in rows {
            assert_eq!(encode(columns.iter().copied()), text);
            assert_eq!(decode(text).unwrap(), record_of(columns));
        }
        assert_eq!(encode([("a-b_c.d", Some("A-z_0.9"))]), "a-b_c.d=A-z_0.9");
    }

    #[test]
    fn the_decoded_texts_of_the_specification() {
        let rows: [(&str, Columns); 6] = [
            ("a&b=&c=+&d=%2B", &[("a", None), ("b", Some("")), ("c", Some(" ")), ("d", Some("+"))]),
            ("k=1&k=2", &[("k", Some("2"))]),
            ("&&x=5&", &[("x", Some("5"))]),
            ("p=a=b", &[("p", Some("a=b"))]),
            ("p=%00", &[("p", Some("\0"))]),
            ("T%C3%B5rva=%c3%B5", &[("Tõrva", Some("õ"))]),
        ];
        for (text, columns) in rows {
            assert_eq!(decode(text).unwrap(), record_of(columns));
        }
        for text in ["p=%4", "p=%zz", "%"] {
            assert!(
                decode(text).unwrap_err().to_string().starts_with("url-encoded row: %00 to %ff expected")
            );
        }
    }

    #[test]
    fn what_is_not_utf8_is_told() {
        assert_eq!(decode("a=1&b=%ff").unwrap_err().to_string(), "column b is not UTF-8");
        assert_eq!(decode("b%ff=").unwrap_err().to_string(), "column b\u{fffd} is not UTF-8");
    }

    #[test]
    fn the_order_of_the_columns_is_kept() {
        let names: Vec<String> = decode("z=1&a=2&m=3&z=4").unwrap().into_keys().collect();
        assert_eq!(names, ["z", "a", "m"]);
    }

    #[test]
    fn the_statements_of_the_specification() {
        let read = |operation, text| Change::from_sql(operation, text).unwrap();
        assert_eq!(
            read(Operation::Insert, "(c1,\"C 2\") values ('v1',null)"),
            Change { key: Record::new(), data: record_of(&[("c1", Some("v1")), ("C 2", None)]) }
        );
        let update = read(Operation::Update, "c='v',d=NULL where k1='x' and k2='y'");
        assert_eq!(
            update,
            Change {
                key: record_of(&[("k1", Some("x")), ("k2", Some("y"))]),
                data: record_of(&[("c", Some("v")), ("d", None)])
            }
        );
        let merged = [("k1", Some("x")), ("k2", Some("y")), ("c", Some("v")), ("d", None)];
        assert_eq!(update.into_record(), record_of(&merged));
        assert_eq!(
            read(Operation::Delete, r"k=E'\\' and l='it''s'"),
            Change { key: record_of(&[("k", Some("\\")), ("l", Some("it's"))]), data: Record::new() }
        );
        let moved = read(Operation::Update, "id='2' where id='1'").into_record();
        assert_eq!(moved, record_of(&[("id", Some("2"))]));
    }

    #[test]
    fn other_statements_are_refused() {
        let refusal = |operation, text| Change::from_sql(operation, text).unwrap_err().to_string();
        assert_eq!(refusal(Operation::Update, "c='v'"), "UPDATE: where expected at byte 6");
        assert_eq!(refusal(Operation::Delete, "k is null"), "DELETE: = expected at byte 3");
        assert_eq!(refusal(Operation::Delete, "k=$$x$$"), "DELETE: literal expected at byte 3");
        assert_eq!(refusal(Operation::Delete, "k='1' or k='2'"), "DELETE: end of text expected at byte 7");
        assert_eq!(refusal(Operation::Truncate, ""), "a truncate has no row");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(columns: Vec<(String, Option<String>)>) {
            let columns: Record = columns.into_iter().filter(|(name, _)| !name.is_empty()).collect();
            prop_assert_eq!(decode(&encode(columns.iter().map(|(n, v)| (n, v.as_ref())))).unwrap(), columns);
        }
    }
}
