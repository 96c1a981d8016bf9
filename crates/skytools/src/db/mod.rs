//! Connections, and the SQL that goes over them.

mod connection;
mod connections;

pub use connection::{Connection, Isolation, Options};
pub use connections::Connections;
pub use tokio_postgres::{Row, types};
