//! The rows of a table on their way into another database.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use super::load::Load;
use super::{CHUNK, list};
use crate::db::catalog::table_oid;
use crate::db::{Connection, QualifiedName};
use crate::{Error, Result};

/// How much has gone over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Bytes in the text format of COPY, as sent to the target.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
}

type Hook<'a> = Box<dyn FnMut(Bytes) -> Result<Bytes> + Send + 'a>;

/// The rows of a table on their way to another database, streamed: whatever the table's size, the memory is that of a
/// few chunks.
///
/// Not done before its end, whether it fails or is no longer polled, it closes the source's connection, for nothing
/// else ends the reading of a large table early; in the target the statement fails and its transaction is to be rolled
/// back.
pub struct TableCopy<'a> {
    source: QualifiedName,
    target: QualifiedName,
    columns: Option<Vec<String>>,
    target_columns: Option<Vec<String>>,
    condition: Option<String>,
    on_rows: Option<Hook<'a>>,
    on_chunk: Option<Hook<'a>>,
    on_progress: Option<Box<dyn FnMut(Copied) + Send + 'a>>,
}

impl<'a> TableCopy<'a> {
    /// All rows and columns, into the table of the same name. Rows of tables that inherit from it are not among them,
    /// rows of its partitions are.
    #[must_use]
    pub fn new(table: QualifiedName) -> Self {
        Self {
            target: table.clone(),
            source: table,
            columns: None,
            target_columns: None,
            condition: None,
            on_rows: None,
            on_chunk: None,
            on_progress: None,
        }
    }

    /// Into this table.
    #[must_use]
    pub fn into_table(mut self, table: QualifiedName) -> Self {
        self.target = table;
        self
    }

    /// Only these columns, in this order. Otherwise all columns that are not computed.
    #[must_use]
    pub fn columns(mut self, columns: Vec<String>) -> Self {
        self.columns = Some(columns);
        self
    }

    /// Into these columns: as many as are read. Otherwise into those of the same names.
    #[must_use]
    pub fn into_columns(mut self, columns: Vec<String>) -> Self {
        self.target_columns = Some(columns);
        self
    }

    /// Only rows for which this SQL expression is true. It is run as it is: trusted input only.
    #[must_use]
    pub fn condition(mut self, expression: impl Into<String>) -> Self {
        self.condition = Some(expression.into());
        self
    }

    /// What is done to whole rows as they come from the source, usually one by one. They are in the text format of
    /// COPY, each with its line feed; what is returned goes on: nothing, or other rows.
    #[must_use]
    pub fn on_rows(mut self, hook: impl FnMut(Bytes) -> Result<Bytes> + Send + 'a) -> Self {
        self.on_rows = Some(Box::new(hook));
        self
    }

    /// As [`on_rows`](Self::on_rows), for the chunks of at least 512 KiB (the last one is what is left) in which rows
    /// go to the target.
    #[must_use]
    pub fn on_chunk(mut self, hook: impl FnMut(Bytes) -> Result<Bytes> + Send + 'a) -> Self {
        self.on_chunk = Some(Box::new(hook));
        self
    }

    /// What is told after each chunk: all that has gone over so far.
    #[must_use]
    pub fn on_progress(mut self, hook: impl FnMut(Copied) + Send + 'a) -> Self {
        self.on_progress = Some(Box::new(hook));
        self
    }

