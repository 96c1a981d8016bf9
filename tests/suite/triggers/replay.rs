//! A consumer that repeats the changes of a table in a copy of it, by what the events say and nothing else.

use super::Event;
use pgq_core::change::{Change, Fields, Operation};
use pgq_core::codec::{Column, partial_sql};
use pgq_tests::client::Session;

/// A copy, by its quoted name.
pub struct Copy {
    pub name: String,
}

impl Copy {
    /// An empty copy of a table, with its key. It computes no columns by itself: it is told their values.
    pub fn of(session: &mut Session, table: &str, name: &str) -> Self {
        session.exec(&format!("create table {name} (like {table} including indexes)"));
        Self { name: name.to_owned() }
    }

    /// Repeats the changes. Each concerns just one row, as it did in the table.
    #[track_caller]
    pub fn follow<'e>(&self, session: &mut Session, events: impl IntoIterator<Item = &'e Event>) {
        let mut transaction = session.transaction().unwrap();
        for event in events {
            let sql = self.repeat(event);
            let changed = transaction.execute(&sql, &[]);
            let changed = changed.unwrap_or_else(|error| panic!("{event}\n{sql}: {error:?}"));
            assert!(changed == 1 || sql.starts_with("truncate"), "{event}\n{sql}: {changed} rows");
        }
        transaction.commit().unwrap();
    }

    /// The copy has the same rows as the table: the same texts, as not every type has an equality.
    #[track_caller]
    pub fn assert_equals(&self, session: &mut Session, table: &str) {
        let mut rows = |name: &str| -> Vec<String> {
            session.column(&format!("select t::text from {name} t order by t::text collate \"C\""), &[])
        };
        assert_eq!(rows(&self.name), rows(table), "{} and {table}", self.name);
    }

    /// The event as a statement on the copy. Partial SQL is taken as it is; the other formats are decoded.
    fn repeat(&self, event: &Event) -> String {
        let copy = &self.name;
        let kind = event.kind.as_deref().unwrap();
        let data = event.data.as_deref().unwrap();
        match kind {
            "I" => format!("insert into {copy} {data}"),
            "U" => format!("update {copy} set {data}"),
            "D" => format!("delete from {copy} where {data}"),
            _ => self.repeat_decoded(&decoded(event)),
        }
    }

    fn repeat_decoded(&self, change: &Change) -> String {
        let copy = &self.name;
        let identity = || {
            let columns = change.identity().expect("a change tells which row it is about");
            joined(columns.into_iter().map(assignment), " and ")
        };
        match change.operation {
            Operation::Insert => {
                let names = joined(change.columns.iter().map(|(name, _)| identifier(name)), ", ");
                let values = joined(change.columns.iter().map(|(_, value)| literal(value)), ", ");
                format!("insert into {copy} ({names}) values ({values})")
            }
            Operation::Update => {
                let assignments = joined(change.columns.iter().map(assignment), ", ");
                format!("update {copy} set {assignments} where {}", identity())
            }
            Operation::Delete => format!("delete from {copy} where {}", identity()),
            Operation::Truncate => format!("truncate {copy}"),
        }
    }
}

fn decoded(event: &Event) -> Change {
    let fields = Fields {
        ev_type: event.kind.as_deref().map(str::as_bytes),
        ev_data: event.data.as_deref().map(str::as_bytes),
        ev_extra1: event.extras[0].as_deref().map(str::as_bytes),
        ev_extra2: event.extras[1].as_deref().map(str::as_bytes),
    };
    Change::decode(&fields).unwrap_or_else(|error| panic!("{event}: {error}"))
}

fn assignment(column: &Column) -> String {
    format!("{} = {}", identifier(&column.0), literal(&column.1))
}

fn identifier(name: &[u8]) -> String {
    let name = std::str::from_utf8(name).unwrap();
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(value: &Option<Vec<u8>>) -> String {
    let Some(value) = value else { return "null".to_owned() };
    let mut text = Vec::new();
    partial_sql::literal(&mut text, value);
    String::from_utf8(text).unwrap()
}

fn joined(parts: impl Iterator<Item = String>, by: &str) -> String {
    parts.collect::<Vec<_>>().join(by)
}
