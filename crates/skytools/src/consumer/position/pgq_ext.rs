//! What `pgq_ext` remembers of a consumer in the target.
//!
//! PgQ 3.5 knows a consumer there by its name, so one name on two queues had one position. Where the functions take a
//! queue, it is told to them. A position that was stored without one is taken over: it is the one that the consumer had
//! before the target was upgraded. If it is somebody else's, it does not fit the batch, which is an error by tick.
//!
//! Queues of one name in two databases are still one to it, and so are a queue and what it was before it was restored: both
//! count their ticks and batches from 1. So it is written down, too, of which tick or batch it was and when that was taken, as
//! if it were the ticks of two sub-consumers. (Events of it would do for that, too; but they are the handler's, their mark
//! is a lock while it works, and two that come and go with each batch pile up while somebody keeps a snapshot.)

use jiff::Timestamp;

use crate::consumer::{BatchInfo, Look, Subscription};
use crate::db::types::{FromSqlOwned, ToSql};
use crate::db::{Connection, Row};
use crate::script::{Config, Key, Kind};
use crate::{Error, Result};

/// That of the extension.
const DEFAULT_SCHEMA: &str = "pgq_ext";

/// What the sub-consumers are called by whose ticks it is known what was done last, and the microsecond of 1970 at which its
/// tick was taken.
const NUMBER: &str = "#number";
const TIME: &str = "#time";

/// Keys of consumers that keep their position in the target.
pub const TARGET_KEYS: &[Key] = &[
    Key::with_default(
        "pgq_ext_schema",
        Kind::Text,
        DEFAULT_SCHEMA,
        "The schema in the target whose functions keep the position.",
    ),
    Key::optional(
        "subconsumer_name",
        Kind::Text,
        "Keep the position under this name, too: for several jobs that write to one target under one consumer name.",
    ),
];

/// The page of one consumer, for one transaction of the target.
#[derive(Debug)]
pub(super) struct Page {
    schema: String,
    /// The names with the queue, where the functions take it.
    names: Vec<String>,
    /// The names without.
    plain: Vec<String>,
    /// Whether the tick is one that was stored without the queue.
    is_taken_over: bool,
}

impl Page {
    /// Opens it. Until the transaction ends no other job of the same names can: who is second learns it here.
    pub async fn open(config: &Config, who: &Subscription, target: &Connection) -> Result<Self> {
        let schema = config.text("pgq_ext_schema")?.to_owned();
        let mut plain = vec![who.consumer().to_owned()];
        plain.extend(config.optional("subconsumer_name").map(str::to_owned));
        let row = target
            .query_one(
                "select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended($1, 0)), \
                        pg_catalog.to_regprocedure(\
                            pg_catalog.format('%I.set_last_tick(text, text, text, bigint)', $2::text)) is not null, \
                        pg_catalog.quote_ident($2), \
                        pg_catalog.to_regnamespace(pg_catalog.quote_ident($2)) is not null",
                &[&format!("{} {}", who.queue(), plain.join(" ")), &schema],
            )
            .await?;
        if !row.get::<_, bool>(3) {
            let advice = if schema == DEFAULT_SCHEMA {
                "CREATE EXTENSION pgq_ext CASCADE makes it"
            } else {
                "so says pgq_ext_schema"
            };
            return Err(Error::bad(format!(
                "{} has no schema {schema} to keep the position in: {advice}",
                target.name()
            )));
        }
        if !row.get::<_, bool>(0) {
            return Err(Error::bad(format!(
                "another job is at work in {} as consumer {} of queue {}: each job needs a consumer_name of its own",
                target.name(),
                plain.join(", sub-consumer "),
                who.queue()
            )));
        }
        let names = if row.get(1) {
            let subconsumer = plain.get(1).cloned().unwrap_or_default();
            vec![who.queue().to_owned(), who.consumer().to_owned(), subconsumer]
        } else {
            plain.clone()
        };
        Ok(Self { schema: row.get(2), names, plain, is_taken_over: false })
    }

    /// The last tick that is done.
    pub async fn tick(&mut self, target: &Connection) -> Result<Option<i64>> {
        let tick: Option<i64> = self.call(target, "get_last_tick", &self.names, None).await?;
        if tick.is_some() || !self.knows_queues() {
            return Ok(tick);
        }
        let tick: Option<i64> = self.call(target, "get_last_tick", &self.plain, None).await?;
        self.is_taken_over = tick.is_some();
        Ok(tick)
    }

    /// What the last tick that is done says of a batch.
    pub async fn look(&mut self, target: &Connection, batch: &BatchInfo) -> Result<Look> {
        let mut tick = self.tick(target).await?;
        let mut look = Look::at(tick, batch, target.name());
        if look.is_err() && self.knows_queues() {
            // A program of the original, which knows no queues, may have been at work since.
            let other: Option<i64> = self.call(target, "get_last_tick", &self.plain, None).await?;
            if let Some(fits) = other.and_then(|other| Look::at(Some(other), batch, target.name()).ok()) {
                (tick, look, self.is_taken_over) = (other, Ok(fits), true);
            }
        }
        let look = look?;
        let time = if look == Look::AlreadyDone { batch.batch_end } else { batch.batch_start };
        if let Some(tick) = tick {
            self.require_time(target, &format!("tick {tick}"), tick, time).await?;
        }
        Ok(look)
    }

