//! The log of a program: what tracing's events become, and where they go.
//!
//! ```text
//! info!(…) ──► layer ──► Record ──► Outputs ──► console, file, JSON lines        at once
//! tracing      levels    time,                  syslog, journald, log server,    each on a thread of its own
//!                        origin                 tagged netstrings, database
//! ```
//!
//! Which handlers there are is told by the keys of the INI file, by `log_handlers`, or by a skylog.ini.

mod file;
mod format;
mod journald;
mod json;
mod keys;
mod layer;
mod lines;
mod literal;
mod log_server;
mod logdb;
mod native;
mod outputs;
mod record;
mod skylog;
mod socket;
mod sums;
mod syslog;
mod tnetstrings;

use std::fmt;
use std::io::{IsTerminal as _, stderr};
use std::path::PathBuf;
use std::sync::Arc;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use crate::script::{Config, Verbosity, value};
use crate::{Error, Result};
pub use keys::LOG_KEYS;

use file::RotatingFile;
use format::Format;
use lines::{Lines, Look, Target};
use outputs::{Output, Outputs};
use record::{Level, Origin};

/// The handlers of a program. When it is dropped they have at most two seconds to write what still waits; then the
/// program may end.
pub struct Log {
    outputs: Arc<Outputs>,
    origin: Arc<Origin>,
    level: Level,
    console: bool,
    console_only: bool,
}

/// Opens the log and makes it the one of this process, which can be done once.
///
/// `foreground` tells whether the program stays with its terminal, for `use_skylog = 1`.
pub fn start(config: &Config, verbosity: Verbosity, foreground: bool) -> Result<Log> {
    let log = Log::open(config, verbosity, foreground)?;
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.layer()))
        .map_err(|_| Error::bad("this process has a log already"))?;
    Ok(log)
}

impl Log {
    /// Opens the log, for a program that puts its [`layer`](Self::layer) into a subscriber of its own.
    pub fn open(config: &Config, verbosity: Verbosity, foreground: bool) -> Result<Self> {
        let origin = Arc::new(Origin::new(config.job_name(), config.service_name()));
        let verbose = verbosity > Verbosity::Normal;
        let items = config.list("log_handlers");
        let mut console_too = items.iter().any(|item| item == "console");
        let (level, outputs) = if !items.is_empty() {
            let outputs = items.iter().map(|item| native::handler(item, config, &origin, verbose));
            (None, outputs.collect::<Result<_>>()?)
        } else if wants_skylog(config.integer("use_skylog")?, foreground && stderr().is_terminal()) {
            let (level, mut outputs) = skylog::read(&skylog_ini(config)?, &origin)?;
            outputs.extend(logfile(config, &origin, verbose)?);
            (level, outputs)
        } else {
            console_too = true;
            let mut outputs = vec![console(config, &origin, verbose)?];
            outputs.extend(logfile(config, &origin, verbose)?);
            (None, outputs)
        };
        // What a switch says counts more than what a file says.
        let level = match verbosity {
            Verbosity::Quiet => Level::Warning,
            Verbosity::Normal => level.unwrap_or(Level::Info),
            Verbosity::Verbose => Level::Debug,
            Verbosity::Trace => Level::Trace,
        };
        let console_only = console_too && outputs.len() == 1;
        Ok(Self {
            outputs: Arc::new(Outputs::new(outputs)),
            origin,
            level,
            console: console_too,
            console_only,
        })
    }

    /// Turns events into records of this log.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        layer::layer(Arc::clone(&self.outputs), Arc::clone(&self.origin), self.level)
    }

    /// Whether it is seen on the console.
    pub(super) const fn has_console(&self) -> bool {
        self.console
    }

    /// Whether it is seen nowhere else, so that nothing is left of it in the background.
    pub(super) const fn has_console_only(&self) -> bool {
        self.console_only
    }

    /// Opens files and sockets anew: after SIGHUP, when they may have been moved away.
    pub fn reopen(&self) {
        self.outputs.reopen();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.outputs.close();
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("job", &self.origin.job)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// Whether `use_skylog` of this value counts, seen by somebody or not.
const fn wants_skylog(value: i64, seen: bool) -> bool {
    match value {
        0 => false,
        2 => true,
        // Once any number but 0 was a yes.
        _ => !seen,
    }
}

fn skylog_ini(config: &Config) -> Result<PathBuf> {
    let places = config.list("skylog_locations");
    let found = places.iter().map(|place| value::expand_home(place)).find(|place| place.exists());
    found.ok_or_else(|| {
        Error::usage(format!(
            "use_skylog is set, but there is no skylog.ini: looked for {}",
            places.join(", ")
        ))
    })
}

/// Lines on standard error.
fn console(config: &Config, origin: &Arc<Origin>, verbose: bool) -> Result<Output> {
    let look = look(config, "console", verbose)?;
    Ok(Output::here("console", origin, Lines { look, target: Target::Stderr }))
}

/// Lines in the `logfile`, if that is set.
fn logfile(config: &Config, origin: &Arc<Origin>, verbose: bool) -> Result<Option<Output>> {
    let Some(path) = config.optional_file("logfile") else { return Ok(None) };
    let target = Target::File(rotating(config, path)?);
    Ok(Some(Output::here("file", origin, Lines { look: look(config, "file", verbose)?, target })))
}

fn rotating(config: &Config, path: PathBuf) -> Result<RotatingFile> {
    let count = config.integer("log_count")?;
    let keep = count
        .try_into()
        .map_err(|_| Error::usage(format!("config parameter log_count: {count} is no count")))?;
    RotatingFile::open(path, config.bytes("log_size")?, keep)
}

/// The form that the keys of a place ask for.
fn look(config: &Config, place: &str, verbose: bool) -> Result<Look> {
    let value = |key: &str| {
        let verbose = verbose.then(|| config.optional(&format!("{key}_{place}_verbose"))).flatten();
        verbose.or_else(|| config.optional(&format!("{key}_{place}")))
    };
    let key = format!("logfmt_{place}");
    let format = value("logfmt").map_or_else(|| config.text(&key), Ok)?;
    Ok(Look::Format(Format::new(&format!("config parameter {key}"), format, value("logdatefmt"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skylog_is_for_those_whom_nobody_sees() {
        for (value, seen, wanted) in [
            (0, true, false),
            (0, false, false),
            (1, true, false),
            (1, false, true),
            (2, true, true),
            (2, false, true),
            (3, false, true),
        ] {
            assert_eq!(wants_skylog(value, seen), wanted, "use_skylog = {value}, seen: {seen}");
        }
    }
}
