//! The way to a server, as libpq goes it.
//!
//! ```text
//! Conninfo ──► Settings ──► for each host, for each of its addresses ──► socket ──► TLS ──► session
//! string       services,    until one answers                           keepalive  as sslmode  of the kind
//! or URI       variables,                                                          says        that is wanted
//!              files
//! ```

mod conninfo;
mod environment;
mod hosts;
mod keyword;
mod pass_file;
mod server_certificate;
mod service_file;
mod settings;
mod socket;
mod tls;
mod uri;

use std::io;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::driver::{Driver, Driving};
use crate::{Error, Result};
pub use conninfo::Conninfo;
use environment::Environment;
use hosts::{Host, Place};
use settings::{Settings, Wanted};
use socket::Address;
use tls::Mode;

/// Connects to the first server that is there and is of the right kind. `application_name` is how servers shall know
/// us when neither connect string nor environment says otherwise.
pub async fn connect(
    conninfo: &Conninfo,
    application_name: Option<&str>,
    driver: &Driver,
) -> Result<(Client, Driving)> {
    let mut settings = Settings::new(conninfo, application_name, &Environment::of_process())?;
    if settings.in_any_order {
        fastrand::shuffle(&mut settings.hosts);
    }
    let tls = if settings.tls.mode == Mode::Disable { None } else { Some(settings.tls.client_config()?) };
    let passes: &[Wanted] = match settings.wanted {
        Wanted::PreferStandby => &[Wanted::Standby, Wanted::Any],
        ref wanted => std::slice::from_ref(wanted),
    };
    let mut failures = Vec::new();
    for wanted in passes {
        for host in &settings.hosts {
            let way = Way { settings: &settings, host, tls: tls.as_ref(), wanted: *wanted, driver };
            match way.go(&mut failures).await {
                Some(session) => return Ok(session),
                None if failures.last().is_some_and(|(_, failure): &(_, Failure)| failure.is_final()) => {
                    break;
                }
                None => {}
            }
        }
    }
    let mut told: Vec<String> =
        failures.iter().map(|(at, failure)| format!("connection to {at} failed: {failure}")).collect();
    told.dedup(); // with and without TLS, the answer is often the same
    let last = failures.pop().and_then(|(_, failure)| match failure {
        Failure::Refused(error) => Some(error),
        _ => None,
    });
    Err(Error::Connect { connection: driver.name().to_owned(), told: told.join("\n"), last })
}

/// Why an attempt came to nothing.
enum Failure {
    /// There is no server, or none that answers in time.
    Unreachable(io::Error),
    /// The server or the handshake says no.
    Refused(tokio_postgres::Error),
    /// It is the wrong kind of server.
    Unfit(&'static str),
}

impl Failure {
    /// A server that knows us and says no would say so under its other addresses, too; one that is starting or
    /// stopping says nothing about others.
    fn is_final(&self) -> bool {
        let Self::Refused(error) = self else { return false };
        error.code().is_some_and(|code| *code != tokio_postgres::error::SqlState::CANNOT_CONNECT_NOW)
    }

    /// Whether it may be another thing with, or without, TLS.
    fn is_about_encryption(&self) -> bool {
        let Self::Refused(error) = self else { return false };
        error.code().is_none_or(|code| code.code().starts_with("28"))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(error) => error.fmt(f),
            Self::Refused(error) => f.write_str(&crate::error::told(error)),
            Self::Unfit(why) => f.write_str(why),
        }
    }
}

/// One server, and all that it takes to get there.
struct Way<'a> {
    settings: &'a Settings,
    host: &'a Host,
    tls: Option<&'a ClientConfig>,
    wanted: Wanted,
    driver: &'a Driver,
}

