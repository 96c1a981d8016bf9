//! The log: what comes where in which form. Receivers are sockets, files and a server of ours.

mod database;
mod datagrams;
mod files;
mod journal;
mod lines;
mod programs;
mod skylog_ini;

use std::path::Path;

use skytools::script::log::Log;
use skytools::script::{Config, Verbosity};
use tracing_subscriber::layer::SubscriberExt;

use crate::kit::Workplace;

/// The log of the job `copier` with these keys.
fn try_open(pairs: &[(&str, &str)], verbosity: Verbosity) -> skytools::Result<Log> {
    let pairs = pairs.iter().copied().chain([("job_name", "copier")]);
    Log::open(&Config::from_pairs("londiste", &[], pairs)?, verbosity, false)
}

fn open(pairs: &[(&str, &str)]) -> Log {
    try_open(pairs, Verbosity::Normal).unwrap()
}

/// The log in this file alone, of messages alone, with more keys.
fn try_file(path: &Path, more: &[(&str, &str)], verbosity: Verbosity) -> skytools::Result<Log> {
    let keys =
        [("log_handlers", "file"), ("logfile", path.to_str().unwrap()), ("logfmt_file", "%%(message)s")];
    // Of a key twice, the later one holds.
    try_open(&[&keys, more].concat(), verbosity)
}

fn file(path: &Path, more: &[(&str, &str)]) -> Log {
    try_file(path, more, Verbosity::Normal).unwrap()
}

/// Runs a piece of code whose events are for this log.
fn with(log: &Log, code: impl FnOnce()) {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(log.layer()), code);
}

/// The log of a skylog.ini with the loggers and handlers that follow these lists.
fn skylog(workplace: &Workplace, handlers: &str, rest: &str) -> Log {
    try_skylog(workplace, handlers, rest).unwrap()
}

fn try_skylog(workplace: &Workplace, handlers: &str, rest: &str) -> skytools::Result<Log> {
    let path = workplace.write(
        "skylog.ini",
        &format!(
            "[loggers]\nkeys = root\n[handlers]\nkeys = {handlers}\n[formatters]\nkeys = short\n\
             [logger_root]\nhandlers = {handlers}\n\
             [formatter_short]\nformat = %(levelname)s %(name)s %(message)s\n{rest}"
        ),
    );
    try_open(&[("use_skylog", "2"), ("skylog_locations", path.to_str().unwrap())], Verbosity::Normal)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
