//! A connection that comes back after every crash.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres::{Client, Error, NoTls};

use super::World;
use crate::client::connection_lost;

/// Crash recovery included.
const CONNECT_LIMIT: Duration = Duration::from_secs(120);

/// How a piece of work ended.
pub(super) enum Outcome<T> {
    /// It is done.
    Done(T),
    /// The server went away in the middle of it.
    Lost,
    /// The server refused something; the connection is still good, any transaction rolled back.
    Refused(Error),
}

pub(super) struct Link {
    world: Arc<World>,
    /// Statements for every new session.
    setup: &'static str,
    client: Option<Client>,
}

impl Link {
    pub(super) const fn new(world: Arc<World>, setup: &'static str) -> Self {
        Self { world, setup, client: None }
    }

    /// Does the work on a live connection. If none can be had for a long time, the campaign has failed.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&mut Client) -> Result<T, Error>) -> Outcome<T> {
        let mut client = match self.client.take().map_or_else(|| self.connect(), Ok) {
            Ok(client) => client,
            Err(error) => {
                self.world.fail(format!("no connection in {CONNECT_LIMIT:?}: {error:?}"));
                return Outcome::Lost;
            }
        };
        match work(&mut client) {
            Ok(value) => {
                self.client = Some(client);
                Outcome::Done(value)
            }
            Err(error) if connection_lost(&error) => Outcome::Lost,
            Err(error) => {
                // Outside a transaction this is no more than a warning.
                if client.batch_execute("rollback").is_ok() {
                    self.client = Some(client);
                }
                Outcome::Refused(error)
            }
        }
    }

    fn connect(&self) -> Result<Client, Error> {
        let deadline = Instant::now() + CONNECT_LIMIT;
        loop {
            let tried = self.world.config.connect(NoTls).and_then(|mut client| {
                // A statement that hangs must not hang the campaign.
                client.batch_execute("set statement_timeout = '60s'")?;
                client.batch_execute(self.setup)?;
                Ok(client)
            });
            match tried {
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                tried => return tried,
            }
        }
    }
}
