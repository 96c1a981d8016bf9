//! What a producer has written.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

/// The text columns, in the order of the queue's tables.
pub(crate) const TEXT_COLUMNS: [&str; TEXTS] =
    ["ev_type", "ev_data", "ev_extra1", "ev_extra2", "ev_extra3", "ev_extra4"];

const TEXTS: usize = 6;

/// An event. It owns its texts in one piece, so it may outlive its batch, cheaply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    queue: Arc<str>,
    id: i64,
    time: Timestamp,
    txid: i64,
    retry: Option<i32>,
    /// Type, data, extra1 to extra4, one behind the other.
    text: Box<str>,
    /// Where each of them ends; `None`: it is NULL.
    ends: [Option<u32>; TEXTS],
}

impl Event {
    /// An event as a queue would hand it out; `texts` are type, data and extra1 to extra4.
    ///
    /// # Panics
    /// If the texts are longer than 4 GiB, which no row of PostgreSQL can be.
    #[must_use]
    pub fn new(
        queue: Arc<str>,
        id: i64,
        time: Timestamp,
        txid: i64,
        retry: Option<i32>,
        texts: [Option<&str>; TEXTS],
    ) -> Self {
        let mut text = String::with_capacity(texts.iter().flatten().map(|text| text.len()).sum());
        let ends = texts.map(|one| {
            one.map(|one| {
                text.push_str(one);
                u32::try_from(text.len()).expect("a row is shorter than 4 GiB")
            })
        });
        Self { queue, id, time, txid, retry, text: text.into_boxed_str(), ends }
    }

    /// The columns of `pgq.get_batch_events` and `pgq.get_batch_cursor`, in their order.
    pub(super) fn from_row(queue: &Arc<str>, row: &Row) -> Result<Self, tokio_postgres::Error> {
        let mut texts = [None; TEXTS];
        for (column, text) in texts.iter_mut().enumerate() {
            *text = row.try_get::<_, Option<Text>>(4 + column)?.map(|text| text.0);
        }
        let (id, txid, retry) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
        Ok(Self::new(Arc::clone(queue), id, row.try_get(1)?, txid, retry, texts))
    }

    /// As it comes back after a retry.
    pub(crate) fn again(self) -> Self {
        Self { retry: Some(self.retry.unwrap_or(0) + 1), ..self }
    }

    /// The queue it came from.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Its number in the queue.
    #[must_use]
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// When it was inserted.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The transaction that inserted it.
    #[must_use]
    pub const fn txid(&self) -> i64 {
        self.txid
    }

    /// How often it was sent back for a retry; `None` on first delivery.
    #[must_use]
    pub const fn retry(&self) -> Option<i32> {
        self.retry
    }

    /// What kind of event it is (`ev_type`).
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.text(0)
    }

    /// Its payload (`ev_data`).
    #[must_use]
    pub fn data(&self) -> Option<&str> {
        self.text(1)
    }

    /// `ev_extra1`: for events of triggers, the table.
    #[must_use]
    pub fn extra1(&self) -> Option<&str> {
        self.text(2)
    }

    /// `ev_extra2`.
    #[must_use]
    pub fn extra2(&self) -> Option<&str> {
        self.text(3)
    }

    /// `ev_extra3`.
    #[must_use]
    pub fn extra3(&self) -> Option<&str> {
        self.text(4)
    }

    /// `ev_extra4`.
    #[must_use]
    pub fn extra4(&self) -> Option<&str> {
        self.text(5)
    }

    /// Type, data, extra1 to extra4.
    pub(crate) fn texts(&self) -> [Option<&str>; TEXTS] {
        std::array::from_fn(|index| self.text(index))
    }

    /// The bytes of its texts.
    pub(super) const fn size(&self) -> usize {
        self.text.len()
    }

    fn text(&self, index: usize) -> Option<&str> {
        let end = self.ends[index]? as usize;
        let start = self.ends[..index].iter().rev().find_map(|end| *end).unwrap_or(0) as usize;
        Some(&self.text[start..end])
    }
}

/// Which event it is, without what is in it: number, queue, type, table. It stays on its line, whatever a producer has
/// called them.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on_a_line = |text: Option<&str>| text.unwrap_or("NULL").replace(char::is_control, "\u{fffd}");
        let (kind, table) = (on_a_line(self.kind()), on_a_line(self.extra1()));
        write!(f, "event {} of queue {} (type {kind}, table {table})", self.id, self.queue)
    }
}

/// Text of any type: views of the C original give some columns as other types than text.
struct Text<'a>(&'a str);

impl<'a> FromSql<'a> for Text<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(std::str::from_utf8(raw)?))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_an_event_writes_no_line_of_the_log() {
        let texts = [Some("new\nERROR all is lost\x1b[2J"), None, Some("Tõnu's"), None, None, None];
        let event = Event::new("q".into(), 7, Timestamp::UNIX_EPOCH, 9, None, texts);
        let told = "event 7 of queue q (type new\u{fffd}ERROR all is lost\u{fffd}[2J, table Tõnu's)";
        assert_eq!(event.to_string(), told);
    }

    #[test]
    fn null_and_empty_are_two() {
        let texts = [Some("kind"), None, Some(""), Some("two"), None, Some("four")];
        let event = Event::new("q".into(), 7, Timestamp::UNIX_EPOCH, 9, None, texts);
        let read =
            [event.kind(), event.data(), event.extra1(), event.extra2(), event.extra3(), event.extra4()];
        assert_eq!(read, texts);
    }
}
