//! How a trigger was made, and what that means for its table.

use super::expressions::Expressions;
use crate::pg::query::Query;
use crate::pg::trigger::Timing;
use pgq_core::change::Operation;

/// The trigger functions, by what they write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `logutriga`
    Urlencoded,
    /// `jsontriga`
    Json,
    /// `sqltriga`
    PartialSql,
    /// `logtriga`: the same, but its arguments are others.
    Letters,
}

impl Format {
    /// The function's name.
    pub fn function(self) -> &'static str {
        match self {
            Format::Urlencoded => "logutriga",
            Format::Json => "jsontriga",
            Format::PartialSql => "sqltriga",
            Format::Letters => "logtriga",
        }
    }
}

/// How a trigger was made.
pub struct Definition<'a> {
    /// By its function.
    pub format: Format,
    /// When it fires.
    pub timing: Timing,
    /// An operation for which it fires.
    pub operation: Operation,
    /// What it was given.
    pub arguments: Vec<&'a [u8]>,
}

/// What the arguments of a trigger mean. Columns are given by their position in the table's.
pub struct Meaning {
    pub target: Target,
    /// The operation is not done.
    pub suppresses: bool,
    /// The operation is an error.
    pub denies: bool,
    /// The event of an update holds the old row, too.
    pub backs_up: bool,
    pub key_updates: KeyUpdates,
    /// The key, in its own order.
    pub key: Vec<usize>,
    /// Columns that are left out.
    pub ignored: Vec<usize>,
    pub expressions: Expressions,
    /// An option that does not go with TRUNCATE.
    pub not_for_truncate: Option<&'static str>,
}

/// Where events go.
pub enum Target {
    /// Into this queue.
    Queue(Vec<u8>),
    /// Into this statement, with `$1` = I, U or D and `$2` = the data.
    Statement(Query),
}

/// What becomes of an update that moves a row to another key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeyUpdates {
    /// It is an error: who reads the event by its key would miss the old row.
    Refused,
    /// A delete and an insert.
    Split,
    /// An update like any other.
    Plain,
}

impl Meaning {
    /// Whether users' statements are run, in which names were looked up for somebody.
    pub fn has_statements(&self) -> bool {
        matches!(self.target, Target::Statement(_)) || !self.expressions.is_empty()
    }
}
