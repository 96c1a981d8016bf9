//! What a trigger does: its definition and its table, put together once and kept until one of them changes.

use super::expressions::Expressions;
use super::letters;
use crate::error::{Error, Result};
use crate::pg::arena::Arena;
use crate::pg::session;
use crate::pg::settings::{Overrides, PLAIN_QUOTING};
use crate::pg::table::{Table, quoted_if_needed};
use crate::pg::text::Text;
use crate::pg::trigger::{Firing, Timing};
use crate::pg::watch;
use pgq_core::change::Operation;
use pgq_core::codec::{json, urlencoded};
use pgq_core::trigger_arguments::{self, Arguments, BadArgument, FIELDS};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// The trigger functions, by what they write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `logutriga`
    Urlencoded,
    /// `jsontriga`
    Json,
    /// `sqltriga`
    PartialSql,
    /// `logtriga`: the same, but its arguments are others.
    Letters,
}

impl Format {
    /// The function's name.
    pub fn function(self) -> &'static str {
        match self {
            Format::Urlencoded => "logutriga",
            Format::Json => "jsontriga",
            Format::PartialSql => "sqltriga",
            Format::Letters => "logtriga",
        }
    }
}

/// How a trigger was made.
pub struct Definition<'a> {
    /// By its function.
    pub format: Format,
    /// When it fires.
    pub timing: Timing,
    /// An operation for which it fires.
    pub operation: Operation,
    /// What it was given.
    pub arguments: Vec<&'a [u8]>,
}

/// Where events go.
pub enum Target {
    /// Into this queue.
    Queue(Vec<u8>),
    /// Into this statement, with `$1` = I, U or D and `$2` = the data.
    Statement(Vec<u8>),
}

/// What a trigger does.
pub struct Plan {
    pub format: Format,
    pub target: Target,
    /// The operation is not done.
    pub suppresses: bool,
    denies: bool,
    pub backs_up: bool,
    pub splits_key_updates: bool,
    pub refuses_key_updates: bool,
    pub table: Table,
    /// `schema.table`
    pub full_name: Vec<u8>,
    /// The columns in ev_data, in order.
    pub logged: Vec<Logged>,
    /// Those that are left out on demand, by their position in the table's columns.
    pub ignored: Vec<usize>,
    /// The key in its own order, by position in the table's columns.
    pub key: Vec<usize>,
    /// The key in the order of the columns, as conditions name it.
    pub condition: Vec<Logged>,
    /// An option that does not go with TRUNCATE.
    not_for_truncate: Option<&'static str>,
    /// ev_type of insert, update, delete and truncate.
    kinds: [Vec<u8>; 4],
    /// Columns that override a field of the event: position in the table's columns, field.
    pub magic: Vec<(usize, usize)>,
    pub expressions: Expressions,
    /// Whether a column's values name objects.
    pub names_objects: bool,
    seen: Seen,
    /// What the table's description keeps; the last field, so that it goes last.
    _memory: Arena,
}

/// A column in the event's data.
pub struct Logged {
    /// Its position in the table's columns.
    pub column: usize,
    /// Its name as the format writes it.
    pub name: Vec<u8>,
    /// Its name as db-urlencoding writes it.
    pub encoded_name: Vec<u8>,
}

