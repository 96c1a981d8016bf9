//! A record as INSERT, UPDATE or DELETE.

use crate::db::payload::Record;
use crate::db::{QualifiedName, quote};
use crate::{Error, Result};

/// How records become statements on a table.
#[derive(Clone, Debug)]
pub struct Statements {
    table: QualifiedName,
    keys: Vec<String>,
    columns: Option<Vec<(String, String)>>,
}

impl Statements {
    /// On this table, whose rows are found by these fields of a record. INSERT can do without keys.
    #[must_use]
    pub fn new(table: QualifiedName, keys: Vec<String>) -> Self {
        Self { table, keys, columns: None }
    }

    /// Takes only these fields of a record, each into the column with the name beside it. Otherwise a field goes into
    /// the column of its own name.
    #[must_use]
    pub fn map(mut self, columns: Vec<(String, String)>) -> Self {
        self.columns = Some(columns);
        self
    }

    /// INSERT with all fields that are taken. One that the record does not have is an error, and so is a record
    /// without any.
    pub fn insert(&self, record: &Record) -> Result<String> {
        let fields = self.fields(record)?;
        if fields.is_empty() {
            return Err(Error::bad(format!("insert into {}: the record has no fields", self.table)));
        }
        let columns: Vec<_> = fields.iter().map(|field| quote::identifier(field.column)).collect();
        let values: Vec<_> = fields.iter().map(|field| quote::literal(field.value)).collect();
        Ok(format!("insert into {} ({}) values ({})", self.table, columns.join(", "), values.join(", ")))
    }

    /// UPDATE of all fields that are taken but the keys; `None` if there are only keys, for then nothing can change.
    pub fn update(&self, record: &Record) -> Result<Option<String>> {
        let found = self.condition(record)?;
        let fields = self.fields(record)?;
        let sets: Vec<_> = fields
            .iter()
            .filter(|field| !self.keys.iter().any(|key| key == field.name))
            .map(|field| format!("{} = {}", quote::identifier(field.column), quote::literal(field.value)))
            .collect();
        if sets.is_empty() {
            return Ok(None);
        }
        Ok(Some(format!("update only {} set {} where {found}", self.table, sets.join(", "))))
    }

    /// DELETE of the row with these keys.
    pub fn delete(&self, record: &Record) -> Result<String> {
        Ok(format!("delete from only {} where {}", self.table, self.condition(record)?))
    }

    fn condition(&self, record: &Record) -> Result<String> {
        if self.keys.is_empty() {
            return Err(Error::bad(format!("table {} has no key columns", self.table)));
        }
        let conditions = self.keys.iter().map(|key| {
            let value = match record.get(key) {
                Some(Some(value)) => value,
                // It would be equal to nothing, so that the change would vanish.
                Some(None) => return Err(self.refused(&format!("key {key} is NULL"))),
                None => return Err(self.refused(&format!("the record has no key {key}"))),
            };
            Ok(format!("{} = {}", quote::identifier(self.column(key)), quote::literal(Some(value))))
        });
        Ok(conditions.collect::<Result<Vec<_>>>()?.join(" and "))
    }

    /// The column that a key goes into, also where the map does not tell it.
    fn column<'a>(&'a self, name: &'a str) -> &'a str {
        let mapped = self.columns.iter().flatten().find(|(from, _)| from == name);
        mapped.map_or(name, |(_, column)| column)
    }

    fn fields<'a>(&'a self, record: &'a Record) -> Result<Vec<Field<'a>>> {
        let Some(columns) = &self.columns else {
            let field = |(name, value): (&'a String, &'a Option<String>)| Field {
                name,
                column: name,
                value: value.as_deref(),
            };
            return Ok(record.iter().map(field).collect());
        };
        let field = |(name, column): &'a (String, String)| {
            let value =
                record.get(name).ok_or_else(|| self.refused(&format!("the record has no field {name}")))?;
            Ok(Field { name, column, value: value.as_deref() })
        };
        columns.iter().map(field).collect()
    }

    fn refused(&self, why: &str) -> Error {
        Error::bad(format!("table {}: {why}", self.table))
    }
}

struct Field<'a> {
    name: &'a str,
    column: &'a str,
    value: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn record() -> Record {
        let field = |(name, value): (&str, Option<&str>)| (name.to_owned(), value.map(str::to_owned));
        [("id", Some("7")), ("order", Some("it's")), ("k 2", Some("x")), ("memo", None)].map(field).into()
    }

    fn statements(keys: &[&str]) -> Statements {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Statements::new(QualifiedName::parse("My.Tab.le"), keys)
    }

    fn mapped(pairs: &[(&str, &str)]) -> Statements {
        let pair = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        statements(&["id", "k 2"]).map(pairs.iter().map(pair).collect())
    }

    #[test]
    fn a_record_becomes_a_statement() {
        let these = statements(&["id", "k 2"]);
        assert_eq!(
            these.insert(&record()).unwrap(),
            r#"insert into "My"."Tab.le" (id, "order", "k 2", memo) values ('7', 'it''s', 'x', null)"#
        );
        assert_eq!(
            these.update(&record()).unwrap().unwrap(),
            r#"update only "My"."Tab.le" set "order" = 'it''s', memo = null where id = '7' and "k 2" = 'x'"#
        );
        assert_eq!(
            these.delete(&record()).unwrap(),
            r#"delete from only "My"."Tab.le" where id = '7' and "k 2" = 'x'"#
        );
    }

    #[test]
    fn a_map_chooses_fields_and_renames_them() {
        let these = mapped(&[("id", "no"), ("memo", "a b"), ("k 2", "k2")]);
        assert_eq!(
            these.insert(&record()).unwrap(),
            r#"insert into "My"."Tab.le" (no, "a b", k2) values ('7', null, 'x')"#
        );
        assert_eq!(
            these.update(&record()).unwrap().unwrap(),
            r#"update only "My"."Tab.le" set "a b" = null where no = '7' and k2 = 'x'"#
        );
    }

    #[test]
    fn keys_alone_have_nothing_to_update() {
        assert_eq!(
            statements(&["id", "order", "k 2", "memo"]).update(&record()).unwrap_err().to_string(),
            r#"table "My"."Tab.le": key memo is NULL"#
        );
        assert_eq!(mapped(&[("id", "id"), ("k 2", "k2")]).update(&record()).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_found_again_is_an_error() {
        let message = |result: Result<String>| result.unwrap_err().to_string();
        assert_eq!(message(statements(&[]).delete(&record())), r#"table "My"."Tab.le" has no key columns"#);
        assert_eq!(
            message(statements(&["no"]).delete(&record())),
            r#"table "My"."Tab.le": the record has no key no"#
        );
        assert_eq!(
            message(mapped(&[("gone", "x")]).insert(&record())),
            r#"table "My"."Tab.le": the record has no field gone"#
        );
        assert_eq!(
            message(statements(&["id"]).insert(&Record::new())),
            r#"insert into "My"."Tab.le": the record has no fields"#
        );
    }
}
