//! A change of a table, as the triggers write it into events and consumers read it.
//!
//! | event | logutriga | sqltriga, logtriga | jsontriga |
//! |---|---|---|---|
//! | `ev_type` | `U:id` | `U` | `{"op":"UPDATE","table":["public","t"],"pkey":["id"]}` |
//! | `ev_data` | `id=1&note` | `note=NULL where id='1'` | `{"id":1,"note":null}` |
//! | `ev_extra1` | `public.t` | `public.t` | `public.t` |
//! | `ev_extra2`, if `backup` | `id=1&note=x` | `id=1&note=x` | `{"id":1,"note":"x"}` |
//!
//! The type tells the formats apart, so a consumer need not know which trigger is on the table.

use std::borrow::Cow;

use thiserror::Error;

pub use crate::operation::Operation;

use crate::codec::{Column, Malformed, Row, json, partial_sql, urlencoded};

/// Which table changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// `schema.table` without quotes, where a dot in a name looks like the one between them.
    Dotted(Vec<u8>),
    /// jsontriga tells them apart.
    Names {
        /// The schema.
        schema: Vec<u8>,
        /// The table's name in it.
        name: Vec<u8>,
    },
}

impl Table {
    /// `schema.table`, which all formats know.
    pub fn dotted(&self) -> Cow<'_, [u8]> {
        match self {
            Table::Dotted(text) => Cow::Borrowed(text),
            Table::Names { schema, name } => Cow::Owned([schema, &b"."[..], name].concat()),
        }
    }
}

/// The fields of an event in which a change is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Operation and key.
    pub ev_type: Option<&'a [u8]>,
    /// The row.
    pub ev_data: Option<&'a [u8]>,
    /// The table.
    pub ev_extra1: Option<&'a [u8]>,
    /// The old row, if the trigger has the option `backup`. `None` if it holds anything else.
    pub ev_extra2: Option<&'a [u8]>,
}

/// A change of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub operation: Operation,
    /// To which table.
    pub table: Table,
    /// The names of the key's columns; none of them for a table without key, and `None` where the event does not tell:
    /// an insert of sqltriga, a truncate of sqltriga and logutriga. In logutriga's list a name with a comma looks like
    /// two.
    pub key: Option<Vec<Vec<u8>>>,
    /// The new row of an insert or update, the old one of a delete. sqltriga tells less: of an update the columns that
    /// it sets, of a delete the key's.
    pub columns: Row,
    /// The row before an update, if the trigger has the option `backup`.
    pub old: Option<Row>,
    /// sqltriga's `where`.
    condition: Option<Row>,
}

/// Why an event is no change.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Undecodable {
    /// It has no value in a field that tells something.
    #[error("{0} is NULL")]
    Null(&'static str),
    /// Its type is none of those that the triggers write.
    #[error("ev_type \"{}\" is not that of a change", String::from_utf8_lossy(.0))]
    UnknownType(Vec<u8>),
    /// One of its fields is not in the format that the type promises.
    #[error("{field}: {malformed}")]
    Malformed {
        /// The field's name.
        field: &'static str,
        /// What is wrong with it.
        malformed: Malformed,
    },
}

impl Change {
    /// Reads the event of a trigger, whichever it was.
    pub fn decode(event: &Fields) -> Result<Change, Undecodable> {
        let ev_type = event.ev_type.ok_or(Undecodable::Null("ev_type"))?;
        let unknown = || Undecodable::UnknownType(ev_type.to_vec());
        let operation = |letter| Operation::from_letter(letter).ok_or_else(unknown);
        match ev_type {
            [b'{', ..] => Change::from_jsontriga(event, ev_type),
            [b'R'] => Ok(Change::new(Operation::Truncate, dotted_table(event)?)),
            [letter] => Change::from_sqltriga(event, operation(*letter)?),
            [b'I' | b'U' | b'D', b':', key @ ..] => {
                Change::from_logutriga(event, operation(ev_type[0])?, key)
            }
            _ => Err(unknown()),
        }
    }

    /// The column of this name, if the event tells it.
    pub fn column(&self, name: &[u8]) -> Option<&Column> {
        self.columns.iter().find(|(column, _)| column == name)
    }

    /// The columns that find the row in a copy of the table, with the values they had before the change: sqltriga's
    /// `where`, or the key's columns. `None` if the event does not tell them all, since there is no key or since the
    /// trigger ignores a part of it.
    pub fn identity(&self) -> Option<Vec<&Column>> {
        if let Some(condition) = &self.condition {
            return Some(condition.iter().collect());
        }
        let key = self.key.as_ref().filter(|key| !key.is_empty())?;
        key.iter().map(|name| self.column(name)).collect()
    }

