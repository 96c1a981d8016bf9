//! The relations of one queue, as its row names them.

use crate::pg::spi::{Row, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::Type;

/// A queue's row, as far as it names relations. The names are plain `schema.name`, unquoted, and none but those that
/// `create_queue` gave: a constraint of the table sees to it.
pub struct Objects {
    /// `queue_id`
    pub queue_id: i32,
    /// `queue_ntables`
    pub table_count: i32,
    /// `queue_cur_table`
    pub current_table: i32,
    /// `queue_data_pfx`: the parent of the event tables.
    pub parent: Vec<u8>,
    /// `queue_event_seq`
    pub event_sequence: Vec<u8>,
    /// `queue_tick_seq`
    pub tick_sequence: Vec<u8>,
}

macro_rules! by_name {
    ($($lock:literal)?) => {
        concat!(
            "SELECT queue_id, queue_ntables, queue_cur_table, queue_data_pfx, queue_event_seq, queue_tick_seq
               FROM pgq.queue WHERE queue_name = $1",
            $($lock)?
        )
    };
}

static BY_NAME: Statement = Statement::reading(by_name!(), &[Type::Text]);
static BY_NAME_LOCKED: Statement = Statement::changing(by_name!(" FOR NO KEY UPDATE"), &[Type::Text]);

impl Objects {
    /// Those of the queue of this name.
    pub fn find(name: Option<Text>) -> Option<Objects> {
        BY_NAME.rows_in(View::Latest, &[name.into()]).first().map(Objects::from_row)
    }

    /// The same, with the row locked to the end of the transaction: against rotation, registration and removal, but not
    /// against ticks, whose foreign key looks at the row. Who waits for tables meanwhile does not stop the ticker.
    pub fn lock(name: Option<Text>) -> Option<Objects> {
        BY_NAME_LOCKED.rows_in(View::Latest, &[name.into()]).first().map(Objects::from_row)
    }

    /// From a row of the six columns, in the order of the fields.
    pub fn from_row(row: Row) -> Objects {
        let name = |column| row.text(column).expect("a name column is not null").0.to_vec();
        Objects {
            queue_id: row.int(0).expect("queue_id is not null"),
            table_count: row.int(1).expect("queue_ntables is not null"),
            current_table: row.int(2).expect("queue_cur_table is not null"),
            parent: name(3),
            event_sequence: name(4),
            tick_sequence: name(5),
        }
    }

    /// The name of an event table.
    pub fn event_table(&self, number: i32) -> Vec<u8> {
        numbered(&self.parent, number)
    }

    /// The names of all event tables, without their parent.
    pub fn event_tables(&self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.table_count).map(|number| self.event_table(number))
    }
}

/// The name of the event table of this number below a parent.
pub fn numbered(parent: &[u8], number: i32) -> Vec<u8> {
    [parent, format!("_{number}").as_bytes()].concat()
}

/// `schema.name` as SQL identifiers.
pub fn quoted(name: &[u8]) -> Vec<u8> {
    Text(name).quoted_qualified()
}

/// A list of `schema.name` as SQL identifiers, with commas.
pub fn quoted_list(names: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let names: Vec<Vec<u8>> = names.into_iter().map(|name| quoted(&name)).collect();
    names.join(b", ".as_slice())
}
