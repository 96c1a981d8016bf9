//! The file in which a company says once where all its jobs log: `skylog.ini`, in the dialect of python's
//! logging.config.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::file::RotatingFile;
use super::format::Format;
use super::lines::{Lines, Look, Target};
use super::literal::{self, Literal};
use super::log_server::LogServer;
use super::logdb::LogDb;
use super::outputs::Output;
use super::record::{Level, Origin};
use super::socket::{Address, Datagrams};
use super::syslog::{self, Syslog};
use super::tnetstrings::TNetStrings;
use crate::script::ini::Ini;
use crate::script::interpolation::{Interpolation, Source, Syntax};
use crate::script::value;
use crate::{Error, Result};

/// What the file says for a job: from which level on it logs, if that is said, and where.
pub(super) fn read(path: &Path, origin: &Arc<Origin>) -> Result<(Option<Level>, Vec<Output>)> {
    let file = Skylog { ini: Ini::read(path)?, name: path.display().to_string(), origin };
    let formats: BTreeMap<String, Format> = file
        .listed("formatters")?
        .into_iter()
        .map(|name| Ok((name.clone(), file.format(&name)?)))
        .collect::<Result<_>>()?;
    // All are read, so that a mistake shows in every job; those of other jobs are not opened.
    let mut handlers: BTreeMap<String, Described> = file
        .listed("handlers")?
        .into_iter()
        .map(|name| Ok((name.clone(), file.handler(&name, &formats)?)))
        .collect::<Result<_>>()?;
    let loggers = file.loggers()?;
    let mut outputs = Vec::new();
    let mut used = Vec::new();
    for logger in &loggers {
        for name in &logger.handlers {
            if let Some(handler) = handlers.remove(name) {
                outputs.push(handler.kind.open(name, origin, handler.format)?.limited_to(handler.level));
                used.push(name);
            } else if !used.contains(&name) {
                return Err(file.wrong(
                    &logger.section,
                    "handlers",
                    &format!("{name:?} is not listed in [handlers]"),
                ));
            }
        }
    }
    // The root's level never counted: what has none of its own follows the switches.
    let own = loggers.iter().filter(|logger| logger.section != ROOT);
    Ok((own.into_iter().find_map(|logger| logger.level), outputs))
}

const ROOT: &str = "logger_root";

struct Skylog<'a> {
    ini: Ini,
    name: String,
    origin: &'a Origin,
}

struct Logger {
    section: String,
    level: Option<Level>,
    handlers: Vec<String>,
}

/// A handler, and what the file says besides its class and arguments.
struct Described {
    kind: Kind,
    level: Option<Level>,
    format: Format,
}

enum Kind {
    Stream(Target),
    File { path: String, max_bytes: u64, keep: u32 },
    Syslog { address: Address, facility: u8, with_host: bool },
    LogServer(Address),
    TNetStrings(Address),
    LogDb(String),
}

