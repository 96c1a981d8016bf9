//! The structure of a table: read from one database, made again in another or under another name, dropped.
//!
//! The catalog writes the definitions itself, so everything that the server can store can be copied; only names are
//! replaced. A table is a list of [`Element`]s in the order in which they can be made; dropping goes the other way.
//!
//! ```text
//! table ► sequences ► defaults ► constraints ► indexes ► triggers ► rules ► policies ► grants ► owner ► parents
//! ```

mod attachments;
mod column;
mod definition;
mod grant;
mod index;
mod naming;
mod neutral;
mod part;
mod sequence;
mod table;

pub use part::Element;
pub use sequence::Sequence;
pub use table::Table;
