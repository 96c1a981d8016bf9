//! A table as a whole.

use std::fmt;

use serde::Deserialize;

use super::attachments::{
    Owner, PARENTS_SQL, POLICIES_SQL, Parent, Policy, RULES_SQL, RowSecurity, Rule, TRIGGERS_SQL, Trigger,
};
use super::column::{self, Column, settings};
use super::grant::{self, Grants, Privileges};
use super::index::{CONSTRAINTS_SQL, Constraint, INDEXES_SQL, Index};
use super::naming::Naming;
use super::neutral::{neutral, read};
use super::part::{Element, Part, comment};
use super::sequence::{self, Sequence};
use crate::db::{Connection, QualifiedName, catalog};
use crate::{Error, Result};

/// The table itself, row `t` of `pg_class`.
const SQL: &str = "
select json_build_object(
    'version', current_setting('server_version_num')::int,
    'schema', n.nspname,
    'name', t.relname,
    'owner', pg_get_userbyid(t.relowner),
    'unlogged', t.relpersistence = 'u',
    'access_method', (select amname from pg_am where oid = t.relam and amname <> 'heap'),
    'options', array(select unnest(t.reloptions)
                     union all select 'toast.' || unnest(x.reloptions) from pg_class x where x.oid = t.reltoastrelid),
    'partition_key', pg_get_partkeydef(t.oid),
    'replica_identity', t.relreplident,
    'row_security', json_build_object('enabled', t.relrowsecurity, 'forced', t.relforcerowsecurity),
    'comment', obj_description(t.oid, 'pg_class'),
    'columns', ({columns}),
    'sequences', ({sequences}),
    'constraints', ({constraints}),
    'indexes', ({indexes}),
    'triggers', ({triggers}),
    'rules', ({rules}),
    'policies', ({policies}),
    'privileges', ({privileges}),
    'parents', ({parents}))
from pg_class t join pg_namespace n on n.oid = t.relnamespace
where t.oid = {oid} and t.relkind in ('r', 'p')";

/// The structure of a table, ordinary or partitioned.
#[derive(Debug, Deserialize)]
pub struct Table {
    /// `server_version_num` of where it was read.
    pub(super) version: i32,
    schema: String,
    name: String,
    owner: String,
    unlogged: bool,
    access_method: Option<String>,
    options: Vec<String>,
    partition_key: Option<String>,
    replica_identity: ReplicaIdentity,
    row_security: RowSecurity,
    comment: Option<String>,
    columns: Vec<Column>,
    pub(super) sequences: Vec<Sequence>,
    constraints: Vec<Constraint>,
    indexes: Vec<Index>,
    triggers: Vec<Trigger>,
    rules: Vec<Rule>,
    policies: Vec<Policy>,
    privileges: Privileges,
    parents: Vec<Parent>,
}

/// What updates and deletes tell logical replication of the old row. That of an index is told by the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum ReplicaIdentity {
    #[serde(rename = "d")]
    Default,
    #[serde(rename = "n")]
    Nothing,
    #[serde(rename = "f")]
    Full,
    #[serde(rename = "i")]
    Index,
}

