//! What both loops need of the process they run in, and the words they share.

use std::fmt;
use std::time::Duration;

/// A process of the server, as the loops see it.
pub trait Process {
    /// The time since some fixed moment. It never goes backwards, whatever is done to the clock on the wall.
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
}

impl Stage {
    /// The stage of a number that was one.
    pub fn from_number(number: u8) -> Option<Stage> {
        [Stage::Looking, Stage::Serving, Stage::NoExtension, Stage::SwitchedOff, Stage::SentAway]
            .into_iter()
            .find(|stage| *stage as u8 == number)
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
