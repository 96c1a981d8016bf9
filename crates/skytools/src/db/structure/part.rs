//! What a table is made of.

use std::fmt;

use super::naming::Naming;
use crate::Result;

/// A kind of things that a table has. Primary key and constraints overlap: the key is one of the constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// The table: columns with types, collation, storage, NOT NULL and generation expressions; partition key.
    Table,
    /// Identity columns, and the sequences that columns own.
    Sequences,
    /// The defaults of columns.
    Defaults,
    /// The primary key alone.
    PrimaryKey,
    /// Primary key, unique, check and exclusion constraints. Foreign keys are none of a table's own business.
    Constraints,
    /// Indexes that no constraint owns.
    Indexes,
    /// Triggers with their enabled state.
    Triggers,
    /// Rules with their enabled state.
    Rules,
    /// Row security and its policies.
    Policies,
    /// Privileges on the table, its columns and sequences. They must be given to roles that exist.
    Grants,
    /// The owner.
    Owner,
    /// What it inherits from or is a partition of.
    Parents,
}

impl Element {
    /// Everything but the parents; the primary key comes with the constraints.
    pub const ALL: &[Self] = &[
        Self::Table,
        Self::Sequences,
        Self::Defaults,
        Self::Constraints,
        Self::Indexes,
        Self::Triggers,
        Self::Rules,
        Self::Policies,
        Self::Grants,
        Self::Owner,
    ];
}

/// One thing that a table has.
pub(super) trait Part: fmt::Display {
    /// The statements that make it.
    fn create(&self, naming: &Naming) -> Result<Vec<String>>;

    /// The statements that take it away.
    fn remove(&self, naming: &Naming) -> Vec<String>;
}

/// `COMMENT ON`, if there is something to say.
pub(super) fn comment(on: impl fmt::Display, text: Option<&str>) -> Option<String> {
    text.map(|text| format!("COMMENT ON {on} IS {}", crate::db::quote::literal(Some(text))))
}

/// How triggers and rules fire: `pg_trigger.tgenabled`, `pg_rewrite.ev_enabled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub(super) enum Enabled {
    #[serde(rename = "O")]
    Origin,
    #[serde(rename = "D")]
    Never,
    #[serde(rename = "R")]
    Replica,
    #[serde(rename = "A")]
    Always,
}

impl Enabled {
    /// The action of `ALTER TABLE` that changes what is new and so `Origin`.
    pub(super) const fn action(self) -> Option<&'static str> {
        match self {
            Self::Origin => None,
            Self::Never => Some("DISABLE"),
            Self::Replica => Some("ENABLE REPLICA"),
            Self::Always => Some("ENABLE ALWAYS"),
        }
    }
}
