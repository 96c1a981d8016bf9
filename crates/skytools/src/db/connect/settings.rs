//! What a connect string comes to, once services, variables, files and defaults have had their say.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, SslNegotiation};

use crate::db::connect::hosts::{Host, Place, hosts};
use crate::db::connect::keyword::{self, KEYWORDS};
use crate::db::connect::{Conninfo, Environment, pass_file, service_file, tls};
use crate::{Error, Result};

/// Everything that a connection is made by.
pub struct Settings {
    /// The servers to try, in this order.
    pub hosts: Vec<Host>,
    /// Try them in another order each time.
    pub in_any_order: bool,
    /// How long an attempt may take; `None`: as long as it wants.
    pub connect_timeout: Option<Duration>,
    /// When a TCP connection that says nothing is asked whether it lives.
    pub keepalive: Option<Keepalive>,
    /// How long what was sent over TCP may stay unacknowledged, in milliseconds.
    pub tcp_user_timeout: Option<u32>,
    /// The system's user that must own the server behind a Unix socket.
    pub required_peer: Option<String>,
    /// What kind of server will do.
    pub wanted: Wanted,
    /// Encryption.
    pub tls: tls::Tls,
    /// User, database and whatever else the server is told.
    pub startup: tokio_postgres::Config,
}

/// Seconds before the first probe and between probes, and how many may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    pub idle: u32,
    pub interval: u32,
    pub count: u32,
}

/// `target_session_attrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl Settings {
    /// `application_name` is how the server shall know us when nobody says otherwise.
    pub fn new(given: &Conninfo, application_name: Option<&str>, environment: &Environment) -> Result<Self> {
        let all = complete(given, environment)?;
        refuse_what_cannot_be(&all)?;
        let text = |keyword| all.get(keyword).filter(|value| !value.is_empty());
        let user = text("user")
            .or(environment.user())
            .ok_or_else(|| Error::usage("no user in the connect string, and none of the system's"))?;
        let dbname = text("dbname").unwrap_or(user);

        let mut startup = tokio_postgres::Config::new();
        startup.user(user).dbname(dbname);
        startup.channel_binding(choice(
            &all,
            "channel_binding",
            &[
                ("prefer", ChannelBinding::Prefer),
                ("disable", ChannelBinding::Disable),
                ("require", ChannelBinding::Require),
            ],
        )?);
        let name = text("application_name").or(text("fallback_application_name")).or(application_name);
        name.map(|name| startup.application_name(name));
        let options = options(text("options"), environment);
        if !options.is_empty() {
            startup.options(options);
        }
        let mut hosts = hosts(&all)?;
        let is_local = hosts.iter().all(|host| matches!(host.place, Place::Socket(_)));
        let tls = tls::Tls::new(&all, environment, is_local)?;
        if tls.direct {
            startup.ssl_negotiation(SslNegotiation::Direct);
        }

        let file = text("passfile").map(PathBuf::from).or_else(|| environment.in_home(".pgpass"));
        for host in &mut hosts {
            host.password = text("password").map(str::to_owned).or_else(|| {
                pass_file::look_up(file.as_deref()?, &host.name_in_pass_file(), host.port, dbname, user)
            });
        }
        let keepalive = Keepalive {
            idle: above_zero(&all, "keepalives_idle")?.unwrap_or(240),
            interval: above_zero(&all, "keepalives_interval")?.unwrap_or(15),
            count: above_zero(&all, "keepalives_count")?.unwrap_or(4),
        };
        Ok(Self {
            hosts,
            in_any_order: choice(&all, "load_balance_hosts", &[("disable", false), ("random", true)])?,
            connect_timeout: match number(&all, "connect_timeout")? {
                None => Some(Duration::from_secs(15)),
                Some(_) => {
                    above_zero(&all, "connect_timeout")?.map(|limit| Duration::from_secs(limit.into()))
                }
            },
            keepalive: (number(&all, "keepalives")? != Some(0)).then_some(keepalive),
            tcp_user_timeout: above_zero(&all, "tcp_user_timeout")?,
            required_peer: text("requirepeer").map(str::to_owned),
            wanted: choice(
                &all,
                "target_session_attrs",
                &[
                    ("any", Wanted::Any),
                    ("read-write", Wanted::ReadWrite),
                    ("read-only", Wanted::ReadOnly),
                    ("primary", Wanted::Primary),
                    ("standby", Wanted::Standby),
                    ("prefer-standby", Wanted::PreferStandby),
                ],
            )?,
            tls,
            startup,
        })
    }
}

