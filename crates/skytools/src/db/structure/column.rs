//! Columns and their defaults.

use std::fmt;

use serde::Deserialize;

use super::naming::Naming;
use super::part::{Part, comment};
use crate::Result;
use crate::db::{QualifiedName, quote};

/// The first server that has NOT NULL constraints with names.
const NAMED_NOT_NULL: i32 = 180_000;

pub(super) const SQL: &str = "
select coalesce(json_agg(json_build_object(
    'name', a.attname,
    'type', format_type(a.atttypid, a.atttypmod),
    'collation', (select json_build_object('schema', n.nspname, 'name', c.collname)
                  from pg_collation c join pg_namespace n on n.oid = c.collnamespace
                  where c.oid = a.attcollation and a.attcollation <> ty.typcollation),
    'not_null', a.attnotnull,
    'constraint', (select json_build_object('name', n.conname, 'no_inherit', n.connoinherit,
                          'validated', n.convalidated, 'comment', obj_description(n.oid, 'pg_constraint'))
                   from pg_constraint n
                   where n.conrelid = t.oid and n.contype = 'n' and n.conkey[1] = a.attnum),
    'generated', nullif(a.attgenerated::text, ''),
    'expression', pg_get_expr(d.adbin, d.adrelid),
    'serial', (select s.relname
               from pg_depend o join pg_class s on s.oid = o.objid and s.relkind = 'S'
               where o.classid = 'pg_class'::regclass and o.refclassid = 'pg_class'::regclass
                 and o.refobjid = t.oid and o.refobjsubid = a.attnum and o.deptype = 'a'
                 and pg_get_expr(d.adbin, d.adrelid) = format(
                        'nextval(''%s''::regclass)', replace(s.oid::regclass::text, '''', ''''''))),
    'storage', case when a.attstorage <> ty.typstorage then a.attstorage::text end,
    'compression', nullif(a.attcompression::text, ''),
    'statistics', nullif(a.attstattarget, -1),
    'options', (select json_agg(o) from unnest(a.attoptions) o where not starts_with(o, 'pg_')),
    'comment', col_description(t.oid, a.attnum)
  ) order by a.attnum), '[]')
from pg_attribute a
join pg_type ty on ty.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped";

#[derive(Debug, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    #[serde(rename = "type")]
    kind: String,
    collation: Option<QualifiedName>,
    not_null: bool,
    constraint: Option<NotNull>,
    generated: Option<Generated>,
    expression: Option<String>,
    /// The sequence that the column owns and whose next value is the whole default.
    serial: Option<String>,
    storage: Option<Storage>,
    compression: Option<Compression>,
    statistics: Option<i32>,
    /// Without the server's own notes, such as `pg_attver`, which newer minor releases keep here.
    options: Option<Vec<String>>,
    comment: Option<String>,
}

/// NOT NULL as a constraint.
#[derive(Debug, Deserialize)]
struct NotNull {
    name: String,
    no_inherit: bool,
    validated: bool,
    comment: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Generated {
    #[serde(rename = "s")]
    Stored,
    #[serde(rename = "v")]
    Virtual,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Storage {
    #[serde(rename = "p")]
    Plain,
    #[serde(rename = "e")]
    External,
    #[serde(rename = "m")]
    Main,
    #[serde(rename = "x")]
    Extended,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Compression {
    #[serde(rename = "p")]
    Pglz,
    #[serde(rename = "l")]
    Lz4,
}

impl Column {
    /// As `CREATE TABLE` lists it.
    pub(super) fn definition(&self, naming: &Naming) -> String {
        let mut text = format!("{} {}", quote::identifier(&self.name), self.kind);
        if let Some(collation) = &self.collation {
            text.push_str(&format!(" COLLATE {collation}"));
        }
        if let (Some(how), Some(expression)) = (self.generated, &self.expression) {
            let how = match how {
                Generated::Stored => "STORED",
                Generated::Virtual => "VIRTUAL",
            };
            text.push_str(&format!(" GENERATED ALWAYS AS ({expression}) {how}"));
        }
        text.push_str(&self.not_null(naming));
        text
    }

    fn not_null(&self, naming: &Naming) -> String {
        match &self.constraint {
            _ if !self.not_null => String::new(),
            None => " NOT NULL".to_owned(),
            Some(constraint) if naming.version < NAMED_NOT_NULL => {
                if constraint.validated {
                    " NOT NULL".to_owned()
                } else {
                    String::new()
                }
            }
            // It comes when the table is there: a column cannot be declared so.
            Some(constraint) if !constraint.validated => String::new(),
            Some(constraint) => {
                let usual = format!("{}_{}_not_null", naming.former.name, self.name);
                let name = if constraint.name == usual && constraint.comment.is_none() {
                    String::new()
                } else {
                    format!(" CONSTRAINT {}", quote::identifier(&constraint.name))
                };
                let no_inherit = if constraint.no_inherit { " NO INHERIT" } else { "" };
                format!("{name} NOT NULL{no_inherit}")
            }
        }
    }

    /// What can be said only when the table is there.
    pub(super) fn alterations(&self, naming: &Naming) -> Vec<String> {
        let table = naming.table();
        let name = quote::identifier(&self.name);
        let alter = |action: String| format!("ALTER TABLE ONLY {table} ALTER COLUMN {name} {action}");
        let mut statements = Vec::new();
        if let Some(storage) = self.storage {
            statements.push(alter(format!(
                "SET STORAGE {}",
                match storage {
                    Storage::Plain => "PLAIN",
                    Storage::External => "EXTERNAL",
                    Storage::Main => "MAIN",
                    Storage::Extended => "EXTENDED",
                }
            )));
        }
        if let Some(compression) = self.compression {
            statements.push(alter(format!(
                "SET COMPRESSION {}",
                match compression {
                    Compression::Pglz => "pglz",
                    Compression::Lz4 => "lz4",
                }
            )));
        }
        statements.extend(self.statistics.map(|target| alter(format!("SET STATISTICS {target}"))));
        statements.extend(self.options.as_ref().map(|options| alter(format!("SET ({})", settings(options)))));
        statements.extend(comment(format_args!("COLUMN {table}.{name}"), self.comment.as_deref()));
        if let Some(constraint) = &self.constraint
            && naming.version >= NAMED_NOT_NULL
        {
            let called = quote::identifier(&constraint.name);
            if !constraint.validated {
                let no_inherit = if constraint.no_inherit { " NO INHERIT" } else { "" };
                statements.push(format!(
                    "ALTER TABLE ONLY {table} ADD CONSTRAINT {called} NOT NULL {name}{no_inherit} NOT VALID"
                ));
            }
            statements.extend(comment(
                format_args!("CONSTRAINT {called} ON {table}"),
                constraint.comment.as_deref(),
            ));
        }
        statements
    }

    pub(super) fn default(&self) -> Option<Default<'_>> {
        let expression = self.expression.as_deref().filter(|_| self.generated.is_none())?;
        Some(Default { column: self, expression })
    }
}

/// `name=value` as the catalog stores it, for `WITH (…)` and `SET (…)`.
pub(super) fn settings(options: &[String]) -> String {
    let setting = |option: &String| {
        let (name, value) = option.split_once('=').unwrap_or((option, "true"));
        // toast.autovacuum_enabled has a dot that belongs to the grammar.
        let name: Vec<_> = name.split('.').map(quote::identifier).collect();
        format!("{} = {}", name.join("."), quote::literal(Some(value)))
    };
    options.iter().map(setting).collect::<Vec<_>>().join(", ")
}

/// The default of a column.
pub(super) struct Default<'a> {
    column: &'a Column,
    expression: &'a str,
}

impl fmt::Display for Default<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "default of {}", quote::identifier(&self.column.name))
    }
}

impl Part for Default<'_> {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        let expression = match &self.column.serial {
            Some(sequence) => {
                let sequence = naming.sequence(sequence).to_string();
                format!("pg_catalog.nextval({}::pg_catalog.regclass)", quote::literal(Some(&sequence)))
            }
            None => self.expression.to_owned(),
        };
        Ok(vec![self.alter(naming, &format!("SET DEFAULT {expression}"))])
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        vec![self.alter(naming, "DROP DEFAULT")]
    }
}

impl Default<'_> {
    fn alter(&self, naming: &Naming, action: &str) -> String {
        let column = quote::identifier(&self.column.name);
        format!("ALTER TABLE ONLY {} ALTER COLUMN {column} {action}", naming.table())
    }
}
