//! What is attached to a table: triggers, rules, policies, owner, parents.

use std::fmt;

use serde::Deserialize;

use super::definition::renamed;
use super::grant::role;
use super::naming::Naming;
use super::part::{Enabled, Part, comment};
use crate::Result;
use crate::db::{QualifiedName, quote};

pub(super) const TRIGGERS_SQL: &str = "
select coalesce(json_agg(json_build_object(
    'name', g.tgname,
    'definition', pg_get_triggerdef(g.oid),
    'enabled', g.tgenabled,
    'inherited', g.tgparentid <> 0,
    'comment', obj_description(g.oid, 'pg_trigger')
  ) order by g.tgname), '[]')
from pg_trigger g
where g.tgrelid = t.oid and not g.tgisinternal";

pub(super) const RULES_SQL: &str = "
select coalesce(json_agg(json_build_object(
    'name', r.rulename,
    'definition', pg_get_ruledef(r.oid),
    'enabled', r.ev_enabled,
    'comment', obj_description(r.oid, 'pg_rewrite')
  ) order by r.rulename), '[]')
from pg_rewrite r
where r.ev_class = t.oid and r.rulename <> '_RETURN'";

pub(super) const POLICIES_SQL: &str = "
select coalesce(json_agg(json_build_object(
    'name', p.polname,
    'permissive', p.polpermissive,
    'command', p.polcmd,
    'roles', (select json_agg(pg_get_userbyid(nullif(r, 0))) from unnest(p.polroles) r),
    'using', pg_get_expr(p.polqual, p.polrelid),
    'check', pg_get_expr(p.polwithcheck, p.polrelid),
    'comment', obj_description(p.oid, 'pg_policy')
  ) order by p.polname), '[]')
from pg_policy p
where p.polrelid = t.oid";

pub(super) const PARENTS_SQL: &str = "
select coalesce(json_agg(json_build_object(
    'name', json_build_object('schema', n.nspname, 'name', p.relname),
    'bound', pg_get_expr(t.relpartbound, t.oid)
  ) order by i.inhseqno), '[]')
from pg_inherits i
join pg_class p on p.oid = i.inhparent
join pg_namespace n on n.oid = p.relnamespace
where i.inhrelid = t.oid";

#[derive(Debug, Deserialize)]
pub(super) struct Trigger {
    name: String,
    definition: String,
    enabled: Enabled,
    /// From the partitioned table whose partition this is.
    pub(super) inherited: bool,
    comment: Option<String>,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trigger {}", quote::identifier(&self.name))
    }
}

impl Part for Trigger {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        let (table, name) = (naming.table(), quote::identifier(&self.name));
        let mut statements = vec![renamed(&self.definition, ("TRIGGER", &name), ("ON", &table))?];
        let action = self.enabled.action();
        statements.extend(action.map(|action| format!("ALTER TABLE {table} {action} TRIGGER {name}")));
        statements.extend(comment(format_args!("TRIGGER {name} ON {table}"), self.comment.as_deref()));
        Ok(statements)
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        vec![format!("DROP TRIGGER {} ON {}", quote::identifier(&self.name), naming.table())]
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    name: String,
    definition: String,
    enabled: Enabled,
    comment: Option<String>,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", quote::identifier(&self.name))
    }
}

impl Part for Rule {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        let (table, name) = (naming.table(), quote::identifier(&self.name));
        let definition = renamed(&self.definition, ("RULE", &name), ("TO", &table))?;
        let mut statements = vec![definition.trim_end_matches(';').to_owned()];
        let action = self.enabled.action();
        statements.extend(action.map(|action| format!("ALTER TABLE {table} {action} RULE {name}")));
        statements.extend(comment(format_args!("RULE {name} ON {table}"), self.comment.as_deref()));
        Ok(statements)
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        vec![format!("DROP RULE {} ON {}", quote::identifier(&self.name), naming.table())]
    }
}

/// Row security as a switch of the table.
#[derive(Debug, Deserialize)]
pub(super) struct RowSecurity {
    enabled: bool,
    /// The owner is subject to it, too.
    forced: bool,
}

impl fmt::Display for RowSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("row security")
    }
}

impl RowSecurity {
    pub(super) const fn is_used(&self) -> bool {
        self.enabled || self.forced
    }

    fn alter(&self, naming: &Naming, enable: &str, force: &str) -> Vec<String> {
        let alter = |action: &str| format!("ALTER TABLE ONLY {} {action} ROW LEVEL SECURITY", naming.table());
        let enabled = self.enabled.then(|| alter(enable));
        enabled.into_iter().chain(self.forced.then(|| alter(force))).collect()
    }
}

impl Part for RowSecurity {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        Ok(self.alter(naming, "ENABLE", "FORCE"))
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        self.alter(naming, "DISABLE", "NO FORCE")
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    name: String,
    permissive: bool,
    command: Command,
    /// `None` is everybody.
    roles: Vec<Option<String>>,
    using: Option<String>,
    check: Option<String>,
    comment: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Command {
    #[serde(rename = "*")]
    All,
    #[serde(rename = "r")]
    Select,
    #[serde(rename = "a")]
    Insert,
    #[serde(rename = "w")]
    Update,
    #[serde(rename = "d")]
    Delete,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {}", quote::identifier(&self.name))
    }
}

impl Part for Policy {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        let (table, name) = (naming.table(), quote::identifier(&self.name));
        let kind = if self.permissive { "PERMISSIVE" } else { "RESTRICTIVE" };
        let command = match self.command {
            Command::All => "ALL",
            Command::Select => "SELECT",
            Command::Insert => "INSERT",
            Command::Update => "UPDATE",
            Command::Delete => "DELETE",
        };
        let roles = self.roles.iter().map(|name| role(name.as_deref())).collect::<Vec<_>>().join(", ");
        let mut text = format!("CREATE POLICY {name} ON {table} AS {kind} FOR {command} TO {roles}");
        for (clause, expression) in [("USING", &self.using), ("WITH CHECK", &self.check)] {
            if let Some(expression) = expression {
                text.push_str(&format!(" {clause} ({expression})"));
            }
        }
        let comment = comment(format_args!("POLICY {name} ON {table}"), self.comment.as_deref());
        Ok(std::iter::once(text).chain(comment).collect())
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        vec![format!("DROP POLICY {} ON {}", quote::identifier(&self.name), naming.table())]
    }
}

/// The role that the table belongs to, and with it what belongs to the table.
pub(super) struct Owner<'a>(pub(super) &'a str);

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "owner {}", quote::identifier(self.0))
    }
}

impl Part for Owner<'_> {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        Ok(vec![format!("ALTER TABLE {} OWNER TO {}", naming.table(), quote::identifier(self.0))])
    }

    fn remove(&self, _: &Naming) -> Vec<String> {
        Vec::new()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Parent {
    name: QualifiedName,
    /// Present in partitions.
    pub(super) bound: Option<String>,
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parent {}", self.name)
    }
}

impl Part for Parent {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        let (table, parent) = (naming.table(), &self.name);
        Ok(vec![match &self.bound {
            Some(bound) => format!("ALTER TABLE ONLY {parent} ATTACH PARTITION {table} {bound}"),
            None => format!("ALTER TABLE {table} INHERIT {parent}"),
        }])
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        let (table, parent) = (naming.table(), &self.name);
        vec![match &self.bound {
            Some(_) => format!("ALTER TABLE {parent} DETACH PARTITION {table}"),
            None => format!("ALTER TABLE {table} NO INHERIT {parent}"),
        }]
    }
}
