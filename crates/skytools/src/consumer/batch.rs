//! What lies between two ticks: events, and what is to become of each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use tokio_postgres::{Client, RowStream, Statement};

use crate::consumer::{Event, Selection, Verdict};
use crate::db::Connection;
use crate::script::Stop;
use crate::{Error, Result};

const CURSOR: &str = "batch_events";

/// The bounds of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// Its number.
    pub batch_id: i64,
    /// The tick that ends it.
    pub tick_id: i64,
    /// The tick that it begins behind.
    pub prev_tick_id: i64,
    /// When the tick before it was taken.
    pub batch_start: Timestamp,
    /// When the tick at its end was taken.
    pub batch_end: Timestamp,
    /// The event numbers at its begin. Not a count: do not judge by it whether the batch is empty.
    pub seq_start: i64,
    /// The event numbers at its end.
    pub seq_end: i64,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How many events were handed out.
    pub count: u64,
    /// How many of them come again.
    pub retried: u64,
}

/// An open batch. Events come one at a time, in constant memory.
///
/// With a cursor (the default) they come through the source's transaction: whoever handles them must neither commit
/// nor roll back there before the end, and can go through them once.
#[derive(Debug)]
pub struct Batch {
    info: BatchInfo,
    queue: Arc<str>,
    source: Connection,
    target: Option<Connection>,
    lazy_fetch: usize,
    condition: Option<String>,
    strict: bool,
    stop: Stop,
    reading: Reading,
    count: u64,
    current: Option<(i64, Verdict)>,
    retries: Vec<(i64, Duration)>,
}

/// How far the reading has come.
enum Reading {
    NotBegun,
    /// Rows that are here; the statement that fetches more; and its rows, already on their way.
    Going {
        rows: VecDeque<Event>,
        fetch: Option<(Statement, std::pin::Pin<Box<RowStream>>)>,
    },
    Over,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotBegun => "NotBegun",
            Self::Going { .. } => "Going",
            Self::Over => "Over",
        })
    }
}

impl Batch {
    pub(super) fn new(
        info: BatchInfo,
        queue: Arc<str>,
        source: Connection,
        selection: &Selection,
        stop: Stop,
    ) -> Self {
        Self {
            info,
            queue,
            source,
            target: None,
            lazy_fetch: selection.lazy_fetch,
            condition: selection.condition.clone(),
            strict: selection.strict,
            stop,
            reading: Reading::NotBegun,
            count: 0,
            current: None,
            retries: Vec::new(),
        }
    }

    /// Its bounds.
    #[must_use]
    pub const fn info(&self) -> &BatchInfo {
        &self.info
    }

    /// The connection it comes through. What is written here is committed with the batch: exactly once.
    #[must_use]
    pub const fn source(&self) -> &Connection {
        &self.source
    }

    /// The connection to write results to, for consumers that have one.
    pub fn target(&self) -> Result<&Connection> {
        self.target.as_ref().ok_or_else(|| Error::bad("this consumer has no target database"))
    }

    /// Gives the batch a place for its results.
    pub fn set_target(&mut self, target: Connection) {
        self.target = Some(target);
    }

    /// The next event, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        self.settle()?;
        self.stop.check_between_events()?;
        if let Reading::NotBegun = self.reading {
            self.begin().await?;
        }
        loop {
            let Reading::Going { rows, fetch } = &mut self.reading else {
                return Err(Error::bad("the events of a batch can be read once"));
            };
            if let Some(event) = rows.pop_front() {
                self.count += 1;
                self.current = Some((event.id(), Verdict::Untagged));
                return Ok(Some(event));
            }
            let Some((statement, stream)) = fetch.take() else {
                self.reading = Reading::Over;
                return Ok(None);
            };
            *rows = self.source.received(&self.queue, stream).await?;
            if !rows.is_empty() {
                let ahead = self.source.ask(&statement).await?;
                *fetch = Some((statement, ahead));
            }
        }
    }

    async fn begin(&mut self) -> Result<()> {
        let client: &Client = self.source.client().await?;
        let fetch_failed = |error| self.source.failed("pgq.get_batch_cursor")(error);
        let sql = if self.lazy_fetch == 0 {
            "select * from pgq.get_batch_events($1)"
        } else {
            "select * from pgq.get_batch_cursor($1, $2, $3, $4)"
        };
        let quick = i32::try_from(self.lazy_fetch).unwrap_or(i32::MAX);
        let rows = if self.lazy_fetch == 0 {
            client.query(sql, &[&self.info.batch_id]).await
        } else {
            client.query(sql, &[&self.info.batch_id, &CURSOR, &quick, &self.condition]).await
        }
        .map_err(fetch_failed)?;
        let events: std::result::Result<VecDeque<_>, _> =
            rows.iter().map(|row| Event::from_row(&self.queue, row)).collect();
        let rows = events.map_err(self.source.failed(sql))?;
        let fetch = if self.lazy_fetch > 0 && rows.len() >= self.lazy_fetch {
            let fetch = format!("fetch {} from {CURSOR}", self.lazy_fetch);
            let statement = client.prepare(&fetch).await.map_err(self.source.failed(&fetch))?;
            let ahead = self.source.ask(&statement).await?;
            Some((statement, ahead))
        } else {
            None
        };
        self.reading = Reading::Going { rows, fetch };
        Ok(())
    }

    /// Says what is to become of the event that was handed out last.
    pub fn tag(&mut self, event: &Event, verdict: Verdict) -> Result<()> {
        match &mut self.current {
            Some((id, now)) if *id == event.id() => {
                *now = verdict;
                Ok(())
            }
            _ => Err(Error::bad(format!("event {} is not the one that was handed out last", event.id()))),
        }
    }

    /// Writes down what was said of the last event.
    fn settle(&mut self) -> Result<()> {
        match self.current.take() {
            Some((id, Verdict::Retry(after))) => self.retries.push((id, after)),
            Some((id, Verdict::Untagged)) if self.strict => {
                return Err(Error::bad(format!("event {id} was left untagged")));
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends the batch: events to retry go back, the queue moves on, and the source's transaction is committed.
    pub async fn finish(mut self) -> Result<Finished> {
        self.settle()?;
        for (id, after) in &self.retries {
            let seconds = i32::try_from(after.as_secs()).unwrap_or(i32::MAX);
            self.source
                .execute("select pgq.event_retry($1, $2, $3)", &[&self.info.batch_id, id, &seconds])
                .await?;
        }
        self.source.execute("select pgq.finish_batch($1)", &[&self.info.batch_id]).await?;
        self.source.commit().await?;
        Ok(Finished { count: self.count, retried: self.retries.len() as u64 })
    }
}

impl Connection {
    /// Sends a statement whose rows will be taken later.
    async fn ask(&self, statement: &Statement) -> Result<std::pin::Pin<Box<RowStream>>> {
        let none: [&(dyn tokio_postgres::types::ToSql + Sync); 0] = [];
        let stream = self.client().await?.query_raw(statement, none).await;
        stream.map(Box::pin).map_err(self.failed("fetch"))
    }

    async fn received(
        &self,
        queue: &Arc<str>,
        mut stream: std::pin::Pin<Box<RowStream>>,
    ) -> Result<VecDeque<Event>> {
        let mut events = VecDeque::new();
        while let Some(row) = stream.next().await {
            let event = row.and_then(|row| Event::from_row(queue, &row));
            events.push_back(event.map_err(self.failed("fetch"))?);
        }
        Ok(events)
    }
}
