//! The queue as a client program uses it. What returns a `Result` here can meet a server that goes away.

use std::time::{Duration, SystemTime};

use postgres::{Client, Error, Row};

/// Makes a queue; false if it was there.
pub fn create(client: &mut Client, queue: &str) -> Result<bool, Error> {
    Ok(client.query_one("select pgq.create_queue($1)", &[&queue])?.get::<_, i32>(0) == 1)
}

/// Inserts an event; its id.
pub fn insert(client: &mut Client, queue: &str, kind: &str, data: &str) -> Result<i64, Error> {
    Ok(client.query_one("select pgq.insert_event($1, $2, $3)", &[&queue, &kind, &data])?.get(0))
}

/// Makes sure a tick is taken now, whatever the queue's settings; its id.
///
/// `force_tick` raises the event count so that the next look at the queue finds a tick due. Another ticker
/// may be the one who looks, so the loop ends at any tick newer than the newest before.
pub fn tick_now(client: &mut Client, queue: &str) -> Result<i64, Error> {
    // A queue may have no tick at all: the original's rotation deletes them when nobody is registered.
    let before: Option<i64> = client.query_one("select pgq.force_tick($1)", &[&queue])?.get(0);
    loop {
        client.execute("select pgq.ticker($1)", &[&queue])?;
        let newest: Option<i64> = client
            .query_one(
                "select max(t.tick_id) from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
                  where q.queue_name = $1",
                &[&queue],
            )?
            .get(0);
        if let Some(newest) = newest.filter(|_| newest > before) {
            return Ok(newest);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Both steps of a rotation, each in its own transaction; whether the table was switched (not when a consumer or
/// an open transaction may still need the next one). The queue's `rotation_period` must have passed.
pub fn rotate(client: &mut Client, queue: &str) -> Result<bool, Error> {
    let current = |client: &mut Client| -> Result<i32, Error> {
        Ok(client.query_one("select queue_cur_table from pgq.queue where queue_name = $1", &[&queue])?.get(0))
    };
    let before = current(client)?;
    client.execute("select pgq.maint_rotate_tables_step1($1)", &[&queue])?;
    client.execute("select pgq.maint_rotate_tables_step2()", &[])?;
    Ok(current(client)? != before)
}

/// An event as a consumer gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `ev_id`
    pub id: i64,
    /// `ev_time`: when its transaction began
    pub time: SystemTime,
    /// `ev_txid`
    pub txid: i64,
    /// `ev_retry`: how often it was put off
    pub retry: Option<i32>,
    /// `ev_type`
    pub kind: Option<String>,
    /// `ev_data`
    pub data: Option<String>,
    /// `ev_extra1` to `ev_extra4`
    pub extra: [Option<String>; 4],
}

impl Event {
    fn from_row(row: &Row) -> Self {
        Self {
            id: row.get("ev_id"),
            time: row.get("ev_time"),
            txid: row.get("ev_txid"),
            retry: row.get("ev_retry"),
            kind: row.get("ev_type"),
            data: row.get("ev_data"),
            extra: ["ev_extra1", "ev_extra2", "ev_extra3", "ev_extra4"].map(|name| row.get(name)),
        }
    }
}

/// The three ways to read a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// `get_batch_events`
    Events,
    /// running the text of `batch_event_sql`, as old clients do
    Sql,
    /// `get_batch_cursor`, so many rows at a time
    Cursor(i32),
}

/// A batch that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The batch's id, good until it is finished.
    pub id: i64,
    /// The tick where it begins: the last one the consumer has finished.
    pub prev_tick: i64,
    /// The tick where it ends.
    pub tick: i64,
}

impl Batch {
    fn from_row(row: &Row) -> Option<Self> {
        Some(Self { id: row.get::<_, Option<i64>>(0)?, prev_tick: row.get(1), tick: row.get(2) })
    }

    /// Its events, by `get_batch_events`.
    pub fn events(&self, client: &mut Client) -> Result<Vec<Event>, Error> {
        self.read(client, Reading::Events)
    }

    /// Its events, read in the given way. A cursor needs a transaction, so none may be open.
    pub fn read(&self, client: &mut Client, reading: Reading) -> Result<Vec<Event>, Error> {
        let rows = match reading {
            Reading::Events => client.query("select * from pgq.get_batch_events($1)", &[&self.id])?,
            Reading::Sql => {
                let sql: String = client.query_one("select pgq.batch_event_sql($1)", &[&self.id])?.get(0);
                client.query(&sql, &[])?
            }
            Reading::Cursor(step) => self.fetch(client, step)?,
        };
        Ok(rows.iter().map(Event::from_row).collect())
    }

    fn fetch(&self, client: &mut Client, step: i32) -> Result<Vec<Row>, Error> {
        let mut transaction = client.transaction()?;
        let mut rows = transaction
            .query("select * from pgq.get_batch_cursor($1, 'kit_batch', $2)", &[&self.id, &step])?;
        let fetch = format!("fetch {step} from kit_batch");
        loop {
            let more = transaction.query(&fetch, &[])?;
            if more.is_empty() {
                break;
            }
            rows.extend(more);
        }
        transaction.commit()?;
        Ok(rows)
    }

    /// Finishes it: the consumer's position moves to its end tick. False if the batch was not open any more.
    pub fn finish(&self, client: &mut Client) -> Result<bool, Error> {
        Ok(client.query_one("select pgq.finish_batch($1)", &[&self.id])?.get::<_, i32>(0) == 1)
    }
}

/// A consumer of a queue: two names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Consumer {
    /// The queue.
    pub queue: String,
    /// The consumer.
    pub name: String,
}

