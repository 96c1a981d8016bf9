//! The bank again, made of nothing but events.

use std::collections::HashMap;

use pgq_core::codec::{Row, urlencoded};
use pgq_tests::queue::Event;

/// The values of a row's key.
type Key = Vec<Option<Vec<u8>>>;

/// Tables by name, and in each its rows by key; a row is kept as the event told it.
#[derive(Debug, Default)]
pub struct Replica {
    tables: HashMap<String, HashMap<Key, String>>,
}

impl Replica {
    /// Does again what logutriga saw. None if it cannot have happened to the rows that are here: what is new was here
    /// before, or what changes is not what the event says it was. So a lost, alien or belated event shows itself.
    pub fn apply(&mut self, event: &Event) -> Option<()> {
        let table = self.tables.entry(event.extra[0].clone()?).or_default();
        let kind = event.kind.as_deref()?;
        if kind == "R" {
            table.clear();
            return Some(());
        }
        let (operation, key) = kind.split_once(':')?;
        let row = event.data.clone()?;
        let key = key_of(&decoded(&row)?, key)?;
        let fits = match operation {
            "I" => table.insert(key, row).is_none(),
            "U" => table.insert(key, row) == event.extra[1],
            "D" => table.remove(&key) == Some(row),
            _ => false,
        };
        fits.then_some(())
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.tables.values().map(HashMap::len).sum()
    }

    /// How many rows a table has.
    pub fn len_of(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, HashMap::len)
    }

    /// The rows of a table.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = Row> {
        self.tables.get(table).into_iter().flatten().filter_map(|(_, row)| decoded(row))
    }
}

fn decoded(row: &str) -> Option<Row> {
    urlencoded::decode(row.as_bytes()).ok()
}

/// The values of the columns whose names stand in a list like `bid,tid`.
fn key_of(row: &Row, names: &str) -> Option<Key> {
    let value =
        |wanted: &str| row.iter().find(|(name, _)| name == wanted.as_bytes()).map(|(_, value)| value.clone());
    names.split(',').map(value).collect()
}
