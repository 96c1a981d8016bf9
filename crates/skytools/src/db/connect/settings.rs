//! What a connect string comes to, once services, variables, files and defaults have had their say.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, SslNegotiation};

use crate::db::connect::keyword::{self, KEYWORDS};
use crate::db::connect::{Conninfo, Environment, pass_file, service_file, tls};
use crate::{Error, Result};

const DEFAULT_PORT: u16 = 5432;

/// Where servers make their sockets: Debian's, and everybody else's.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

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

/// One server to try.
pub struct Host {
    /// Where it is.
    pub place: Place,
    /// Its port, which names the socket, too.
    pub port: u16,
    /// The name that its certificate must have, if there is one.
    pub name: Option<String>,
    /// The password that goes there.
    pub password: Option<String>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind a Unix socket in this folder.
    Socket(PathBuf),
    /// Where the name service says.
    Name(String),
    /// There.
    Address(IpAddr),
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
        let tls = tls::Tls::new(&all, environment)?;
        if tls.direct {
            startup.ssl_negotiation(SslNegotiation::Direct);
        }

        let mut hosts = hosts(&all)?;
        let file = text("passfile").map(PathBuf::from).or_else(|| environment.in_home(".pgpass"));
        for host in &mut hosts {
            host.password = text("password").map(str::to_owned).or_else(|| {
                pass_file::look_up(file.as_deref()?, &host.name_in_pass_file(), host.port, dbname, user)
            });
        }
        let keepalive = Keepalive {
            idle: number(&all, "keepalives_idle")?.unwrap_or(240),
            interval: number(&all, "keepalives_interval")?.unwrap_or(15),
            count: number(&all, "keepalives_count")?.unwrap_or(4),
        };
        Ok(Self {
            hosts,
            in_any_order: choice(&all, "load_balance_hosts", &[("disable", false), ("random", true)])?,
            connect_timeout: match number::<i64>(&all, "connect_timeout")?.unwrap_or(15) {
                seconds @ 1.. => Some(Duration::from_secs(seconds.unsigned_abs())),
                _ => None,
            },
            keepalive: (number::<i32>(&all, "keepalives")? != Some(0)).then_some(keepalive),
            tcp_user_timeout: number(&all, "tcp_user_timeout")?.filter(|limit| *limit > 0),
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

impl Host {
    /// How the password file calls it: servers behind the usual sockets are there as localhost.
    fn name_in_pass_file(&self) -> String {
        match (&self.name, &self.place) {
            (Some(name), _) => name.clone(),
            (None, Place::Address(address)) => address.to_string(),
            (None, Place::Name(name)) => name.clone(),
            (None, Place::Socket(folder)) => {
                let folder = folder.to_string_lossy();
                if SOCKET_FOLDERS.contains(&&*folder) { "localhost".to_owned() } else { folder.into_owned() }
            }
        }
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

fn hosts(all: &Conninfo) -> Result<Vec<Host>> {
    let list = |keyword| -> Vec<&str> {
        all.get(keyword)
            .filter(|value| !value.is_empty())
            .map(|value| value.split(',').map(str::trim).collect())
            .unwrap_or_default()
    };
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addresses.len()).max(1);
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err(Error::usage(format!(
            "could not match {} host names to {} hostaddr values",
            names.len(),
            addresses.len()
        )));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(Error::usage(format!("could not match {} port numbers to {count} hosts", ports.len())));
    }
    let mut hosts = Vec::new();
    for position in 0..count {
        let name = names.get(position).copied().filter(|name| !name.is_empty());
        let address = addresses.get(position).copied().filter(|address| !address.is_empty());
        // Not shown: in a URI whose password has an unescaped slash, the port is the beginning of the password.
        let port = match ports.get(position).or_else(|| ports.first()).copied().unwrap_or_default() {
            "" => DEFAULT_PORT,
            port => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                Error::usage(format!("the port of host {} is no number from 1 to 65535", position + 1))
            })?,
        };
        let host =
            |place, name: Option<&str>| Host { place, port, name: name.map(str::to_owned), password: None };
        match (name, address) {
            (name, Some(address)) => {
                let address = address
                    .parse()
                    .map_err(|_| Error::usage(format!("hostaddr {address:?} is no network address")))?;
                hosts.push(host(Place::Address(address), name));
            }
            (Some(folder), None) if folder.starts_with('/') => {
                hosts.push(host(Place::Socket(folder.into()), None));
            }
            // The kernel's abstract names begin with a zero byte.
            (Some(folder), None) if folder.starts_with('@') => {
                hosts.push(host(Place::Socket(folder.replacen('@', "\0", 1).into()), None));
            }
            (Some(name), None) => hosts.push(host(Place::Name(name.to_owned()), Some(name))),
            (None, None) => {
                hosts.extend(SOCKET_FOLDERS.map(|folder| host(Place::Socket(folder.into()), None)));
            }
        }
    }
    Ok(hosts)
}

/// A whole number; `None` where there is no value.
fn number<T: std::str::FromStr>(all: &Conninfo, keyword: &str) -> Result<Option<T>> {
    let Some(value) = all.get(keyword).filter(|value| !value.is_empty()) else { return Ok(None) };
    let wrong = |_| Error::usage(format!("invalid integer value {value:?} for connection option {keyword}"));
    value.trim().parse().map(Some).map_err(wrong)
}

/// One of several words; the first, where there is no value.
pub(super) fn choice<T: Copy>(all: &Conninfo, keyword: &str, choices: &[(&str, T)]) -> Result<T> {
    let Some(value) = all.get(keyword).filter(|value| !value.is_empty()) else { return Ok(choices[0].1) };
    let chosen = choices.iter().find(|(word, _)| *word == value).map(|(_, choice)| *choice);
    chosen.ok_or_else(|| Error::usage(format!("invalid {keyword} value: {value:?}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;

    fn settings(conninfo: &str, variables: &[(&str, &str)]) -> Result<Settings> {
        let environment = Environment::made_of(variables, Path::new("/nonexistent"));
        Settings::new(&Conninfo::parse(conninfo).unwrap(), Some("job"), &environment)
    }

    fn error(conninfo: &str) -> String {
        settings(conninfo, &[]).err().unwrap_or_else(|| panic!("{conninfo} is accepted")).to_string()
    }

    fn hosts(conninfo: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let settings = settings(conninfo, variables).unwrap();
        settings.hosts.iter().map(|host| format!("{:?} {}", host.place, host.port)).collect()
    }

    #[test]
    fn what_nobody_says_is_as_libpq_has_it() {
        let settings = settings("", &[]).unwrap();
        assert_eq!(settings.startup.get_user(), Some("joe"));
        assert_eq!(settings.startup.get_dbname(), Some("joe"));
        assert_eq!(settings.startup.get_application_name(), Some("job"));
        assert_eq!(settings.connect_timeout, Some(Duration::from_secs(15)));
        assert_eq!(settings.keepalive, Some(Keepalive { idle: 240, interval: 15, count: 4 }));
        assert_eq!(settings.tls.mode, tls::Mode::Prefer);
        assert_eq!(hosts("", &[]), ["Socket(\"/var/run/postgresql\") 5432", "Socket(\"/tmp\") 5432"]);
    }

    #[test]
    fn the_connect_string_comes_before_the_service_and_that_before_the_environment() {
        let folder = nix::unistd::mkdtemp(&std::env::temp_dir().join("skytools-test-XXXXXX")).unwrap();
        let file = folder.join("services");
        std::fs::write(&file, "[shop]\nhost=service\nport=1\nuser=service\n").unwrap();
        let variables = [
            ("PGSERVICEFILE", file.to_str().unwrap()),
            ("PGHOST", "variable"),
            ("PGUSER", "variable"),
            ("PGDATABASE", "variable"),
            ("PGAPPNAME", "variable"),
            ("PGCONNECT_TIMEOUT", "0"),
            ("PGTZ", "Europe/Tallinn"),
            ("PGOPTIONS", "-c geqo=off"),
        ];
        let found = settings("service=shop user=string keepalives=0", &variables).unwrap();
        assert_eq!(found.hosts[0].place, Place::Name("service".into()));
        assert_eq!(found.hosts[0].port, 1);
        assert_eq!(found.startup.get_user(), Some("string"));
        assert_eq!(found.startup.get_dbname(), Some("variable"));
        assert_eq!(found.startup.get_application_name(), Some("variable"));
        assert_eq!(found.startup.get_options(), Some("-c timezone=Europe/Tallinn -c geqo=off"));
        assert_eq!((found.connect_timeout, found.keepalive), (None, None));
        // What is empty is as if nobody had said it, but keeps others from saying it.
        assert_eq!(settings("dbname='' user=x", &variables).unwrap().startup.get_dbname(), Some("x"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn hosts_addresses_and_ports_are_lists_that_match() {
        assert_eq!(
            hosts("host=a,/run,,@x port=1,2,,4", &[]),
            [
                "Name(\"a\") 1",
                "Socket(\"/run\") 2",
                "Socket(\"/var/run/postgresql\") 5432",
                "Socket(\"/tmp\") 5432",
                "Socket(\"\\0x\") 4"
            ]
        );
        assert_eq!(hosts("host=a,b port=7", &[]), ["Name(\"a\") 7", "Name(\"b\") 7"]);
        assert_eq!(
            hosts("host=a,b hostaddr=192.0.2.1,::1", &[]),
            ["Address(192.0.2.1) 5432", "Address(::1) 5432"]
        );
        assert_eq!(error("host=a hostaddr=::1,::2"), "could not match 1 host names to 2 hostaddr values");
        assert_eq!(error("host=a,b port=1,2,3"), "could not match 3 port numbers to 2 hosts");
        assert_eq!(error("hostaddr=a"), "hostaddr \"a\" is no network address");
        for uri in ["postgresql://u:secret/x@h/db", "postgresql://h:0", "postgresql://h:65536"] {
            assert_eq!(error(uri), "the port of host 1 is no number from 1 to 65535", "{uri}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (conninfo, expected) in [
            ("sslmode=maybe", "invalid sslmode value: \"maybe\""),
            ("connect_timeout=soon", "invalid integer value \"soon\" for connection option connect_timeout"),
            ("client_encoding=latin1", "client_encoding=latin1 is not supported in connect strings"),
            ("scram_client_key=secret", "scram_client_key=[...] is not supported in connect strings"),
            ("require_auth=none", "require_auth=none is not supported in connect strings"),
            ("sslrootcert=system sslmode=require", "sslrootcert=system needs sslmode=verify-full"),
            (
                "sslnegotiation=direct",
                "sslnegotiation=direct needs sslmode=require, verify-ca or verify-full",
            ),
            ("ssl_max_protocol_version=TLSv1.1", "the TLS versions that are allowed are none of 1.2 and 1.3"),
            ("service=none", "definition of service \"none\" not found"),
            (
                "sslmode=verify-ca sslrootcert=/nonexistent/root.crt",
                "root certificate file \"/nonexistent/root.crt\" does not exist: this sslmode needs it",
            ),
        ] {
            assert_eq!(error(conninfo), expected);
        }
        assert!(settings("client_encoding=UTF8 gssencmode=prefer replication=false", &[]).is_ok());
        assert_eq!(settings("sslrootcert=system", &[]).unwrap().tls.mode, tls::Mode::VerifyFull);
    }

    #[test]
    fn each_host_has_its_password() {
        use std::os::unix::fs::PermissionsExt;
        let folder = nix::unistd::mkdtemp(&std::env::temp_dir().join("skytools-test-XXXXXX")).unwrap();
        let file = folder.join(".pgpass");
        std::fs::write(
            &file,
            "localhost:*:*:joe:socket\n192.0.2.1:*:*:joe:address\na:1:shop:joe:a1\na:*:*:joe:a\n/run:*:*:joe:run\n",
        )
        .unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let environment = Environment::made_of(&[], &folder);
        let passwords = |conninfo: &str| -> Vec<Option<String>> {
            let settings = Settings::new(&Conninfo::parse(conninfo).unwrap(), None, &environment).unwrap();
            settings.hosts.into_iter().map(|host| host.password).collect()
        };
        let some = |password: &str| Some(password.to_owned());
        assert_eq!(passwords("host=a,b,/run,/tmp"), [some("a"), None, some("run"), some("socket")]);
        assert_eq!(passwords("host=a port=1 dbname=shop"), [some("a1")]);
        assert_eq!(passwords("hostaddr=192.0.2.1"), [some("address")]);
        assert_eq!(passwords("host=a hostaddr=192.0.2.1"), [some("a")]);
        assert_eq!(passwords("host=a password=mine"), [some("mine")]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
