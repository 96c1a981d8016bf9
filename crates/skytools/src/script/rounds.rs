//! Round after round, until somebody says stop.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use crate::script::failures::{Failures, Tolerance, crash, seconds};
use crate::script::{Config, Job, Next, Script};
use crate::{Error, Result};

/// What the keys say of the loop.
struct Pace {
    /// One round, and a failure is told in the exit status.
    single_pass: bool,
    /// How long to sleep when there is nothing to do; `None`: then it is over.
    idle: Option<Duration>,
    /// How old a connection may become.
    lifetime: Option<Duration>,
    tolerance: Tolerance,
}

impl Pace {
    fn of(config: &Config, single_pass: bool) -> Result<Self> {
        let single_pass = is_single_pass(config, single_pass)?;
        let positive = |key| seconds(config, key).map(|time| Some(time).filter(|time| !time.is_zero()));
        Ok(Self {
            single_pass,
            idle: if single_pass { None } else { positive("loop_delay")? },
            lifetime: positive("connection_lifetime")?,
            tolerance: Tolerance::from_config(config)?,
        })
    }

    const fn after(&self, next: Next) -> Then {
        match (next, self.idle) {
            _ if self.single_pass => Then::End(0),
            (Next::More, _) => Then::AtOnce,
            (Next::Idle, Some(delay)) => Then::Sleep(delay),
            (Next::Standby, Some(delay)) => Then::Sleep(delay.saturating_mul(10)),
            (Next::Idle | Next::Standby, None) => Then::End(0),
        }
    }
}

/// Whether one round is all: because somebody wants no more of it, or the delay is below zero.
pub(super) fn is_single_pass(config: &Config, wanted: bool) -> Result<bool> {
    Ok(wanted || config.float("loop_delay")? < 0.0)
}

/// What follows a round.
enum Then {
    AtOnce,
    Sleep(Duration),
    End(u8),
}

impl Script {
    /// Runs a job until it is stopped, or until `loop_delay` says that it is over. Gives the exit status: 1 when a
    /// single pass has failed. A usage error ends the loop.
    pub async fn run<J: Job>(&mut self, job: &mut J) -> Result<u8> {
        self.single_pass |= job.is_errand();
        let mut pace = Pace::of(&self.config, self.single_pass)?;
        let mut failures = Failures::new(pace.tolerance.clone());
        self.offer_figures()?;
        if let Some(daemon) = self.daemon.take() {
            daemon.at_work()?;
        }
        let mut started = false;
        let status = loop {
            if self.stop.is_wanted() {
                break 0;
            }
            if self.reload.take()
                && let Some(fresh) = self.load_again(job).await
            {
                pace = fresh;
                failures.set_tolerance(pace.tolerance.clone());
            }
            let began = Instant::now();
            let round = guarded(self.round(job, &mut started)).await;
            self.figures.round(began.elapsed(), &round);
            self.figures.add(&self.stats);
            if let Some(line) = self.stats.take_line() {
                info!("{line}");
            }
            let then = match round {
                Ok(next) => {
                    failures.succeeded();
                    if let Some(lifetime) = pace.lifetime {
                        self.connections.close_older(lifetime);
                    }
                    pace.after(next)
                }
                Err(Error::Stopped) => Then::End(0),
                Err(failure) if failure.ends_program() => return Err(failure),
                Err(failure) => {
                    self.failed(job, &failure, &mut failures).await;
                    if pace.single_pass { Then::End(1) } else { Then::Sleep(failures.sleep()) }
                }
            };
            match then {
                Then::AtOnce => {}
                Then::Sleep(delay) => self.sleep(delay).await,
                Then::End(status) => break status,
            }
        };
        self.connections.close_all();
        if started {
            guarded(job.shutdown(self)).await?;
        }
        Ok(status)
    }

    async fn round<J: Job>(&mut self, job: &mut J, started: &mut bool) -> Result<Next> {
        if !*started {
            job.startup(self).await?;
            *started = true;
        }
        job.work(self).await
    }

    async fn failed<J: Job>(&mut self, job: &mut J, failure: &Error, failures: &mut Failures) {
        let times = failures.failed();
        let line = crash(self.config.job_name(), failure);
        if failures.is_quiet(failure) {
            warn!("{line}");
        } else {
            error!("{line}");
        }
        self.connections.close_all();
        let told = guarded(async {
            job.failed(self, failure, times).await;
            Ok(())
        });
        if let Err(error) = told.await {
            error!("{}", crash(self.config.job_name(), &error));
        }
    }

    async fn sleep(&self, delay: Duration) {
        tokio::select! {
            () = sleep(delay) => {}
            () = self.connections.notified() => {}
            () = self.stop.wanted() => {}
            () = self.reload.wanted() => {}
        }
    }

    /// Reads the configuration again. What does not come through leaves all as it was.
    async fn load_again<J: Job>(&mut self, job: &mut J) -> Option<Pace> {
        let loader = self.loader.as_ref()?;
        let loaded = loader.load().and_then(|config| Ok((Pace::of(&config, self.single_pass)?, config)));
        let taken = match loaded {
            Ok((pace, config)) => {
                let old = std::mem::replace(&mut self.config, config);
                let taken = match self.offer_figures() {
                    Ok(()) => guarded(job.reload(self)).await,
                    refused => refused,
                };
                if taken.is_err() {
                    self.config = old;
                    if let Err(error) = self.offer_figures() {
                        error!("{error}");
                    }
                }
                taken.map(|()| pace)
            }
            Err(error) => Err(error),
        };
        match taken {
            Ok(pace) => {
                info!("Config reloaded");
                Some(pace)
            }
            Err(error) => {
                error!("Config not reloaded, the old one stays in force: {error}");
                None
            }
        }
    }
}

/// A step of a job, whose panic is an error. What it has left half done is what an error would have left: connections
/// are closed, so nothing of it is seen by others.
async fn guarded<T>(step: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(step).catch_unwind().await.unwrap_or_else(|panic| Err(Error::bad(panic_text(&*panic))))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without a text"))
}

#[cfg(test)]
mod tests;
