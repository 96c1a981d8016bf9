//! Connections, and the SQL that goes over them.

mod answer;
mod connect;
mod connection;
mod connections;
mod driver;
mod retry;

pub use answer::Command;
pub use connect::Conninfo;
pub use connection::{Connection, Isolation, Options};
pub use connections::Connections;
pub use retry::{RETRY_KEYS, Retried, Retry};
pub use tokio_postgres::{Row, types};