    fn new(operation: Operation, table: Table) -> Change {
        Change { operation, table, key: None, columns: Row::new(), old: None, condition: None }
    }

    fn from_logutriga(event: &Fields, operation: Operation, key: &[u8]) -> Result<Change, Undecodable> {
        let mut change = Change::new(operation, dotted_table(event)?);
        change.key = Some(if key.is_empty() {
            Vec::new()
        } else {
            key.split(|&byte| byte == b',').map(<[u8]>::to_vec).collect()
        });
        change.columns = read("ev_data", event.ev_data, urlencoded::decode)?;
        change.old = old_row(event)?;
        Ok(change)
    }

    fn from_sqltriga(event: &Fields, operation: Operation) -> Result<Change, Undecodable> {
        let mut change = Change::new(operation, dotted_table(event)?);
        match operation {
            Operation::Insert => change.columns = read("ev_data", event.ev_data, partial_sql::decode_insert)?,
            Operation::Update => {
                let (set, condition) = read("ev_data", event.ev_data, partial_sql::decode_update)?;
                change.columns = set;
                change.condition = Some(condition);
            }
            Operation::Delete => {
                let condition = read("ev_data", event.ev_data, partial_sql::decode_delete)?;
                change.columns = condition.clone();
                change.condition = Some(condition);
            }
            Operation::Truncate => {}
        }
        let names = |condition: &Row| condition.iter().map(|(name, _)| name.clone()).collect();
        change.key = change.condition.as_ref().map(names);
        change.old = old_row(event)?;
        Ok(change)
    }

    fn from_jsontriga(event: &Fields, ev_type: &[u8]) -> Result<Change, Undecodable> {
        let json::EventType { operation, schema, table, key } =
            read("ev_type", Some(ev_type), json::decode_event_type)?;
        let mut change = Change::new(operation, Table::Names { schema, name: table });
        change.key = Some(key);
        change.columns = read("ev_data", event.ev_data, json::decode)?;
        change.old = old_row(event)?;
        Ok(change)
    }
}

fn dotted_table(event: &Fields) -> Result<Table, Undecodable> {
    event.ev_extra1.map(|text| Table::Dotted(text.to_vec())).ok_or(Undecodable::Null("ev_extra1"))
}

/// Reads what `backup` writes. Before PgQ 3.5 jsontriga's was not JSON.
fn old_row(event: &Fields) -> Result<Option<Row>, Undecodable> {
    let Some(text) = event.ev_extra2 else { return Ok(None) };
    let decode = if text.starts_with(b"{") { json::decode } else { urlencoded::decode };
    read("ev_extra2", Some(text), decode).map(Some)
}

fn read<T>(
    field: &'static str,
    text: Option<&[u8]>,
    decode: impl Fn(&[u8]) -> Result<T, Malformed>,
) -> Result<T, Undecodable> {
    let text = text.ok_or(Undecodable::Null(field))?;
    decode(text).map_err(|malformed| Undecodable::Malformed { field, malformed })
}

