//! Rows in bulk: records into a table with COPY, and a table's rows from one database into another.

mod load;
mod rows;
mod table;

pub use rows::Rows;
pub use table::{Copied, TableCopy};

use crate::db::quote;

/// The least that is sent at once, in bytes.
const CHUNK: usize = 512 * 1024;

fn list(columns: &[String]) -> String {
    columns.iter().map(|column| quote::identifier(column)).collect::<Vec<_>>().join(", ")
}