impl Kind {
    /// The handler of a class with these arguments; an error is half a sentence.
    fn new(class: &str, arguments: &[Literal]) -> Result<Self, String> {
        use Literal::{None as Nothing, Number, Stderr, Stdout, Text, Tuple};
        let with_host = class == "skylog.SysLogHostnameHandler";
        let local = || Address::Udp { host: "localhost".to_owned(), port: 514 };
        Ok(match (class, arguments) {
            ("StreamHandler", [] | [Nothing | Stderr]) => Self::Stream(Target::Stderr),
            ("StreamHandler", [Stdout]) => Self::Stream(Target::Stdout),
            ("skylog.EasyRotatingFileHandler", [Text(path), numbers @ ..]) if numbers.len() <= 2 => {
                let number = |index: usize, default: i64| match numbers.get(index) {
                    None => Ok(default),
                    Some(Number(number)) => Ok(*number),
                    Some(_) => Err("maxBytes and backupCount are numbers".to_owned()),
                };
                Self::File {
                    path: path.clone(),
                    max_bytes: number(0, 10 * 1024 * 1024)?.cast_unsigned(),
                    keep: number(1, 3)?.try_into().map_err(|_| "backupCount is too large")?,
                }
            }
            ("FileHandler", [Text(path), mode @ ..])
                if [&[][..], &[Text("a".to_owned())]].contains(&mode) =>
            {
                Self::File { path: path.clone(), max_bytes: 0, keep: 0 }
            }
            ("FileHandler", _) => return Err("the argument is a path".to_owned()),
            ("skylog.SysLogHandler" | "skylog.SysLogHostnameHandler", []) => {
                Self::Syslog { address: local(), facility: syslog::USER, with_host }
            }
            ("skylog.SysLogHandler" | "skylog.SysLogHostnameHandler", [address, facility @ ..])
                if facility.len() <= 1 =>
            {
                let address = match address {
                    Text(path) => Address::Unix(value::expand_home(path)),
                    Tuple(pair) => udp(pair)?,
                    _ => return Err("the address is a path or a tuple (host, port)".to_owned()),
                };
                let facility = match facility {
                    [] => Some(syslog::USER),
                    [Text(name)] => syslog::facility(name),
                    [Number(number)] => u8::try_from(*number).ok().filter(|number| *number < 24),
                    _ => None,
                };
                Self::Syslog { address, facility: facility.ok_or("the facility is unknown")?, with_host }
            }
            ("skylog.UdpLogServerHandler", pair) => Self::LogServer(udp(pair)?),
            ("skylog.UdpTNetStringsHandler", pair) => Self::TNetStrings(udp(pair)?),
            ("skylog.LogDBHandler", [Text(conninfo)]) => Self::LogDb(conninfo.clone()),
            ("StreamHandler", _) => return Err("the argument is sys.stderr or sys.stdout".to_owned()),
            ("skylog.EasyRotatingFileHandler", _) => {
                return Err("the arguments are a path, maxBytes and backupCount".to_owned());
            }
            ("skylog.SysLogHandler" | "skylog.SysLogHostnameHandler", _) => {
                return Err("the arguments are an address and a facility".to_owned());
            }
            ("skylog.LogDBHandler", _) => return Err("the argument is a connect string".to_owned()),
            _ => return Err(format!("the class {class:?} is unknown")),
        })
    }

    fn open(self, name: &str, origin: &Arc<Origin>, format: Format) -> Result<Output> {
        let lines = |target| Lines { look: Look::Format(format.clone()), target };
        match self {
            Self::Stream(target) => Ok(Output::here(name, origin, lines(target))),
            Self::File { path, max_bytes, keep } => {
                let file = RotatingFile::open(value::expand_home(&path), max_bytes, keep)?;
                Ok(Output::here(name, origin, lines(Target::File(file))))
            }
            Self::Syslog { address, facility, with_host } => {
                let handler = Syslog { receiver: Datagrams::to(address), facility, with_host, format };
                Output::on_a_thread(name, origin, handler)
            }
            Self::LogServer(address) => Output::on_a_thread(name, origin, LogServer(Datagrams::to(address))),
            Self::TNetStrings(address) => {
                Output::on_a_thread(name, origin, TNetStrings(Datagrams::to(address)))
            }
            Self::LogDb(conninfo) => Output::on_a_thread(name, origin, LogDb::new(&conninfo, &origin.job)?),
        }
    }
}

fn udp(pair: &[Literal]) -> Result<Address, String> {
    match pair {
        [Literal::Text(host), Literal::Number(port)] => {
            let port = u16::try_from(*port).map_err(|_| format!("there is no port {port}"))?;
            Ok(Address::Udp { host: host.clone(), port })
        }
        _ => Err("the address is a host and a port".to_owned()),
    }
}

