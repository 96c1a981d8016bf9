//! 2.1's `logtriga`, which is told by letters what the columns are: `k` key, `v` value, `i` ignored.
//!
//! `logtriga('queue', 'kvvi' [, 'table'])` writes into a queue; the third argument never had an effect.
//! `logtriga('kvvi', 'insert into …')` is the contributed module's form, which runs a statement with `$1` = I, U or D and
//! `$2` = the data. The two cannot be confused: no statement consists of these letters only.

use super::plan::{Definition, Plan, Target};
use crate::error::{Error, Result};
use crate::pg::text::Text;
use crate::pg::trigger::Timing;
use pgq_core::column_letters::{self, Letter};
use pgrx::PgSqlErrorCode;

/// Fills the plan by the trigger's arguments.
pub fn apply(plan: &mut Plan, definition: &Definition) -> Result<()> {
    let arguments = &definition.arguments;
    if definition.timing != Timing::After {
        return Err(invalid("logtriga works in AFTER triggers only".to_owned()));
    }
    let (target, letters) = match *arguments.as_slice() {
        [letters, statement] if is_letters(letters) && !is_letters(statement) => {
            (Target::Statement(statement.to_vec()), letters)
        }
        [queue, letters] | [queue, letters, _] => (Target::Queue(queue.to_vec()), letters),
        _ => return Err(invalid(format!("logtriga takes two or three arguments, not {}", arguments.len()))),
    };
    let letters = column_letters::parse(letters).ok_or_else(|| {
        invalid(format!("\"{}\" is not one letter k, v or i for each column", Text(letters)))
    })?;
    column_letters::check_key(&letters, plan.table.columns.len())
        .map_err(|problem| invalid(format!("\"{}\": {problem}", Text(arguments[1]))))?;
    let letter = |position: usize| letters.get(position).copied().unwrap_or(Letter::Ignore);
    let columns = 0..plan.table.columns.len();
    plan.key = columns.clone().filter(|position| letter(*position) == Letter::Key).collect();
    plan.ignored = columns.filter(|position| letter(*position) == Letter::Ignore).collect();
    // A statement of one's own never minded: the condition has the old key, the assignments the new one.
    plan.refuses_key_updates = matches!(target, Target::Queue(_));
    plan.target = target;
    Ok(())
}

fn is_letters(argument: &[u8]) -> bool {
    column_letters::parse(argument).is_some()
}

fn invalid(message: String) -> Error {
    Error::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
        .hint("logtriga('queue', 'kvvi'): a letter for each column, k = key, v = value, i = ignored.")
}
