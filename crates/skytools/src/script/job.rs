//! A step of work, again and again.

use std::sync::Arc;

use crate::db::{Connection, Connections, Options};
use crate::script::daemon::Daemon;
use crate::script::metrics::{Endpoint, Figures};
use crate::script::{Config, Loader, Reload, Stats, Stop};
use crate::{Error, Result};

/// What a round of work says of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more to do: at once.
    More,
    /// Nothing to do: after `loop_delay`, or when a notification comes.
    Idle,
    /// Nothing to do for long: after ten times `loop_delay`.
    Standby,
}

/// What a program does. All steps but [`work`](Self::work) may be left out.
///
/// A panic in a step is a failure of that step; it does not end the loop.
#[allow(async_fn_in_trait)] // the loop is the only caller and needs no Send: a job has one thread
pub trait Job {
    /// Whether one round is all, since a switch asks for something else than the work.
    fn is_errand(&self) -> bool {
        false
    }

    /// Before the first round. When it fails it is done again, as a round would be.
    async fn startup(&mut self, _script: &mut Script) -> Result<()> {
        Ok(())
    }

    /// One round. On an error all connections are closed, and the round is tried again later.
    async fn work(&mut self, script: &mut Script) -> Result<Next>;

    /// After the configuration was read again, maybe before the startup has come through. On an error the old one
    /// stays in force: so first read all keys, then change.
    async fn reload(&mut self, _script: &mut Script) -> Result<()> {
        Ok(())
    }

    /// After a round has failed, `times` times in a row, and before the sleep that follows. Connections are closed
    /// already.
    async fn failed(&mut self, _script: &mut Script, _error: &Error, _times: u32) {}

    /// Once, after the last round.
    async fn shutdown(&mut self, _script: &mut Script) -> Result<()> {
        Ok(())
    }
}

/// What a job works with.
#[derive(Debug)]
pub struct Script {
    pub(super) config: Config,
    pub(super) loader: Option<Loader>,
    pub(super) daemon: Option<Daemon>,
    pub(super) connections: Connections,
    pub(super) stop: Stop,
    pub(super) reload: Reload,
    pub(super) single_pass: bool,
    pub(crate) figures: Arc<Figures>,
    pub(super) endpoint: Option<Endpoint>,
    /// The numbers of this round.
    pub stats: Stats,
}

impl Script {
    /// A script with this configuration. A [`Program`](crate::script::Program) makes one of its command line; who
    /// embeds a job makes one by hand.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            connections: Connections::of(config.job_name()),
            figures: Arc::new(Figures::new(config.job_name(), config.service_name())),
            endpoint: None,
            config,
            loader: None,
            daemon: None,
            stop: Stop::default(),
            reload: Reload::default(),
            single_pass: false,
            stats: Stats::default(),
        }
    }

    /// A script whose configuration can be read again, maybe in the background.
    pub(super) fn launched(config: Config, loader: Loader, daemon: Option<Daemon>) -> Self {
        Self { loader: Some(loader), daemon, ..Self::new(config) }
    }

    /// The configuration as it is now.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The connection whose connect string is the value of this key: the open one, or a new one.
    pub async fn db(&mut self, key: &str) -> Result<Connection> {
        let conninfo = self.config.text(key)?.to_owned();
        self.connections.get(key, &conninfo).await
    }

    /// As [`db`](Self::db), with another isolation level, or with autocommit.
    pub async fn db_with(&mut self, key: &str, options: Options) -> Result<Connection> {
        let conninfo = self.config.text(key)?.to_owned();
        self.connections.get_with(key, &conninfo, options).await
    }

    /// The open connections, for those whose connect string is not a key's.
    pub const fn connections(&mut self) -> &mut Connections {
        &mut self.connections
    }

    /// A handle to end the loop.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// A handle to have the configuration read again.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Lets [`run`](Self::run) do one round and no more, whatever `loop_delay` says.
    pub const fn single_pass(&mut self) {
        self.single_pass = true;
    }
}
