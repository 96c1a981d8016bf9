//! A step of work, again and again.

use std::time::Duration;

use tokio::time::sleep;
use tracing::{error, info};

use crate::db::{Connection, Connections, Options};
use crate::script::{Config, Stats, Stop};
use crate::{Error, Result};

/// What a round of work says of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more to do: at once.
    More,
    /// Nothing to do: after `loop_delay`, or when a notification comes.
    Idle,
}

/// What a program does. All steps but [`work`](Self::work) may be left out.
#[allow(async_fn_in_trait)] // the loop is the only caller and needs no Send: a job has one thread
pub trait Job {
    /// Once, before the first round.
    async fn startup(&mut self, _script: &mut Script) -> Result<()> {
        Ok(())
    }

    /// One round. On an error all connections are closed, and the round is tried again later.
    async fn work(&mut self, script: &mut Script) -> Result<Next>;

    /// After the configuration was read again.
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
    config: Config,
    connections: Connections,
    stop: Stop,
    /// The numbers of this round.
    pub stats: Stats,
}

impl Script {
    /// A script with this configuration. A [`Program`](crate::script::Program) makes one of its command line; who
    /// embeds a job makes one by hand.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let connections = Connections::of(config.job_name());
        Self { config, connections, stop: Stop::default(), stats: Stats::default() }
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

    /// Runs a job until it is stopped, or idle where `loop_delay` says so. Gives the exit status.
    pub async fn run<J: Job>(&mut self, job: &mut J) -> Result<u8> {
        job.startup(self).await?;
        let mut failures = 0;
        while !self.stop.is_wanted() {
            let pause = match job.work(self).await {
                Ok(Next::More) => {
                    failures = 0;
                    None
                }
                Ok(Next::Idle) => {
                    failures = 0;
                    Some(self.config.float("loop_delay")?)
                }
                Err(Error::Stopped) => break,
                Err(failure) if failure.ends_program() => return Err(failure),
                Err(failure) => {
                    failures += 1;
                    error!("Job {} crashed: {failure}", self.config.job_name());
                    self.connections.close_all();
                    job.failed(self, &failure, failures).await;
                    Some(self.config.float("exception_sleep")?)
                }
            };
            if let Some(line) = self.stats.take_line() {
                info!("{line}");
            }
            if let Some(pause) = pause {
                tokio::select! {
                    () = sleep(Duration::from_secs_f64(pause.max(0.0))) => {}
                    () = self.stop.wanted() => {}
                }
            }
        }
        job.shutdown(self).await?;
        Ok(0)
    }
}
