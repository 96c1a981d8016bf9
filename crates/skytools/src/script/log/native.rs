//! The handlers that `log_handlers` names.

use std::sync::Arc;

use super::file::RotatingFile;
use super::format::Format;
use super::journald::{self, Journald};
use super::lines::{Lines, Look, Target};
use super::outputs::Output;
use super::record::Origin;
use super::socket::{Address, Datagrams};
use super::syslog::{self, Syslog};
use super::{console, logfile, rotating};
use crate::script::{Config, value};
use crate::{Error, Result};

/// The handler of an item: `NAME`, or `NAME:WHERE`.
pub(super) fn handler(item: &str, config: &Config, origin: &Arc<Origin>, verbose: bool) -> Result<Output> {
    let (name, place) = item.split_once(':').map_or((item, None), |(name, place)| (name, Some(place)));
    match (name, place) {
        ("console", None) => console(config, origin, verbose),
        ("file", None) => logfile(config, origin, verbose)?
            .ok_or_else(|| Error::usage("config parameter log_handlers: file needs the key logfile")),
        ("syslog", place) => {
            let format = Format::new("syslog", "%(job_name)s[%(process)d]: %(message)s", None)?;
            let receiver = Datagrams::to(receiver(place.unwrap_or("/dev/log"))?);
            Output::on_a_thread(
                "syslog",
                origin,
                Syslog { receiver, facility: syslog::USER, with_host: false, format },
            )
        }
        ("journald", place) => {
            let socket = Address::Unix(value::expand_home(place.unwrap_or(journald::SOCKET)));
            Output::on_a_thread("journald", origin, Journald(Datagrams::to(socket)))
        }
        ("json", None) => {
            Ok(Output::here("json", origin, Lines { look: Look::Json, target: Target::Stderr }))
        }
        ("json", Some(path)) => {
            let file: RotatingFile = rotating(config, value::expand_home(path))?;
            Ok(Output::here("json", origin, Lines { look: Look::Json, target: Target::File(file) }))
        }
        _ => Err(Error::usage(format!("config parameter log_handlers: {item:?} is none of {NAMES}"))),
    }
}

const NAMES: &str = "console, file, syslog[:PATH or :HOST:PORT], journald[:PATH], json[:PATH]";

/// `/path`, or `host:port`.
fn receiver(text: &str) -> Result<Address> {
    if text.starts_with(['/', '~', '.']) {
        return Ok(Address::Unix(value::expand_home(text)));
    }
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or_else(|| {
        Error::usage(format!("config parameter log_handlers: syslog:{text} is neither a path nor HOST:PORT"))
    })?;
    Ok(Address::Udp { host: host.trim_matches(['[', ']']).to_owned(), port })
}
