//! A statement made of fragments, of which some are there only with their values.

use super::payload::Record;
use super::tokens::{Dialect, Kind, tokens};
use super::{Bound, Template};
use crate::{Error, Result};

/// A statement with the values that its fragments may ask for, as `{name}` or `{name:type}`. In strings and comments
/// braces are braces.
///
/// ```ignore
/// let mut query = Query::new(&values);
/// query.add("select * from orders where shop = {shop:int4}")?;
/// query.add_if_given(" and state = {state}");
/// let Bound { sql, .. } = query.bind();
/// ```
#[derive(Clone, Debug)]
pub struct Query<'a> {
    values: &'a Record,
    template: Template,
}

impl<'a> Query<'a> {
    /// One without fragments.
    #[must_use]
    pub fn new(values: &'a Record) -> Self {
        Self { values, template: Template::default() }
    }

    /// Adds a fragment. It is an error if one of its values is not given; NULL is a value.
    pub fn add(&mut self, fragment: &str) -> Result<()> {
        if let Some(name) = fields(fragment).find(|name| !self.values.contains_key(*name)) {
            return Err(Error::bad(format!("no value for {{{name}}} in: {fragment}")));
        }
        for token in tokens(fragment, Dialect::default()) {
            if token.kind != Kind::Field {
                self.template.push_sql(token.text);
                continue;
            }
            let (name, of_type) = field(token.text);
            self.template.push_value(name);
            if let Some(of_type) = of_type {
                self.template.push_sql(&format!("::{of_type}"));
            }
        }
        Ok(())
    }

    /// Adds a fragment if all of its values are given; tells whether.
    pub fn add_if_given(&mut self, fragment: &str) -> bool {
        self.add(fragment).is_ok()
    }

    /// The statement with parameters.
    #[must_use]
    pub fn bind(&self) -> Bound {
        self.template
            .bind(|name| Ok(self.values[name].clone()))
            .expect("each value was looked up when it was added")
    }

    /// The statement with constants in it, for logs.
    #[must_use]
    pub fn fill(&self) -> String {
        self.template
            .fill(|name| Ok(self.values[name].clone()))
            .expect("each value was looked up when it was added")
    }
}

/// The names of the values that a fragment asks for.
fn fields(fragment: &str) -> impl Iterator<Item = &str> {
    let fields = tokens(fragment, Dialect::default()).filter(|token| token.kind == Kind::Field);
    fields.map(|token| field(token.text).0)
}

/// The name and the type in `{name:type}`.
fn field(text: &str) -> (&str, Option<&str>) {
    let inside = &text[1..text.len() - 1];
    inside.split_once(':').map_or((inside, None), |(name, of_type)| (name, Some(of_type)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Text;
    use super::*;

    #[test]
    fn fragments_are_there_with_their_values() {
        let values: Record =
            [("a", Some("1")), ("b", None)].map(|(n, v)| (n.to_owned(), v.map(str::to_owned))).into();
        let mut query = Query::new(&values);
        query.add("select '{a}', 5 % 2, '{}' from t where a = {a:int4}").unwrap();
        assert!(!query.add_if_given(" and c = {c} and a = {a}"));
        assert!(query.add_if_given(" and b = {b} -- {c}"));
        let bound = query.bind();
        assert_eq!(bound.sql, "select '{a}', 5 % 2, '{}' from t where a = $1::int4 and b = $2 -- {c}");
        assert_eq!(bound.params, [Text(Some("1".into())), Text(None)]);
        let filled = "select '{a}', 5 % 2, '{}' from t where a = '1'::int4 and b = null -- {c}";
        assert_eq!(query.fill(), filled);
        let refusal = query.add(" and {c:text}").unwrap_err().to_string();
        assert_eq!(refusal, "no value for {c} in:  and {c:text}");
        assert_eq!(query.bind(), bound);
    }
}
