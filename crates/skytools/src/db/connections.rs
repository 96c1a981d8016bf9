//! The open connections of a program, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::db::{Connection, Options};
use crate::{Error, Result};

/// See the module.
#[derive(Default)]
pub struct Connections {
    application_name: Option<String>,
    open: BTreeMap<String, (String, Connection)>,
    defaults: BTreeMap<String, Options>,
    channels: BTreeMap<String, BTreeSet<String>>,
    notified: Arc<Notify>,
}

/// Without connect strings, which may hold passwords.
impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.open.iter().map(|(name, (_, connection))| (name, connection))).finish()
    }
}

impl Connections {
    /// Connections that servers know by this `application_name`, where the connect string says no other.
    #[must_use]
    pub fn of(application_name: &str) -> Self {
        Self { application_name: Some(application_name.to_owned()), ..Self::default() }
    }

    /// How the connection of this name makes its transactions when [`get`](Self::get) asks for it.
    pub fn set_default(&mut self, name: &str, options: Options) {
        self.defaults.insert(name.to_owned(), options);
    }

    /// The open connection of this name, or a new one: also when the connect string is another one now. Its
    /// transactions are as the name's default says: READ COMMITTED, if nothing was said.
    pub async fn get(&mut self, name: &str, conninfo: &str) -> Result<Connection> {
        let options = self.defaults.get(name).copied().unwrap_or_default();
        self.get_with(name, conninfo, options).await
    }

    /// As [`get`](Self::get), with other transactions. An error when the connection is open with yet others.
    pub async fn get_with(&mut self, name: &str, conninfo: &str, options: Options) -> Result<Connection> {
        let connection = match self.open.get(name) {
            Some((known, connection)) if known == conninfo && !connection.is_closed() => {
                if connection.options() != options {
                    return Err(Error::usage(format!(
                        "connection {name} is open with other transactions: {:?}, not {options:?}",
                        connection.options()
                    )));
                }
                connection.clone()
            }
            _ => {
                self.close(name);
                let (application_name, notified) =
                    (self.application_name.as_deref(), Arc::clone(&self.notified));
                let connection =
                    Connection::open_for(name, conninfo, options, application_name, notified).await?;
                self.open.insert(name.to_owned(), (conninfo.to_owned(), connection.clone()));
                connection
            }
        };
        if let Some(channels) = self.channels.get(name) {
            connection.listen(channels).await?;
        }
        Ok(connection)
    }

    /// Wants notifications of a channel from the connection of this name: from its next use outside of a
    /// transaction, and after every reconnect.
    pub fn listen(&mut self, name: &str, channel: &str) {
        self.channels.entry(name.to_owned()).or_default().insert(channel.to_owned());
    }

    /// Wants no more notifications of a channel, or of any, from the next use on.
    pub fn unlisten(&mut self, name: &str, channel: Option<&str>) {
        if let Some(channels) = self.channels.get_mut(name) {
            channels.retain(|known| channel.is_some_and(|channel| channel != known));
        }
    }

    /// Waits for a notification on any connection; one that has come since the last wait counts. What idle loops
    /// wait for beside their sleep. The future borrows nothing, so connections may be used and closed meanwhile.
    pub fn notified(&self) -> impl Future<Output = ()> + use<> {
        let notified = Arc::clone(&self.notified);
        async move { notified.notified().await }
    }

    /// Closes one.
    pub fn close(&mut self, name: &str) {
        if let Some((_, connection)) = self.open.remove(name) {
            connection.close();
        }
    }

    /// Closes all; what is open on them is rolled back by their servers. Notifications they have brought are
    /// forgotten: who connects again looks anyway.
    pub fn close_all(&mut self) {
        self.close_where(|_| true);
        self.notified = Arc::default();
    }

    /// Closes those of this age or older: `connection_lifetime`. Zero: none is too old. If one of them was listening,
    /// who waits for notifications is woken, to listen over another one.
    pub fn close_older(&mut self, lifetime: Duration) {
        if lifetime.is_zero() {
            return;
        }
        let closed = self.close_where(|connection| connection.opened().elapsed() >= lifetime);
        let listened = |name: &String| self.channels.get(name).is_some_and(|channels| !channels.is_empty());
        if closed.iter().any(listened) {
            self.notified.notify_one();
        }
    }

    /// Gives the names of those that were closed.
    fn close_where(&mut self, which: impl Fn(&Connection) -> bool) -> Vec<String> {
        let closed = self.open.extract_if(.., |_, (_, connection)| which(connection));
        let close = |(name, (_, connection)): (_, (_, Connection))| {
            connection.close();
            name
        };
        closed.map(close).collect()
    }
}