/// The state of the catalogs that a plan was made from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seen {
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
        let format = definition.format;
        let names = Overrides::begin(&[PLAIN_QUOTING]);
        let mut plan = Plan {
            format,
            target: Target::Queue(Vec::new()),
            suppresses: false,
            denies: false,
            backs_up: false,
            splits_key_updates: false,
            refuses_key_updates: true,
            full_name: table.full_name(),
            logged: Vec::new(),
            ignored: Vec::new(),
            key: table.key.clone(),
            condition: Vec::new(),
            not_for_truncate: None,
            kinds: Default::default(),
            magic: Vec::new(),
            expressions: Expressions::default(),
            names_objects: false,
            table,
            seen,
            _memory: memory,
        };
        match format {
            Format::Letters => letters::apply(&mut plan, definition)?,
            _ => plan.apply(definition)?,
        }
        if definition.operation != Operation::Truncate {
            plan.find_magic()?;
        }
        plan.names_objects = plan.table.columns.iter().any(|column| column.names_objects());
        plan.logged = plan.logged_columns();
        plan.condition = plan.condition_columns();
        plan.kinds = [Operation::Insert, Operation::Update, Operation::Delete, Operation::Truncate]
            .map(|operation| plan.kind_of(operation));
        drop(names);
        Ok(plan)
    }

    /// Whether this is still what the trigger does.
    #[inline]
    pub fn is_current(&self, firing: Firing, format: Format) -> bool {
        self.format == format
            && self.seen == Seen::now(firing.table())
            && (self.expressions.is_empty() || self.expressions.user == session::user())
    }

    /// Whether the table has changed since.
    pub fn is_stale(&self) -> bool {
        self.seen != Seen::now(self.table.oid)
    }

    fn apply(&mut self, definition: &Definition) -> Result<()> {
        let arguments = trigger_arguments::parse(&definition.arguments).map_err(bad_argument)?;
        self.not_for_truncate = option_not_for_truncate(&arguments);
        if arguments.skip && definition.timing == Timing::After {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                "option SKIP does not work in an AFTER trigger",
            )
            .hint("The operation is done by then: CREATE TRIGGER … BEFORE, or INSTEAD OF on a view."));
        }
        if let Some(names) = &arguments.key {
            self.key = names.iter().map(|name| self.key_column(name)).collect::<Result<_>>()?;
        }
        let is_ignored = |column: &crate::pg::table::Column| {
            arguments.ignore.contains(&column.name) || arguments.no_generated && column.is_generated
        };
        let columns = self.table.columns.iter().enumerate();
        self.ignored =
            columns.filter(|(_, column)| is_ignored(column)).map(|(position, _)| position).collect();
        self.expressions = Expressions::compile(&arguments, &self.table)?;
        self.suppresses = arguments.skip;
        self.denies = arguments.deny;
        self.backs_up = arguments.backup;
        self.splits_key_updates = arguments.key_update;
        self.target = Target::Queue(arguments.queue);
        Ok(())
    }

    fn key_column(&self, name: &[u8]) -> Result<usize> {
        self.table.column(name).ok_or_else(|| {
            Error::new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                format!(
                    "column \"{}\" in option pkey does not exist in table {}",
                    Text(name),
                    Text(&self.full_name)
                ),
            )
            .hint("Names are compared as they are stored: pkey=Qty means the column \"Qty\".")
        })
    }

    /// Columns whose value overrides a field of the event.
    fn find_magic(&mut self) -> Result<()> {
        for (position, column) in self.table.columns.iter().enumerate() {
            let Some(rest) = column.name.strip_prefix(b"_pgq_ev_") else { continue };
            let field = FIELDS.iter().position(|field| field.as_bytes().strip_prefix(b"ev_") == Some(rest));
            let field = field.ok_or_else(|| {
                Error::new(
                    PgSqlErrorCode::ERRCODE_INVALID_COLUMN_DEFINITION,
                    format!("column \"{}\" overrides no field of an event", Text(&column.name)),
                )
                .hint("Names that begin with _pgq_ev_ are reserved: type, data, extra1 to extra4 may follow.")
            })?;
            self.magic.push((position, field));
        }
        Ok(())
    }

    fn logged_columns(&self) -> Vec<Logged> {
        let is_logged = |column: &usize| {
            !self.ignored.contains(column) && self.magic.iter().all(|(magic, _)| magic != column)
        };
        (0..self.table.columns.len()).filter(is_logged).map(|column| self.logged(column)).collect()
    }

    fn condition_columns(&self) -> Vec<Logged> {
        let columns = 0..self.table.columns.len();
        columns.filter(|column| self.key.contains(column)).map(|column| self.logged(column)).collect()
    }

    fn logged(&self, column: usize) -> Logged {
        let stored = &self.table.columns[column].name;
        let mut encoded_name = Vec::new();
        urlencoded::encode(&mut encoded_name, stored);
        let mut name = Vec::new();
        match self.format {
            Format::Urlencoded => name.clone_from(&encoded_name),
            Format::Json => json::string(&mut name, stored),
            Format::PartialSql | Format::Letters => name = quoted_if_needed(stored),
        }
        Logged { column, name, encoded_name }
    }

    fn kind_of(&self, operation: Operation) -> Vec<u8> {
        let names =
            || self.key.iter().map(|column| self.table.columns[*column].name.clone()).collect::<Vec<_>>();
        let letter = operation.letter() as u8;
        match self.format {
            Format::Json => json::event_type(operation, &self.table.schema, &self.table.name, &names()),
            Format::Urlencoded if operation != Operation::Truncate => {
                [[letter].as_slice(), &names().join(&b',')].join(&b':')
            }
            _ => vec![letter],
        }
    }

    /// ev_type.
    pub fn kind(&self, operation: Operation) -> &[u8] {
        &self.kinds[operation as usize]
    }

    /// Refuses what the trigger or the table does not allow.
    pub fn require_allowed(&self, operation: Operation) -> Result<()> {
        if let (Operation::Truncate, Some(option)) = (operation, self.not_for_truncate) {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                format!("option {option} does not work in a TRUNCATE trigger"),
            )
            .hint("A TRUNCATE trigger takes the options SKIP and deny."));
        }
        self.require_key(operation)?;
        if self.denies {
            let queue = match &self.target {
                Target::Queue(queue) => Text(queue),
                Target::Statement(_) => unreachable!("logtriga has no option deny"),
            };
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_TRIGGERED_ACTION_EXCEPTION,
                format!("{} on table {} is denied", operation.name(), Text(&self.full_name)),
            )
            .detail(format!("The table is fed by queue \"{queue}\" (option deny)."))
            .hint("Change the data where they come from."));
        }
        Ok(())
    }

    fn require_key(&self, operation: Operation) -> Result<()> {
        if self.key.is_empty() && matches!(operation, Operation::Update | Operation::Delete) {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "{} on table {} cannot be captured: it has no primary key",
                    operation.name(),
                    Text(&self.full_name)
                ),
            )
            .hint(
                "Add a primary key, or name the columns that identify a row in the trigger's option pkey=.",
            ));
        }
        Ok(())
    }
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

/// The refusal of a trigger's arguments.
fn bad_argument(problem: BadArgument) -> Error {
    let message = match &problem {
        BadArgument::NoQueue => problem.to_string(),
        BadArgument::UnknownOption(option) => format!("unknown option \"{}\"", Text(option)),
        BadArgument::UnreadableList(option) => format!("unreadable list of columns in \"{}\"", Text(option)),
    };
    Error::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message).hint(problem.hint())
}