/// See [`Conninfo::check`].
pub fn check(given: &Conninfo) -> Result<()> {
    let mut alone = given.clone();
    alone.remove("service");
    match Settings::new(&alone, None, &Environment::of_nobody()) {
        Err(wrong @ Error::Usage(_)) => Err(wrong),
        _ => Ok(()),
    }
}

/// What the service and the environment say where the connect string is silent.
fn complete(given: &Conninfo, environment: &Environment) -> Result<Conninfo> {
    let said = |keyword, variable| given.get(keyword).or_else(|| environment.variable(variable));
    let mut all = match said("service", "PGSERVICE").filter(|service| !service.is_empty()) {
        Some(service) => service_file::look_up(service, said("servicefile", "PGSERVICEFILE"), environment)?,
        None => Conninfo::default(),
    };
    all.merge(given);
    for keyword in KEYWORDS {
        if all.get(keyword.name).is_none()
            && let Some(value) = keyword.variable.and_then(|variable| environment.variable(variable))
        {
            all.set(keyword.name, value)?;
        }
    }
    Ok(all)
}

/// Better no connection than one that is not as it was asked for.
fn refuse_what_cannot_be(all: &Conninfo) -> Result<()> {
    let accepted: [(&str, &[&str]); 9] = [
        ("client_encoding", &["utf8", "utf-8", "unicode", "auto"]),
        ("replication", &["false", "off", "no", "0"]),
        ("gssencmode", &["disable", "prefer"]),
        ("sslcertmode", &["allow", "disable"]),
        ("min_protocol_version", &["3.0"]),
        ("require_auth", &[]),
        ("sslkeylogfile", &[]),
        ("scram_client_key", &[]),
        ("scram_server_key", &[]),
    ];
    for (keyword, accepted) in accepted {
        let value = all.get(keyword).unwrap_or_default();
        if value.is_empty() || accepted.contains(&&*value.to_ascii_lowercase()) {
            continue;
        }
        let shown = if keyword::is_secret(keyword) { "[...]" } else { value };
        return Err(Error::usage(format!("{keyword}={shown} is not supported in connect strings")));
    }
    Ok(())
}

/// What libpq's variables say of the session, as options of the server; what is asked for comes behind, and so wins.
fn options(given: Option<&str>, environment: &Environment) -> String {
    let mut options = Vec::new();
    for (variable, setting) in [("PGDATESTYLE", "datestyle"), ("PGTZ", "timezone"), ("PGGEQO", "geqo")] {
        if let Some(value) = environment.variable(variable) {
            options.push(format!("-c {setting}={}", value.replace('\\', r"\\").replace(' ', r"\ ")));
        }
    }
    options.extend(given.map(str::to_owned));
    options.join(" ")
}

/// A whole number; `None` where nothing is said.
fn number(all: &Conninfo, keyword: &str) -> Result<Option<i32>> {
    let Some(value) = all.get(keyword) else { return Ok(None) };
    let wrong = |_| Error::usage(format!("invalid integer value {value:?} for connection option {keyword}"));
    value.trim().parse().map(Some).map_err(wrong)
}

/// One that counts where it is above zero.
fn above_zero(all: &Conninfo, keyword: &str) -> Result<Option<u32>> {
    Ok(number(all, keyword)?.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0))
}

/// One of several words; the first, where nothing is said. An empty one is none of them, as with libpq: it may come
/// from a template that was not filled in, and must not weaken an `sslmode`.
pub(super) fn choice<T: Copy>(all: &Conninfo, keyword: &str, choices: &[(&str, T)]) -> Result<T> {
    let Some(value) = all.get(keyword) else { return Ok(choices[0].1) };
    let chosen = choices.iter().find(|(word, _)| *word == value).map(|(_, choice)| *choice);
    chosen.ok_or_else(|| Error::usage(format!("invalid {keyword} value: {value:?}")))
}

#[cfg(test)]
mod tests;
