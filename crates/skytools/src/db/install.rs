//! Objects that a program needs in a database: looked for, and made if they are not there.

use std::path::PathBuf;

use tracing::info;

use crate::db::{Connection, Object, quote, statements};
use crate::{Error, Result};

/// Where an object comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// SQL text.
    Sql(String),
    /// An SQL file with this name, or path, in the first of the folders that has it.
    File(PathBuf),
    /// `CREATE EXTENSION`; the object is an extension or belongs to the one of this name.
    Extension(String),
}

/// Makes what is not there.
#[derive(Clone, Debug, Default)]
pub struct Installer {
    folders: Vec<PathBuf>,
}

impl Installer {
    /// SQL files are looked for in these folders, in this order.
    #[must_use]
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Goes through the objects in their order and makes those that are not there, statement by statement. Returns
    /// those that were made. One that is still not there when its statements have run is an error.
    pub async fn install<'a>(
        &self,
        connection: &Connection,
        objects: &'a [(Object, Origin)],
    ) -> Result<Vec<&'a Object>> {
        let mut made = Vec::new();
        for (object, origin) in objects {
            if object.exists(connection).await? {
                continue;
            }
            info!("{}: install {object}", connection.name());
            self.run(connection, origin).await?;
            if !object.exists(connection).await? {
                let name = connection.name();
                return Err(Error::bad(format!("{name}: {object} is not there after its installation")));
            }
            made.push(object);
        }
        Ok(made)
    }

    async fn run(&self, connection: &Connection, origin: &Origin) -> Result<()> {
        let sql = match origin {
            Origin::Sql(sql) => sql.clone(),
            Origin::File(name) => self.read(name)?,
            Origin::Extension(name) => format!("create extension {}", quote::identifier(name)),
        };
        let scs = "select not pg_catalog.current_setting('standard_conforming_strings')::bool";
        let backslashes = connection.query_one(scs, &[]).await?.get(0);
        for statement in statements(&sql, backslashes)? {
            connection.batch(statement).await?;
        }
        Ok(())
    }

    fn read(&self, name: &PathBuf) -> Result<String> {
        let path = self.folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
        let path = path.ok_or_else(|| {
            let folders: Vec<_> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
            Error::usage(format!("no file {} in {}", name.display(), folders.join(", ")))
        })?;
        std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
    }
}
