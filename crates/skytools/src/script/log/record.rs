//! What is logged: an event that the levels have let through, with its time and origin.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde_json::{Map, Value};

/// How much a record matters; the numbers are those of python's logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Trace = 5,
    Debug = 10,
    Info = 20,
    Warning = 30,
    Error = 40,
    Critical = 50,
}

impl Level {
    pub(super) const ALL: [Self; 6] =
        [Self::Trace, Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }

    pub(super) const fn number(self) -> u8 {
        self as u8
    }

    /// How syslog and the journal count: the higher, the less it matters.
    pub(super) const fn severity(self) -> u8 {
        match self {
            Self::Trace | Self::Debug => 7,
            Self::Info => 6,
            Self::Warning => 4,
            Self::Error => 3,
            Self::Critical => 2,
        }
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::TRACE => Self::Trace,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::INFO => Self::Info,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::ERROR => Self::Error,
        }
    }
}

/// Who logs: the same in all records of a process.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) job: String,
    pub(super) service: String,
    pub(super) process: u32,
    pub(super) host: String,
    address: OnceLock<String>,
}

impl Origin {
    pub(super) fn new(job: &str, service: &str) -> Self {
        let host = nix::unistd::gethostname()
            .map_or_else(|_| "localhost".into(), |name| name.to_string_lossy().into());
        Self {
            job: job.to_owned(),
            service: service.to_owned(),
            process: std::process::id(),
            host,
            address: OnceLock::new(),
        }
    }

    /// The address that the host's name stands for, asked for once. Who has no such name is at home.
    pub(super) fn address(&self) -> &str {
        self.address.get_or_init(|| {
            let known: Vec<IpAddr> = (self.host.as_str(), 0)
                .to_socket_addrs()
                .into_iter()
                .flatten()
                .map(|found| found.ip())
                .collect();
            let address = known.iter().find(|address| address.is_ipv4()).or(known.first());
            address.map_or_else(|| "127.0.0.1".to_owned(), ToString::to_string)
        })
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) time: Timestamp,
    pub(super) level: Level,
    pub(super) origin: Arc<Origin>,
    pub(super) message: String,
    /// What the event has besides its message.
    pub(super) fields: Map<String, Value>,
    /// Where in the program it comes from.
    pub(super) place: Place,
}

/// Where in the program an event comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) module: &'static str,
    pub(super) file: &'static str,
    pub(super) line: u32,
}

impl Record {
    /// The message, and the fields behind it: `copied rows=17`.
    pub(super) fn text(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in &self.fields {
            let told = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let blank = if text.is_empty() { "" } else { " " };
            text.push_str(&format!("{blank}{name}={told}"));
        }
        text
    }

    /// Seconds since 1970, and the thousandths of the last one.
    pub(super) fn created(&self) -> (f64, i32) {
        let milliseconds = self.time.as_millisecond();
        (milliseconds as f64 / 1000.0, self.time.subsec_millisecond())
    }
}

#[cfg(test)]
impl Record {
    /// A record of 2024-03-09 12:30:01.123 local time, by process 4711.
    pub(super) fn sample(level: Level, message: &str) -> Self {
        let time =
            jiff::civil::date(2024, 3, 9).at(12, 30, 1, 123_000_000).to_zoned(jiff::tz::TimeZone::system());
        let origin = Origin {
            job: "copier".to_owned(),
            service: "londiste".to_owned(),
            process: 4711,
            host: "db1".to_owned(),
            address: OnceLock::from("10.1.2.3".to_owned()),
        };
        Self {
            time: time.expect("no zone skips this noon").timestamp(),
            level,
            origin: Arc::new(origin),
            message: message.to_owned(),
            fields: Map::new(),
            place: Place { module: "londiste::copy", file: "src/londiste/copy.rs", line: 42 },
        }
    }

    /// The same with another field.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }
}
