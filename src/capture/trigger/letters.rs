//! 2.1's `logtriga`, which is told by letters what the columns are: `k` key, `v` value, `i` ignored.
//!
//! `logtriga('queue', 'kvvi' [, 'table'])` writes into a queue; the third argument never had an effect.
//! `logtriga('kvvi', 'insert into …')` is the contributed module's form, which runs a statement with `$1` = I, U or D and
//! `$2` = the data. The two cannot be confused: no statement consists of these letters only.

use super::definition::{Definition, KeyUpdates, Meaning, Target};
use super::expressions::Expressions;
use crate::error::{Error, Result};
use crate::pg::query::Query;
use crate::pg::table::Table;
use crate::pg::text::Text;
use crate::pg::trigger::Timing;
use pgq_core::column_letters::{self, Letter};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys;

/// What the arguments mean for a table.
pub fn meaning(definition: &Definition, table: &Table) -> Result<Meaning> {
    if definition.timing != Timing::After {
        return Err(invalid("logtriga works in AFTER triggers only".to_owned()));
    }
    let (target, letters) = match *definition.arguments.as_slice() {
        [letters, statement] if is_letters(letters) && !is_letters(statement) => {
            (Target::Statement(Query::prepare(statement, &[pg_sys::TEXTOID; 2])), letters)
        }
        [queue, letters] | [queue, letters, _] => (Target::Queue(queue.to_vec()), letters),
        ref others => {
            return Err(invalid(format!("logtriga takes two or three arguments, not {}", others.len())));
        }
    };
    let shown = Text(letters);
    let letters = column_letters::parse(letters)
        .ok_or_else(|| invalid(format!("\"{shown}\" is not one letter k, v or i for each column")))?;
    column_letters::check_key(&letters, table.columns.len())
        .map_err(|problem| invalid(format!("\"{shown}\": {problem}")))?;
    let is = |wanted: Letter| {
        let letter = |position: usize| letters.get(position).copied().unwrap_or(Letter::Ignore);
        (0..table.columns.len()).filter(|position| letter(*position) == wanted).collect()
    };
    Ok(Meaning {
        suppresses: false,
        denies: false,
        backs_up: false,
        // A statement of one's own never minded: the condition has the old key, the assignments the new one.
        key_updates: match target {
            Target::Queue(_) => KeyUpdates::Refused,
            Target::Statement(_) => KeyUpdates::Plain,
        },
        key: is(Letter::Key),
        ignored: is(Letter::Ignore),
        expressions: Expressions::default(),
        not_for_truncate: None,
        target,
    })
}

fn is_letters(argument: &[u8]) -> bool {
    column_letters::parse(argument).is_some()
}

fn invalid(message: String) -> Error {
    Error::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
        .hint("logtriga('queue', 'kvvi'): a letter for each column, k = key, v = value, i = ignored.")
}
