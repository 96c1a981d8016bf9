//! Writing events: one at a time, or very many.

use std::borrow::Cow;

use bytes::Bytes;
use futures_util::SinkExt;
use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::consumer::{Event, TEXT_COLUMNS};
use crate::db::{Connection, copy_text, quote};
use crate::{Error, Result};

/// Events that go to the server at a time: enough for the rate of one big statement, little enough to be no burden.
const BLOCK: usize = 1000;

/// And no more once they have so many bytes: a message to the server has its limits.
const BLOCK_BYTES: usize = 8 << 20;

/// An event to be written. What is not said is NULL, but for its number and its time, which the server gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEvent<'a> {
    id: Option<i64>,
    time: Option<Timestamp>,
    texts: [Option<Cow<'a, str>>; TEXT_COLUMNS.len()],
}

/// Its texts and its time. It gets a number of its own.
impl<'a> From<&'a Event> for NewEvent<'a> {
    fn from(event: &'a Event) -> Self {
        Self { id: None, time: Some(event.time()), texts: event.texts().map(|text| text.map(Cow::Borrowed)) }
    }
}

impl<'a> NewEvent<'a> {
    /// An event of this kind (`ev_type`), with this payload (`ev_data`).
    #[must_use]
    pub fn new(kind: impl Into<Cow<'a, str>>, data: impl Into<Cow<'a, str>>) -> Self {
        let mut event = Self::default();
        event.texts[0] = Some(kind.into());
        event.texts[1] = Some(data.into());
        event
    }

    /// Sets a field by its long or short name: `ev_extra1` or `extra1`; `id` and `time` as the server writes them.
    pub fn set(&mut self, field: &str, value: Option<impl Into<Cow<'a, str>>>) -> Result<()> {
        let short = field.strip_prefix("ev_").unwrap_or(field);
        let called = |column: &&str| column.strip_prefix("ev_") == Some(short);
        if let Some(column) = TEXT_COLUMNS.iter().position(called) {
            self.texts[column] = value.map(Into::into);
            return Ok(());
        }
        let value: Option<Cow<'a, str>> = value.map(Into::into);
        let bad = |value: &str| Error::bad(format!("{field} of an event cannot be {value:?}"));
        match short {
            "id" => self.id = value.map(|text| text.parse().map_err(|_| bad(&text))).transpose()?,
            "time" => self.time = value.map(|text| text.parse().map_err(|_| bad(&text))).transpose()?,
            _ => return Err(Error::bad(format!("events have no field {field:?}"))),
        }
        Ok(())
    }

    /// The number it is to have. Who copies a queue says so; the numbers of a queue must not repeat.
    #[must_use]
    pub const fn id(mut self, id: i64) -> Self {
        self.id = Some(id);
        self
    }

    /// The time it is to have.
    #[must_use]
    pub const fn time(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// `ev_extra1` to `ev_extra4`, by 1 to 4.
    ///
    /// # Panics
    /// If there is no such field.
    #[must_use]
    pub fn extra(mut self, number: usize, text: impl Into<Cow<'a, str>>) -> Self {
        assert!((1..=4).contains(&number), "events have ev_extra1 to ev_extra4, no ev_extra{number}");
        self.texts[1 + number] = Some(text.into());
        self
    }

    fn text(&self, column: usize) -> Option<&str> {
        self.texts[column].as_deref()
    }
}

/// Writes to a queue, in the transaction of a connection: consumers see the events when that is committed, which is
/// the caller's to do.
#[derive(Debug)]
pub struct Producer {
    connection: Connection,
    queue: String,
    /// Whether the server takes events in arrays. PgQ 3.5 does not.
    takes_arrays: OnceCell<bool>,
}

impl Producer {
    /// A producer for this queue.
    #[must_use]
    pub fn new(connection: &Connection, queue: &str) -> Self {
        Self { connection: connection.clone(), queue: queue.to_owned(), takes_arrays: OnceCell::new() }
    }

    /// Writes an event, and returns its number. Its own number and time are not heeded: see
    /// [`copy`](Self::copy).
    pub async fn insert(&self, event: &NewEvent<'_>) -> Result<i64> {
        let text = |column| event.text(column);
        let row = self
            .connection
            .query_one(
                "select pgq.insert_event($1, $2, $3, $4, $5, $6, $7)",
                &[&self.queue, &text(0), &text(1), &text(2), &text(3), &text(4), &text(5)],
            )
            .await?;
        Ok(row.get(0))
    }

