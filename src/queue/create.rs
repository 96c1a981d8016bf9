//! Making a queue.

use super::objects::{Objects, as_regclass, quoted};
use super::{privileges, storage};
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::spi::{self, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use crate::pg::xact;

/// `create_queue(i_queue_name)`: 1 when it was made, 0 when it was there.
pub fn create_queue(call: &Call) -> Result<Value> {
    let name = call.text(0).ok_or_else(|| {
        Error::raised("queue name must not be NULL").hint("Any text is a name, even the empty one.")
    })?;
    if Objects::find(Some(name)).is_some() {
        return Ok(Value::Int(0));
    }
    let Some(objects) = enter(name) else {
        return Ok(Value::Int(0));
    };
    create_sequences(&objects);
    create_tables(&objects);
    privileges::grant_on_queue(&objects);
    take_first_tick(&objects);
    Ok(Value::Int(1))
}

// The name is free, or somebody is making this queue just now: then this waits, and returns nothing if he commits.
static ENTER: Statement = Statement::changing(
    "INSERT INTO pgq.queue (queue_id, queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq)
     SELECT id, $1, format('pgq.event_%s', id), format('pgq.event_%s_id_seq', id), format('pgq.event_%s_tick_seq', id)
       FROM (SELECT nextval('pgq.queue_queue_id_seq')::integer OFFSET 0) AS next (id)
     ON CONFLICT (queue_name) DO NOTHING
     RETURNING queue_id, queue_ntables, queue_cur_table, queue_data_pfx, queue_event_seq, queue_tick_seq",
    &[Type::Text],
);

fn enter(name: Text) -> Option<Objects> {
    ENTER.rows_in(View::Latest, &[name.into()]).first().map(Objects::from_row)
}

fn create_sequences(objects: &Objects) {
    for sequence in [&objects.event_sequence, &objects.tick_sequence] {
        spi::run(&[b"CREATE SEQUENCE ", quoted(sequence).as_slice()].concat(), &[]);
    }
}

/// All are heap tables, whatever the default of the session: events are inserted directly.
fn create_tables(objects: &Objects) {
    let parent = quoted(&objects.parent);
    spi::run(
        &[b"CREATE TABLE ", parent.as_slice(), b" () INHERITS (pgq.event_template) USING heap"].concat(),
        &[],
    );
    for table in objects.event_tables() {
        create_event_table(&table, &parent, &quoted(&objects.event_sequence));
    }
}

fn create_event_table(table: &[u8], quoted_parent: &[u8], quoted_sequence: &[u8]) {
    let quoted_table = quoted(table);
    let (_, plain_name) = Text(table).split_qualified();
    let index = [plain_name.0, b"_txid_idx"].concat();
    let storage = storage::OPTIONS.as_bytes();
    spi::run(
        &[
            b"CREATE TABLE ",
            quoted_table.as_slice(),
            b" () INHERITS (",
            quoted_parent,
            b") USING heap WITH (",
            storage,
            b")",
        ]
        .concat(),
        &[],
    );
    spi::run(
        &[
            b"ALTER TABLE ",
            quoted_table.as_slice(),
            b" ALTER COLUMN ev_id SET DEFAULT nextval(",
            &literal(quoted_sequence),
            b")",
        ]
        .concat(),
        &[],
    );
    spi::run(
        &[
            b"CREATE INDEX ",
            Text(&index).quoted().as_slice(),
            b" ON ",
            &quoted_table,
            b" USING btree (ev_txid)",
        ]
        .concat(),
        &[],
    );
}

/// A string constant; our own generated names need no escape syntax.
fn literal(text: &[u8]) -> Vec<u8> {
    [b"'", text, b"'"].concat()
}

// No event has been inserted, so the count starts at 0; PgQ 3.5 wrote down 1, and then missed the first event.
static FIRST_TICK: Statement = Statement::changing(
    "INSERT INTO pgq.tick (tick_queue, tick_id, tick_time, tick_snapshot, tick_event_seq)
     VALUES ($1, nextval($2::regclass), now(), txid_current_snapshot(), 0)",
    &[Type::Int, Type::Text],
);

fn take_first_tick(objects: &Objects) {
    let sequence = as_regclass(&objects.tick_sequence);
    FIRST_TICK.rows_in(View::Latest, &[objects.queue_id.into(), sequence]);
    xact::force_sync_commit();
}
