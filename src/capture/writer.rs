//! What a session remembers of the queues it writes to.
//!
//! Per transaction there is one look at the queue's row, in this order, which is what makes rotation safe:
//! first the transaction gets its id, then it reads the row as committed by now, then it locks the table that
//! the row names. If the row was the old one, the rotation had not committed yet, so the id is below the one that
//! ends the rotation, and readers look into the old table for it (see `pgq_core::rotation`). What was read stays
//! right for the rest of the transaction: the table cannot be emptied while the id is in progress. Only the queue's
//! settings are looked at again, under the lock and by each statement: a queue that is closed is closed to open
//! transactions too, and who closes one and then locks its tables, as the end of a root's life does, has all its
//! writers behind it.
//!
//! Per session the place of the row, the OIDs and the index list are kept, until the server says that one of the
//! relations changed.

use crate::error::{Error, Result};
use crate::pg::event_table::{EventTable, Found, lock_for_insert};
use crate::pg::queue_row::{Place, QueueRow, QueueTable, Settings};
use crate::pg::session::Session;
use crate::pg::text::Text;
use crate::pg::{demand, relation, watch, xact};
use pgq_core::Txid;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;
use std::collections::HashMap;

/// A queue as a writing session knows it.
pub struct Writer {
    name: Vec<u8>,
    place: Option<Place>,
    /// When it was last looked up: transaction and change count.
    seen: (u64, u64),
    /// The command for which the settings were read.
    command: u32,
    /// Insertions called in the current transaction, also those that a savepoint undid.
    calls: i64,
    /// `schema.table` of the current table, unquoted.
    pub table_name: Vec<u8>,
    /// The current table's way of being written.
    pub table: Table,
    /// The sequence of event ids.
    pub sequence: Oid,
    /// The transaction's id, which goes into ev_txid.
    pub txid: Txid,
    settings: Settings,
}

/// Whom an event is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All consumers, on all nodes.
    ForAll,
    /// One subscription, to which it comes back. It is never copied to another node, so a copied queue takes it too.
    ForOneConsumer,
}

/// How the current table is written.
pub enum Table {
    /// Directly.
    Direct(EventTable),
    /// In SQL, since somebody altered it.
    Altered(Oid),
}

impl Table {
    /// The table's OID.
    pub fn oid(&self) -> Oid {
        match self {
            Table::Direct(table) => table.oid,
            Table::Altered(oid) => *oid,
        }
    }
}

#[derive(Default)]
struct Memory {
    queues: Option<QueueTable>,
    writers: Vec<Writer>,
    by_name: HashMap<Vec<u8>, usize>,
    last: usize,
}

static MEMORY: Session<Option<Memory>> = Session::new(None);

/// Works with the writer of a queue that is good for this transaction.
///
/// The work must not run SQL; `function` names the caller in messages about read-only transactions.
#[inline]
pub fn with_writer<R>(
    name: Text,
    function: &std::ffi::CStr,
    work: impl FnOnce(&mut Writer) -> Result<R>,
) -> Result<R> {
    MEMORY.with(|memory| {
        let memory = memory.get_or_insert_default();
        let position = match memory.writers.get(memory.last) {
            Some(writer) if writer.name == name.0 => Some(memory.last),
            _ => memory.by_name.get(name.0).copied(),
        };
        let position = match position {
            Some(position) if memory.writers[position].is_current() => {
                memory.follow_settings(position)?;
                position
            }
            _ => memory.look_up(name, position, function)?,
        };
        memory.last = position;
        work(&mut memory.writers[position])
    })
}

impl Writer {
    #[inline]
    fn is_current(&self) -> bool {
        self.seen == (watch::transaction(), watch::change())
    }

    /// Counts `events` insertions against the queue's limit, and refuses them if the queue is closed to this
    /// session or the limit is passed.
    #[inline]
    pub fn admit(&mut self, events: i64, kind: Kind) -> Result<()> {
        self.calls = self.calls.saturating_add(events);
        if self.settings.is_disabled || self.settings.per_tx_limit.is_some() {
            self.admit_restricted(kind)?;
        }
        Ok(())
    }

    #[cold]
    fn admit_restricted(&self, kind: Kind) -> Result<()> {
        let is_local_matter = kind == Kind::ForOneConsumer && self.settings.is_external;
        if self.settings.is_disabled && !is_local_matter && !crate::pg::session::is_replica() {
            return Err(insert_disallowed(
                Text(&self.name),
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            ));
        }
        match self.settings.per_tx_limit {
            Some(limit) if self.calls > i64::from(limit) => Err(Error::new(
                PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                format!(
                    "queue \"{}\": too many events in one transaction, the limit is {limit}",
                    Text(&self.name)
                ),
            )
            .detail("Insertions that a savepoint undid count too.")
            .hint("Commit more often, or raise it by pgq.set_queue_config(queue, 'per_tx_limit', …).")),
            _ => Ok(()),
        }
    }

