//! The events of a batch, one after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::TryStreamExt;
use tokio::task::JoinHandle;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use crate::consumer::Event;
use crate::db::Connection;
use crate::{Error, Result};

const CURSOR: &str = "batch_events";

/// How far the reading has come.
pub(super) enum Reading {
    /// Nobody has asked yet.
    NotBegun(Request),
    /// Through a cursor: once.
    Lazily(Cursor),
    /// All are here, to be gone through as often as one likes.
    AtOnce { events: Vec<Event>, next: usize },
    /// The cursor is at its end.
    Over,
}

/// Which events, and from where.
#[derive(Clone)]
pub(super) struct Request {
    pub source: Connection,
    pub queue: Arc<str>,
    pub batch_id: i64,
    /// Events to read at a time; 0: all.
    pub lazy_fetch: usize,
    pub condition: Option<String>,
}

/// Two blocks of events: one that is here, and one on its way.
pub(super) struct Cursor {
    request: Request,
    here: VecDeque<Event>,
    ahead: Option<(Statement, Block)>,
}

type Block = JoinHandle<Result<VecDeque<Event>, tokio_postgres::Error>>;

impl Reading {
    /// These events, without a server.
    pub(super) const fn of(events: Vec<Event>) -> Self {
        Self::AtOnce { events, next: 0 }
    }

    /// The next event, or `None` at the end. What is here as a whole then begins again.
    pub(super) async fn next(&mut self) -> Result<Option<Event>> {
        if let Self::NotBegun(request) = self {
            *self = request.clone().begin().await?;
        }
        match self {
            Self::AtOnce { events, next } => {
                let event = events.get(*next).cloned();
                *next = if event.is_some() { *next + 1 } else { 0 };
                Ok(event)
            }
            Self::Lazily(cursor) => {
                let event = cursor.next().await?;
                if event.is_none() {
                    *self = Self::Over;
                }
                Ok(event)
            }
            Self::NotBegun(_) | Self::Over => Err(Error::bad(
                "the events of a batch can be gone through once; with pgq_lazy_fetch = 0, again and again",
            )),
        }
    }
}

impl Request {
    async fn begin(self) -> Result<Reading> {
        let quick = i32::try_from(self.lazy_fetch).ok().filter(|quick| *quick > 0).unwrap_or(i32::MAX);
        let rows = if self.lazy_fetch == 0 && self.condition.is_none() {
            self.source.query("select * from pgq.get_batch_events($1)", &[&self.batch_id]).await?
        } else {
            let parameters: [&(dyn ToSql + Sync); 4] = [&self.batch_id, &CURSOR, &quick, &self.condition];
            self.source.query("select * from pgq.get_batch_cursor($1, $2, $3, $4)", &parameters).await?
        };
        let events = rows.iter().map(|row| Event::from_row(&self.queue, row));
        let events: Result<Vec<_>, _> = events.collect();
        let events = events.map_err(self.source.failed("pgq.get_batch_cursor"))?;
        if self.lazy_fetch == 0 {
            return Ok(Reading::of(events));
        }
        let mut cursor = Cursor { here: events.into(), ahead: None, request: self };
        if cursor.here.len() >= cursor.request.lazy_fetch {
            let fetch = format!("fetch {} from {CURSOR}", cursor.request.lazy_fetch);
            let source = &cursor.request.source;
            let statement = source.client().await?.prepare(&fetch).await.map_err(source.failed(&fetch))?;
            cursor.look_ahead(statement).await?;
        }
        Ok(Reading::Lazily(cursor))
    }
}

impl Cursor {
    async fn next(&mut self) -> Result<Option<Event>> {
        if self.here.is_empty()
            && let Some((statement, block)) = self.ahead.take()
        {
            let block = block.await.map_err(Error::other)?;
            self.here = block.map_err(self.request.source.failed("fetch"))?;
            if !self.here.is_empty() {
                self.look_ahead(statement).await?;
            }
        }
        Ok(self.here.pop_front())
    }

    /// Asks for the next block. The statement is sent before this returns, so nothing that the handler does to the
    /// transaction comes before it; a task of its own takes the rows, so that answers to the handler's statements need
    /// not wait behind them.
    async fn look_ahead(&mut self, statement: Statement) -> Result<()> {
        let source = &self.request.source;
        let none: [&(dyn ToSql + Sync); 0] = [];
        let rows =
            source.client().await?.query_raw(&statement, none).await.map_err(source.failed("fetch"))?;
        let queue = Arc::clone(&self.request.queue);
        let block = tokio::spawn(async move {
            let events = rows.and_then(|row| std::future::ready(Event::from_row(&queue, &row)));
            events.try_collect().await
        });
        self.ahead = Some((statement, block));
        Ok(())
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotBegun(_) => "NotBegun",
            Self::Lazily(_) => "Lazily",
            Self::AtOnce { .. } => "AtOnce",
            Self::Over => "Over",
        })
    }
}
