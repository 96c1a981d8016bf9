//! What was ordered, and the triggers that this comes to.

use super::tree::{Member, PREFIX};
use crate::capture::trigger::definition::Format;
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::table::quoted_if_needed;
use crate::pg::text::Text;
use pgq_core::change::Operation;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// The arguments of `capture` or `uncapture`.
pub struct Order {
    pub table: Oid,
    pub queue: Vec<u8>,
    pub format: Format,
    options: Vec<Vec<u8>>,
    /// Without repetition; none are to be captured after `uncapture`.
    pub operations: Vec<Operation>,
}

/// A trigger to be: its name and the statement that makes it, written as `pg_get_triggerdef` writes it.
pub type Wanted = (Vec<u8>, Vec<u8>);

impl Order {
    /// What `capture` was told.
    pub fn of_call(call: &Call) -> Result<Order> {
        let mut order = Order::nothing(call)?;
        let function = call.text(2).ok_or_else(|| null("function"))?;
        order.format = Format::of_function(function.0).ok_or_else(|| {
            invalid(format!("\"{function}\" is no trigger function of capture"))
                .hint("They are logutriga, jsontriga and sqltriga.")
        })?;
        order.options = call.texts(3).into_iter().map(|option| option.0.to_vec()).collect();
        order.operations = operations(&call.texts(4))?;
        Ok(order)
    }

    /// What `uncapture` was told.
    pub fn nothing(call: &Call) -> Result<Order> {
        Ok(Order {
            table: call.oid(0).ok_or_else(|| null("table"))?,
            queue: call.text(1).ok_or_else(|| null("queue name"))?.0.to_vec(),
            format: Format::Urlencoded,
            options: Vec::new(),
            operations: Vec::new(),
        })
    }

    /// Whether changes are to be refused, not captured.
    pub fn denies(&self) -> bool {
        self.options.iter().any(|option| option == b"deny")
    }

    /// The options that a trigger for this operation takes.
    pub fn options_for(&self, operation: Operation) -> impl Iterator<Item = &Vec<u8>> {
        let fits = move |option: &&Vec<u8>| operation != Operation::Truncate || *option == b"deny";
        self.options.iter().filter(fits)
    }

    /// The triggers of a table of the tree.
    pub fn triggers_for(&self, member: &Member) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        let of_rows: Vec<Operation> =
            self.operations.iter().copied().filter(|operation| *operation != Operation::Truncate).collect();
        if member.gets_row_trigger && !of_rows.is_empty() {
            wanted.push(self.trigger(member, "_row", &of_rows, "", "ROW"));
        }
        if member.gets_statement_triggers {
            for operation in of_rows {
                let rows = match operation {
                    Operation::Insert => "REFERENCING NEW TABLE AS new_rows ",
                    Operation::Delete => "REFERENCING OLD TABLE AS old_rows ",
                    _ => "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows ",
                };
                let suffix = format!("_{}", operation.name().to_lowercase());
                wanted.push(self.trigger(member, &suffix, &[operation], rows, "STATEMENT"));
            }
        }
        if member.gets_truncate_trigger && self.operations.contains(&Operation::Truncate) {
            wanted.push(self.trigger(member, "_truncate", &[Operation::Truncate], "", "STATEMENT"));
        }
        wanted
    }

    fn trigger(
        &self,
        member: &Member,
        suffix: &str,
        operations: &[Operation],
        referencing: &str,
        level: &str,
    ) -> Wanted {
        let name = self.name(suffix);
        // The order in which the catalog's own function lists them.
        const LISTED: [Operation; 4] =
            [Operation::Insert, Operation::Delete, Operation::Update, Operation::Truncate];
        let listed = LISTED.iter().filter(|operation| operations.contains(operation));
        let events: Vec<&str> = listed.map(|operation| operation.name()).collect();
        let mut arguments = Vec::new();
        literal(&mut arguments, &self.queue);
        for option in self.options_for(operations[0]) {
            arguments.extend_from_slice(b", ");
            literal(&mut arguments, option);
        }
        let definition = [
            b"CREATE TRIGGER ".as_slice(),
            &quoted_if_needed(&name),
            format!(" AFTER {} ON ", events.join(" OR ")).as_bytes(),
            &member.name,
            format!(" {referencing}FOR EACH {level} EXECUTE FUNCTION pgq.{}(", self.format.function())
                .as_bytes(),
            &arguments,
            b")",
        ]
        .concat();
        (name, definition)
    }

    /// There always is a suffix, or the trigger of one queue could have the name of another queue's.
    fn name(&self, suffix: &str) -> Vec<u8> {
        /// What the server can store.
        const MOST: usize = 63;
        [&Text(&self.queue).fitted(PREFIX, MOST - suffix.len()), suffix.as_bytes()].concat()
    }
}

/// A string constant under `standard_conforming_strings`, as the catalog's own function writes it.
fn literal(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'\'');
    for &byte in text {
        if byte == b'\'' {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'\'');
}

fn operations(names: &[Text]) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    for name in names {
        let named = |operation: &&Operation| operation.name().as_bytes().eq_ignore_ascii_case(name.0);
        let operation = *Operation::ALL.iter().find(named).ok_or_else(|| {
            invalid(format!("\"{name}\" is no operation on a table"))
                .hint("They are insert, update, delete and truncate.")
        })?;
        if !operations.contains(&operation) {
            operations.push(operation);
        }
    }
    match operations.is_empty() {
        true => Err(invalid("no operation is to be captured".to_owned())
            .hint("pgq.uncapture(table, queue) removes what an earlier call has made.")),
        false => Ok(operations),
    }
}

fn null(what: &str) -> Error {
    Error::new(PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED, format!("{what} is NULL"))
}

fn invalid(message: String) -> Error {
    Error::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
}
