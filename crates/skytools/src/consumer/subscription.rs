//! A consumer of a queue, as the queue knows it.

use std::sync::Arc;

use crate::consumer::{Batch, BatchInfo};
use crate::db::Connection;
use crate::script::{Config, Stop};
use crate::{Error, Result};

/// Which events come, and how many at a time.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Events that the cursor reads at a time; 0: the whole batch at once.
    pub lazy_fetch: usize,
    /// Let a batch have about so many events at least.
    pub min_count: Option<i32>,
    /// Let a batch cover at least this interval.
    pub min_interval: Option<String>,
    /// Take only batches whose end is at least this old.
    pub min_lag: Option<String>,
    /// A condition over the ev_ columns. SQL, so from trusted people only.
    pub condition: Option<String>,
    /// Refuse events that the handler has not tagged.
    pub strict: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Subscription {
    queue: Arc<str>,
    consumer: String,
    selection: Selection,
    stop: Stop,
}

impl Subscription {
    /// A consumer of a queue. It is asked for nothing yet; see [`register`](Self::register).
    #[must_use]
    pub fn new(queue: &str, consumer: &str) -> Self {
        let selection = Selection { lazy_fetch: 300, ..Selection::default() };
        Self { queue: queue.into(), consumer: consumer.to_owned(), selection, stop: Stop::default() }
    }

    /// What the [keys](crate::consumer::CONSUMER_KEYS) say.
    pub fn from_config(config: &Config, stop: Stop) -> Result<Self> {
        let positive = |key| {
            usize::try_from(config.integer(key)?)
                .map_err(|_| Error::usage(format!("config parameter {key} is below zero")))
        };
        let interval = |key| config.optional(key).map(str::to_owned);
        let min_count = positive("pgq_batch_collect_events")?;
        let selection = Selection {
            lazy_fetch: positive("pgq_lazy_fetch")?,
            min_count: (min_count > 0).then(|| i32::try_from(min_count).unwrap_or(i32::MAX)),
            min_interval: interval("pgq_batch_collect_interval"),
            min_lag: interval("pgq_keep_lag"),
            ..Selection::default()
        };
        let mut subscription = Self::new(config.text("queue_name")?, config.text("consumer_name")?);
        (subscription.selection, subscription.stop) = (selection, stop);
        Ok(subscription)
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The consumer.
    #[must_use]
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// Which events come, to be changed.
    pub const fn selection(&mut self) -> &mut Selection {
        &mut self.selection
    }

    /// Registers the consumer at the newest tick: what was inserted before is not seen. False: it was registered.
    pub async fn register(&self, source: &Connection) -> Result<bool> {
        let row = source
            .query_one("select pgq.register_consumer($1, $2)", &[&&*self.queue, &self.consumer])
            .await?;
        source.commit().await?;
        Ok(row.get::<_, i32>(0) == 1)
    }

    /// Takes the registration back. False: there was none.
    pub async fn unregister(&self, source: &Connection) -> Result<bool> {
        let row = source
            .query_one("select pgq.unregister_consumer($1, $2)", &[&&*self.queue, &self.consumer])
            .await?;
        source.commit().await?;
        Ok(row.get::<_, i32>(0) == 1)
    }

    /// The next batch, or the open one again; `None`: there is nothing new.
    pub async fn next_batch(&self, source: &Connection) -> Result<Option<Batch>> {
        let Selection { min_lag, min_count, min_interval, .. } = &self.selection;
        let row = source
            .query_one(
                "select batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time, \
                        cur_tick_event_seq, prev_tick_event_seq \
                 from pgq.next_batch_custom($1, $2, $3::text::interval, $4, $5::text::interval)",
                &[&&*self.queue, &self.consumer, min_lag, min_count, min_interval],
            )
            .await?;
        source.commit().await?;
        let Some(batch_id) = row.get(0) else { return Ok(None) };
        let info = BatchInfo {
            batch_id,
            tick_id: row.get(1),
            prev_tick_id: row.get(2),
            batch_end: row.get(3),
            batch_start: row.get(4),
            seq_end: row.get(5),
            seq_start: row.get(6),
        };
        Ok(Some(Batch::new(
            info,
            Arc::clone(&self.queue),
            source.clone(),
            &self.selection,
            self.stop.clone(),
        )))
    }
}
