//! Events that nobody could handle, put aside for somebody to look at.
//!
//! They lie in the queue's own database, in the table `pgq_consumer.dead_letter`, and are written in the transaction
//! that finishes their batch: an event is parked or comes again, never both.

use jiff::Timestamp;
use tokio_postgres::Row;

use crate::consumer::{Cause, Event};
use crate::db::Connection;
use crate::{Error, Result};

/// The lock keeps two consumers from making the table at the same time. The table is readable for whoever may read
/// queues, as its events are.
const CREATE: &str = "\
select pg_advisory_xact_lock(hashtextextended('pgq_consumer.dead_letter', 0));
create schema if not exists pgq_consumer;
create table if not exists pgq_consumer.dead_letter (
    letter_id       bigint generated always as identity primary key,
    queue_name      text not null,
    consumer_name   text not null,
    parked          timestamptz not null default now(),
    attempts        integer not null,
    cause           text not null,
    sqlstate        text,
    ev_id           bigint not null,
    ev_time         timestamptz not null,
    ev_txid         bigint not null,
    ev_retry        integer,
    ev_type         text,
    ev_data         text,
    ev_extra1       text,
    ev_extra2       text,
    ev_extra3       text,
    ev_extra4       text
);
create index if not exists dead_letter_consumer_idx
    on pgq_consumer.dead_letter (queue_name, consumer_name, letter_id);
grant usage on schema pgq_consumer to pgq_reader;
grant select, insert, delete on pgq_consumer.dead_letter to pgq_reader;
comment on table pgq_consumer.dead_letter is 'Events that a consumer could not handle';
";

const COLUMNS: &str = "letter_id, parked, attempts, cause, sqlstate, ev_id, ev_time, ev_txid, ev_retry, \
                       ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// A parked event. Displayed, it tells all, a field a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number among the dead letters.
    pub id: i64,
    /// When it was parked.
    pub parked: Timestamp,
    /// How often its handling was tried.
    pub attempts: i32,
    /// Why it could not be handled.
    pub cause: Cause,
    /// The event.
    pub event: Event,
}

/// The dead letters of a consumer.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    source: Connection,
    queue: String,
    consumer: String,
}

impl DeadLetters {
    /// Those of this consumer, in the queue's database. Nothing is committed unless a method says so.
    #[must_use]
    pub fn new(source: Connection, queue: &str, consumer: &str) -> Self {
        Self { source, queue: queue.to_owned(), consumer: consumer.to_owned() }
    }

    /// Makes the table if it is not there. That takes the right to create a schema.
    pub async fn create(&self) -> Result<()> {
        if !self.exist().await? {
            self.source.batch(CREATE).await?;
        }
        Ok(())
    }

    async fn exist(&self) -> Result<bool> {
        let look = "select to_regclass('pgq_consumer.dead_letter') is not null";
        Ok(self.source.query_one(look, &[]).await?.get(0))
    }

    /// Puts an event aside.
    pub async fn park(&self, event: &Event, cause: &Cause) -> Result<()> {
        let attempts = event.retry().unwrap_or(0).saturating_add(1);
        self.source
            .execute(
                "insert into pgq_consumer.dead_letter (queue_name, consumer_name, attempts, cause, sqlstate, \
                     ev_id, ev_time, ev_txid, ev_retry, \
                     ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
                &[
                    &self.queue,
                    &self.consumer,
                    &attempts,
                    &cause.message,
                    &cause.sqlstate,
                    &event.id(),
                    &event.time(),
                    &event.txid(),
                    &event.retry(),
                    &event.kind(),
                    &event.data(),
                    &event.extra1(),
                    &event.extra2(),
                    &event.extra3(),
                    &event.extra4(),
                ],
            )
            .await?;
        Ok(())
    }

    /// All of them, the oldest first.
    pub async fn list(&self) -> Result<Vec<DeadLetter>> {
        if !self.exist().await? {
            return Ok(Vec::new());
        }
        let list = format!(
            "select {COLUMNS} from pgq_consumer.dead_letter \
             where queue_name = $1 and consumer_name = $2 order by letter_id"
        );
        let rows = self.source.query(&list, &[&self.queue, &self.consumer]).await?;
        Ok(rows.iter().map(|row| self.letter(row)).collect())
    }

    /// The one of this number.
    pub async fn get(&self, id: i64) -> Result<DeadLetter> {
        if !self.exist().await? {
            return Err(self.unknown(id));
        }
        let get = format!(
            "select {COLUMNS} from pgq_consumer.dead_letter \
             where queue_name = $1 and consumer_name = $2 and letter_id = $3"
        );
        let row = self.source.query_opt(&get, &[&self.queue, &self.consumer, &id]).await?;
        row.map(|row| self.letter(&row)).ok_or_else(|| self.unknown(id))
    }

    /// Sends an event to this consumer again, and to no other, and commits. Of its attempts nothing is remembered. It
    /// takes the rights of pgq_admin.
    pub async fn replay(&self, id: i64) -> Result<()> {
        let letter = self.get(id).await?;
        let event = &letter.event;
        self.source
            .execute(
                "select pgq.event_retry_raw($1, $2, now(), $3, $4, null, $5, $6, $7, $8, $9, $10)",
                &[
                    &self.queue,
                    &self.consumer,
                    &event.id(),
                    &event.time(),
                    &event.kind(),
                    &event.data(),
                    &event.extra1(),
                    &event.extra2(),
                    &event.extra3(),
                    &event.extra4(),
                ],
            )
            .await?;
        self.remove(id).await
    }

    /// Throws an event away, and commits.
    pub async fn remove(&self, id: i64) -> Result<()> {
        let remove = "delete from pgq_consumer.dead_letter \
                      where letter_id = $1 and queue_name = $2 and consumer_name = $3";
        if self.source.execute(remove, &[&id, &self.queue, &self.consumer]).await? == 0 {
            self.source.rollback().await?;
            return Err(self.unknown(id));
        }
        self.source.commit().await
    }

    fn unknown(&self, id: i64) -> Error {
        Error::usage(format!("consumer {} of queue {} has no dead letter {id}", self.consumer, self.queue))
    }

    fn letter(&self, row: &Row) -> DeadLetter {
        let texts: [Option<&str>; 6] = std::array::from_fn(|column| row.get(9 + column));
        let queue = self.queue.as_str().into();
        DeadLetter {
            id: row.get(0),
            parked: row.get(1),
            attempts: row.get(2),
            cause: Cause { message: row.get(3), sqlstate: row.get(4) },
            event: Event::new(queue, row.get(5), row.get(6), row.get(7), row.get(8), texts),
        }
    }
}

impl std::fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, parked, attempts, cause, event } = self;
        let sqlstate = cause.sqlstate.as_deref().unwrap_or("none");
        writeln!(f, "letter: {id}\nparked: {parked}\nattempts: {attempts}\nsqlstate: {sqlstate}")?;
        writeln!(f, "cause: {}", cause.message)?;
        writeln!(f, "ev_id: {}\nev_time: {}\nev_txid: {}", event.id(), event.time(), event.txid())?;
        let texts = [
            ("ev_type", event.kind()),
            ("ev_data", event.data()),
            ("ev_extra1", event.extra1()),
            ("ev_extra2", event.extra2()),
            ("ev_extra3", event.extra3()),
            ("ev_extra4", event.extra4()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                writeln!(f, "{name}: {text}")?;
            }
        }
        Ok(())
    }
}