impl Way<'_> {
    /// Tries all addresses, and what `sslmode` allows at each.
    async fn go(&self, failures: &mut Vec<(String, Failure)>) -> Option<(Client, Driving)> {
        let addresses = match self.in_time(Address::all_of(self.host, self.settings.in_any_order)).await {
            Ok(addresses) => addresses,
            Err(error) => {
                failures.push((self.host.to_string(), Failure::Unreachable(error)));
                return None;
            }
        };
        for address in addresses {
            for mode in self.modes() {
                let attempt = async { Ok(self.attempt(&address, *mode).await) };
                let failure = match self.in_time(attempt).await {
                    Ok(Ok(session)) => return Some(session),
                    Ok(Err(failure)) => failure,
                    Err(too_late) => Failure::Unreachable(too_late),
                };
                let again = failure.is_about_encryption();
                failures.push((format!("{}{}", self.host, address.told_beside(self.host)), failure));
                if !again {
                    break;
                }
            }
            if failures.last().is_some_and(|(_, failure)| failure.is_final()) {
                break;
            }
        }
        None
    }

    async fn in_time<T>(&self, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        match self.settings.connect_timeout {
            Some(limit) => timeout(limit, future).await.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", limit.as_secs())))
            }),
            None => future.await,
        }
    }

    /// How to try it: a Unix socket needs no encryption.
    fn modes(&self) -> &'static [SslMode] {
        match (&self.host.place, self.settings.tls.mode) {
            (Place::Socket(_), _) | (_, Mode::Disable) => &[SslMode::Disable],
            (_, Mode::Allow) => &[SslMode::Disable, SslMode::Require],
            (_, Mode::Prefer) => &[SslMode::Prefer, SslMode::Disable],
            (_, Mode::Require | Mode::VerifyCa | Mode::VerifyFull) => &[SslMode::Require],
        }
    }

    async fn attempt(&self, address: &Address, mode: SslMode) -> Result<(Client, Driving), Failure> {
        let mut startup = self.settings.startup.clone();
        startup.ssl_mode(mode);
        if let Some(password) = &self.host.password {
            startup.password(password);
        }
        let session = match address {
            Address::Socket(path) => {
                let peer = self.settings.required_peer.as_deref();
                let stream = socket::unix(path, peer).await.map_err(Failure::Unreachable)?;
                self.start(&startup, stream, mode).await
            }
            Address::Tcp(address) => {
                let stream = socket::tcp(*address, self.settings).await.map_err(Failure::Unreachable)?;
                self.start(&startup, stream, mode).await
            }
        };
        let (client, driving) = session.map_err(Failure::Refused)?;
        self.check_kind(&client).await?;
        Ok((client, driving))
    }

    /// The handshakes.
    async fn start<S>(
        &self,
        startup: &tokio_postgres::Config,
        stream: S,
        mode: SslMode,
    ) -> Result<(Client, Driving), tokio_postgres::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.tls.filter(|_| mode != SslMode::Disable) {
            None => {
                let (client, connection) = startup.connect_raw(stream, NoTls).await?;
                Ok((client, self.driver.start(connection)))
            }
            Some(config) => {
                let mut tls = MakeRustlsConnect::new(config.clone());
                let name = self.host.name_in_handshake();
                let Ok(tls) = MakeTlsConnect::<S>::make_tls_connect(&mut tls, &name);
                let (client, connection) = startup.connect_raw(stream, tls).await?;
                Ok((client, self.driver.start(connection)))
            }
        }
    }

    /// Whether the server is as `target_session_attrs` wants it.
    async fn check_kind(&self, client: &Client) -> Result<(), Failure> {
        if self.wanted == Wanted::Any {
            return Ok(());
        }
        let row = client
            .query_one(
                "select pg_catalog.pg_is_in_recovery(), \
                        pg_catalog.current_setting('transaction_read_only') = 'on'",
                &[],
            )
            .await
            .map_err(Failure::Refused)?;
        let (in_recovery, read_only): (bool, bool) = (row.get(0), row.get(1));
        match self.wanted {
            Wanted::ReadWrite if read_only => Err(Failure::Unfit("session is read-only")),
            Wanted::ReadOnly if !read_only => Err(Failure::Unfit("session is not read-only")),
            Wanted::Primary if in_recovery => Err(Failure::Unfit("server is in hot standby mode")),
            Wanted::Standby if !in_recovery => Err(Failure::Unfit("server is not in hot standby mode")),
            _ => Ok(()),
        }
    }
}
