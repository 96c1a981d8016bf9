//! Options that are SQL: `when=EXPRESSION`, and those that replace a field of the event.

use super::fields::{Event, FIELDS};
use crate::error::{Error, Result};
use crate::pg::query::{Answer, Query};
use crate::pg::row::Row;
use crate::pg::table::Table;
use crate::pg::text::Text;
use pgq_core::expression::{self, Unreadable};
use pgq_core::trigger_arguments::Arguments;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys;
use pgrx::pg_sys::Oid;
use std::borrow::Cow;

/// The expressions of a trigger, prepared.
#[derive(Default)]
pub struct Expressions {
    when: Option<Expression>,
    fields: Vec<(usize, Expression)>,
}

struct Expression {
    /// The option, as given.
    option: Vec<u8>,
    query: Query,
    /// The column behind each parameter, by its position in the table's columns.
    columns: Vec<usize>,
}

impl Expressions {
    /// Prepares those among the arguments, with the rights of the current user.
    pub fn compile(arguments: &Arguments, table: &Table) -> Result<Expressions> {
        let compiled = |name: &str, source: &Option<Vec<u8>>| {
            source.as_ref().map(|source| Expression::compile(name, source, table)).transpose()
        };
        let mut fields = Vec::new();
        for (field, (name, source)) in FIELDS.iter().zip(&arguments.fields).enumerate() {
            fields.extend(compiled(name, source)?.map(|expression| (field, expression)));
        }
        let when = compiled("when", &arguments.when)?;
        if let Some(when) = &when {
            when.require_boolean()?;
        }
        Ok(Expressions { when, fields })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.when.is_none() && self.fields.is_empty()
    }

    /// Replaces fields of the event; whether it is to be written. All are evaluated before that is decided.
    pub fn apply(&self, table: &Table, row: Row, event: &mut Event) -> Result<bool> {
        for (field, expression) in &self.fields {
            event[*field] = expression.value(table, row)?.map(Cow::Owned);
        }
        let Some(when) = &self.when else {
            return Ok(true);
        };
        let value = when.value(table, row)?;
        // Since it was compiled, a function in it may have been replaced by one of another type.
        when.require_boolean()?;
        match value {
            Some(text) => Ok(text == b"t"),
            None => Err(when.explain(
                Error::new(
                    PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
                    "the condition of the trigger is NULL",
                )
                .hint("coalesce(…, false) says what NULL means."),
            )),
        }
    }
}

impl Expression {
    fn compile(name: &str, source: &[u8], table: &Table) -> Result<Expression> {
        let option = [name.as_bytes(), source].join(&b'=');
        let names: Vec<&[u8]> = table.columns.iter().map(|column| column.name.as_slice()).collect();
        let compiled =
            expression::compile(source, &names).map_err(|problem| unreadable(&option, &problem))?;
        let types: Vec<Oid> = compiled.columns.iter().map(|column| table.columns[*column].type_id).collect();
        let query = Query::prepare(&compiled.sql, &types);
        if !query.is_single() {
            let state = PgSqlErrorCode::ERRCODE_SYNTAX_ERROR;
            return Err(explained(
                Error::new(state, "an expression of the trigger is more than one statement"),
                &option,
            ));
        }
        Ok(Expression { option, query, columns: compiled.columns })
    }

    fn require_boolean(&self) -> Result<()> {
        if self.query.type_id() == Some(pg_sys::BOOLOID) {
            return Ok(());
        }
        Err(self.explain(Error::new(
            PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
            "the condition of the trigger is not of type boolean",
        )))
    }

    /// The value for a row, as text.
    fn value(&self, table: &Table, row: Row) -> Result<Option<Vec<u8>>> {
        let values: Vec<_> = self.columns.iter().map(|column| table.columns[*column].value(row)).collect();
        match self.query.answer(&values)? {
            Answer::One(text) => Ok(text),
            Answer::Rows(count) => Err(self.explain(Error::new(
                PgSqlErrorCode::ERRCODE_CARDINALITY_VIOLATION,
                match count {
                    0 => "an expression of the trigger gives no row",
                    _ => "an expression of the trigger gives more than one row",
                },
            ))),
        }
    }

    fn explain(&self, error: Error) -> Error {
        explained(error, &self.option)
    }
}

/// Says in which option it happened.
fn explained(error: Error, option: &[u8]) -> Error {
    error.at(format!("In option \"{}\".", Text(option)))
}

fn unreadable(option: &[u8], problem: &Unreadable) -> Error {
    explained(Error::new(PgSqlErrorCode::ERRCODE_SYNTAX_ERROR, problem.to_string()), option)
}
