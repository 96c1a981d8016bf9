//! Datagrams to a receiver that may move: the socket is made, and the name looked up, anew each second.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How long a socket, and the address behind a name, is used.
const LIFETIME: Duration = Duration::from_secs(1);
/// The longest text that goes into a datagram.
const LONGEST: usize = 32 * 1024;

/// Who receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Udp { host: String, port: u16 },
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// See the module.
pub(super) struct Datagrams {
    address: Address,
    socket: Option<(Instant, Socket)>,
}

enum Socket {
    Udp(UdpSocket, SocketAddr),
    Unix(UnixDatagram),
}

impl Datagrams {
    pub(super) const fn to(address: Address) -> Self {
        Self { address, socket: None }
    }

    pub(super) fn send(&mut self, datagram: &[u8]) -> Result<()> {
        self.try_send(datagram).map_err(Error::io(format!("send to {}", self.address)))
    }

    /// Makes the socket anew with the next datagram.
    pub(super) fn reopen(&mut self) {
        self.socket = None;
    }

    fn try_send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let (made, socket) = match self.socket.take() {
            Some((made, socket)) if made.elapsed() < LIFETIME => (made, socket),
            _ => (Instant::now(), self.connect()?),
        };
        match &socket {
            Socket::Udp(socket, address) => socket.send_to(datagram, address)?,
            Socket::Unix(socket) => socket.send(datagram)?,
        };
        self.socket = Some((made, socket));
        Ok(())
    }

    fn connect(&self) -> io::Result<Socket> {
        match &self.address {
            Address::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(LIFETIME))?;
                Ok(Socket::Unix(socket))
            }
            Address::Udp { host, port } => {
                // Who listens to datagrams listens to IPv4, whatever else his name stands for.
                let known: Vec<SocketAddr> = (host.as_str(), *port).to_socket_addrs()?.collect();
                let address = known.iter().find(|address| address.is_ipv4()).or(known.first());
                let address = *address.ok_or(io::ErrorKind::AddrNotAvailable)?;
                let any = if address.is_ipv4() {
                    (Ipv4Addr::UNSPECIFIED, 0).into()
                } else {
                    SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
                };
                Ok(Socket::Udp(UdpSocket::bind(any)?, address))
            }
        }
    }
}

/// As much of a text as a datagram can carry.
pub(super) fn fitting(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}
