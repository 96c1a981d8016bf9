//! A session with a server: statements, and the transaction they are in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, NoTls, Row};

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

/// A session; clones are one and the same.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Session>);

#[derive(Debug)]
struct Session {
    name: String,
    client: Client,
    options: Options,
    in_transaction: AtomicBool,
    notified: Arc<Notify>,
    opened: Instant,
}

impl Connection {
    /// Connects. `name` is how messages call the connection.
    pub async fn open(name: &str, conninfo: &str, options: Options) -> Result<Self> {
        let failed = |source| Error::Database { connection: name.to_owned(), query: None, source };
        let mut config: tokio_postgres::Config = conninfo.parse().map_err(failed)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(15));
        }
        let (client, mut driver) = config.connect(NoTls).await.map_err(failed)?;
        let notified = Arc::new(Notify::new());
        let awoken = Arc::clone(&notified);
        tokio::spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|context| driver.poll_message(context)).await {
                if let AsyncMessage::Notification(_) = message {
                    awoken.notify_one();
                }
            }
        });
        Ok(Self(Arc::new(Session {
            name: name.to_owned(),
            client,
            options,
            in_transaction: AtomicBool::new(false),
            notified,
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

    /// The driver's client, in the transaction that a statement would be in.
    pub async fn client(&self) -> Result<&Client> {
        self.begin().await?;
        Ok(&self.0.client)
    }

    /// All rows.
    pub async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.client().await?.query(sql, params).await.map_err(self.failed(sql))
    }

    /// The one row.
    pub async fn query_one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        self.client().await?.query_one(sql, params).await.map_err(self.failed(sql))
    }

    /// The row, if there is one.
    pub async fn query_opt(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>> {
        self.client().await?.query_opt(sql, params).await.map_err(self.failed(sql))
    }

    /// How many rows a statement has touched.
    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        self.client().await?.execute(sql, params).await.map_err(self.failed(sql))
    }

    /// Runs statements without parameters.
    pub async fn batch(&self, sql: &str) -> Result<()> {
        self.client().await?.batch_execute(sql).await.map_err(self.failed(sql))
    }

    /// Opens a transaction, unless one is open or each statement is one.
    async fn begin(&self) -> Result<()> {
        if self.0.options.autocommit || self.0.in_transaction.load(Ordering::Relaxed) {
            return Ok(());
        }
        let begin = match self.0.options.isolation {
            Isolation::ReadCommitted => "begin isolation level read committed",
            Isolation::RepeatableRead => "begin isolation level repeatable read",
            Isolation::Serializable => "begin isolation level serializable",
        };
        self.0.client.batch_execute(begin).await.map_err(self.failed(begin))?;
        self.0.in_transaction.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Commits what is open.
    pub async fn commit(&self) -> Result<()> {
        self.end("commit").await
    }

    /// Takes back what is open.
    pub async fn rollback(&self) -> Result<()> {
        self.end("rollback").await
    }

    async fn end(&self, how: &str) -> Result<()> {
        if self.0.in_transaction.swap(false, Ordering::Relaxed) {
            self.0.client.batch_execute(how).await.map_err(self.failed(how))?;
        }
        Ok(())
    }

    /// Returns when a notification has come, maybe one that came before the call.
    pub async fn notified(&self) {
        self.0.notified.notified().await;
    }

    /// For `map_err`: an error of this connection, with the statement.
    pub fn failed(&self, sql: &str) -> impl FnOnce(tokio_postgres::Error) -> Error {
        let (connection, query) = (self.0.name.clone(), Some(sql.to_owned()));
        move |source| Error::Database { connection, query, source }
    }
}