    /// Whether bulk writers are turned away (`current_event_table`).
    pub fn refuses_writes(&self) -> bool {
        self.settings.is_disabled && !crate::pg::session::is_replica()
    }
}

/// The refusal of a disabled queue.
pub fn insert_disallowed(queue: Text, state: PgSqlErrorCode) -> Error {
    Error::new(state, format!("insert into queue \"{queue}\" is disallowed"))
        .detail("The queue's queue_disable_insert is set; only sessions in replica role may write to it.")
        .hint("The copy of another node's queue is never open; else pgq.set_queue_config(queue, 'disable_insert', 'false') opens it.")
}

/// The refusal of a name that is no queue, in event insertion.
pub fn unknown_queue(name: Text) -> Error {
    Error::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, format!("no such queue: \"{name}\""))
        .hint("The table pgq.queue lists the queues of this database; pgq.create_queue() makes one.")
}

impl Memory {
    #[inline]
    fn follow_settings(&mut self, position: usize) -> Result<()> {
        let command = xact::command();
        if self.writers[position].command != command { self.read_settings(position, command) } else { Ok(()) }
    }

    /// What another session, or this one, has set since the last statement.
    #[cold]
    fn read_settings(&mut self, position: usize, command: u32) -> Result<()> {
        let writer = &mut self.writers[position];
        let queues = self.queues.expect("found at the transaction's first look");
        let name = Text(&writer.name);
        writer.settings = match writer.place.and_then(|place| queues.settings(name, place)) {
            Some(settings) => settings,
            None => {
                let row = queues.read(name, None).ok_or_else(|| unknown_queue(name))?;
                writer.place = Some(row.place);
                row.settings
            }
        };
        writer.command = command;
        Ok(())
    }

    /// The slow way, once a transaction: see the module's comment for the order.
    #[cold]
    fn look_up(&mut self, name: Text, mut known: Option<usize>, function: &std::ffi::CStr) -> Result<usize> {
        xact::require_writable(function);
        let txid = xact::assign_txid();
        loop {
            let change = watch::change();
            let queues = self.queues_table()?;
            let remembered = known.map(|position| &self.writers[position]);
            let place = remembered.filter(|writer| writer.seen.1 == change).and_then(|writer| writer.place);
            let Some(row) = queues.read(name, place) else {
                return Err(unknown_queue(name));
            };
            let table_name = table_name(&row);
            let (Some(table), Some(sequence)) =
                (relation::find(Text(&table_name)), relation::find(Text(&row.event_sequence)))
            else {
                // The row is there but its tables are not: dropped since, or never complete.
                return Err(unknown_queue(name).detail("The queue's tables are gone."));
            };
            lock_for_insert(table);
            // The lock delivered what others changed meanwhile: look again if it was one of ours.
            let kept = known.filter(|position| {
                let writer = &self.writers[*position];
                writer.seen.1 == watch::change() && writer.table.oid() == table
            });
            let position = match kept {
                Some(position) => position,
                None => {
                    let table = match EventTable::inspect(table) {
                        Found::Ours(table) => Table::Direct(table),
                        Found::Altered => Table::Altered(table),
                        Found::Gone => continue,
                    };
                    self.remember(known, name, table)
                }
            };
            known = Some(position);
            let writer = &mut self.writers[position];
            if let Table::Direct(table) = &writer.table {
                table.lock_indexes();
            }
            if watch::change() != change {
                continue;
            }
            // What was set while this waited for the lock.
            let Some(settings) = queues.settings(name, row.place) else {
                continue;
            };
            if writer.seen.0 != watch::transaction() {
                writer.calls = 0;
            }
            demand::touch(row.id);
            writer.seen = (watch::transaction(), change);
            writer.place = Some(row.place);
            writer.settings = settings;
            writer.command = xact::command();
            writer.table_name = table_name;
            writer.sequence = sequence;
            writer.txid = txid;
            return Ok(position);
        }
    }

    fn queues_table(&mut self) -> Result<QueueTable> {
        let found = QueueTable::find().ok_or_else(|| {
            Error::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "table pgq.queue does not exist")
                .hint("CREATE EXTENSION pgq makes it.")
        })?;
        watch::watch(found.table);
        self.queues = Some(found);
        Ok(found)
    }

    fn remember(&mut self, known: Option<usize>, name: Text, table: Table) -> usize {
        if let Some(position) = known {
            self.writers[position].table = table;
            return position;
        }
        self.writers.push(Writer {
            name: name.0.to_vec(),
            place: None,
            seen: (0, 0),
            command: 0,
            calls: 0,
            table_name: Vec::new(),
            table,
            sequence: Oid::INVALID,
            txid: Txid::FIRST_NORMAL,
            settings: Settings::default(),
        });
        self.by_name.insert(name.0.to_vec(), self.writers.len() - 1);
        self.writers.len() - 1
    }
}

fn table_name(row: &QueueRow) -> Vec<u8> {
    let mut name = row.table_prefix.clone();
    name.extend_from_slice(format!("_{}", row.current_table).as_bytes());
    name
}
