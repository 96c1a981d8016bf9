//! Sockets: where they lead, and what the kernel is told of them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::{Uid, User};
use tokio::net::{TcpStream, UnixStream, lookup_host};

use crate::db::connect::settings::{Host, Place, Settings};

/// Where a socket leads.
pub enum Address {
    Socket(PathBuf),
    Tcp(SocketAddr),
}

impl Address {
    /// All under which a host may be reached.
    pub async fn all_of(host: &Host, in_any_order: bool) -> io::Result<Vec<Self>> {
        match &host.place {
            Place::Socket(folder) => Ok(vec![Self::Socket(folder.join(format!(".s.PGSQL.{}", host.port)))]),
            Place::Address(address) => Ok(vec![Self::Tcp((*address, host.port).into())]),
            Place::Name(name) => {
                let mut found: Vec<_> = lookup_host((&**name, host.port)).await?.collect();
                found.dedup();
                if in_any_order {
                    fastrand::shuffle(&mut found);
                }
                Ok(found.into_iter().map(Self::Tcp).collect())
            }
        }
    }

    /// The address in brackets, where a name alone would not tell which was meant.
    pub fn told_beside(&self, host: &Host) -> String {
        match (self, &host.name) {
            (Self::Tcp(address), Some(name)) if *name != address.ip().to_string() => {
                format!(" ({})", address.ip())
            }
            _ => String::new(),
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

impl Host {
    /// What the server is told in the TLS handshake, and what its certificate is compared with.
    pub fn name_in_handshake(&self) -> String {
        match (&self.name, &self.place) {
            (Some(name), _) | (None, Place::Name(name)) => name.clone(),
            (None, Place::Address(address)) => address.to_string(),
            (None, Place::Socket(_)) => String::new(),
        }
    }
}

/// A Unix socket, whose other end must belong to `peer`, if one is named.
pub async fn unix(path: &Path, peer: Option<&str>) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path).await?;
    if let Some(wanted) = peer {
        let uid = stream.peer_cred()?.uid();
        let owner = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        if owner.as_deref() != Some(wanted) {
            let owner = owner.unwrap_or_else(|| format!("user {uid}"));
            let message =
                format!("requirepeer specifies \"{wanted}\", but actual peer user name is \"{owner}\"");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
    }
    Ok(stream)
}

/// A TCP connection that finds out when the other end is gone.
pub async fn tcp(address: SocketAddr, settings: &Settings) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    if let Some(keepalive) = settings.keepalive {
        setsockopt(&stream, sockopt::KeepAlive, &true)?;
        setsockopt(&stream, sockopt::TcpKeepIdle, &keepalive.idle)?;
        setsockopt(&stream, sockopt::TcpKeepInterval, &keepalive.interval)?;
        setsockopt(&stream, sockopt::TcpKeepCount, &keepalive.count)?;
    }
    if let Some(limit) = settings.tcp_user_timeout {
        setsockopt(&stream, sockopt::TcpUserTimeout, &limit)?;
    }
    Ok(stream)
}
