//! Indexes, and constraints, of which some are indexes.

use std::fmt;

use serde::Deserialize;

use super::column::settings;
use super::definition::renamed;
use super::naming::Naming;
use super::part::{Part, comment};
use crate::Result;
use crate::db::quote;

pub(super) const CONSTRAINTS_SQL: &str = "
select coalesce(json_agg(json_build_object(
    'name', c.conname,
    'primary', c.contype = 'p',
    'definition', pg_get_constraintdef(c.oid),
    'index', (select json_build_object('clustered', i.indisclustered, 'identity', i.indisreplident,
                     'options', x.reloptions, 'comment', obj_description(x.oid, 'pg_class'))
              from pg_index i join pg_class x on x.oid = i.indexrelid
              where i.indexrelid = c.conindid and c.contype in ('p', 'u', 'x')),
    'comment', obj_description(c.oid, 'pg_constraint')
  ) order by array_position(array['p', 'u', 'x', 'c'], c.contype::text), c.conname), '[]')
from pg_constraint c
where c.conrelid = t.oid and c.contype in ('p', 'u', 'x', 'c')";

pub(super) const INDEXES_SQL: &str = "
select coalesce(json_agg(json_build_object(
    'name', x.relname,
    'definition', pg_get_indexdef(i.indexrelid),
    'statistics', (select json_agg(json_build_array(a.attnum, a.attstattarget) order by a.attnum)
                   from pg_attribute a where a.attrelid = i.indexrelid and a.attstattarget >= 0),
    'index', json_build_object('clustered', i.indisclustered, 'identity', i.indisreplident,
             'options', null, 'comment', obj_description(x.oid, 'pg_class'))
  ) order by x.relname), '[]')
from pg_index i join pg_class x on x.oid = i.indexrelid
where i.indrelid = t.oid and (i.indisvalid or t.relkind = 'p') and i.indisready
  and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x'))";

/// What the table's owner has said of an index.
#[derive(Debug, Deserialize)]
struct Marks {
    clustered: bool,
    identity: bool,
    /// Storage parameters that its definition does not tell.
    options: Option<Vec<String>>,
    comment: Option<String>,
}

impl Marks {
    fn statements(&self, naming: &Naming, name: &str) -> Vec<String> {
        let (table, index, qualified) = (naming.table(), naming.index(name), naming.qualified_index(name));
        let mut statements = Vec::new();
        if let Some(options) = &self.options {
            statements.push(format!("ALTER INDEX {qualified} SET ({})", settings(options)));
        }
        if self.clustered {
            statements.push(format!("ALTER TABLE {table} CLUSTER ON {index}"));
        }
        if self.identity {
            statements.push(format!("ALTER TABLE ONLY {table} REPLICA IDENTITY USING INDEX {index}"));
        }
        statements.extend(comment(format_args!("INDEX {qualified}"), self.comment.as_deref()));
        statements
    }
}

/// A primary key, unique, check or exclusion constraint.
#[derive(Debug, Deserialize)]
pub(super) struct Constraint {
    pub(super) name: String,
    pub(super) primary: bool,
    definition: String,
    /// Present when the constraint is an index.
    index: Option<Marks>,
    comment: Option<String>,
}

impl Constraint {
    /// Whether it shares the names of relations.
    pub(super) const fn is_index(&self) -> bool {
        self.index.is_some()
    }

    fn name(&self, naming: &Naming) -> String {
        if self.is_index() { naming.index(&self.name) } else { quote::identifier(&self.name).into_owned() }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "constraint {}", quote::identifier(&self.name))
    }
}

impl Part for Constraint {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        let (table, name) = (naming.table(), self.name(naming));
        let mut statements =
            vec![format!("ALTER TABLE ONLY {table} ADD CONSTRAINT {name} {}", self.definition)];
        if let Some(index) = &self.index {
            statements.extend(index.statements(naming, &self.name));
        }
        statements.extend(comment(format_args!("CONSTRAINT {name} ON {table}"), self.comment.as_deref()));
        Ok(statements)
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        vec![format!("ALTER TABLE {} DROP CONSTRAINT {}", naming.table(), self.name(naming))]
    }
}

/// An index that no constraint owns.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    pub(super) name: String,
    definition: String,
    /// Statistics targets of its expressions, by their place.
    statistics: Option<Vec<(i16, i32)>>,
    index: Marks,
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index {}", quote::identifier(&self.name))
    }
}

impl Part for Index {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        let name = naming.index(&self.name);
        let mut statements = vec![renamed(&self.definition, ("INDEX", &name), ("ON", &naming.table()))?];
        for (place, target) in self.statistics.iter().flatten() {
            let index = naming.qualified_index(&self.name);
            statements.push(format!("ALTER INDEX {index} ALTER COLUMN {place} SET STATISTICS {target}"));
        }
        statements.extend(self.index.statements(naming, &self.name));
        Ok(statements)
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        vec![format!("DROP INDEX {}", naming.qualified_index(&self.name))]
    }
}