    /// Writes many events in as few statements as the server allows, and returns how many. Memory stays constant.
    ///
    /// Where the server takes arrays, the right to insert events is enough, and its limits hold. Otherwise, and for
    /// events with a number or a time of their own, it is as [`copy`](Self::copy).
    pub async fn insert_all<'a>(&self, events: impl IntoIterator<Item = NewEvent<'a>>) -> Result<u64> {
        let mut events = events.into_iter().peekable();
        let mut count = 0;
        while self.takes_arrays().await? && events.peek().is_some_and(|event| !event.is_copy()) {
            let mut block = Vec::with_capacity(BLOCK);
            let mut bytes = 0;
            while block.len() < BLOCK
                && bytes < BLOCK_BYTES
                && let Some(event) = events.next_if(|event| !event.is_copy())
            {
                bytes += event.texts.iter().flatten().map(|text| text.len()).sum::<usize>();
                block.push(event);
            }
            self.insert_block(&block).await?;
            count += block.len() as u64;
        }
        if events.peek().is_some() {
            count += self.copy(events).await?;
        }
        Ok(count)
    }

    async fn insert_block(&self, events: &[NewEvent<'_>]) -> Result<()> {
        let column = |column: usize| -> Vec<_> { events.iter().map(|event| event.text(column)).collect() };
        let extra =
            |number: usize| Some(column(1 + number)).filter(|texts| texts.iter().any(Option::is_some));
        // The ids stay on the server: nobody asked for them.
        self.connection
            .execute(
                "select from pgq.insert_events($1, $2, $3, $4, $5, $6, $7)",
                &[&self.queue, &column(0), &column(1), &extra(1), &extra(2), &extra(3), &extra(4)],
            )
            .await
            .map(drop)
    }

    /// Writes events by COPY into the queue's current table, and returns how many: the way of bulk writers, and of who
    /// gives numbers and times. It needs INSERT on the table, as `pgq_admin` has it. A queue that is closed to events is
    /// refused, and so is more than one transaction may write, as far as this call writes it.
    pub async fn copy<'a>(&self, events: impl IntoIterator<Item = NewEvent<'a>>) -> Result<u64> {
        if self.connection.options().autocommit {
            return Err(Error::usage("copying events needs a transaction: the connection is in autocommit"));
        }
        let row = self
            .connection
            .query_one(
                "select pgq.current_event_table($1), pg_catalog.now(), \
                        (select q.queue_per_tx_limit from pgq.queue q where q.queue_name = $1)",
                &[&self.queue],
            )
            .await?;
        let (table, now): (String, Timestamp) = (row.get(0), row.get(1));
        let limit = row.get::<_, Option<i32>>(2).and_then(|limit| u64::try_from(limit).ok());
        let mut events = events.into_iter().peekable();
        let mut count = 0;
        while let Some(first) = events.peek() {
            // One COPY has one list of columns; a number that is not given must come from the table's sequence.
            let has_id = first.id.is_some();
            let columns = if has_id { "ev_id, ev_time" } else { "ev_time" };
            let copy = format!(
                "copy {} ({columns}, {}) from stdin",
                quote::qualified(&table),
                TEXT_COLUMNS.join(", ")
            );
            let client = self.connection.client().await?;
            let sink = client.copy_in(&copy).await.map_err(self.connection.failed(&copy))?;
            let mut sink = std::pin::pin!(sink);
            let mut rows = String::new();
            while let Some(event) = events.next_if(|event| event.id.is_some() == has_id) {
                count += 1;
                if limit.is_some_and(|limit| count > limit) {
                    return Err(Error::bad(format!(
                        "queue {:?} allows {} events a transaction",
                        self.queue,
                        limit.unwrap_or_default()
                    )));
                }
                event.write_row(&mut rows, now);
                if rows.len() >= 1 << 16 {
                    let chunk = Bytes::from(std::mem::take(&mut rows));
                    sink.feed(chunk).await.map_err(self.connection.failed(&copy))?;
                }
            }
            sink.feed(Bytes::from(rows)).await.map_err(self.connection.failed(&copy))?;
            sink.finish().await.map_err(self.connection.failed(&copy))?;
        }
        Ok(count)
    }

    async fn takes_arrays(&self) -> Result<bool> {
        let known = self.takes_arrays.get_or_try_init(async || {
            let asked = "select exists (select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n \
                         on n.oid = p.pronamespace where n.nspname = 'pgq' and p.proname = 'insert_events')";
            Ok::<bool, Error>(self.connection.query_one(asked, &[]).await?.get(0))
        });
        known.await.copied()
    }
}

impl NewEvent<'_> {
    /// Whether only COPY can write it.
    const fn is_copy(&self) -> bool {
        self.id.is_some() || self.time.is_some()
    }

    fn write_row(&self, out: &mut String, now: Timestamp) {
        if let Some(id) = self.id {
            out.push_str(&format!("{id}\t"));
        }
        out.push_str(&self.time.unwrap_or(now).to_string());
        for column in 0..TEXT_COLUMNS.len() {
            out.push('\t');
            copy_text::write(out, self.text(column));
        }
        out.push('\n');
    }
}
