//! The way of a batch's events through a worker.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::cascade::consumer::{is_of_cascade, require_first_time};
use crate::cascade::system_events::SystemEvents;
use crate::consumer::{Event, Sieve};
use crate::db::Connection;
use crate::{NewEvent, Producer, Result};

/// So many events are written at a time,
const BLOCK: usize = 500;

/// or fewer that have so many bytes: memory stays constant.
const BLOCK_BYTES: usize = 8 << 20;

/// Events that wait to be written.
#[derive(Debug, Default)]
pub struct Block {
    events: Vec<Event>,
    bytes: usize,
}

impl Block {
    fn add(&mut self, event: Event) {
        self.bytes += event.size();
        self.events.push(event);
    }

    const fn is_full(&self) -> bool {
        self.events.len() >= BLOCK || self.bytes >= BLOCK_BYTES
    }
}

/// Where events are written besides being handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Nowhere,
    /// The copy of the queue: all of them, with their numbers. In a group of nodes the watermark that they go on with is
    /// the group's.
    Copy {
        watermark: Option<i64>,
    },
    /// A combined queue: the data, with new numbers, and how far this has brought it.
    Combined(String),
}

/// What the worker of a node has heard of the root's watermark. Shared by batch after batch.
pub type Heard = Arc<Mutex<Option<i64>>>;

/// See the module.
#[derive(Debug)]
pub struct Passage {
    pub queue: Arc<str>,
    /// The tick at the batch's end.
    pub tick: i64,
    pub node: Connection,
    pub destination: Destination,
    /// Whether the handler gets data.
    pub applies: bool,
    /// Of these tables only, if any are named.
    pub tables: Vec<String>,
    /// How the types of the handler's own system events begin.
    pub own_events: Option<&'static str>,
    /// Whether the watermark of the root is this node's.
    pub heeds_root: bool,
    pub heard: Heard,
    pub system_events: SystemEvents,
    pub block: Block,
}

impl Passage {
    fn is_the_handlers_own(&self, event: &Event) -> bool {
        let kind = event.kind().unwrap_or_default();
        self.own_events.is_some_and(|prefix| kind.starts_with(prefix))
    }

    /// What is to be written of an event.
    fn written(&self, event: &Event) -> Option<Event> {
        match &self.destination {
            Destination::Nowhere => None,
            Destination::Copy { watermark: Some(own) } if event.kind() == Some("pgq.global-watermark") => {
                let (mut texts, own) = (event.texts(), own.to_string());
                texts[1] = Some(&own);
                let queue = Arc::clone(&self.queue);
                Some(Event::new(queue, event.id(), event.time(), event.txid(), event.retry(), texts))
            }
            Destination::Copy { .. } => Some(event.clone()),
            Destination::Combined(_) => {
                (!is_of_cascade(event) && !self.is_the_handlers_own(event)).then(|| event.clone())
            }
        }
    }

    async fn take(&mut self, event: &Event) -> Result<()> {
        require_first_time(event)?;
        if is_of_cascade(event) {
            self.system_events.take(&self.queue, event)?;
        }
        if let Some(event) = self.written(event) {
            self.block.add(event);
        }
        if self.block.is_full() {
            self.write().await?;
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        let block = std::mem::take(&mut self.block).events;
        match &self.destination {
            _ if block.is_empty() => {}
            Destination::Nowhere => {}
            Destination::Copy { .. } => {
                let role: String = self
                    .node
                    .query_one("select pg_catalog.current_setting('session_replication_role')", &[])
                    .await?
                    .get(0);
                // The queue is closed to all others. What the handler does is done as its session is.
                let change = async |role: &str| {
                    self.node.batch(&format!("set local session_replication_role = {role}")).await
                };
                if role != "replica" {
                    change("replica").await?;
                }
                let events: Vec<_> = block.iter().map(|event| NewEvent::from(event).id(event.id())).collect();
                Producer::new(&self.node, &self.queue).copy(events).await?;
                if role != "replica" {
                    change(&role).await?;
                }
            }
            Destination::Combined(queue) => {
                let events: Vec<_> = block.iter().map(NewEvent::from).collect();
                Producer::new(&self.node, queue).copy(events).await?;
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<()> {
        self.write().await?;
        self.system_events.apply(&self.queue, &self.node, self.heeds_root).await?;
        if let Some(tick) = self.system_events.global_watermark() {
            *self.heard.lock().expect("no panic while it is held") = Some(tick);
        }
        if let Destination::Combined(queue) = &self.destination {
            let done = NewEvent::new("pgq.tick-id", self.tick.to_string()).extra(1, &*self.queue);
            Producer::new(&self.node, queue).insert(&done).await?;
        }
        Ok(())
    }
}

impl Sieve for Passage {
    fn take<'a>(&'a mut self, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        self.take(event).boxed()
    }

    fn lets_through(&self, event: &Event) -> bool {
        let is_wanted = || {
            self.tables.is_empty()
                || event.extra1().is_some_and(|table| self.tables.iter().any(|t| t == table))
        };
        !is_of_cascade(event) && (self.is_the_handlers_own(event) || self.applies && is_wanted())
    }

    fn end(&mut self) -> BoxFuture<'_, Result<()>> {
        self.end().boxed()
    }
}