/// What the documentation of capture shows, run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/capture.md")]
struct Documentation;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::any;

    fn decode(fields: [&str; 3]) -> Result<Change, Undecodable> {
        let [ev_type, ev_data, ev_extra1] = fields.map(|field| Some(field.as_bytes()));
        Change::decode(&Fields { ev_type, ev_data, ev_extra1, ev_extra2: None })
    }

    fn column(name: &str, value: Option<&str>) -> Column {
        (name.into(), value.map(Into::into))
    }

    fn key(names: [&str; 2]) -> Option<Vec<Vec<u8>>> {
        Some(names.map(Into::into).to_vec())
    }

    fn sales() -> Table {
        Table::Dotted(b"Sales.Order Line".to_vec())
    }

    #[test]
    fn logutriga() {
        let change = decode(["U:Order Id,line", "Order+Id=1&line=2&note&Qty=1.50", "Sales.Order Line"]);
        let change = change.expect("a change");
        assert_eq!((change.operation, &change.table), (Operation::Update, &sales()));
        assert_eq!(change.key, key(["Order Id", "line"]));
        assert_eq!(change.column(b"note"), Some(&column("note", None)));
        assert_eq!(change.column(b"Qty"), Some(&column("Qty", Some("1.50"))));
        assert_eq!(change.column(b"qty"), None);
        let identity = [column("Order Id", Some("1")), column("line", Some("2"))];
        assert_eq!(change.identity(), Some(identity.iter().collect()));
        assert_eq!(change.old, None);
    }

    #[test]
    fn without_a_key_no_row_is_found() {
        let change = decode(["I:", "a=1", "public.t"]).expect("a change");
        assert_eq!((&change.key, change.identity()), (&Some(vec![]), None));
        let change = decode(["D:id,part", "id=1", "public.t"]).expect("a change");
        assert_eq!((&change.key, change.identity()), (&key(["id", "part"]), None));
    }

    #[test]
    fn sqltriga() {
        let change = decode(["U", r#""Qty"='7.00' where "Order Id"='1' and line='2'"#, "Sales.Order Line"]);
        let change = change.expect("a change");
        assert_eq!((change.operation, &change.table), (Operation::Update, &sales()));
        assert_eq!(change.columns, [column("Qty", Some("7.00"))]);
        assert_eq!(change.key, key(["Order Id", "line"]));
        let identity = [column("Order Id", Some("1")), column("line", Some("2"))];
        assert_eq!(change.identity(), Some(identity.iter().collect()));

        let change = decode(["D", r#""Order Id"='1' and line='2'"#, "Sales.Order Line"]).expect("a change");
        assert_eq!(
            (change.columns.as_slice(), change.identity()),
            (&identity[..], Some(identity.iter().collect()))
        );

        let change = decode(["I", "(c1,c2) values ('v1',null)", "public.t"]).expect("a change");
        assert_eq!(change.columns, [column("c1", Some("v1")), column("c2", None)]);
        assert_eq!((&change.key, change.identity()), (&None, None));
    }

    #[test]
    fn the_identity_is_that_before_the_change() {
        let change = decode(["U", "id='2' where id='1'", "public.t"]).expect("a change");
        assert_eq!(change.columns, [column("id", Some("2"))]);
        assert_eq!(change.identity(), Some(vec![&column("id", Some("1"))]));
    }

    #[test]
    fn jsontriga() {
        let change = decode([
            r#"{"op":"INSERT","table":["Sales","Order Line"],"pkey":["Order Id","line"]}"#,
            r#"{"Order Id":1,"line":2,"note":null,"Qty":"1.50"}"#,
            "Sales.Order Line",
        ])
        .expect("a change");
        assert_eq!(change.operation, Operation::Insert);
        assert_eq!(change.table, Table::Names { schema: b"Sales".to_vec(), name: b"Order Line".to_vec() });
        assert_eq!(change.table.dotted(), sales().dotted());
        assert_eq!(change.key, key(["Order Id", "line"]));
        assert_eq!(change.columns.len(), 4);
        assert_eq!(change.identity().map(|columns| columns.len()), Some(2));
    }

    #[test]
    fn a_truncate_has_no_row() {
        let change = decode(["R", "", "public.t"]).expect("a change");
        assert_eq!((change.operation, change.columns, change.key), (Operation::Truncate, vec![], None));
        let ev_type = r#"{"op":"TRUNCATE","table":["public","t"],"pkey":["id"]}"#;
        let change = decode([ev_type, "{}", "public.t"]).expect("a change");
        assert_eq!((change.operation, change.columns), (Operation::Truncate, vec![]));
        assert_eq!(change.key, Some(vec![b"id".to_vec()]));
    }

    #[test]
    fn the_old_row_is_in_either_format() {
        let row = vec![column("id", Some("1")), column("note", None)];
        for (ev_type, ev_data, ev_extra2) in [
            ("U:id", "id=1&note=x", "id=1&note"),
            ("U", "note='x' where id='1'", "id=1&note"),
            (r#"{"op":"UPDATE","table":["public","t"],"pkey":["id"]}"#, "{}", r#"{"id":1,"note":null}"#),
            (r#"{"op":"UPDATE","table":["public","t"],"pkey":["id"]}"#, "{}", "id=1&note"),
        ] {
            let change = Change::decode(&Fields {
                ev_type: Some(ev_type.as_bytes()),
                ev_data: Some(ev_data.as_bytes()),
                ev_extra1: Some(b"public.t"),
                ev_extra2: Some(ev_extra2.as_bytes()),
            });
            assert_eq!(change.expect(ev_type).old.as_ref(), Some(&row));
        }
    }

    #[test]
    fn what_is_no_change_is_told() {
        let message = |fields| decode(fields).expect_err("no change").to_string();
        assert_eq!(message(["new", "order 17", "x"]), "ev_type \"new\" is not that of a change");
        for ev_type in ["", "X", "X:id", "R:id", "i:id", "Insert"] {
            assert_eq!(
                decode([ev_type, "", "t"]),
                Err(Undecodable::UnknownType(ev_type.as_bytes().to_vec()))
            );
        }
        assert_eq!(message(["U:id", "id=%4", "t"]), "ev_data: %00 to %ff expected at byte 4");
        assert_eq!(message(["U", "id='4'", "t"]), "ev_data: where expected at byte 7");
        assert_eq!(message(["{\"op\":1}", "{}", "t"]), "ev_type: \" expected at byte 7");
        let nothing = Fields::default();
        assert_eq!(Change::decode(&nothing), Err(Undecodable::Null("ev_type")));
        let only_type = Fields { ev_type: Some(b"I:"), ..nothing };
        assert_eq!(Change::decode(&only_type), Err(Undecodable::Null("ev_extra1")));
        let no_data = Fields { ev_extra1: Some(b"t"), ..only_type };
        assert_eq!(Change::decode(&no_data), Err(Undecodable::Null("ev_data")));
    }

    fn urlencoded_row(row: &[Column]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in row {
            let mut encoded_name = Vec::new();
            urlencoded::encode(&mut encoded_name, name);
            urlencoded::pair(&mut out, &encoded_name, value.as_deref());
        }
        out
    }

    proptest! {
        #[test]
        fn what_logutriga_writes_can_be_read(
            operation in proptest::sample::select(&Operation::ALL[..3]),
            table in any::name(),
            columns in any::row(),
            old in proptest::option::of(any::row()),
            key in proptest::collection::vec("[^,]+", 0..3),
        ) {
            let ev_type = format!("{}:{}", operation.letter(), key.join(","));
            let ev_data = urlencoded_row(&columns);
            let ev_extra2 = old.as_deref().map(urlencoded_row);
            let change = Change::decode(&Fields {
                ev_type: Some(ev_type.as_bytes()),
                ev_data: Some(&ev_data),
                ev_extra1: Some(&table),
                ev_extra2: ev_extra2.as_deref(),
            });
            let key = Some(key.into_iter().map(String::into_bytes).collect());
            let table = Table::Dotted(table);
            prop_assert_eq!(change, Ok(Change { operation, table, key, columns, old, condition: None }));
        }

        #[test]
        fn what_jsontriga_writes_can_be_read(
            operation in proptest::sample::select(&Operation::ALL[..]),
            schema in any::name(),
            name in any::name(),
            key in proptest::collection::vec(any::name(), 0..3),
        ) {
            let ev_type = json::event_type(operation, &schema, &name, &key);
            let change = Change::decode(&Fields {
                ev_type: Some(&ev_type),
                ev_data: Some(b"{\"a\":1}"),
                ..Fields::default()
            });
            let table = Table::Names { schema, name };
            let columns = vec![column("a", Some("1"))];
            let key = Some(key);
            prop_assert_eq!(change, Ok(Change { operation, table, key, columns, old: None, condition: None }));
        }

        #[test]
        fn what_sqltriga_writes_can_be_read(value in any::value(), id in any::value(), table in any::name()) {
            let mut ev_data = b"note=".to_vec();
            partial_sql::literal(&mut ev_data, &value);
            ev_data.extend_from_slice(b" where id=");
            partial_sql::literal(&mut ev_data, &id);
            let change = Change::decode(&Fields {
                ev_type: Some(b"U"),
                ev_data: Some(&ev_data),
                ev_extra1: Some(&table),
                ev_extra2: None,
            })
            .expect("a change");
            prop_assert_eq!(&change.columns, &vec![(b"note".to_vec(), Some(value))]);
            let id = (b"id".to_vec(), Some(id));
            prop_assert_eq!(change.identity(), Some(vec![&id]));
        }

        #[test]
        fn any_event_can_be_read_or_refused(
            ev_type in prop_oneof![
                proptest::sample::select(vec!["I", "U", "D", "R", "I:", "U:id", "D:id"]).prop_map(Vec::from),
                any::value(),
            ],
            others: [Option<Vec<u8>>; 3],
        ) {
            let [ev_data, ev_extra1, ev_extra2] = others.each_ref().map(Option::as_deref);
            let _ = Change::decode(&Fields { ev_type: Some(&ev_type), ev_data, ev_extra1, ev_extra2 });
        }
    }
}
