//! Connections, and the SQL that goes over them.

mod connection;
mod connections;
mod keywords;
pub mod quote;
mod template;
pub mod tokens;

pub use connection::{Connection, Isolation, Options};
pub use connections::Connections;
pub use template::{Bound, Template, Text};
pub use tokio_postgres::{Row, types};