    /// Copies. Commits nowhere: both connections are left in the transactions that they are in. If row security would
    /// show the source's role only some of the rows, this is an error.
    pub async fn run(mut self, source: &Connection, target: &Connection) -> Result<Copied> {
        let (kind, stored) = kind_and_columns(source, &self.source).await?;
        let columns = self.columns.take().unwrap_or(stored);
        let target_columns = self.target_columns.take().unwrap_or_else(|| columns.clone());
        if target_columns.len() != columns.len() {
            return Err(Error::usage(format!(
                "copy of {}: {} columns cannot go into {} columns of {}",
                self.source,
                columns.len(),
                target_columns.len(),
                self.target
            )));
        }
        let from = self.read_sql(kind, &columns);
        let settings = Settings::of(source).await?;
        Settings::faithful().set(source).await?;
        let mut load = Load::begin(target, &self.target, &target_columns).await?;
        let rows = source.client().await?.copy_out(&from).await.map_err(source.failed(&from))?;
        let mut abandoned = CloseUnlessDone(Some(source));
        let mut rows = pin!(rows);
        let mut buffer = BytesMut::new();
        let mut copied = Copied::default();
        while let Some(piece) = rows.try_next().await.map_err(source.failed(&from))? {
            let piece = match &mut self.on_rows {
                Some(hook) => hook(piece)?,
                None => piece,
            };
            buffer.extend_from_slice(&piece);
            if buffer.len() >= CHUNK
                && let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n')
            {
                let chunk = buffer.split_to(end + 1).freeze();
                self.flush(chunk, &mut load, &mut copied).await?;
            }
        }
        if !buffer.is_empty() {
            self.flush(buffer.freeze(), &mut load, &mut copied).await?;
        }
        copied.rows = load.end().await?;
        abandoned.0 = None;
        settings.set(source).await?;
        Ok(copied)
    }

    async fn flush(&mut self, chunk: Bytes, load: &mut Load<'_>, copied: &mut Copied) -> Result<()> {
        let chunk = match &mut self.on_chunk {
            Some(hook) => hook(chunk)?,
            None => chunk,
        };
        copied.bytes += chunk.len() as u64;
        copied.rows += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        load.send(chunk).await?;
        if let Some(hook) = &mut self.on_progress {
            hook(*copied);
        }
        Ok(())
    }

    fn read_sql(&self, kind: Kind, columns: &[String]) -> String {
        let (table, columns) = (&self.source, list(columns));
        let only = if kind == Kind::Ordinary { "ONLY " } else { "" };
        match &self.condition {
            // It reads the table alone without being told.
            None if kind == Kind::Ordinary => format!("COPY {table} ({columns}) TO STDOUT"),
            None => format!("COPY (SELECT {columns} FROM {table}) TO STDOUT"),
            // The line feed ends a comment at the end of the condition.
            Some(condition) => {
                format!("COPY (SELECT {columns} FROM {only}{table} WHERE {condition}\n) TO STDOUT")
            }
        }
    }
}

/// Where the rows are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// In the table.
    Ordinary,
    /// Somewhere else: the table is partitioned or foreign.
    Other,
}

/// The columns are those that have values of their own.
async fn kind_and_columns(connection: &Connection, table: &QualifiedName) -> Result<(Kind, Vec<String>)> {
    let oid = table_oid(connection, table).await?;
    let sql = "select c.relkind = 'r', array(select a.attname::text from pg_catalog.pg_attribute a \
                   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' \
                   order by a.attnum) \
               from pg_catalog.pg_class c where c.oid = $1";
    let row = connection.query_one(sql, &[&oid]).await?;
    Ok((if row.get(0) { Kind::Ordinary } else { Kind::Other }, row.get(1)))
}

/// What a session is set to, where that changes what it reads of a table: how it writes dates, intervals and floats,
/// and whether row security leaves rows out in silence.
struct Settings([String; 4]);

const SETTINGS: [&str; 4] = ["datestyle", "intervalstyle", "extra_float_digits", "row_security"];

impl Settings {
    async fn of(connection: &Connection) -> Result<Self> {
        let row = connection.query_one(&each(|name, _| format!("current_setting('{name}')")), &[]).await?;
        Ok(Self(std::array::from_fn(|place| row.get(place))))
    }

    /// What every session reads as the same, and all of it: rows that we may not see are an error.
    fn faithful() -> Self {
        Self(["ISO", "postgres", "3", "off"].map(str::to_owned))
    }

    async fn set(&self, connection: &Connection) -> Result<()> {
        let sql = each(|name, number| format!("set_config('{name}', ${number}, false)"));
        connection.query_one(&sql, &self.0.each_ref().map(|value| value as _)).await.map(drop)
    }
}

/// A call for each of the settings; they are counted from 1.
fn each(call: impl Fn(&str, usize) -> String) -> String {
    let calls: Vec<_> = SETTINGS.iter().zip(1..).map(|(name, number)| call(name, number)).collect();
    format!("select pg_catalog.{}", calls.join(", pg_catalog."))
}

struct CloseUnlessDone<'a>(Option<&'a Connection>);

impl Drop for CloseUnlessDone<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.clone().close();
        }
    }
}
