//! Records on their way into a table.

use indexmap::IndexSet;

use super::load::Load;
use super::{CHUNK, list};
use crate::db::payload::Record;
use crate::db::{Connection, QualifiedName, copy_text, quote};
use crate::{Error, Result};

/// Rows of texts for the columns of a table; `None` is NULL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// Of lists, each with a value for each column; another length is an error.
    pub fn from_lists(columns: Vec<String>, rows: Vec<Vec<Option<String>>>) -> Result<Self> {
        if let Some((number, row)) = (1..).zip(&rows).find(|(_, row)| row.len() != columns.len()) {
            let (has, wants) = (row.len(), columns.len());
            return Err(Error::bad(format!("row {number} has {has} values for {wants} columns")));
        }
        Ok(Self { columns, rows })
    }

    /// Of records. The columns are all that any of them has, in the order in which they are met; what a record does
    /// not have is NULL.
    #[must_use]
    pub fn from_records(records: &[Record]) -> Self {
        let columns: IndexSet<&String> = records.iter().flat_map(Record::keys).collect();
        let row = |record: &Record| columns.iter().map(|name| record.get(*name).cloned().flatten()).collect();
        let rows = records.iter().map(row).collect();
        Self { columns: columns.into_iter().cloned().collect(), rows }
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// One INSERT with all rows, or nothing if there are none.
    #[must_use]
    pub fn insert_text(&self, table: &QualifiedName) -> String {
        if self.is_empty() {
            return String::new();
        }
        let row = |row: &Vec<Option<String>>| {
            let values: Vec<_> = row.iter().map(|value| quote::literal(value.as_deref())).collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        format!("INSERT INTO {table} ({}) VALUES\n{};\n", list(&self.columns), rows.join(",\n"))
    }

    /// `COPY … FROM stdin` with the rows below, as psql reads it, or nothing if there are none.
    #[must_use]
    pub fn copy_text(&self, table: &QualifiedName) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut text = format!("COPY {table} ({}) FROM stdin;\n", list(&self.columns));
        self.rows.iter().for_each(|row| write_row(&mut text, row));
        text.push_str("\\.\n");
        text
    }

    /// Copies them into the table; returns how many rows.
    pub async fn copy_into(&self, connection: &Connection, table: &QualifiedName) -> Result<u64> {
        if self.is_empty() {
            return Ok(0);
        }
        let mut load = Load::begin(connection, table, &self.columns).await?;
        let mut text = String::new();
        for row in &self.rows {
            write_row(&mut text, row);
            if text.len() >= CHUNK {
                load.send(std::mem::take(&mut text).into()).await?;
            }
        }
        load.send(text.into()).await?;
        load.end().await
    }
}

fn write_row(text: &mut String, row: &[Option<String>]) {
    for (place, value) in row.iter().enumerate() {
        if place > 0 {
            text.push('\t');
        }
        copy_text::write(text, value.as_deref());
    }
    text.push('\n');
}