impl Skylog<'_> {
    /// The loggers that the records of this job come to: its own, those above it, the root.
    fn loggers(&self) -> Result<Vec<Logger>> {
        let mut by_name = BTreeMap::new();
        for key in self.listed("loggers")? {
            let section = format!("logger_{key}");
            let name = match self.text(&section, "qualname")? {
                _ if key == "root" => String::new(),
                Some(name) => name,
                None => return Err(self.wrong(&section, "qualname", "it is not set")),
            };
            by_name.insert(name, section);
        }
        let mut chain = Vec::new();
        let mut name = self.origin.job.as_str();
        loop {
            if let Some(section) = by_name.remove(name) {
                let propagates =
                    self.text(&section, "propagate")?.is_none_or(|propagate| propagate.trim() != "0");
                let handlers = self.text(&section, "handlers")?.unwrap_or_default();
                chain.push(Logger {
                    level: self.level(&section)?,
                    handlers: value::list(&handlers),
                    section,
                });
                if !propagates && !name.is_empty() {
                    return Ok(chain);
                }
            }
            if name.is_empty() {
                break;
            }
            name = name.rsplit_once('.').map_or("", |(above, _)| above);
        }
        if chain.last().is_none_or(|logger| logger.section != ROOT) {
            return Err(Error::usage(format!("{}: [loggers] keys: there is no root", self.name)));
        }
        Ok(chain)
    }

    fn handler(&self, name: &str, formats: &BTreeMap<String, Format>) -> Result<Described> {
        let section = format!("handler_{name}");
        let class =
            self.text(&section, "class")?.ok_or_else(|| self.wrong(&section, "class", "it is not set"))?;
        let class =
            ["skytools.", "logging."].iter().find_map(|module| class.strip_prefix(module)).unwrap_or(&class);
        let arguments = self.text(&section, "args")?.unwrap_or_else(|| "()".to_owned());
        let arguments = literal::tuple(&arguments).map_err(|what| self.wrong(&section, "args", &what))?;
        let format = match self.text(&section, "formatter")? {
            Some(name) => formats.get(&name).cloned().ok_or_else(|| {
                self.wrong(&section, "formatter", &format!("{name:?} is not listed in [formatters]"))
            })?,
            None => Format::bare(),
        };
        let kind =
            Kind::new(class, &arguments).map_err(|what| self.wrong(&section, "class and args", &what))?;
        Ok(Described { kind, level: self.level(&section)?, format })
    }

    fn format(&self, name: &str) -> Result<Format> {
        let section = format!("formatter_{name}");
        // These two stand as they are: what they have percent signs for is another matter.
        let raw = |key: &str| {
            let entry = self.ini.entry(&section, key);
            entry.map(|entry| entry.text.as_str()).filter(|text| !text.is_empty())
        };
        let format = raw("format").unwrap_or("%(message)s");
        Format::new(&format!("{}: [{section}]", self.name), format, raw("datefmt"))
    }

    /// A level; `None` is that of the logger above, or all that the logger lets through.
    fn level(&self, section: &str) -> Result<Option<Level>> {
        let Some(name) = self.text(section, "level")? else { return Ok(None) };
        let known = match name.as_str() {
            "NOTSET" => return Ok(None),
            "WARN" => Some(Level::Warning),
            "FATAL" => Some(Level::Critical),
            name => Level::ALL.into_iter().find(|level| level.name() == name),
        };
        known.map(Some).ok_or_else(|| self.wrong(section, "level", &format!("the level {name:?} is unknown")))
    }

    /// The names that a section lists.
    fn listed(&self, section: &str) -> Result<Vec<String>> {
        Ok(value::list(&self.text(section, "keys")?.unwrap_or_default()))
    }

    /// A value, unless it is empty.
    fn text(&self, section: &str, key: &str) -> Result<Option<String>> {
        let value = Interpolation::new(self).value(section, key).transpose();
        let text = value.map_err(|what| self.wrong(section, key, &what))?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    fn wrong(&self, section: &str, key: &str, what: &str) -> Error {
        Error::usage(format!("{}: [{section}] {key}: {what}", self.name))
    }
}

impl Source for Skylog<'_> {
    fn text(&self, section: &str, key: &str) -> Option<(String, Syntax)> {
        let written = self.ini.entry(section, key).map(|entry| entry.text.clone());
        let built_in = || match key {
            "job_name" => Some(self.origin.job.replace('%', "%%")),
            "service_name" => Some(self.origin.service.replace('%', "%%")),
            _ => None,
        };
        written.or_else(built_in).map(|text| (text, Syntax::Percent))
    }
}
