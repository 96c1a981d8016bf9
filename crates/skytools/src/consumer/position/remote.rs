//! Kept in the target, by batch.

use super::pgq_ext::Page;
use crate::Result;
use crate::consumer::{Batch, Consumer, Handler, Look, Position, Subscription};
use crate::script::Script;

/// In the target, by batch: a batch whose results are committed there is not handled again. The framework commits the
/// target's transaction, mark and results together. Events may be sent back for a retry.
#[derive(Clone, Copy, Debug)]
pub struct ByBatch {
    target: &'static str,
}

/// A consumer that keeps its position [by batch](ByBatch) in the database of its results.
pub type RemoteConsumer<H> = Consumer<H, ByBatch>;

impl<H: Handler> RemoteConsumer<H> {
    /// `source` and `target` are the keys of the queue's database and of the results'; the handler finds the latter at
    /// [`Batch::target`]. Its keys are [`TARGET_KEYS`](crate::consumer::TARGET_KEYS), besides those of every consumer.
    pub fn to_target(
        script: &Script,
        source: &'static str,
        target: &'static str,
        handler: H,
    ) -> Result<Self> {
        Self::with_position(script, source, handler, ByBatch { target })
    }
}

impl Position for ByBatch {
    async fn look(&mut self, script: &mut Script, who: &Subscription, batch: &mut Batch) -> Result<Look> {
        let target = script.db(self.target).await?;
        let page = Page::open(script.config(), who, &target).await?;
        let is_new = page.set_batch(&target, batch.info()).await?;
        if !is_new {
            target.commit().await?;
            return Ok(Look::AlreadyDone);
        }
        batch.set_target(target);
        Ok(Look::Handle)
    }

    async fn store(&mut self, _script: &mut Script, _who: &Subscription, batch: &mut Batch) -> Result<()> {
        // Before the target commits: after that a crash would skip the batch, and with it what was sent back. So an
        // event may be both in a batch that comes again and in a later one, but none is lost.
        batch.source()?.commit().await?;
        batch.target()?.commit().await
    }

    /// A source that was made anew counts its batches anew, so one may have the number that the target knows as done.
    async fn forget(&mut self, script: &mut Script, who: &Subscription) -> Result<()> {
        let target = script.db(self.target).await?;
        let page = Page::open(script.config(), who, &target).await?;
        page.forget_batch(&target).await?;
        target.commit().await
    }
}
