//! What both loops need of the process they run in, and the words they share.

use crate::schedule::Every;
use std::fmt;
use std::time::Duration;

/// A process of the server, as the loops see it.
pub trait Process {
    /// The time since some fixed moment, the same for all processes. It never goes backwards, whatever is done to the
    /// clock on the wall.
    fn now(&mut self) -> Duration;

    /// The settings in force, read again when a reload was asked for.
    fn settings(&mut self) -> Settings;

    /// Sleeps until the time is over or something happened that deserves a look: a reload, a change of a worker.
    /// Holds neither transaction nor snapshot, and does not return in a process that was asked to end.
    fn wait(&mut self, at_most: Duration);

    /// Writes a line to the server's log.
    fn log(&mut self, line: &str);
}

/// The settings `pgq.*` of the ticker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `pgq.ticker`: whether anything is done at all.
    pub ticker: bool,
    /// `pgq.ticker_period`: from one look at the queues to the next.
    pub ticker_period: Duration,
    /// `pgq.tick_interval`: least time between ticks that somebody waits for.
    pub tick_interval: Duration,
    /// `pgq.retry_period`: from one round of retried events to the next.
    pub retry_period: Duration,
    /// `pgq.maint_period`: from one round of maintenance to the next.
    pub maint_period: Duration,
    /// `pgq.check_period`: how long a database without the extension is left alone.
    pub check_period: Duration,
    /// `pgq.stats_period`: from one statistics line in the log to the next; zero: none.
    pub stats_period: Duration,
    /// `pgq.max_workers`: how many tickers there may be at once.
    pub max_workers: usize,
}

/// How far a ticker has come; it says so itself, and the launcher acts on the last word of one that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Started, and has not found out yet whether the extension is there. The last word means: it failed.
    Looking = 1,
    /// The extension is there. The last word means: it was terminated.
    Serving = 2,
    /// Left, since the extension is not there (any more).
    NoExtension = 3,
    /// Left, since `pgq.ticker` is off.
    SwitchedOff = 4,
    /// Was sent away by somebody who needs the database for himself for a moment.
    SentAway = 5,
    /// Left with everything done that was due, since other databases wait for a place.
    Relieved = 6,
    /// The same, but some of the work has failed.
    Troubled = 7,
}

impl Stage {
    /// The stage of a number that was one.
    pub fn from_number(number: u8) -> Option<Stage> {
        use Stage::*;
        [Looking, Serving, NoExtension, SwitchedOff, SentAway, Relieved, Troubled]
            .into_iter()
            .find(|stage| *stage as u8 == number)
    }

    /// Whether a ticker that says this goes on to work.
    pub(crate) fn is_at_work(self) -> bool {
        matches!(self, Stage::Looking | Stage::Serving)
    }
}

/// When the rounds of a database were done last, as one ticker leaves it to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rounds {
    /// Of events that somebody wanted again.
    pub retries: Every,
    /// Of ticks that nobody needs.
    pub thinning: Every,
    /// Of maintenance.
    pub maintenance: Every,
}

impl Rounds {
    /// When there may be something to do where nothing happens: no ticks, so none that nobody needs.
    pub(crate) fn next(&self, settings: &Settings) -> Duration {
        self.retries.next(settings.retry_period).min(self.maintenance.next(settings.maint_period))
    }

    /// As microseconds, to be written down; 0 is a round that is due.
    pub fn to_micros(self) -> [u64; 3] {
        [self.retries, self.thinning, self.maintenance]
            .map(|every| every.last().map_or(0, |last| last.as_micros() as u64))
    }

    /// What [`to_micros`](Self::to_micros) has made.
    pub fn from_micros(micros: [u64; 3]) -> Rounds {
        let [retries, thinning, maintenance] =
            micros.map(|last| Every::since((last > 0).then(|| Duration::from_micros(last))));
        Rounds { retries, thinning, maintenance }
    }
}

/// A name as the server holds it: bytes in the database's encoding.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub Vec<u8>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) => f.write_str(text),
            Err(_) => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a piece of work was not done. Its transaction is rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
