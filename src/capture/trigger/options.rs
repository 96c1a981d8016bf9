//! The arguments of logutriga, jsontriga and sqltriga.

use super::definition::{Definition, KeyUpdates, Meaning, Target};
use super::expressions::Expressions;
use crate::error::{Error, Result};
use crate::pg::table::Table;
use crate::pg::text::Text;
use crate::pg::trigger::Timing;
use pgq_core::trigger_arguments::{self, Arguments, BadArgument};
use pgrx::PgSqlErrorCode;

/// What they mean for a table.
pub fn meaning(definition: &Definition, table: &Table) -> Result<Meaning> {
    let arguments = trigger_arguments::parse(&definition.arguments).map_err(bad_argument)?;
    if arguments.skip && definition.timing == Timing::After {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "option SKIP does not work in an AFTER trigger",
        )
        .hint("The operation is done by then: CREATE TRIGGER … BEFORE, or INSTEAD OF on a view."));
    }
    let key = match &arguments.key {
        Some(names) => names.iter().map(|name| key_column(table, name)).collect::<Result<_>>()?,
        None => table.key.clone(),
    };
    let is_ignored = |position: &usize| {
        let column = &table.columns[*position];
        arguments.ignore.contains(&column.name) || arguments.no_generated && column.is_generated
    };
    Ok(Meaning {
        ignored: (0..table.columns.len()).filter(is_ignored).collect(),
        key,
        expressions: Expressions::compile(&arguments, table)?,
        suppresses: arguments.skip,
        denies: arguments.deny,
        backs_up: arguments.backup,
        key_updates: if arguments.key_update { KeyUpdates::Split } else { KeyUpdates::Refused },
        not_for_truncate: option_not_for_truncate(&arguments),
        target: Target::Queue(arguments.queue),
    })
}

fn key_column(table: &Table, name: &[u8]) -> Result<usize> {
    table.column(name).ok_or_else(|| {
        let table = table.full_name();
        Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("column \"{}\" in option pkey does not exist in table {}", Text(name), Text(&table)),
        )
        .hint("Names are compared as they are stored: pkey=Qty means the column \"Qty\".")
    })
}

/// The first option that makes no sense without a row.
fn option_not_for_truncate(arguments: &Arguments) -> Option<&'static str> {
    let has_fields = arguments.fields.iter().any(Option::is_some);
    let options = [
        ("ignore", !arguments.ignore.is_empty()),
        ("pkey", arguments.key.is_some()),
        ("backup", arguments.backup),
        ("keyupdate", arguments.key_update),
        ("nogenerated", arguments.no_generated),
        ("when", arguments.when.is_some()),
        ("ev_type, ev_data or ev_extra", has_fields),
    ];
    options.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
}

fn bad_argument(problem: BadArgument) -> Error {
    let message = match &problem {
        BadArgument::NoQueue => problem.to_string(),
        BadArgument::UnknownOption(option) => format!("unknown option \"{}\"", Text(option)),
        BadArgument::UnreadableList(option) => format!("unreadable list of columns in \"{}\"", Text(option)),
    };
    Error::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message).hint(problem.hint())
}
