//! Where the queue believes a consumer to be, and putting it elsewhere.

use tracing::info;

use crate::consumer::{Subscription, TickPosition};
use crate::db::Connection;
use crate::script::Script;
use crate::{Error, Result};

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
        Ok(row.map(|row| row.get(0)))
    }

    /// Puts the consumer behind this tick, forward or back, and registers it if it was not. A batch that it has open is
    /// dropped. A tick that the queue has no more is an error, and nothing moves.
    pub async fn move_to(&self, source: &Connection, tick: i64) -> Result<()> {
        source
            .execute("select pgq.register_consumer_at($1, $2, $3)", &[&self.queue(), &self.consumer(), &tick])
            .await?;
        source.commit().await
    }

    /// `--rewind`: moves the queue to the tick that is written down.
    pub(super) async fn rewind(
        &self,
        script: &mut Script,
        source: &Connection,
        position: &mut impl TickPosition,
    ) -> Result<()> {
        let Some(tick) = position.tick(script, self).await? else {
            return Err(Error::usage(format!(
                "no position of {} is written down to rewind to",
                self.consumer()
            )));
        };
        self.move_to(source, tick).await?;
        info!("{} is at tick {tick} of {}", self.consumer(), self.queue());
        Ok(())
    }
}
