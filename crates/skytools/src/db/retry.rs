//! Statements that are tried again.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use tracing::info;

use crate::db::{Connections, Options};
use crate::script::{Config, Key, Kind, Stop};
use crate::{Error, Result};

/// The keys of [`Retry`].
pub const RETRY_KEYS: &[Key] = &[
    Key::with_default("sql_retry", Kind::Flag, "0", "Whether to run a statement again that has failed."),
    Key::with_default("sql_retry_max_count", Kind::Integer, "10", "How often at most."),
    Key::with_default("sql_retry_max_time", Kind::Float, "300", "For how many seconds at most."),
    Key::with_default("sql_retry_formula_a", Kind::Float, "1", "Retry n waits a + b * n seconds: this is a."),
    Key::with_default("sql_retry_formula_b", Kind::Float, "5", "Retry n waits a + b * n seconds: this is b."),
    Key::with_default(
        "sql_retry_formula_cap",
        Kind::Float,
        "60",
        "No retry waits longer than these seconds.",
    ),
];

/// How often, for how long and after which waits something is tried again.
#[derive(Clone, Debug)]
pub struct Retry {
    max_count: u32,
    max_time: Duration,
    base: f64,
    step: f64,
    cap: f64,
    stop: Stop,
}

/// What a statement gave.
#[derive(Debug)]
pub struct Retried {
    /// Its rows.
    pub rows: Vec<Row>,
    /// How often it was tried again.
    pub retries: u32,
}

impl Retry {
    /// What the [keys](RETRY_KEYS) say. A wish to stop ends the waiting.
    pub fn from_config(config: &Config, stop: Stop) -> Result<Self> {
        let count = |key| {
            u32::try_from(config.integer(key)?)
                .map_err(|_| Error::usage(format!("config parameter {key} is below zero or too large")))
        };
        let seconds = |key| match config.float(key)? {
            seconds if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
            _ => Err(Error::usage(format!("config parameter {key} must be zero or more seconds"))),
        };
        Ok(Self {
            max_count: if config.flag("sql_retry")? { count("sql_retry_max_count")? } else { 0 },
            max_time: Duration::try_from_secs_f64(seconds("sql_retry_max_time")?).unwrap_or(Duration::MAX),
            base: seconds("sql_retry_formula_a")?,
            step: seconds("sql_retry_formula_b")?,
            cap: seconds("sql_retry_formula_cap")?,
            stop,
        })
    }

    /// How long retry `number`, from 1, waits.
    fn wait(&self, number: u32) -> Duration {
        let seconds = f64::from(number).mul_add(self.step, self.base).min(self.cap);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Tries until it works, fails in a way that `retry_on` does not list, or has been tried for long enough: then
    /// the last error comes out. Gives the number of retries, too.
    pub async fn run<T>(
        &self,
        retry_on: impl Fn(&Error) -> bool,
        mut attempt: impl AsyncFnMut() -> Result<T>,
    ) -> Result<(T, u32)> {
        let began = Instant::now();
        let mut retries = 0;
        loop {
            let failure = match attempt().await {
                Ok(value) => return Ok((value, retries)),
                Err(failure) => failure,
            };
            if retries >= self.max_count || began.elapsed() >= self.max_time || !retry_on(&failure) {
                return Err(failure);
            }
            retries += 1;
            let wait = self.wait(retries);
            info!("{}; retry #{retries} in {} s", failure.brief(), wait.as_secs_f64());
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stop.wanted() => return Err(failure),
            }
        }
    }
}

impl Connections {
    /// Runs a statement in a transaction of its own, again after each failure that `retry_on` lists, over a new
    /// connection each time. The connection must be in autocommit mode, so that nothing but the statement was lost.
    pub async fn execute_with_retry(
        &mut self,
        name: &str,
        conninfo: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
        retry: &Retry,
        retry_on: impl Fn(&Error) -> bool,
    ) -> Result<Retried> {
        let (rows, retries) = retry
            .run(retry_on, async || {
                let connection = self.get_with(name, conninfo, Options::autocommit()).await?;
                let rows = connection.query(sql, params).await;
                if rows.is_err() {
                    self.close(name);
                }
                rows
            })
            .await?;
        Ok(Retried { rows, retries })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn retry() -> Retry {
        let max_time = Duration::from_secs(300);
        Retry { max_count: 10, max_time, base: 1.0, step: 5.0, cap: 60.0, stop: Stop::default() }
    }

    /// When the attempts came, in seconds, if each takes `lasting` and all but the last of `successes` fail.
    async fn attempts(retry: &Retry, lasting: u64, success: Option<usize>) -> (Vec<u64>, Result<((), u32)>) {
        let began = Instant::now();
        let mut times = Vec::new();
        let outcome = retry
            .run(
                |_| true,
                async || {
                    times.push(began.elapsed().as_secs());
                    sleep(Duration::from_secs(lasting)).await;
                    if Some(times.len()) == success { Ok(()) } else { Err(Error::bad("down")) }
                },
            )
            .await;
        (times, outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_up_to_the_cap() {
        let (times, outcome) =
            attempts(&Retry { max_time: Duration::MAX, max_count: 14, ..retry() }, 0, None).await;
        let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits, [6, 11, 16, 21, 26, 31, 36, 41, 46, 51, 56, 60, 60, 60]);
        assert_eq!(outcome.unwrap_err().to_string(), "down");
    }

    #[tokio::test(start_paused = true)]
    async fn success_tells_the_retries_it_took() {
        let (times, outcome) = attempts(&retry(), 0, Some(3)).await;
        assert_eq!((times, outcome.unwrap().1), (vec![0, 6, 17], 2));
        assert_eq!(attempts(&retry(), 0, Some(1)).await.1.unwrap().1, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn count_and_time_are_limits() {
        assert_eq!(attempts(&Retry { max_count: 0, ..retry() }, 0, None).await.0, [0]);
        assert_eq!(attempts(&Retry { max_count: 2, ..retry() }, 0, None).await.0, [0, 6, 17]);
        // The second attempt fails at 26 s: too late.
        let limited = Retry { max_time: Duration::from_secs(20), ..retry() };
        assert_eq!(attempts(&limited, 10, None).await.0, [0, 16]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_listed_errors_are_tried_again() {
        let mut count = 0;
        let outcome = retry()
            .run(
                |error| error.to_string() == "down",
                async || -> Result<()> {
                    count += 1;
                    Err(Error::bad(if count < 3 { "down" } else { "broken" }))
                },
            )
            .await;
        assert_eq!((outcome.unwrap_err().to_string().as_str(), count), ("broken", 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_to_stop_ends_the_waiting() {
        let retry = retry();
        let began = Instant::now();
        retry.stop.after_round();
        assert_eq!(attempts(&retry, 0, None).await.1.unwrap_err().to_string(), "down");
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
