//! The same without async, for simple uses: a script that writes events, a loop that reads them.
//!
//! ```no_run
//! use skytools::{NewEvent, blocking, consumer::{Subscription, Verdict}};
//!
//! let db = blocking::Connection::open("dbname=shop")?;
//! db.producer("orders").insert(&NewEvent::new("new", "order 17"))?;
//! db.commit()?;
//!
//! let mailer = db.consumer(Subscription::new("orders", "mailer"));
//! mailer.register()?;
//! while let Some(batch) = mailer.next_batch()? {
//!     batch.handle(|event| {
//!         println!("{:?}", event.data());
//!         Ok(Verdict::Done)
//!     })?;
//! }
//! # Ok::<(), skytools::Error>(())
//! ```
//!
//! Programs that run for long have a [frame](crate::script) of their own; inside of async code use the async face.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use crate::consumer::{self, BatchInfo, Event, Finished, Subscription, Verdict};
use crate::db::{self, Options, Row, types::ToSql};
use crate::{Error, NewEvent, Result};

/// A session with a server; clones are one and the same.
#[derive(Clone, Debug)]
pub struct Connection {
    runtime: Arc<Runtime>,
    session: db::Connection,
}

impl Connection {
    /// Connects, as a libpq connect string says.
    pub fn open(conninfo: &str) -> Result<Self> {
        // The session is kept going by a thread of its own, also while nobody waits for it.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(Error::io("start the runtime"))?;
        let session = runtime.block_on(db::Connection::open("database", conninfo, Options::default()))?;
        Ok(Self { runtime: Arc::new(runtime), session })
    }

    /// Runs a statement, and returns its rows.
    pub fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.wait(self.session.query(sql, params))
    }

    /// Runs a statement, and returns how many rows it has touched.
    pub fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        self.wait(self.session.execute(sql, params))
    }

    /// Commits what is open: the first statement has begun it.
    pub fn commit(&self) -> Result<()> {
        self.wait(self.session.commit())
    }

    /// Takes back what is open.
    pub fn rollback(&self) -> Result<()> {
        self.wait(self.session.rollback())
    }

    /// Writes to a queue, in the open transaction.
    #[must_use]
    pub fn producer(&self, queue: &str) -> Producer {
        Producer { connection: self.clone(), producer: crate::Producer::new(&self.session, queue) }
    }

    /// Reads a queue.
    #[must_use]
    pub fn consumer(&self, subscription: Subscription) -> Consumer {
        Consumer { connection: self.clone(), subscription }
    }

    /// Runs anything async of this crate to its end, where there is no shorter way.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// See [`Producer`](crate::Producer).
#[derive(Debug)]
pub struct Producer {
    connection: Connection,
    producer: crate::Producer,
}

impl Producer {
    /// Writes an event, and returns its number.
    pub fn insert(&self, event: &NewEvent<'_>) -> Result<i64> {
        self.connection.wait(self.producer.insert(event))
    }

    /// Writes many events, and returns how many.
    pub fn insert_all<'a>(&self, events: impl IntoIterator<Item = NewEvent<'a>>) -> Result<u64> {
        self.connection.wait(self.producer.insert_all(events))
    }
}

/// A consumer of a queue.
#[derive(Debug)]
pub struct Consumer {
    connection: Connection,
    subscription: Subscription,
}

impl Consumer {
    /// Registers it at the newest tick. False: it was registered.
    pub fn register(&self) -> Result<bool> {
        self.connection.wait(self.subscription.register(&self.connection.session))
    }

    /// Takes the registration back. False: there was none.
    pub fn unregister(&self) -> Result<bool> {
        self.connection.wait(self.subscription.unregister(&self.connection.session))
    }

    /// The next batch, or the open one again; `None`: there is nothing new.
    pub fn next_batch(&self) -> Result<Option<Batch>> {
        let batch = self.connection.wait(self.subscription.next_batch(&self.connection.session))?;
        Ok(batch.map(|batch| Batch { connection: self.connection.clone(), batch }))
    }
}

/// An open batch.
#[derive(Debug)]
pub struct Batch {
    connection: Connection,
    batch: consumer::Batch,
}

impl Batch {
    /// Its bounds.
    #[must_use]
    pub const fn info(&self) -> &BatchInfo {
        self.batch.info()
    }

    /// Gives each event to `handle`, and finishes the batch. After an error all is rolled back, and the batch comes
    /// again as a whole.
    pub fn handle(mut self, mut handle: impl FnMut(&Event) -> Result<Verdict>) -> Result<Finished> {
        let Self { connection, batch } = &mut self;
        let handled = loop {
            match connection.wait(batch.next()) {
                Ok(Some(event)) => {
                    let tagged = handle(&event).and_then(|verdict| batch.tag(&event, verdict));
                    if let Err(failed) = tagged {
                        break Err(failed.at(&event));
                    }
                }
                Ok(None) => break Ok(()),
                Err(failed) => break Err(failed),
            }
        };
        match handled {
            Ok(()) => connection.clone().wait(self.batch.finish()),
            Err(failed) => {
                // What failed first is what the caller should hear of.
                let _ = connection.rollback();
                Err(failed)
            }
        }
    }
}