    /// Remembers the tick at the end of a batch. What was stored without the queue may be another job's, and stays unless
    /// it was taken over.
    pub async fn set_tick(&self, target: &Connection, batch: &BatchInfo) -> Result<()> {
        self.store_tick(target, Some(batch.tick_id), self.is_taken_over).await?;
        self.mark(target, Some(batch.tick_id), Some(batch.batch_end)).await
    }

    /// Forgets the tick, however it was stored.
    pub async fn forget_tick(&self, target: &Connection) -> Result<()> {
        self.store_tick(target, None, self.knows_queues()).await?;
        self.mark(target, None, None).await
    }

    async fn store_tick(&self, target: &Connection, tick: Option<i64>, drops_plain: bool) -> Result<()> {
        let _: i32 = self.call(target, "set_last_tick", &self.names, Some(tick)).await?;
        if drops_plain {
            let _: i32 = self.call(target, "set_last_tick", &self.plain, Some(None)).await?;
        }
        Ok(())
    }

    /// Remembers a batch. False: it was done before, and is not to be done again.
    pub async fn set_batch(&self, target: &Connection, batch: &BatchInfo) -> Result<bool> {
        let is_new = self.store_batch(target, batch.batch_id).await?;
        if is_new {
            self.mark(target, Some(batch.batch_id), Some(batch.batch_end)).await?;
        } else {
            let what = format!("batch {}", batch.batch_id);
            self.require_time(target, &what, batch.batch_id, batch.batch_end).await?;
        }
        Ok(is_new)
    }

    /// Forgets the batch. What is done cannot be deleted: it becomes a batch that never comes.
    pub async fn forget_batch(&self, target: &Connection) -> Result<()> {
        self.store_batch(target, i64::MAX).await?;
        self.mark(target, None, None).await
    }

    async fn store_batch(&self, target: &Connection, batch: i64) -> Result<bool> {
        // NULL for a NULL batch of a consumer that has done any.
        let knows_me: Option<bool> = self.call(target, "is_batch_done", &self.names, Some(None)).await?;
        let done_by_name = self.knows_queues()
            && knows_me.is_some()
            && self.call::<Option<bool>>(target, "is_batch_done", &self.plain, Some(Some(batch))).await?
                == Some(true);
        let is_new: bool = self.call(target, "set_batch_done", &self.names, Some(Some(batch))).await?;
        Ok(is_new && !done_by_name)
    }

    /// Writes down when the tick was taken that a tick or batch of this number ends with.
    async fn mark(&self, target: &Connection, number: Option<i64>, time: Option<Timestamp>) -> Result<()> {
        if self.knows_queues() {
            let set = format!("{}.set_last_tick($1, $2, $3::text", self.schema);
            let sql = format!("select {set} || '{NUMBER}', $4), {set} || '{TIME}', $5)");
            self.ask(target, &sql, number, time).await?;
        }
        Ok(())
    }

    /// An error if it was taken at another time, as far as is known.
    async fn require_time(
        &self,
        target: &Connection,
        what: &str,
        number: i64,
        time: Timestamp,
    ) -> Result<()> {
        if !self.knows_queues() {
            return Ok(());
        }
        let get = format!("{}.get_last_tick($1, $2, $3::text", self.schema);
        let sql = format!(
            "select {get} || '{NUMBER}') is distinct from $4::bigint \
                 or {get} || '{TIME}') is not distinct from $5::bigint"
        );
        if self.ask(target, &sql, Some(number), Some(time)).await?.get(0) {
            return Ok(());
        }
        Err(Error::bad(format!(
            "lost position: {} has {what} as done, but not one that was taken at {time}: it is of another database's \
             queue {}, whose job needs a consumer_name of its own, or this queue was restored (--reset forgets it)",
            target.name(),
            self.names[0]
        )))
    }

    async fn ask(
        &self,
        target: &Connection,
        sql: &str,
        number: Option<i64>,
        time: Option<Timestamp>,
    ) -> Result<Row> {
        let time = time.map(Timestamp::as_microsecond);
        let mut values: Vec<&(dyn ToSql + Sync)> = self.names.iter().map(|name| name as _).collect();
        values.extend([&number as &(dyn ToSql + Sync), &time]);
        target.query_one(sql, &values).await
    }

    fn knows_queues(&self) -> bool {
        self.names != self.plain
    }

    async fn call<T: FromSqlOwned>(
        &self,
        target: &Connection,
        function: &str,
        names: &[String],
        mark: Option<Option<i64>>,
    ) -> Result<T> {
        let mut arguments: Vec<String> = (1..=names.len()).map(|number| format!("${number}::text")).collect();
        let mut values: Vec<&(dyn ToSql + Sync)> = names.iter().map(|name| name as _).collect();
        if let Some(mark) = &mark {
            arguments.push(format!("${}::bigint", names.len() + 1));
            values.push(mark);
        }
        let sql = format!("select {}.{function}({})", self.schema, arguments.join(", "));
        Ok(target.query_one(&sql, &values).await?.get(0))
    }
}
