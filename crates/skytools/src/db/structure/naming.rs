//! What things shall be called where they are made.

use std::collections::{BTreeMap, BTreeSet};

use super::table::Table;
use crate::db::catalog::QualifiedName;
use crate::db::{Connection, quote};
use crate::{Error, Result};

/// Names of at most 63 bytes are kept whole by the server; `_999` must fit.
const ROOM: usize = 63 - 4;

/// The names of a table and of what it has, for one place; and what the server there understands.
#[derive(Debug)]
pub(super) struct Naming {
    /// The table.
    pub(super) table: QualifiedName,
    /// The table's former name, which some default names are derived from.
    pub(super) former: QualifiedName,
    /// `server_version_num` of the place.
    pub(super) version: i32,
    /// Indexes, and constraints that are indexes, with new names.
    indexes: BTreeMap<String, String>,
    /// Sequences with new names.
    sequences: BTreeMap<String, String>,
    /// Sequences that are there already and belong to nobody, by new name.
    waiting: BTreeSet<String>,
}

impl Naming {
    /// Everything as it was read.
    pub(super) fn kept(table: &Table) -> Self {
        Self {
            table: table.name(),
            former: table.name(),
            version: table.version,
            indexes: BTreeMap::new(),
            sequences: BTreeMap::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// For a place in another database or under another name. Under another name indexes get a number, the first that
    /// is free; a sequence gets one only if its name is taken. Sequences that are there and that no column owns are
    /// taken as they are.
    pub(super) async fn found(table: &Table, name: &QualifiedName, target: &Connection) -> Result<Self> {
        let sql = "select current_setting('server_version_num')::int, \
                   current_setting('standard_conforming_strings')::bool";
        let row = target.query_one(sql, &[]).await?;
        if !row.get::<_, bool>(1) {
            // A message is read as a whole before its first statement could change that.
            let target = target.name();
            return Err(Error::usage(format!(
                "{target}: standard_conforming_strings must be on to make {name}"
            )));
        }
        let mut naming = Self { table: name.clone(), version: row.get(0), ..Self::kept(table) };
        let mut chosen = Vec::new();
        if naming.table != naming.former {
            for old in table.index_names() {
                let new = naming.first_free(old, &chosen, target).await?;
                chosen.push(new.clone());
                naming.indexes.insert(old.to_owned(), new);
            }
        }
        for sequence in &table.sequences {
            let old = sequence.plain_name();
            match naming.occupant(old, target).await? {
                None | Some(Occupant::Own) => {}
                Some(Occupant::FreeSequence) if !sequence.is_identity() => {
                    naming.waiting.insert(old.to_owned());
                }
                Some(_) => {
                    let new = naming.first_free(old, &chosen, target).await?;
                    chosen.push(new.clone());
                    naming.sequences.insert(old.to_owned(), new);
                }
            }
        }
        Ok(naming)
    }

    /// The table, quoted.
    pub(super) fn table(&self) -> String {
        self.table.to_string()
    }

    /// An index or a constraint that is one, quoted.
    pub(super) fn index(&self, old: &str) -> String {
        quote::identifier(self.indexes.get(old).map_or(old, String::as_str)).into_owned()
    }

    /// An index with its schema, quoted.
    pub(super) fn qualified_index(&self, old: &str) -> String {
        format!("{}.{}", quote::identifier(&self.table.schema), self.index(old))
    }

    /// A sequence that a column of the table owns: always in the table's schema.
    pub(super) fn sequence(&self, old: &str) -> QualifiedName {
        QualifiedName::new(&self.table.schema, self.sequences.get(old).map_or(old, String::as_str))
    }

    /// Whether the sequence is there and only waits for its owner.
    pub(super) fn is_waiting(&self, old: &str) -> bool {
        self.waiting.contains(old)
    }

    /// `old_1` … `old_999`: the first that neither the schema nor `chosen` has.
    async fn first_free(&self, old: &str, chosen: &[String], target: &Connection) -> Result<String> {
        let base = &old[..old.floor_char_boundary(ROOM)];
        let sql = "select $1::text || '_' || number from pg_catalog.generate_series(1, 999) number \
                   where not exists (select from pg_catalog.pg_class c \
                             join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                             where n.nspname = $2::text and c.relname = $1::text || '_' || number) \
                     and $1::text || '_' || number <> all ($3::text[]) \
                   order by number limit 1";
        let row = target.query_opt(sql, &[&base, &self.table.schema, &chosen]).await?;
        row.map(|row| row.get(0))
            .ok_or_else(|| Error::bad(format!("no free name for {old}: {base}_1 to {base}_999 are taken")))
    }

    /// What has the name that a sequence should get.
    async fn occupant(&self, name: &str, target: &Connection) -> Result<Option<Occupant>> {
        let sql = "select c.relkind = 'S', t.oid is not null, t.relname is not distinct from $3::text \
                   from pg_catalog.pg_class c \
                   join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                   left join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::regclass \
                        and d.objid = c.oid and d.refclassid = 'pg_catalog.pg_class'::regclass \
                        and d.deptype in ('a', 'i') \
                   left join pg_catalog.pg_class t on t.oid = d.refobjid \
                   where n.nspname = $1::text and c.relname = $2::text";
        let row = target.query_opt(sql, &[&self.table.schema, &name, &self.table.name]).await?;
        Ok(row.map(|row| match (row.get(0), row.get(1), row.get(2)) {
            (true, true, true) => Occupant::Own,
            (true, false, _) => Occupant::FreeSequence,
            _ => Occupant::Other,
        }))
    }
}

enum Occupant {
    /// The sequence of the table itself, made earlier: a sequence is in the schema of its table.
    Own,
    FreeSequence,
    Other,
}
