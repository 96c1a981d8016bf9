//! Making a queue.

use super::objects::{Objects, quoted};
use super::{privileges, storage};
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::demand;
use crate::pg::spi::{self, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use crate::tick;

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
    explain(&objects, name);
    tick::take_first(name)?;
    demand::touch(objects.queue_id);
    Ok(Value::Int(1))
}

// The name is free, or somebody is making this queue just now: then this waits, and returns nothing if that is
// committed.
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

// The names are of our own making, ASCII.

fn create_sequences(objects: &Objects) {
    for sequence in [&objects.event_sequence, &objects.tick_sequence] {
        run(format!("CREATE SEQUENCE {}", Text(&quoted(sequence))));
    }
}

/// All are heap tables, whatever the default of the session: events are inserted directly.
fn create_tables(objects: &Objects) {
    let parent = quoted(&objects.parent);
    let parent = Text(&parent);
    run(format!("CREATE TABLE {parent} () INHERITS (pgq.event_template) USING heap"));
    for name in objects.event_tables() {
        let (table, index, sequence) = (quoted(&name), index_name(&name), quoted(&objects.event_sequence));
        let (table, index, sequence) = (Text(&table), Text(&index), Text(&sequence));
        run(format!("CREATE TABLE {table} () INHERITS ({parent}) USING heap WITH ({})", storage::OPTIONS));
        run(format!("ALTER TABLE {table} ALTER COLUMN ev_id SET DEFAULT nextval('{sequence}')"));
        run(format!("CREATE INDEX {index} ON {table} USING btree (ev_txid)"));
    }
}

/// Says with each object what it is: their names only tell the queue's number.
fn explain(objects: &Objects, queue: Text) {
    let comment = |kind: &str, name: &[u8], what: &str| {
        let text = [what.as_bytes(), b" of queue ", queue.0].concat();
        let (name, text) = (quoted(name), Text(&text).quoted_literal());
        spi::run(&[b"COMMENT ON ", kind.as_bytes(), b" ", &name, b" IS ", &text].concat(), &[]);
    };
    comment("SEQUENCE", &objects.event_sequence, "Event ids");
    comment("SEQUENCE", &objects.tick_sequence, "Tick ids");
    comment("TABLE", &objects.parent, "Parent of the event tables, always empty itself,");
    objects.event_tables().for_each(|table| comment("TABLE", &table, "Events"));
}

fn index_name(table: &[u8]) -> Vec<u8> {
    let (_, name) = Text(table).split_qualified();
    Text(&[name.0, b"_txid_idx"].concat()).quoted()
}

fn run(sql: String) {
    spi::run(sql.as_bytes(), &[]);
}
