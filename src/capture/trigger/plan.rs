//! What a trigger does: its definition and its table, put together once and kept until one of them changes.

use super::definition::{Definition, Format, Meaning, Target};
use super::fields::FIELDS;
use super::{letters, options};
use crate::error::{Error, Result};
use crate::pg::arena::Arena;
use crate::pg::session;
use crate::pg::settings::{Overrides, PLAIN_QUOTING};
use crate::pg::table::{Column, Table, quoted_if_needed};
use crate::pg::text::Text;
use crate::pg::trigger::Firing;
use crate::pg::watch;
use pgq_core::change::Operation;
use pgq_core::codec::{json, urlencoded};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// What a trigger does. Columns are given by their position in the table's.
pub struct Plan {
    pub format: Format,
    arguments: Vec<Vec<u8>>,
    pub meaning: Meaning,
    pub table: Table,
    /// `schema.table`
    pub full_name: Vec<u8>,
    /// The columns in ev_data, in order.
    pub logged: Vec<Written>,
    /// The key in the order of the columns, as conditions name it.
    pub condition: Vec<Written>,
    /// Columns that override a field of the event: column, field.
    pub magic: Vec<(usize, usize)>,
    /// Columns whose change alone makes no event. In SQL, which names what changed, that is also those that override
    /// a field.
    pub silent: Vec<usize>,
    /// Whether a column's values name objects.
    pub names_objects: bool,
    /// ev_type, by operation.
    kinds: [Vec<u8>; Operation::ALL.len()],
    /// For whom names in statements were looked up.
    user: Oid,
    seen: Seen,
    /// What the table's description keeps; the last field, so that it goes last.
    _memory: Arena,
}

/// A column as events name it.
pub struct Written {
    /// Its position in the table's columns.
    pub column: usize,
    /// Its name as the format writes it.
    pub name: Vec<u8>,
    /// Its name as db-urlencoding writes it.
    pub encoded_name: Vec<u8>,
}

impl Written {
    fn new(table: &Table, column: usize, format: Format) -> Written {
        let stored = &table.columns[column].name;
        let mut encoded_name = Vec::new();
        urlencoded::encode(&mut encoded_name, stored);
        let name = match format {
            Format::Urlencoded => encoded_name.clone(),
            Format::Json => {
                let mut name = Vec::new();
                json::string(&mut name, stored);
                name
            }
            Format::PartialSql | Format::Letters => quoted_if_needed(stored),
        };
        Written { column, name, encoded_name }
    }
}

/// The state of the catalogs that a plan was made from.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    table: u64,
    schemas: u64,
}

impl Seen {
    #[inline]
    fn now(table: Oid) -> Seen {
        Seen { table: watch::changes_of(table), schemas: watch::schemas() }
    }
}

impl Plan {
    /// Puts together what a trigger on this table does.
    #[cold]
    pub fn make(table: Oid, definition: &Definition, describe: impl FnOnce() -> Table) -> Result<Plan> {
        // First, so that what changes while the table is described counts.
        let seen = Seen::now(table);
        let memory = Arena::of_session();
        let table = memory.within(describe);
        let meaning = match definition.format {
            Format::Letters => letters::meaning(definition, &table)?,
            _ => options::meaning(definition, &table)?,
        };
        // A TRUNCATE has no row to take values from.
        let magic = if definition.operation == Operation::Truncate { Vec::new() } else { magic(&table)? };
        let _names = Overrides::begin(&[PLAIN_QUOTING]);
        let written = |column: usize| Written::new(&table, column, definition.format);
        let is_logged = |column: &usize| {
            !meaning.ignored.contains(column) && magic.iter().all(|(overriding, _)| overriding != column)
        };
        let columns = 0..table.columns.len();
        let mut silent = meaning.ignored.clone();
        if matches!(definition.format, Format::PartialSql | Format::Letters) {
            silent.extend(magic.iter().map(|(column, _)| column));
        }
        // They only change with others, and computing them may fail.
        silent.retain(|column| !table.columns[*column].is_computed());
        Ok(Plan {
            format: definition.format,
            arguments: definition.arguments.iter().map(|argument| argument.to_vec()).collect(),
            full_name: table.full_name(),
            logged: columns.clone().filter(is_logged).map(written).collect(),
            condition: columns.filter(|column| meaning.key.contains(column)).map(written).collect(),
            names_objects: table.columns.iter().any(Column::names_objects),
            kinds: Operation::ALL.map(|operation| kind(definition.format, operation, &table, &meaning.key)),
            magic,
            silent,
            meaning,
            table,
            user: session::user(),
            seen,
            _memory: memory,
        })
    }

