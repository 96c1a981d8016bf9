//! Server functions that answer with `ret_code` and `ret_note`, a row for each thing they have to say.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use tracing::{debug, info, warn};

use crate::db::Connection;
use crate::{Error, Result};

/// A call of such a function. Codes 1xx are logged as debug, 2xx as info, 3xx as warnings; all others are errors.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Command<'a> {
    connection: &'a Connection,
    sql: &'a str,
    prefix: Option<&'a str>,
    is_quiet: bool,
    commits: bool,
}

impl Connection {
    /// A call like `select * from pgq_node.set_consumer_paused($1, $2, $3)`.
    pub const fn command<'a>(&'a self, sql: &'a str) -> Command<'a> {
        Command { connection: self, sql, prefix: None, is_quiet: false, commits: true }
    }
}

impl<'a> Command<'a> {
    /// Logs success (2xx) as debug.
    pub const fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    /// Tells everything behind `[prefix]`: the name of a node.
    pub const fn prefix(mut self, prefix: &'a str) -> Self {
        self.prefix = Some(prefix);
        self
    }

    /// Leaves the transaction open.
    pub const fn uncommitted(mut self) -> Self {
        self.commits = false;
        self
    }

    /// Calls it, and commits. If the answer has errors, rolls back: [`Error::Refused`] has all of them.
    pub async fn run(&self, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let mut refusals = Vec::new();
        let rows = self.call(params, &mut refusals).await;
        self.settle(rows, refusals).await
    }

    /// Calls it once for each of `last`, as the argument behind `params`; all of them, also after one has failed.
    /// Then commits, or rolls back all, as [`run`](Self::run).
    pub async fn run_for_each(&self, params: &[&(dyn ToSql + Sync)], last: &[&str]) -> Result<Vec<Row>> {
        let mut refusals = Vec::new();
        let mut rows = Ok(Vec::new());
        for last in last {
            let params: Vec<&(dyn ToSql + Sync)> = params.iter().copied().chain([last as _]).collect();
            match (self.call(&params, &mut refusals).await, &mut rows) {
                (Ok(more), Ok(rows)) => rows.extend(more),
                (failed, rows) => {
                    *rows = failed;
                    break;
                }
            }
        }
        self.settle(rows, refusals).await
    }

    async fn call(&self, params: &[&(dyn ToSql + Sync)], refusals: &mut Vec<String>) -> Result<Vec<Row>> {
        let rows = self.connection.query(self.sql, params).await?;
        for row in &rows {
            let (Ok(code), Ok(note)) = (row.try_get::<_, i32>("ret_code"), row.try_get("ret_note")) else {
                return Err(Error::Refused(format!(
                    "{}: the answer has no ret_code and ret_note: {}",
                    self.connection.name(),
                    self.sql
                )));
            };
            let note: Option<&str> = note;
            let note = note.unwrap_or_default();
            let told = self.prefix.map_or_else(|| note.to_owned(), |prefix| format!("[{prefix}] {note}"));
            match code / 100 {
                1 => debug!("{told}"),
                2 if self.is_quiet => debug!("{told}"),
                2 => info!("{told}"),
                3 => warn!("{told}"),
                _ => refusals.push(told),
            }
        }
        Ok(rows)
    }

    async fn settle(&self, rows: Result<Vec<Row>>, refusals: Vec<String>) -> Result<Vec<Row>> {
        let answer = rows.and_then(|rows| match refusals.is_empty() {
            true => Ok(rows),
            false => Err(Error::Refused(refusals.join("\n"))),
        });
        match &answer {
            Ok(_) if self.commits => self.connection.commit().await?,
            Ok(_) => {}
            // What made it fail is worth more than what made the rollback fail.
            Err(_) => drop(self.connection.rollback().await),
        }
        answer
    }
}
