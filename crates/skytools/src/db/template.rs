//! Statements with placeholders: `select pay(%(id)s, %(sum)s)`.
//!
//! They are those of psycopg: `%(name)s`, `%s`, and `%%` for a percent sign. A name may be anything without
//! parentheses. A `%s` has its number as name, counted from 1.

use std::collections::BTreeSet;
use std::error::Error as StdError;

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use super::quote;
use super::tokens::{Dialect, Kind, in_name, placeholder_name, tokens};
use crate::{Error, Result};

/// A statement with places for values.
///
/// A placeholder in a comment is none. Between dollar quotes is a program, where no parameter can be: there the value
/// is written as a constant. In a string or a quoted name it is refused, as the value would not stay one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Sql(String),
    /// The name of a value.
    Value(String),
    /// The name of a value in a text between dollar quotes.
    Constant(String),
}

/// A statement and the values of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// With `$1`, `$2`, … where the values go.
    pub sql: String,
    /// The values.
    pub params: Vec<Text>,
}

impl Bound {
    /// The values as the driver takes them.
    #[must_use]
    pub fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
    }
}

impl Template {
    /// Reads a statement.
    pub fn parse(sql: &str) -> Result<Self> {
        let mut reading = Reading::default();
        let mut rest = sql;
        while let Some(token) = tokens(rest, Dialect::default()).next() {
            let length = match token.kind {
                Kind::Placeholder | Kind::Symbol if rest.starts_with('%') => {
                    reading.percent(rest, Place::Sql)?
                }
                Kind::Parameter => {
                    return Err(Error::usage(format!(
                        "{} is no placeholder, write %(name)s: {sql}",
                        token.text
                    )));
                }
                Kind::Blank => reading.text(token.text, Place::Comment)?,
                Kind::DollarQuoted => reading.text(token.text, Place::DollarQuotes)?,
                _ => reading.text(token.text, Place::Quotes)?,
            };
            rest = &rest[length..];
        }
        Ok(reading.template)
    }

    /// The names of the values it wants, each once, in the order of the text.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let names = self.0.iter().filter_map(|part| match part {
            Part::Sql(_) => None,
            Part::Value(name) | Part::Constant(name) => Some(name.as_str()),
        });
        names.filter(|name| seen.insert(*name)).collect()
    }

    /// The statement with parameters. `value` gives the text of the value with this name, `None` for NULL, or the
    /// error that there is none.
    ///
    /// Each placeholder is a parameter of its own, so the same value may be of one type here and of another there.
    pub fn bind(&self, mut value: impl FnMut(&str) -> Result<Option<String>>) -> Result<Bound> {
        let mut bound = Bound { sql: String::new(), params: Vec::new() };
        for part in &self.0 {
            match part {
                Part::Sql(sql) => append(&mut bound.sql, sql),
                Part::Value(name) => {
                    bound.params.push(Text(value(name)?));
                    append(&mut bound.sql, &format!("${}", bound.params.len()));
                }
                Part::Constant(name) => append(&mut bound.sql, &dollarless(value(name)?.as_deref())),
            }
        }
        Ok(bound)
    }

    /// The statement with constants in it: for logs, and for commands that take no parameters (`notify`, `set`).
    /// `value` is that of [`Template::bind`].
    pub fn fill(&self, mut value: impl FnMut(&str) -> Result<Option<String>>) -> Result<String> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Sql(sql) => append(&mut filled, sql),
                Part::Value(name) => append(&mut filled, &quote::literal(value(name)?.as_deref())),
                Part::Constant(name) => append(&mut filled, &dollarless(value(name)?.as_deref())),
            }
        }
        Ok(filled)
    }

    /// Appends SQL as it is.
    pub(super) fn push_sql(&mut self, sql: &str) {
        if let Some(Part::Sql(last)) = self.0.last_mut() {
            last.push_str(sql);
        } else if !sql.is_empty() {
            self.0.push(Part::Sql(sql.to_owned()));
        }
    }

    /// Appends a place for the value with this name.
    pub(super) fn push_value(&mut self, name: &str) {
        self.0.push(Part::Value(name.to_owned()));
    }
}

/// A value as a constant that cannot end the dollar quotes around it.
fn dollarless(value: Option<&str>) -> String {
    let constant = quote::literal(value);
    if !constant.contains('$') {
        return constant;
    }
    let constant = constant.replace('$', "\\x24");
    if constant.starts_with('E') { constant } else { format!("E{constant}") }
}

/// Appends a piece that must not run together with what is there: `select%(x)s`.
fn append(sql: &mut String, piece: &str) {
    let is_open = sql.bytes().next_back().is_some_and(in_name);
    if is_open && piece.bytes().next().is_some_and(in_name) {
        sql.push(' ');
    }
    sql.push_str(piece);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Sql,
    Comment,
    DollarQuotes,
    Quotes,
}

#[derive(Default)]
struct Reading {
    template: Template,
    positional: usize,
}

impl Reading {
    /// Takes a text with percent signs; returns its length.
    fn text(&mut self, text: &str, place: Place) -> Result<usize> {
        let mut at = 0;
        while let Some(run) = text[at..].find('%') {
            self.template.push_sql(&text[at..at + run]);
            at += run;
            at += self.percent(&text[at..], place)?;
        }
        self.template.push_sql(&text[at..]);
        Ok(text.len())
    }

