//! What a database has: looked up by name in its catalog.

use std::fmt;

use tokio_postgres::types::ToSql;

use crate::db::{Connection, quote};
use crate::{Error, Result};

/// A name in two parts, as the catalog has them: neither quoted nor folded. Displayed, it is quoted for SQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
pub struct QualifiedName {
    /// The schema.
    pub schema: String,
    /// The name in it.
    pub name: String,
}

impl QualifiedName {
    /// Of its parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// Cuts at the first dot; without one the schema is `public`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (schema, name) = text.split_once('.').unwrap_or(("public", text));
        Self::new(schema, name)
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quote::identifier(&self.schema), quote::identifier(&self.name))
    }
}

/// Something that a database can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A schema.
    Schema(String),
    /// A table: ordinary, partitioned or foreign.
    Table(QualifiedName),
    /// A temporary table of this session.
    TemporaryTable(String),
    /// A view, materialized or not.
    View(QualifiedName),
    /// A sequence.
    Sequence(QualifiedName),
    /// A type or domain.
    Type(QualifiedName),
    /// A function or procedure with so many arguments.
    Function {
        /// `schema.name`; without a schema it may be in `public` or in `pg_catalog`.
        name: String,
        /// How many arguments it takes, those with defaults included.
        arguments: i16,
    },
    /// A procedural language.
    Language(String),
    /// An extension.
    Extension(String),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(name) => write!(f, "schema {}", quote::identifier(name)),
            Self::Table(name) => write!(f, "table {name}"),
            Self::TemporaryTable(name) => write!(f, "temporary table {}", quote::identifier(name)),
            Self::View(name) => write!(f, "view {name}"),
            Self::Sequence(name) => write!(f, "sequence {name}"),
            Self::Type(name) => write!(f, "type {name}"),
            Self::Function { name, arguments } => write!(f, "function {name} with {arguments} arguments"),
            Self::Language(name) => write!(f, "language {}", quote::identifier(name)),
            Self::Extension(name) => write!(f, "extension {}", quote::identifier(name)),
        }
    }
}

impl Object {
    /// Whether the database has it.
    pub async fn exists(&self, connection: &Connection) -> Result<bool> {
        match self {
            Self::Schema(name) => any(connection, "pg_namespace where nspname = $1::text", &[name]).await,
            Self::Table(name) => relation(connection, name, "'r', 'p', 'f'").await,
            Self::TemporaryTable(name) => {
                let found = "pg_class where relnamespace = pg_catalog.pg_my_temp_schema() \
                             and relname = $1::text and relkind in ('r', 'p')";
                any(connection, found, &[name]).await
            }
            Self::View(name) => relation(connection, name, "'v', 'm'").await,
            Self::Sequence(name) => relation(connection, name, "'S'").await,
            Self::Type(name) => {
                let found = "pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace \
                             where n.nspname = $1::text and t.typname = $2::text";
                any(connection, found, &[&name.schema, &name.name]).await
            }
            Self::Function { name, arguments } => {
                let qualified = QualifiedName::parse(name);
                let found = "pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
                             where (n.nspname = $1::text or $4 and n.nspname = 'pg_catalog') \
                               and p.proname = $2::text and p.pronargs = $3";
                let unqualified = !name.contains('.');
                any(connection, found, &[&qualified.schema, &qualified.name, arguments, &unqualified]).await
            }
            Self::Language(name) => any(connection, "pg_language where lanname = $1::text", &[name]).await,
            Self::Extension(name) => any(connection, "pg_extension where extname = $1::text", &[name]).await,
        }
    }
}

async fn relation(connection: &Connection, name: &QualifiedName, kinds: &str) -> Result<bool> {
    let found = format!(
        "pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1::text and c.relname = $2::text and c.relkind in ({kinds})"
    );
    any(connection, &found, &[&name.schema, &name.name]).await
}

async fn any(connection: &Connection, found: &str, params: &[&(dyn ToSql + Sync)]) -> Result<bool> {
    let sql = format!("select exists (select from pg_catalog.{found})");
    Ok(connection.query_one(&sql, params).await?.get(0))
}

/// The table's oid. A table that is not there is an error.
pub async fn table_oid(connection: &Connection, name: &QualifiedName) -> Result<u32> {
    let sql = "select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
               where n.nspname = $1::text and c.relname = $2::text and c.relkind in ('r', 'p', 'f')";
    let row = connection.query_opt(sql, &[&name.schema, &name.name]).await?;
    row.map(|row| row.get(0))
        .ok_or_else(|| Error::bad(format!("{}: there is no table {name}", connection.name())))
}

/// The columns of the table's primary key, in the order of its index; none without a primary key.
pub async fn primary_key(connection: &Connection, name: &QualifiedName) -> Result<Vec<String>> {
    let oid = table_oid(connection, name).await?;
    let sql = "select a.attname from pg_catalog.pg_index i, \
               pg_catalog.unnest(i.indkey::int2[]) with ordinality k (number, place) \
               join pg_catalog.pg_attribute a on a.attrelid = $1 and a.attnum = k.number \
               where i.indrelid = $1 and i.indisprimary and k.place <= i.indnkeyatts order by k.place";
    Ok(connection.query(sql, &[&oid]).await?.iter().map(|row| row.get(0)).collect())
}

/// The table's columns, in their order.
pub async fn columns(connection: &Connection, name: &QualifiedName) -> Result<Vec<String>> {
    let oid = table_oid(connection, name).await?;
    let sql = "select attname from pg_catalog.pg_attribute \
               where attrelid = $1 and attnum > 0 and not attisdropped order by attnum";
    Ok(connection.query(sql, &[&oid]).await?.iter().map(|row| row.get(0)).collect())
}
