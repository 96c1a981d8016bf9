//! The events of a batch, one after the other.

use std::collections::VecDeque;
use std::future::{Future, poll_fn, ready};
use std::sync::Arc;
use std::task::Poll;

use futures_util::TryStreamExt;
use futures_util::future::maybe_done;
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

/// A block of events that is here, and blocks that are on their way.
pub(super) struct Cursor {
    request: Request,
    /// Fetches a block; `None` when the first one was all.
    fetch: Option<Statement>,
    /// The bytes of the biggest block so far.
    biggest: usize,
    here: VecDeque<Event>,
    ahead: VecDeque<Block>,
}

type Block = JoinHandle<Result<VecDeque<Event>>>;

/// So many events are asked for ahead, that the server need not wait between two blocks.
const AHEAD: usize = 2000;

/// But no more blocks than have so many bytes, should all be as big as the biggest so far: one is always on its way.
const BYTES_AHEAD: usize = 16 << 20;

impl Reading {
    /// These events, without a server.
    pub(super) const fn of(events: Vec<Event>) -> Self {
        Self::AtOnce { events, next: 0 }
    }

    /// Whether an event was asked for.
    pub(super) const fn has_begun(&self) -> bool {
        !matches!(self, Self::NotBegun(_))
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
        let mut cursor =
            Cursor { fetch: None, biggest: 1, here: events.into(), ahead: VecDeque::new(), request: self };
        if cursor.here.len() >= cursor.request.lazy_fetch {
            let fetch = format!("fetch {} from {CURSOR}", cursor.request.lazy_fetch);
            let source = &cursor.request.source;
            let statement = source.client().await?.prepare(&fetch).await.map_err(source.failed(&fetch))?;
            cursor.fetch = Some(statement);
            cursor.look_ahead().await;
        }
        Ok(Reading::Lazily(cursor))
    }
}

impl Cursor {
    async fn next(&mut self) -> Result<Option<Event>> {
        if self.here.is_empty()
            && let Some(block) = self.ahead.pop_front()
        {
            self.here = block.await.map_err(Error::other)??;
            if !self.here.is_empty() {
                self.look_ahead().await;
            }
        }
        Ok(self.here.pop_front())
    }

    /// Asks for the next blocks. The statements are sent before this returns, so nothing that the handler does to the
    /// transaction comes before them; tasks of their own take the rows, so that answers to the handler's statements
    /// need not wait behind them.
    async fn look_ahead(&mut self) {
        let Some(fetch) = &self.fetch else { return };
        self.biggest = self.biggest.max(self.here.iter().map(Event::size).sum());
        let blocks = (AHEAD / self.request.lazy_fetch).min(BYTES_AHEAD / self.biggest).max(1);
        while self.ahead.len() < blocks {
            let (source, queue) = (self.request.source.clone(), Arc::clone(&self.request.queue));
            let fetch = fetch.clone();
            let mut block = Box::pin(maybe_done(async move {
                let none: [&(dyn ToSql + Sync); 0] = [];
                let rows = source.client().await?.query_raw(&fetch, none).await;
                let rows = rows.map_err(source.failed("fetch"))?;
                let events = rows.and_then(|row| ready(Event::from_row(&queue, &row))).try_collect().await;
                events.map_err(source.failed("fetch"))
            }));
            // The first poll sends the statement.
            poll_fn(|context| Poll::Ready(block.as_mut().poll(context).is_ready())).await;
            self.ahead.push_back(tokio::spawn(async move {
                block.as_mut().await;
                block.as_mut().take_output().expect("a future that has ended, and was asked once")
            }));
        }
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