    /// Takes what the percent sign begins; returns its length.
    fn percent(&mut self, text: &str, place: Place) -> Result<usize> {
        if text.starts_with("%%") {
            self.template.push_sql("%");
            return Ok(2);
        }
        if place == Place::Comment {
            self.template.push_sql("%");
            return Ok(1);
        }
        let (name, length) = if let Some(name) = placeholder_name(text) {
            (name.to_owned(), name.len() + "%()s".len())
        } else if text.starts_with("%s") {
            self.positional += 1;
            (self.positional.to_string(), "%s".len())
        } else {
            let beginning: String = text.chars().take(20).collect();
            return Err(Error::usage(format!("neither %(name)s nor %%: {beginning}")));
        };
        match place {
            Place::Sql => self.template.push_value(&name),
            Place::DollarQuotes => self.template.0.push(Part::Constant(name)),
            _ => {
                return Err(Error::usage(format!(
                    "{} cannot stand between quotes, where its value would be a part of the text",
                    &text[..length]
                )));
            }
        }
        Ok(length)
    }
}

/// A value that the server reads as a constant between quotes: whatever type its place has, from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Option<String>);

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn value(name: &str) -> Result<Option<String>> {
        match name {
            "unknown" => Err(Error::bad("no value for unknown")),
            "null" => Ok(None),
            _ => Ok(Some(format!("<{name}>"))),
        }
    }

    fn bound(sql: &str) -> (String, Vec<String>) {
        let bound = Template::parse(sql).unwrap().bind(value).unwrap();
        (bound.sql, bound.params.into_iter().map(|text| text.0.unwrap_or("NULL".into())).collect())
    }

    fn filled(sql: &str) -> String {
        Template::parse(sql).unwrap().fill(value).unwrap()
    }

    fn refusal(sql: &str) -> String {
        Template::parse(sql).unwrap_err().to_string()
    }

    #[test]
    fn placeholders_are_parameters_and_percent_signs_are_single() {
        assert_eq!(
            bound("insert into t values (%(pgq.ev_id)s::int, %(null)s, %(order no)s) -- 5%%"),
            (
                "insert into t values ($1::int, $2, $3) -- 5%".into(),
                vec!["<pgq.ev_id>".into(), "NULL".into(), "<order no>".into()]
            )
        );
        assert_eq!(bound("select 7 %% 4, 'a%%', \"%%\""), ("select 7 % 4, 'a%', \"%\"".into(), vec![]));
        assert_eq!(bound("select %s, %s"), ("select $1, $2".into(), vec!["<1>".into(), "<2>".into()]));
    }

    #[test]
    fn a_name_is_told_once_and_bound_each_time() {
        let template = Template::parse("select %(b)s, %(a)s, %(b)s").unwrap();
        assert_eq!(template.names(), ["b", "a"]);
        assert_eq!(template.bind(value).unwrap().params.len(), 3);
    }

    #[test]
    fn what_stood_apart_stays_apart() {
        assert_eq!(bound("select%(a)sfrom t%(b)s1").0, "select $1 from t $2 1");
        assert_eq!(filled(r"select%(a\)sfrom t"), r"select E'<a\\>'from t");
    }

    #[test]
    fn a_log_gets_constants() {
        assert_eq!(filled("f(%(it's)s, %(null)s, %s)"), "f('<it''s>', null, '<1>')");
    }

    #[test]
    fn between_dollar_quotes_are_constants() {
        let sql = "do $$ begin perform f(%(a)s, %(b$c)s, %(d\\)s, 5 %% 2); end $$";
        let expected = r"do $$ begin perform f('<a>', E'<b\x24c>', E'<d\\>', 5 % 2); end $$";
        assert_eq!(bound(sql), (expected.into(), vec![]));
        assert_eq!(filled(sql), expected);
        assert_eq!(Template::parse(sql).unwrap().names(), ["a", "b$c", "d\\"]);
    }

    #[test]
    fn comments_are_left_alone() {
        assert_eq!(bound("/* %(a)s %s %d */ select 1"), ("/* %(a)s %s %d */ select 1".into(), vec![]));
    }

    #[test]
    fn what_cannot_be_bound_is_refused() {
        assert!(refusal("select '%(a)s'").starts_with("%(a)s cannot stand between quotes"));
        assert!(refusal("select \"%s\"").starts_with("%s cannot stand between quotes"));
        assert_eq!(refusal("select 7 % 4"), "neither %(name)s nor %%: % 4");
        assert_eq!(refusal("a like 'x%'"), "neither %(name)s nor %%: %'");
        assert_eq!(refusal("select %(a)d"), "neither %(name)s nor %%: %(a)d");
        assert_eq!(refusal("select $1"), "$1 is no placeholder, write %(name)s: select $1");
    }

    #[test]
    fn the_error_of_a_name_without_value_is_handed_on() {
        let template = Template::parse("select %(unknown)s").unwrap();
        assert_eq!(template.bind(value).unwrap_err().to_string(), "no value for unknown");
        assert_eq!(template.fill(value).unwrap_err().to_string(), "no value for unknown");
    }
}