    /// Whether this is still what the trigger does. A statement fires it as it was when the statement began, even if an
    /// expression has replaced it meanwhile: so the arguments are compared, too.
    #[inline]
    pub fn is_current(&self, firing: Firing, format: Format) -> bool {
        self.format == format
            && self.seen == Seen::now(firing.table())
            && self.arguments.iter().eq(firing.arguments())
            && (!self.meaning.has_statements() || self.user == session::user())
    }

    /// Whether the table has changed since.
    pub fn is_stale(&self) -> bool {
        self.seen != Seen::now(self.table.oid)
    }

    /// ev_type.
    pub fn kind(&self, operation: Operation) -> &[u8] {
        &self.kinds[operation as usize]
    }

    /// Refuses what the trigger or the table does not allow.
    pub fn require_allowed(&self, operation: Operation) -> Result<()> {
        match operation {
            Operation::Insert => {}
            Operation::Update | Operation::Delete => self.require_key(operation)?,
            Operation::Truncate => self.require_options_for_truncate()?,
        }
        if self.meaning.denies { Err(self.denied(operation)) } else { Ok(()) }
    }

    fn require_key(&self, operation: Operation) -> Result<()> {
        if !self.meaning.key.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!(
                "{} on table {} cannot be captured: it has no primary key",
                operation.name(),
                Text(&self.full_name)
            ),
        )
        .hint("Add a primary key, or name the columns that identify a row in the trigger's option pkey=."))
    }

    fn require_options_for_truncate(&self) -> Result<()> {
        match self.meaning.not_for_truncate {
            None => Ok(()),
            Some(option) => Err(Error::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                format!("option {option} does not work in a TRUNCATE trigger"),
            )
            .hint("A TRUNCATE trigger takes the options SKIP and deny.")),
        }
    }

    fn denied(&self, operation: Operation) -> Error {
        let error = Error::new(
            PgSqlErrorCode::ERRCODE_TRIGGERED_ACTION_EXCEPTION,
            format!("{} on table {} is denied", operation.name(), Text(&self.full_name)),
        )
        .hint("Change the data where they come from.");
        match &self.meaning.target {
            Target::Queue(queue) => {
                error.detail(format!("The table is fed by queue \"{}\" (option deny).", Text(queue)))
            }
            Target::Statement(_) => error,
        }
    }
}

/// Columns whose value overrides a field of the event.
fn magic(table: &Table) -> Result<Vec<(usize, usize)>> {
    let mut magic = Vec::new();
    for (position, column) in table.columns.iter().enumerate() {
        let Some(rest) = column.name.strip_prefix(b"_pgq_ev_") else { continue };
        let field = FIELDS.iter().position(|field| field.as_bytes().strip_prefix(b"ev_") == Some(rest));
        let field = field.ok_or_else(|| {
            Error::new(
                PgSqlErrorCode::ERRCODE_INVALID_COLUMN_DEFINITION,
                format!("column \"{}\" overrides no field of an event", Text(&column.name)),
            )
            .hint("Names that begin with _pgq_ev_ are reserved: type, data, extra1 to extra4 may follow.")
        })?;
        magic.push((position, field));
    }
    Ok(magic)
}

/// ev_type of an operation.
fn kind(format: Format, operation: Operation, table: &Table, key: &[usize]) -> Vec<u8> {
    let key: Vec<Vec<u8>> = key.iter().map(|column| table.columns[*column].name.clone()).collect();
    let letter = vec![operation.letter() as u8];
    match format {
        Format::Json => json::event_type(operation, &table.schema, &table.name, &key),
        Format::Urlencoded if operation != Operation::Truncate => [letter, key.join(&b',')].join(&b':'),
        _ => letter,
    }
}
