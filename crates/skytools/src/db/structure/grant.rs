//! Privileges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use super::naming::Naming;
use super::part::Part;
use crate::Result;
use crate::db::quote;

/// The first server that has MAINTAIN.
const MAINTAIN: i32 = 170_000;

/// The privileges on a relation: `{relation}` is its row of `pg_class`, `{kind}` what `acldefault` calls it.
pub(super) const SQL: &str = "
select json_build_object(
    'taken', (select coalesce(json_agg(d.privilege_type), '[]')
              from aclexplode(acldefault('{kind}', {relation}.relowner)) d
              where {relation}.relacl is not null and not exists (
                  select from aclexplode({relation}.relacl) o
                  where o.grantee = {relation}.relowner and o.privilege_type = d.privilege_type)),
    'given', (select coalesce(json_agg(json_build_object(
                      'column', g.attname, 'grantee', pg_get_userbyid(nullif(g.grantee, 0)),
                      'to_owner', g.grantee = {relation}.relowner,
                      'privilege', g.privilege_type, 'grantable', g.is_grantable)), '[]')
              from (select null as attname, 0 as attnum, acl.*
                    from aclexplode({relation}.relacl) acl
                    union all
                    select a.attname, a.attnum, acl.*
                    from pg_attribute a, aclexplode(a.attacl) acl
                    where a.attrelid = {relation}.oid and not a.attisdropped) g))";

/// The privileges on a relation.
#[derive(Debug, Deserialize)]
pub(super) struct Privileges {
    /// What the owner has taken from itself.
    taken: Vec<String>,
    given: Vec<Grant>,
}

#[derive(Debug, Deserialize)]
struct Grant {
    column: Option<String>,
    /// `None` is everybody.
    grantee: Option<String>,
    to_owner: bool,
    privilege: String,
    grantable: bool,
}

impl Privileges {
    /// As text. Who has granted what is not kept: all come from the owner. The owner's own come with the ownership.
    fn grants(&self, on: &str, keeps_owner: bool, version: i32) -> Vec<String> {
        let known = |privilege: &str| version >= MAINTAIN || privilege != "MAINTAIN";
        let mut statements = Vec::new();
        let taken: Vec<_> = self.taken.iter().map(String::as_str).filter(|taken| known(taken)).collect();
        if keeps_owner && !taken.is_empty() {
            statements.push(format!("REVOKE {} ON {on} FROM CURRENT_USER", taken.join(", ")));
        }
        let mut by_grantee: BTreeMap<(Option<&str>, bool), BTreeSet<String>> = BTreeMap::new();
        for grant in self.given.iter().filter(|grant| known(&grant.privilege)) {
            if grant.to_owner && keeps_owner && grant.column.is_none() {
                continue;
            }
            let column = grant
                .column
                .as_ref()
                .map_or_else(String::new, |column| format!(" ({})", quote::identifier(column)));
            let privilege = format!("{}{column}", grant.privilege);
            by_grantee.entry((grant.grantee.as_deref(), grant.grantable)).or_default().insert(privilege);
        }
        for ((grantee, grantable), privileges) in by_grantee {
            let privileges = Vec::from_iter(privileges).join(", ");
            let option = if grantable { " WITH GRANT OPTION" } else { "" };
            statements.push(format!("GRANT {privileges} ON {on} TO {}{option}", role(grantee)));
        }
        statements
    }

    fn revokes(&self, on: &str) -> Vec<String> {
        let others = self.given.iter().filter(|grant| !grant.to_owner).map(|grant| grant.grantee.as_deref());
        let revoke = |grantee| format!("REVOKE ALL ON {on} FROM {} CASCADE", role(grantee));
        BTreeSet::from_iter(others).into_iter().map(revoke).collect()
    }
}

/// As `TO` and `FROM` want it; `None` is everybody.
pub(super) fn role(name: Option<&str>) -> String {
    name.map_or_else(|| "PUBLIC".to_owned(), |name| quote::identifier(name).into_owned())
}

/// The privileges on the table and on what belongs to it.
pub(super) struct Grants<'a> {
    pub(super) table: &'a Privileges,
    /// By the sequence's name as it was read.
    pub(super) sequences: Vec<(&'a str, &'a Privileges)>,
    /// Whether the owner will be the same one.
    pub(super) keeps_owner: bool,
}

impl Grants<'_> {
    fn all(&self, naming: &Naming) -> impl Iterator<Item = (String, &Privileges)> {
        let on_sequence =
            |(name, privileges): &(&str, _)| (format!("SEQUENCE {}", naming.sequence(name)), *privileges);
        std::iter::once((format!("TABLE {}", naming.table()), self.table))
            .chain(self.sequences.iter().map(on_sequence))
    }
}

impl fmt::Display for Grants<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("grants")
    }
}

impl Part for Grants<'_> {
    fn create(&self, naming: &Naming) -> Result<Vec<String>> {
        let grants = |(on, privileges): (String, &Privileges)| {
            privileges.grants(&on, self.keeps_owner, naming.version)
        };
        Ok(self.all(naming).flat_map(grants).collect())
    }

    fn remove(&self, naming: &Naming) -> Vec<String> {
        self.all(naming).flat_map(|(on, privileges)| privileges.revokes(&on)).collect()
    }
}
