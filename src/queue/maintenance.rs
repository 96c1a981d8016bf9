//! What has to be done from time to time, and the doing of one item of it.

use super::family;
use super::rotation::Pending;
use crate::error::{Error, Result};
use crate::guc;
use crate::pg::call::Call;
use crate::pg::privilege;
use crate::pg::spi::{self, Rows, Statement, View};
use crate::pg::text::Text;
use crate::pg::tuplestore::RowSink;
use crate::pg::value::{Type, Value};
use pgrx::PgSqlErrorCode;

/// `maint_operations()`: the calls that maintenance consists of, in order, each to be made in a transaction of its
/// own: function name and, if not NULL, its one text argument; or `vacuum` and a table.
pub fn maint_operations(call: &Call) -> Result<Value> {
    let mut rows = call.rows()?;
    list_rotation(&mut rows);
    for (function, source) in &LISTS {
        if function.is_none_or(is_ours) {
            source.rows_in(View::Latest, &[]).into_iter().for_each(|row| rows.put(&row.0));
        }
    }
    Ok(Value::Null)
}

fn list_rotation(rows: &mut RowSink) {
    let pending = Pending::look();
    let is_worth_completing = pending.is_half_done || !pending.due.is_empty();
    for queue in pending.due {
        rows.put(&["pgq.maint_rotate_tables_step1".into(), Value::Text(queue)]);
    }
    if is_worth_completing {
        rows.put(&["pgq.maint_rotate_tables_step2".into(), Value::Null]);
    }
}

/// The other items, in order: a function that another extension may have, and the statement that lists its calls.
static LISTS: [(Option<&str>, &Statement); 5] = [
    (None, &EXTRA),
    (None, &VACUUM),
    (Some("pgq_node.maint_watermark(text)"), &WATERMARK),
    (Some("londiste.root_check_seqs(text)"), &SEQUENCES),
    (Some("londiste.periodic_maintenance()"), &LONDISTE),
];

static EXTRA: Statement = Statement::reading(
    "SELECT f.name, q.queue_name
       FROM pgq.queue q, unnest(q.queue_extra_maint) WITH ORDINALITY AS f (name, position)
      WHERE f.name IS NOT NULL
      ORDER BY q.queue_name, f.position",
    &[],
);
static VACUUM: Statement =
    Statement::reading("SELECT 'vacuum'::text, name FROM pgq.maint_tables_to_vacuum() AS name", &[]);
static WATERMARK: Statement = Statement::reading(
    "SELECT 'pgq_node.maint_watermark'::text, queue_name
       FROM pgq_node.node_info WHERE node_type = 'root' ORDER BY queue_name",
    &[],
);
static SEQUENCES: Statement = Statement::reading(
    "SELECT 'londiste.root_check_seqs'::text, n.queue_name
       FROM pgq_node.node_info n
      WHERE n.node_type = 'root'
        AND EXISTS (SELECT FROM londiste.seq_info s WHERE s.queue_name = n.queue_name AND s.local)
      ORDER BY n.queue_name",
    &[],
);
static LONDISTE: Statement =
    Statement::reading("SELECT 'londiste.periodic_maintenance'::text, NULL::text", &[]);

static EXISTS: Statement = Statement::reading("SELECT to_regprocedure($1) IS NOT NULL", &[Type::Text]);

/// Whether an extension of the family has this function.
fn is_ours(signature: &str) -> bool {
    let schema = signature.split_once('.').map_or("", |(schema, _)| schema);
    family::is_there(schema) && EXISTS.rows(&[signature.into()]).first().is_some_and(|row| row.flag(0))
}

/// Makes one call of those that `maint_operations()` lists, in the current transaction. Not 0: call it again at once.
pub fn call(function: Text, argument: Option<Text>) -> Result<i64> {
    if is_vacuum(function) {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
            format!("\"{function}\" cannot be called inside a transaction"),
        ));
    }
    as_admin(|| number_returned(select(function, argument)))
}

/// Does a part of the daemon's job with the rights of the role that is set for it, by default `pgq_admin`: its rights
/// suffice for all of it, and no more.
///
/// A `pgq_admin` can name functions in `queue_extra_maint`, and tables in the other columns of `pgq.queue` to which
/// triggers may be tied: with the worker's own rights that would be a way to the superuser's.
pub fn as_admin<R>(work: impl FnOnce() -> R) -> Result<R> {
    let name = guc::role();
    let role = privilege::role(&name).ok_or_else(|| {
        let name = Text(name.to_bytes());
        Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("pgq.role: role \"{name}\" does not exist"),
        )
    })?;
    Ok(privilege::run_as_restricted(role, work))
}

fn is_vacuum(function: Text) -> bool {
    let first_word = function.0.trim_ascii().split(u8::is_ascii_whitespace).next();
    first_word.is_some_and(|word| word.eq_ignore_ascii_case(b"vacuum"))
}

fn select(function: Text, argument: Option<Text>) -> Rows {
    let name = function.quoted_qualified();
    match argument {
        Some(argument) => {
            let sql = [b"SELECT ", name.as_slice(), b"($1)::text"].concat();
            spi::run(&sql, &[(Type::Text, argument.into())])
        }
        None => spi::run(&[b"SELECT ", name.as_slice(), b"()::text"].concat(), &[]),
    }
}

/// The number at the start of the result's text: as pgqd reads it, to whom a record (Londiste has such functions),
/// nothing and NULL are 0.
fn number_returned(rows: Rows) -> i64 {
    let row = rows.first();
    let text = row.as_ref().and_then(|row| row.text(0)).map_or(b"".as_slice(), |text| text.0);
    let end = text.iter().skip(1).position(|byte| !byte.is_ascii_digit()).map_or(text.len(), |end| end + 1);
    std::str::from_utf8(&text[..end]).ok().and_then(|number| number.parse().ok()).unwrap_or(0)
}
