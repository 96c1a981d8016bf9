//! Kept by the queue alone.

use crate::Result;
use crate::consumer::{Batch, Look, Position, Subscription};
use crate::db::Connection;
use crate::script::Script;

/// In the queue: each event is handled at least once, exactly once where results go into the queue's own database.
#[derive(Clone, Copy, Debug, Default)]
pub struct InQueue;

impl Position for InQueue {
    /// There is nothing to forget.
    async fn register(
        &mut self,
        _script: &mut Script,
        who: &Subscription,
        source: &Connection,
    ) -> Result<bool> {
        who.register(source).await
    }

    async fn look(&mut self, _script: &mut Script, _who: &Subscription, _batch: &mut Batch) -> Result<Look> {
        Ok(Look::Handle)
    }

    /// What a handler has open in a target of its own: the queue must not move on without it.
    async fn store(&mut self, _script: &mut Script, _who: &Subscription, batch: &mut Batch) -> Result<()> {
        match batch.target() {
            Ok(target) => target.commit().await,
            Err(_) => Ok(()),
        }
    }
}
