//! The open connections of a program, by name.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::db::{Connection, Options};
use crate::{Error, Result};

/// See the module.
#[derive(Debug, Default)]
pub struct Connections {
    open: BTreeMap<String, (String, Connection)>,
}

impl Connections {
    /// The open connection of this name, or a new one: also when the connect string is another one now.
    pub async fn get(&mut self, name: &str, conninfo: &str, options: Options) -> Result<Connection> {
        if let Some((known, connection)) = self.open.get(name)
            && known == conninfo
            && !connection.is_closed()
        {
            if connection.options() != options {
                return Err(Error::usage(format!("connection {name} is open with another isolation level")));
            }
            return Ok(connection.clone());
        }
        let connection = Connection::open(name, conninfo, options).await?;
        self.open.insert(name.to_owned(), (conninfo.to_owned(), connection.clone()));
        Ok(connection)
    }

    /// Closes one.
    pub fn close(&mut self, name: &str) {
        self.open.remove(name);
    }

    /// Closes all; what is open on them is rolled back by their servers.
    pub fn close_all(&mut self) {
        self.open.clear();
    }

    /// Closes those that are older.
    pub fn close_older(&mut self, lifetime: Duration) {
        self.open.retain(|_, (_, connection)| connection.opened().elapsed() < lifetime);
    }
}
