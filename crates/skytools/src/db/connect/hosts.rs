//! The servers that a connect string names.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::db::connect::Conninfo;
use crate::{Error, Result};

const DEFAULT_PORT: u16 = 5432;

/// Where servers make their sockets: Debian's, and everybody else's.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

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

impl Host {
    /// How the password file calls it: servers behind the usual sockets are there as localhost.
    pub fn name_in_pass_file(&self) -> String {
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

    /// What the server is told in the TLS handshake, and what its certificate is compared with.
    pub fn name_in_handshake(&self) -> String {
        match (&self.name, &self.place) {
            (Some(name), _) | (None, Place::Name(name)) => name.clone(),
            (None, Place::Address(address)) => address.to_string(),
            (None, Place::Socket(_)) => String::new(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, &self.name) {
            (Place::Socket(folder), _) => {
                let path = folder.join(format!(".s.PGSQL.{}", self.port));
                write!(f, "server on socket \"{}\"", path.display().to_string().replacen('\0', "@", 1))
            }
            (_, Some(name)) | (Place::Name(name), _) => write!(f, "server at \"{name}\", port {}", self.port),
            (Place::Address(address), None) => write!(f, "server at \"{address}\", port {}", self.port),
        }
    }
}

/// The hosts, in the order in which they are told; their passwords come later.
pub fn hosts(all: &Conninfo) -> Result<Vec<Host>> {
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
