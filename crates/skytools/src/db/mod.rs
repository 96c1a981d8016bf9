//! Connections, and the SQL that goes over them.

mod acl;
mod answer;
pub mod array;
mod backslash;
pub mod bytea;
pub mod catalog;
mod connect;
mod connection;
mod connections;
pub mod copy;
pub mod copy_text;
pub mod dml;
mod driver;
pub mod install;
mod keywords;
pub mod payload;
mod query;
pub mod quote;
mod retry;
mod statements;
pub mod structure;
mod template;
pub mod tokens;
pub mod unquote;

pub use acl::AclItem;
pub use answer::Command;
pub use catalog::{Object, QualifiedName};
pub use connect::Conninfo;
pub use connection::{Connection, Isolation, Options};
pub use connections::Connections;
pub use pgq_core::Snapshot;
pub use query::Query;
pub use retry::{RETRY_KEYS, Retried, Retry};
pub use statements::statements;
pub use template::{Bound, Template, Text};
pub use tokio_postgres::{Row, types};
