//! Rows that stream into a table.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;

use super::list;
use crate::Result;
use crate::db::{Connection, QualifiedName};

/// An error of the target is learnt of at the end of its COPY. So that it comes before hours of useless work, the rows
/// go over in several.
const STRETCH: u64 = 256 * 1024 * 1024;

/// `COPY … FROM STDIN` that has begun.
pub(super) struct Load<'a> {
    connection: &'a Connection,
    sql: String,
    sink: Option<Pin<Box<CopyInSink<Bytes>>>>,
    in_this_stretch: u64,
    rows: u64,
}

impl<'a> Load<'a> {
    pub(super) async fn begin(
        connection: &'a Connection,
        table: &QualifiedName,
        columns: &[String],
    ) -> Result<Self> {
        let sql = format!("COPY {table} ({}) FROM STDIN", list(columns));
        let mut load = Self { connection, sql, sink: None, in_this_stretch: 0, rows: 0 };
        load.sink().await?;
        Ok(load)
    }

    async fn sink(&mut self) -> Result<&mut Pin<Box<CopyInSink<Bytes>>>> {
        if self.sink.is_none() {
            let sink = self.connection.client().await?.copy_in(&self.sql).await;
            self.sink = Some(Box::pin(sink.map_err(self.connection.failed(&self.sql))?));
        }
        Ok(self.sink.as_mut().expect("made above"))
    }

    /// Sends whole rows.
    pub(super) async fn send(&mut self, chunk: Bytes) -> Result<()> {
        self.in_this_stretch += chunk.len() as u64;
        let sent = self.sink().await?.send(chunk).await;
        sent.map_err(self.connection.failed(&self.sql))?;
        // Where each statement is a transaction there must be only one, for all or nothing.
        if self.in_this_stretch >= STRETCH && !self.connection.options().autocommit {
            self.finish_stretch().await?;
        }
        Ok(())
    }

    async fn finish_stretch(&mut self) -> Result<()> {
        if let Some(mut sink) = self.sink.take() {
            self.rows += sink.as_mut().finish().await.map_err(self.connection.failed(&self.sql))?;
            self.in_this_stretch = 0;
        }
        Ok(())
    }

    /// Returns how many rows the target has taken.
    pub(super) async fn end(mut self) -> Result<u64> {
        self.finish_stretch().await?;
        Ok(self.rows)
    }
}