impl Consumer {
    /// Names only; nothing is registered.
    #[must_use]
    pub fn new(queue: &str, name: &str) -> Self {
        Self { queue: queue.to_owned(), name: name.to_owned() }
    }

    /// Registers; false if it was.
    pub fn register(&self, client: &mut Client) -> Result<bool, Error> {
        let row = client.query_one("select pgq.register_consumer($1, $2)", &[&self.queue, &self.name])?;
        Ok(row.get::<_, i32>(0) == 1)
    }

    /// Unregisters; how many subscriptions went.
    pub fn unregister(&self, client: &mut Client) -> Result<i32, Error> {
        let row = client.query_one("select pgq.unregister_consumer($1, $2)", &[&self.queue, &self.name])?;
        Ok(row.get(0))
    }

    /// The next batch, or the open one again; `None` when there is no further tick.
    pub fn next_batch(&self, client: &mut Client) -> Result<Option<Batch>, Error> {
        let row = client.query_one(
            "select batch_id, prev_tick_id, cur_tick_id from pgq.next_batch_info($1, $2)",
            &[&self.queue, &self.name],
        )?;
        Ok(Batch::from_row(&row))
    }

    /// As [`next_batch`](Self::next_batch), but of several ticks: between once and twice this long (`'2 s'`), and `None`
    /// while there is less.
    pub fn next_batch_of(&self, client: &mut Client, interval: &str) -> Result<Option<Batch>, Error> {
        let row = client.query_one(
            "select batch_id, prev_tick_id, cur_tick_id
               from pgq.next_batch_custom($1, $2, null, null, $3::text::interval)",
            &[&self.queue, &self.name, &interval],
        )?;
        Ok(Batch::from_row(&row))
    }

    /// All events up to the newest tick, batch by batch, each finished.
    pub fn drain_all(&self, client: &mut Client) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        while let Some(batch) = self.next_batch(client)? {
            events.extend(batch.events(client)?);
            batch.finish(client)?;
        }
        Ok(events)
    }

    /// The tick it has finished last.
    pub fn position(&self, client: &mut Client) -> Result<i64, Error> {
        let row = client
            .query_one("select last_tick from pgq.get_consumer_info($1, $2)", &[&self.queue, &self.name])?;
        Ok(row.get(0))
    }
}
