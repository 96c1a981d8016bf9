//! Where the queue believes a consumer to be, and putting it elsewhere.

use crate::Result;
use crate::consumer::Subscription;
use crate::db::Connection;

impl Subscription {
    /// The tick up to which the queue has had this consumer finish; `None`: it is not registered.
    pub async fn tick(&self, source: &Connection) -> Result<Option<i64>> {
        let row = source
            .query_opt(
                "select last_tick from pgq.get_consumer_info($1, $2)",
                &[&self.queue(), &self.consumer()],
            )
            .await?;
        source.commit().await?;
        Ok(row.and_then(|row| row.get(0)))
    }

    /// Puts the consumer behind this tick, forward or back, and registers it if it was not. A batch that it has open is
    /// dropped. A tick that the queue has no more is an error, and nothing moves.
    pub async fn move_to(&self, source: &Connection, tick: i64) -> Result<()> {
        source
            .execute("select pgq.register_consumer_at($1, $2, $3)", &[&self.queue(), &self.consumer(), &tick])
            .await?;
        source.commit().await
    }
}
