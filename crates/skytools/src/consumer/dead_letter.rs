//! Events that nobody could handle, put aside for somebody to look at.
//!
//! They lie in the queue's own database, in the table `pgq_consumer.dead_letter`, and are written in the transaction
//! that finishes their batch: an event is parked or comes again, never both.

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use crate::consumer::{Cause, Event, TEXT_COLUMNS};
use crate::db::Connection;
use crate::{Error, Result};

/// The lock keeps two consumers from making the table at the same time; who comes second finds it, and needs no right to
/// it. (In the catalog: `to_regclass` would remember that it was not there.) The table is readable for whoever may read
/// queues, as its events are.
const CREATE: &str = "\
do $$ begin
perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgq_consumer.dead_letter', 0));
if exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'pgq_consumer' and c.relname = 'dead_letter'
) then
    return;
end if;
create schema if not exists pgq_consumer;
create table pgq_consumer.dead_letter (
    letter_id       bigint generated always as identity primary key,
    queue_name      text not null,
    consumer_name   text not null,
    parked          timestamptz not null default pg_catalog.now(),
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
create index dead_letter_consumer_idx
    on pgq_consumer.dead_letter (queue_name, consumer_name, letter_id);
grant usage on schema pgq_consumer to pgq_reader;
grant select, insert, delete on pgq_consumer.dead_letter to pgq_reader;
comment on table pgq_consumer.dead_letter is 'Events that a consumer could not handle';
end $$";

/// What is known of the event itself, before its texts.
const EVENT: &str = "ev_id, ev_time, ev_txid, ev_retry";

/// So many letters are in memory at a time.
const PAGE: i64 = 300;

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
        if self.exist().await? {
            return Ok(());
        }
        self.source.batch(CREATE).await.map_err(|error| match error.sqlstate() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Error::bad(format!(
                "{}\nHINT: pgq_consumer.dead_letter is made by who may create schemas, and starts a consumer that may \
                 park events",
                error.brief()
            )),
            _ => error,
        })
    }

    async fn exist(&self) -> Result<bool> {
        let look = "select pg_catalog.to_regclass('pgq_consumer.dead_letter') is not null";
        Ok(self.source.query_one(look, &[]).await?.get(0))
    }

    /// Puts an event aside.
    pub async fn park(&self, event: &Event, cause: &Cause) -> Result<()> {
        let attempts = event.retry().unwrap_or(0).saturating_add(1);
        let insert = format!(
            "insert into pgq_consumer.dead_letter \
                 (queue_name, consumer_name, attempts, cause, sqlstate, {EVENT}, {}) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            TEXT_COLUMNS.join(", ")
        );
        let (message, sqlstate) = (&cause.message, &cause.sqlstate);
        let (id, time, txid, retry) = (event.id(), event.time(), event.txid(), event.retry());
        let texts = event.texts();
        let mut values: Vec<&(dyn ToSql + Sync)> =
            vec![&self.queue, &self.consumer, &attempts, message, sqlstate, &id, &time, &txid, &retry];
        values.extend(texts.iter().map(|text| text as &(dyn ToSql + Sync)));
        self.source.execute(&insert, &values).await?;
        Ok(())
    }

    /// Those behind the one of this number, in their order, the oldest first: some hundreds. None: there are no more.
    pub async fn behind(&self, id: i64) -> Result<Vec<DeadLetter>> {
        self.select("letter_id > $3 order by letter_id limit $4", &[&id, &PAGE]).await
    }

    /// The one of this number.
    pub async fn get(&self, id: i64) -> Result<DeadLetter> {
        self.select("letter_id = $3", &[&id]).await?.pop().ok_or_else(|| self.unknown(id))
    }

    /// The number of the newest; 0: there is none.
    pub async fn newest(&self) -> Result<i64> {
        let newest = self.select("true order by letter_id desc limit 1", &[]).await?.pop();
        Ok(newest.map_or(0, |letter| letter.id))
    }

    /// Those of this consumer that meet a condition over `$3` and so on.
    async fn select(&self, which: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<DeadLetter>> {
        if !self.exist().await? {
            return Ok(Vec::new());
        }
        let select = format!(
            "select letter_id, parked, attempts, cause, sqlstate, {EVENT}, {} from pgq_consumer.dead_letter \
             where queue_name = $1 and consumer_name = $2 and {which}",
            TEXT_COLUMNS.join(", ")
        );
        let whose: [&(dyn ToSql + Sync); 2] = [&self.queue, &self.consumer];
        let rows = self.source.query(&select, &[&whose, values].concat()).await?;
        Ok(rows.iter().map(|row| self.letter(row)).collect())
    }

    /// Sends an event to this consumer again, and to no other, and commits. Of its attempts nothing is remembered. It
    /// takes the rights of pgq_admin.
    pub async fn replay(&self, id: i64) -> Result<()> {
        let letter = self.get(id).await?;
        let (id_in_queue, time, texts) = (letter.event.id(), letter.event.time(), letter.event.texts());
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&self.queue, &self.consumer, &id_in_queue, &time];
        values.extend(texts.iter().map(|text| text as &(dyn ToSql + Sync)));
        let again =
            "select pgq.event_retry_raw($1, $2, pg_catalog.now(), $3, $4, null, $5, $6, $7, $8, $9, $10)";
        self.source.execute(again, &values).await?;
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

impl DeadLetter {
    /// It in a line: number, time, event, type and the first line of the cause, with tabs between them.
    pub(super) fn in_short(&self) -> String {
        // A producer's text could be more than a column, or speak to the terminal.
        let plain = |text: &str| text.replace(char::is_control, "\u{fffd}");
        let kind = plain(self.event.kind().unwrap_or(""));
        let cause = plain(self.cause.message.lines().next().unwrap_or(""));
        format!("{}\t{}\t{}\t{kind}\t{cause}", self.id, self.parked, self.event.id())
    }
}

impl std::fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, parked, attempts, cause, event } = self;
        let sqlstate = cause.sqlstate.as_deref().unwrap_or("none");
        writeln!(f, "letter: {id}\nparked: {parked}\nattempts: {attempts}\nsqlstate: {sqlstate}")?;
        writeln!(f, "cause: {}", cause.message)?;
        writeln!(f, "ev_id: {}\nev_time: {}\nev_txid: {}", event.id(), event.time(), event.txid())?;
        for (name, text) in TEXT_COLUMNS.into_iter().zip(event.texts()) {
            if let Some(text) = text {
                writeln!(f, "{name}: {text}")?;
            }
        }
        Ok(())
    }
}
