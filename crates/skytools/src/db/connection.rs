//! A session with a server: statements, and the transaction they are in.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::future::join;
use tokio::sync::Notify;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use tracing::debug;

use crate::db::connect::{self, Conninfo};
use crate::db::driver::{Driver, Driving};
use crate::db::quote::identifier;
use crate::{Error, Result};

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each statement sees what was committed before it.
    #[default]
    ReadCommitted,
    /// All statements see what was committed before the first.
    RepeatableRead,
    /// As if there were no others.
    Serializable,
}

/// How transactions are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Each statement is a transaction. Otherwise the first statement opens one, which lasts until commit or rollback.
    pub autocommit: bool,
    /// The isolation level.
    pub isolation: Isolation,
}

impl Options {
    /// Each statement a transaction.
    #[must_use]
    pub fn autocommit() -> Self {
        Self { autocommit: true, ..Self::default() }
    }
}

/// A session; clones are one and the same. It ends with the last of them, and what is open is rolled back.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Session>);

#[derive(Debug)]
struct Session {
    name: String,
    client: Client,
    driving: Driving,
    options: Options,
    in_transaction: AtomicBool,
    listening: Mutex<BTreeSet<String>>,
    opened: Instant,
}

impl Connection {
    /// Connects. `name` is how messages call the connection, `conninfo` is as libpq wants it. One that is not is
    /// [`Error::Bad`], which a loop survives: it may come from a database. Those of a program's keys were
    /// [looked at](Conninfo::check) when its file was read.
    pub async fn open(name: &str, conninfo: &str, options: Options) -> Result<Self> {
        Self::open_for(name, conninfo, options, None, Arc::default()).await
    }

    /// As [`open`](Self::open), for a program of this name, which waits for notifications.
    pub(super) async fn open_for(
        name: &str,
        conninfo: &str,
        options: Options,
        application_name: Option<&str>,
        notified: Arc<Notify>,
    ) -> Result<Self> {
        let named = |error| match error {
            Error::Usage(message) | Error::Bad(message) => Error::Bad(format!("{name}: {message}")),
            Error::Io { what, source } => Error::Io { what: format!("{name}: {what}"), source },
            other => other,
        };
        let conninfo = Conninfo::parse(conninfo).map_err(named)?;
        debug!("Connect '{name}' to '{conninfo}'");
        let driver = Driver::new(name, notified);
        let (client, driving) =
            connect::connect(&conninfo, application_name, &driver).await.map_err(named)?;
        Ok(Self(Arc::new(Session {
            name: name.to_owned(),
            client,
            driving,
            options,
            in_transaction: AtomicBool::new(false),
            listening: Mutex::default(),
            opened: Instant::now(),
        })))
    }

    /// How messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How its transactions are made.
    #[must_use]
    pub fn options(&self) -> Options {
        self.0.options
    }

    /// When it was opened.
    #[must_use]
    pub fn opened(&self) -> Instant {
        self.0.opened
    }

    /// Whether the server is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.client.is_closed()
    }

    /// Whether a transaction is open: one that waits for commit or rollback, maybe a failed one.
    #[must_use]
    pub fn is_in_transaction(&self) -> bool {
        self.0.in_transaction.load(Ordering::Relaxed)
    }

    /// Closes it. Who still has a clone finds it closed: nobody can keep a transaction open that was given up.
    pub fn close(self) {
        if Arc::strong_count(&self.0) > 1 {
            self.0.driving.cut();
        }
    }

    /// The driver's client, in the transaction that a statement would be in.
    pub async fn client(&self) -> Result<&Client> {
        self.begin().await?;
        Ok(&self.0.client)
    }

    /// A statement to be run more than once. It lives as long as the session.
    pub async fn prepare(&self, sql: &str) -> Result<Statement> {
        // BEGIN and PREPARE travel together: a transaction costs no time of its own on the wire.
        let (begun, prepared) = join(self.begin(), self.0.client.prepare(sql)).await;
        begun?;
        prepared.map_err(self.failed(sql))
    }

    /// All rows.
    pub async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let statement = self.prepare(sql).await?;
        self.0.client.query(&statement, params).await.map_err(self.failed(sql))
    }

    /// The one row.
    pub async fn query_one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        let statement = self.prepare(sql).await?;
        self.0.client.query_one(&statement, params).await.map_err(self.failed(sql))
    }

    /// The row, if there is one.
    pub async fn query_opt(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>> {
        let statement = self.prepare(sql).await?;
        self.0.client.query_opt(&statement, params).await.map_err(self.failed(sql))
    }

    /// How many rows a statement has touched.
    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        let statement = self.prepare(sql).await?;
        self.0.client.execute(&statement, params).await.map_err(self.failed(sql))
    }

    /// Runs statements without parameters.
    pub async fn batch(&self, sql: &str) -> Result<()> {
        self.client().await?.batch_execute(sql).await.map_err(self.failed(sql))
    }

    /// Opens a transaction, unless one is open or each statement is one.
    async fn begin(&self) -> Result<()> {
        if self.0.options.autocommit || self.0.in_transaction.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let begin = match self.0.options.isolation {
            Isolation::ReadCommitted => "begin isolation level read committed",
            Isolation::RepeatableRead => "begin isolation level repeatable read",
            Isolation::Serializable => "begin isolation level serializable",
        };
        self.0.client.batch_execute(begin).await.map_err(|error| {
            self.0.in_transaction.store(false, Ordering::Relaxed);
            self.failed(begin)(error)
        })
    }

    /// Commits what is open. An error, also when the server would take the COMMIT of a failed transaction for a
    /// ROLLBACK: nothing was committed, and nothing is open any more.
    pub async fn commit(&self) -> Result<()> {
        if !self.0.in_transaction.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        // The empty SELECT fails where COMMIT would silently roll back.
        let committed = self.0.client.batch_execute("select; commit").await.map_err(self.failed("commit"));
        if let Err(failure) = &committed
            && failure.sqlstate() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
        {
            self.0.client.batch_execute("rollback").await.map_err(self.failed("rollback"))?;
        }
        committed
    }

    /// Takes back what is open.
    pub async fn rollback(&self) -> Result<()> {
        if !self.0.in_transaction.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.0.client.batch_execute("rollback").await.map_err(self.failed("rollback"))
    }

    /// Listens on these channels and no other, from now on; within a transaction, from the next call outside of one.
    pub(super) async fn listen(&self, channels: &BTreeSet<String>) -> Result<()> {
        let listening = || self.0.listening.lock().expect("no panic while it is held");
        if self.is_in_transaction() || *listening() == *channels {
            return Ok(());
        }
        let active = listening().clone();
        let more = channels.difference(&active).map(|channel| format!("listen {}", identifier(channel)));
        let less = active.difference(channels).map(|channel| format!("unlisten {}", identifier(channel)));
        let sql = more.chain(less).collect::<Vec<_>>().join("; ");
        self.0.client.batch_execute(&sql).await.map_err(self.failed(&sql))?;
        listening().clone_from(channels);
        Ok(())
    }

    /// For `map_err`: an error of this connection, with the statement.
    pub fn failed(&self, sql: &str) -> impl FnOnce(tokio_postgres::Error) -> Error {
        let (connection, query) = (self.0.name.clone(), Some(sql.to_owned()));
        move |source| Error::Database { connection, query, source }
    }
}
