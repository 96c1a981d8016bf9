//! Records for a database that collects them: `log.add(level, job, message)`.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::outputs::Handler;
use super::record::{Level, Record};
use super::sums::Sums;
use crate::db::{Connection, Options};
use crate::{Error, Result};

/// How long after an attempt to connect that failed the next one is made.
const RECONNECT: Duration = Duration::from_secs(10);
/// How long the database may think about one record.
const PATIENCE: Duration = Duration::from_secs(15);

/// See the module.
pub(super) struct LogDb {
    conninfo: String,
    job: String,
    runtime: Runtime,
    connection: Option<Connection>,
    refused: Option<Instant>,
    sums: Sums,
}

impl LogDb {
    /// For the log of this job; connects with the first record.
    pub(super) fn new(conninfo: &str, job: &str) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            conninfo: conninfo.to_owned(),
            job: job.to_owned(),
            runtime: runtime.map_err(Error::io("start the runtime of the log database"))?,
            connection: None,
            refused: None,
            sums: Sums::default(),
        })
    }

    fn add(&mut self, level: Level, message: &str) -> Result<()> {
        let reused = self.connection.is_some();
        match self.try_add(level, message) {
            // The server may have been restarted since the last record.
            Err(failure) if reused && failure.is_lost_connection() => self.try_add(level, message),
            added => added,
        }
    }

    fn try_add(&mut self, level: Level, message: &str) -> Result<()> {
        let Self { conninfo, job, runtime, connection, refused, .. } = self;
        if connection.is_none() && refused.is_some_and(|refused| refused.elapsed() < RECONNECT) {
            return Err(Error::bad("not connected; the next attempt comes soon"));
        }
        let adding = async {
            let known = match connection.take() {
                Some(known) => known,
                None => {
                    // So it stays when this fails, or takes too long.
                    *refused = Some(Instant::now());
                    Connection::open("log database", conninfo, Options::autocommit()).await?
                }
            };
            *refused = None;
            let added = known.query("select log.add($1, $2, $3)", &[&level.name(), job, &message]).await;
            if !added.as_ref().is_err_and(Error::is_lost_connection) {
                *connection = Some(known);
            }
            added
        };
        // The timer, too, needs the runtime.
        let added = runtime.block_on(async { timeout(PATIENCE, adding).await });
        added.unwrap_or_else(|_| Err(Error::bad("the log database does not answer"))).map(drop)
    }

    fn send_sums(&mut self) -> Result<()> {
        let Some(line) = self.sums.line() else { return Ok(()) };
        self.add(Level::Info, &line)?;
        self.sums.clear();
        Ok(())
    }
}

impl Handler for LogDb {
    fn handle(&mut self, record: &Record) -> Result<()> {
        if record.level < Level::Info || self.sums.take(record) {
            return Ok(());
        }
        let text = record.text();
        self.add(record.level, text.lines().next().unwrap_or_default())
    }

    fn each_second(&mut self) -> Result<()> {
        if self.sums.are_due(Instant::now()) { self.send_sums() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<()> {
        self.send_sums()
    }
}
