//! Sequences: on their own, and those that columns own.

use std::fmt;

use serde::Deserialize;

use super::grant::{self, Privileges};
use super::naming::Naming;
use super::neutral::{neutral, read};
use super::part::{Part, comment};
use crate::db::{Connection, QualifiedName, quote};
use crate::{Error, Result};

/// One sequence, row `s` of `pg_class`, with the column that owns it. It will start with the value that comes next
/// here; one that is at its end, with its last value; one whose value we may not see, with none.
const ONE_SQL: &str = "
json_build_object(
    'name', s.relname,
    'schema', (select nspname from pg_namespace where oid = s.relnamespace),
    'column', o.attname,
    'identity', case when o.deptype = 'i' then o.attidentity::text end,
    'type', format_type(q.seqtypid, null),
    'unlogged', s.relpersistence = 'u',
    'start', case
        when not may.be_read then null
        when last.value is null then q.seqstart
        when last.value::numeric + q.seqincrement between q.seqmin and q.seqmax then last.value + q.seqincrement
        when not q.seqcycle then last.value
        when q.seqincrement > 0 then q.seqmin
        else q.seqmax
    end,
    'increment', q.seqincrement, 'minimum', q.seqmin, 'maximum', q.seqmax, 'cache', q.seqcache,
    'cycle', q.seqcycle,
    'owned_by', o.owner,
    'comment', obj_description(s.oid, 'pg_class'),
    'privileges', ({privileges}))";

const FROM_SQL: &str = "
from pg_class s
join pg_sequence q on q.seqrelid = s.oid
left join (select d.objid, d.deptype, d.refobjid, a.attnum, a.attname, a.attidentity,
                  json_build_object('schema', n.nspname, 'name', c.relname) as owner
           from pg_depend d
           join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
           join pg_class c on c.oid = d.refobjid
           join pg_namespace n on n.oid = c.relnamespace
           where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
             and d.refobjsubid > 0 and d.deptype in ('a', 'i')) o on o.objid = s.oid
cross join lateral (select has_sequence_privilege(s.oid, 'usage, select')) may (be_read)
cross join lateral (select case when may.be_read then pg_sequence_last_value(s.oid) end) last (value)
where s.relkind = 'S'";

/// The sequences of the table `t`.
pub(super) fn of_table_sql() -> String {
    let one = one_sql();
    format!(
        "select coalesce(json_agg({one} order by o.attnum, s.relname), '[]') {FROM_SQL} and o.refobjid = t.oid"
    )
}

fn one_sql() -> String {
    let privileges = grant::SQL.replace("{relation}", "s").replace("{kind}", "s");
    ONE_SQL.replace("{privileges}", &privileges)
}

/// A sequence.
#[derive(Debug, Deserialize)]
pub struct Sequence {
    name: String,
    schema: String,
    column: Option<String>,
    identity: Option<Identity>,
    #[serde(rename = "type")]
    kind: String,
    unlogged: bool,
    start: Option<i64>,
    increment: i64,
    minimum: i64,
    maximum: i64,
    cache: i64,
    cycle: bool,
    owned_by: Option<QualifiedName>,
    comment: Option<String>,
    pub(super) privileges: Privileges,
}

/// How an identity column gets its values.
#[derive(Clone, Copy, Debug, Deserialize)]
enum Identity {
    #[serde(rename = "a")]
    Always,
    #[serde(rename = "d")]
    ByDefault,
}

impl Sequence {
    /// Reads it from the catalog. A sequence that is not there is an error.
    pub async fn load(connection: &Connection, name: &QualifiedName) -> Result<Self> {
        let sql = format!(
            "select {} {FROM_SQL} and s.relname = {} \
             and s.relnamespace = (select oid from pg_namespace where nspname = {})",
            one_sql(),
            quote::literal(Some(&name.name)),
            quote::literal(Some(&name.schema)),
        );
        let found: Option<Self> = read(connection, &sql).await?;
        found.ok_or_else(|| Error::bad(format!("{}: there is no sequence {name}", connection.name())))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> QualifiedName {
        QualifiedName::new(&self.schema, &self.name)
    }

    /// The column that owns it: table and name.
    #[must_use]
    pub fn owned_by(&self) -> Option<(&QualifiedName, &str)> {
        Some((self.owned_by.as_ref()?, self.column.as_deref()?))
    }

    /// The statements that make it under this name, owned by no column. It starts with the value that comes next in
    /// the one that was read; if whoever read it may not see that, this is an error.
    pub fn create_statements(&self, name: &QualifiedName) -> Result<Vec<String>> {
        let unlogged = if self.unlogged { "UNLOGGED " } else { "" };
        let parameters = self.parameters()?;
        let mut statements = vec![format!("CREATE {unlogged}SEQUENCE {name} AS {} {parameters}", self.kind)];
        statements.extend(comment(format_args!("SEQUENCE {name}"), self.comment.as_deref()));
        Ok(statements)
    }

    /// Makes it under this name, owned by no column.
    pub async fn create(&self, target: &Connection, name: &QualifiedName) -> Result<()> {
        target.batch(&neutral(&self.create_statements(name)?.join(";\n"))).await
    }

    /// Whether the value comes from the column being an identity.
    pub(super) const fn is_identity(&self) -> bool {
        self.identity.is_some()
    }

    pub(super) fn plain_name(&self) -> &str {
        &self.name
    }

    fn parameters(&self) -> Result<String> {
        // To begin anew would give numbers that rows have already.
        let start = self.start.ok_or_else(|| {
            Error::bad(format!("the next value of sequence {} takes USAGE or SELECT on it", self.name()))
        })?;
        Ok(format!(
            "START WITH {start} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {} {}",
            self.increment,
            self.minimum,
            self.maximum,
            self.cache,
            if self.cycle { "CYCLE" } else { "NO CYCLE" }
        ))
    }

    /// The column of the table it was read with.
    fn owner_column(&self) -> String {
        quote::identifier(self.column.as_deref().unwrap_or_default()).into_owned()
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_identity() { "identity" } else { "sequence" };
        write!(f, "{kind} {}", quote::identifier(&self.name))
    }
}

/// As a part of the table that owns it.
impl Part for Sequence {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        let (table, column) = (naming.table(), self.owner_column());
        let name = naming.sequence(&self.name);
        if let Some(identity) = self.identity {
            let how = match identity {
                Identity::Always => "ALWAYS",
                Identity::ByDefault => "BY DEFAULT",
            };
            let add = format!(
                "ALTER TABLE {table} ALTER COLUMN {column} ADD GENERATED {how} AS IDENTITY \
                 (SEQUENCE NAME {name} {})",
                self.parameters()?
            );
            let comment = comment(format_args!("SEQUENCE {name}"), self.comment.as_deref());
            return Ok(std::iter::once(add).chain(comment).collect());
        }
        let mut statements =
            if naming.is_waiting(&self.name) { Vec::new() } else { self.create_statements(&name)? };
        statements.push(format!("ALTER SEQUENCE {name} OWNED BY {table}.{column}"));
        Ok(statements)
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        vec![if self.is_identity() {
            format!("ALTER TABLE {} ALTER COLUMN {} DROP IDENTITY", naming.table(), self.owner_column())
        } else {
            format!("DROP SEQUENCE {}", naming.sequence(&self.name))
        }]
    }
}
