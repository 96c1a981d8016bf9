//! A consumer that is many: its members share one position, and each batch goes to one of them.

use crate::Result;
use crate::consumer::{BatchInfo, Consumer, Handler, Subscription};
use crate::db::Connection;
use crate::script::{Config, Key, Kind, Script};

/// The keys of a cooperative consumer, beside those of every consumer.
pub const COOP_KEYS: &[Key] = &[
    Key::required("subconsumer_name", Kind::Text, "The name of this member of the consumer."),
    Key::optional(
        "subconsumer_timeout",
        Kind::Interval,
        "Take over the batch of a member that was silent for longer. Never when not set.",
    ),
];

/// A job that shares a consumer with others of its kind, by `pgq_coop`.
pub type CoopConsumer<H> = Consumer<H>;

impl<H: Handler> Consumer<H> {
    /// A member of a consumer, as the [keys](COOP_KEYS) say. The position is the queue's, and common to all members.
    pub fn cooperative(script: &Script, source: &'static str, handler: H) -> Result<Self> {
        let mut consumer = Self::new(script, source, handler)?;
        consumer.subscription().member = Some(Member::from_config(script.config())?);
        Ok(consumer)
    }
}

/// One of those who share a consumer.
#[derive(Clone, Debug)]
pub(super) struct Member {
    name: String,
    /// The silence after which another member's batch is taken over.
    timeout: Option<String>,
}

impl Member {
    pub(super) fn from_config(config: &Config) -> Result<Self> {
        Ok(Self {
            name: config.text("subconsumer_name")?.to_owned(),
            timeout: config.optional("subconsumer_timeout").map(str::to_owned),
        })
    }

    pub(super) async fn register(&self, group: &Subscription, source: &Connection) -> Result<bool> {
        let register = "select pgq_coop.register_subconsumer($1, $2, $3)";
        let row = source.query_one(register, &[&group.queue(), &group.consumer(), &self.name]).await?;
        Ok(row.get::<_, i32>(0) == 1)
    }

    /// An error if it has a batch open.
    pub(super) async fn unregister(&self, group: &Subscription, source: &Connection) -> Result<bool> {
        let unregister = "select pgq_coop.unregister_subconsumer($1, $2, $3, 0)";
        let row = source.query_one(unregister, &[&group.queue(), &group.consumer(), &self.name]).await?;
        Ok(row.get::<_, i32>(0) == 1)
    }

    pub(super) async fn next_info(
        &self,
        group: &Subscription,
        source: &Connection,
    ) -> Result<Option<BatchInfo>> {
        let wish = group.selected();
        let next = "select pgq_coop.next_batch_custom($1, $2, $3, $4::text::interval, $5, \
                                                      $6::text::interval, $7::text::interval)";
        let (lag, count, interval) = (&wish.min_lag, &wish.min_count, &wish.min_interval);
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&group.queue(), &group.consumer(), &self.name, lag, count, interval, &self.timeout];
        let row = source.query_one(next, &parameters).await?;
        let Some(batch_id) = row.get::<_, Option<i64>>(0) else { return Ok(None) };
        let row = source
            .query_one(
                "select tick_id, prev_tick_id, batch_end, batch_start, seq_end, seq_start \
                 from pgq.get_batch_info($1)",
                &[&batch_id],
            )
            .await?;
        Ok(Some(BatchInfo {
            batch_id,
            tick_id: row.get(0),
            prev_tick_id: row.get(1),
            batch_end: row.get(2),
            batch_start: row.get(3),
            seq_end: row.get(4),
            seq_start: row.get(5),
        }))
    }
}
