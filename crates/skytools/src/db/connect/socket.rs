//! Sockets: where they lead, and what the kernel is told of them.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::{Uid, User};
use tokio::net::{TcpStream, UnixStream, lookup_host};

use crate::db::connect::hosts::{Host, Place};
use crate::db::connect::settings::Settings;

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use nix::sys::socket::getsockopt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::db::connect::{Conninfo, Environment};

    #[tokio::test]
    async fn the_kernel_is_told_when_to_ask_a_silent_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = async |conninfo: &str| {
            let environment = Environment::made_of(&[], Path::new("/nonexistent"));
            let settings = Settings::new(&Conninfo::parse(conninfo).unwrap(), None, &environment).unwrap();
            tcp(address, &settings).await.unwrap()
        };
        let usual = stream("").await;
        assert!(usual.nodelay().unwrap());
        assert!(getsockopt(&usual, sockopt::KeepAlive).unwrap());
        assert_eq!(getsockopt(&usual, sockopt::TcpKeepIdle).unwrap(), 240);
        assert_eq!(getsockopt(&usual, sockopt::TcpKeepInterval).unwrap(), 15);
        assert_eq!(getsockopt(&usual, sockopt::TcpKeepCount).unwrap(), 4);
        let told = stream("keepalives_idle=60 keepalives_count=9 tcp_user_timeout=5000").await;
        assert_eq!(getsockopt(&told, sockopt::TcpKeepIdle).unwrap(), 60);
        assert_eq!(getsockopt(&told, sockopt::TcpKeepCount).unwrap(), 9);
        assert_eq!(getsockopt(&told, sockopt::TcpUserTimeout).unwrap(), 5000);
        assert!(!getsockopt(&stream("keepalives=0").await, sockopt::KeepAlive).unwrap());
    }
}