impl Table {
    /// Reads it from the catalog, all of it at one moment. What is not there, or is no table, is an error.
    pub async fn load(connection: &Connection, name: &QualifiedName) -> Result<Self> {
        let oid = catalog::table_oid(connection, name).await?;
        let privileges = grant::SQL.replace("{relation}", "t").replace("{kind}", "r");
        let sql = SQL
            .replace("{columns}", column::SQL)
            .replace("{sequences}", &sequence::of_table_sql())
            .replace("{constraints}", CONSTRAINTS_SQL)
            .replace("{indexes}", INDEXES_SQL)
            .replace("{triggers}", TRIGGERS_SQL)
            .replace("{rules}", RULES_SQL)
            .replace("{policies}", POLICIES_SQL)
            .replace("{privileges}", &privileges)
            .replace("{parents}", PARENTS_SQL)
            .replace("{oid}", &oid.to_string());
        let table: Option<Self> = read(connection, &sql).await?;
        table.ok_or_else(|| {
            Error::bad(format!("{}: {name} is no ordinary or partitioned table", connection.name()))
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> QualifiedName {
        QualifiedName::new(&self.schema, &self.name)
    }

    /// What it has of these elements, each as `kind name`, in the order in which they are made.
    #[must_use]
    pub fn list(&self, elements: &[Element]) -> Vec<String> {
        self.parts(elements).iter().map(ToString::to_string).collect()
    }

    /// The statements that make these elements as they were read.
    pub fn create_statements(&self, elements: &[Element]) -> Result<Vec<String>> {
        self.statements(elements, &Naming::kept(self))
    }

    /// The statements that make these elements in the target under this name, which may be its own. Under another
    /// name its indexes, and the constraints that are indexes, get a suffix `_1` … `_999`, the first that is free in
    /// the target; sequences only if their name is taken there.
    pub async fn create_statements_at(
        &self,
        target: &Connection,
        elements: &[Element],
        name: &QualifiedName,
    ) -> Result<Vec<String>> {
        self.statements(elements, &Naming::found(self, name, target).await?)
    }

    /// Makes these elements in the target under this name: all or none of them. See
    /// [`create_statements_at`](Self::create_statements_at) for names.
    pub async fn create(
        &self,
        target: &Connection,
        elements: &[Element],
        name: &QualifiedName,
    ) -> Result<()> {
        let statements = self.create_statements_at(target, elements, name).await?;
        // Statements that come together are one transaction, also where each would be one.
        target.batch(&neutral(&statements.join(";\n"))).await
    }

    /// The statements that drop these elements, the last one made first.
    #[must_use]
    pub fn drop_statements(&self, elements: &[Element]) -> Vec<String> {
        let naming = Naming::kept(self);
        self.parts(elements).iter().rev().flat_map(|part| part.remove(&naming)).collect()
    }

    /// Drops these elements from the database where it was read: all or none of them.
    pub async fn drop(&self, connection: &Connection, elements: &[Element]) -> Result<()> {
        connection.batch(&self.drop_statements(elements).join(";\n")).await
    }

    /// Indexes, and constraints that are indexes.
    pub(super) fn index_names(&self) -> impl Iterator<Item = &str> {
        let constraints = self.constraints.iter().filter(|constraint| constraint.is_index());
        let indexes = self.indexes.iter().map(|index| index.name.as_str());
        constraints.map(|constraint| constraint.name.as_str()).chain(indexes)
    }

    fn statements(&self, elements: &[Element], naming: &Naming) -> Result<Vec<String>> {
        let mut statements = Vec::new();
        for part in self.parts(elements) {
            statements.extend(part.create(naming)?);
        }
        Ok(statements)
    }

    fn parts(&self, elements: &[Element]) -> Vec<Box<dyn Part + '_>> {
        let wants = |element| elements.contains(&element);
        // A partition that is attached gets the triggers of the whole.
        let will_inherit =
            wants(Element::Parents) && self.parents.iter().any(|parent| parent.bound.is_some());
        let mut parts = Parts::default();
        parts.add(wants(Element::Table), [Whole(self)]);
        parts.add(wants(Element::Sequences), &self.sequences);
        parts.add(wants(Element::Defaults), self.columns.iter().filter_map(Column::default));
        let all = wants(Element::Constraints);
        let constraints = self.constraints.iter().filter(|c| all || c.primary);
        parts.add(all || wants(Element::PrimaryKey), constraints);
        parts.add(wants(Element::Indexes), &self.indexes);
        let triggers = self.triggers.iter().filter(|trigger| !(trigger.inherited && will_inherit));
        parts.add(wants(Element::Triggers), triggers);
        parts.add(wants(Element::Rules), &self.rules);
        parts.add(wants(Element::Policies) && self.row_security.is_used(), [&self.row_security]);
        parts.add(wants(Element::Policies), &self.policies);
        let sequences = self.sequences.iter().map(|s| (s.plain_name(), &s.privileges)).collect();
        let keeps_owner = wants(Element::Owner);
        parts.add(wants(Element::Grants), [Grants { table: &self.privileges, sequences, keeps_owner }]);
        parts.add(wants(Element::Owner), [Owner(&self.owner)]);
        parts.add(wants(Element::Parents), &self.parents);
        parts.0
    }
}

#[derive(Default)]
struct Parts<'a>(Vec<Box<dyn Part + 'a>>);

impl<'a> Parts<'a> {
    fn add<P: Part + 'a>(&mut self, wanted: bool, parts: impl IntoIterator<Item = P>) {
        if wanted {
            self.0.extend(parts.into_iter().map(|part| Box::new(part) as Box<dyn Part + 'a>));
        }
    }
}

impl<P: Part> Part for &P {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        (*self).create(naming)
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        (*self).remove(naming)
    }
}

/// The table without all that can come later.
struct Whole<'a>(&'a Table);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}", self.0.name())
    }
}

impl Part for Whole<'_> {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        let (it, table) = (self.0, naming.table());
        let columns: Vec<_> = it.columns.iter().map(|column| column.definition(naming)).collect();
        let unlogged = if it.unlogged { "UNLOGGED " } else { "" };
        let mut text = format!("CREATE {unlogged}TABLE {table} (\n    {}\n)", columns.join(",\n    "));
        if let Some(key) = &it.partition_key {
            text.push_str(&format!(" PARTITION BY {key}"));
        }
        if let Some(method) = &it.access_method {
            text.push_str(&format!(" USING {}", crate::db::quote::identifier(method)));
        }
        if !it.options.is_empty() {
            text.push_str(&format!(" WITH ({})", settings(&it.options)));
        }
        let mut statements = vec![text];
        let identity = match it.replica_identity {
            ReplicaIdentity::Nothing => Some("NOTHING"),
            ReplicaIdentity::Full => Some("FULL"),
            ReplicaIdentity::Default | ReplicaIdentity::Index => None,
        };
        statements.extend(identity.map(|what| format!("ALTER TABLE ONLY {table} REPLICA IDENTITY {what}")));
        statements.extend(comment(format_args!("TABLE {table}"), it.comment.as_deref()));
        statements.extend(it.columns.iter().flat_map(|column| column.alterations(naming)));
        Ok(statements)
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        vec![format!("DROP TABLE {}", naming.table())]
    }
}
