//! Kept in the target, by tick.

use super::pgq_ext::Page;
use crate::Result;
use crate::consumer::{Batch, Consumer, Handler, Look, Position, Subscription};
use crate::script::Script;

/// In the target, by tick: each batch is handled once, and a queue and a target that do not fit each other any more, as
/// after restoring one of them, are noticed. The framework commits the target's transaction, tick and results together.
/// Events cannot be sent back for a retry.
#[derive(Debug)]
pub struct ByTick {
    target: &'static str,
    page: Option<Page>,
}

/// A consumer that keeps its position [by tick](ByTick) in the database of its results.
pub type SerialConsumer<H> = Consumer<H, ByTick>;

impl<H: Handler> SerialConsumer<H> {
    /// `source` and `target` are the keys of the queue's database and of the results'; the handler finds the latter at
    /// [`Batch::target`]. Its keys are [`TARGET_KEYS`](crate::consumer::TARGET_KEYS), besides those of every consumer.
    pub fn to_target(
        script: &Script,
        source: &'static str,
        target: &'static str,
        handler: H,
    ) -> Result<Self> {
        Self::with_position(script, source, handler, ByTick { target, page: None })
    }
}

impl Position for ByTick {
    const SENDS_BACK: bool = false;

    async fn look(&mut self, script: &mut Script, who: &Subscription, batch: &mut Batch) -> Result<Look> {
        let target = script.db(self.target).await?;
        let mut page = Page::open(script.config(), who, &target).await?;
        let look = page.look(&target, batch.info()).await?;
        if look == Look::AlreadyDone {
            target.commit().await?;
        }
        self.page = Some(page);
        batch.set_target(target);
        Ok(look)
    }

    async fn store(&mut self, _script: &mut Script, _who: &Subscription, batch: &mut Batch) -> Result<()> {
        // What a handler has written there: after the target's commit a crash would skip the batch.
        batch.source()?.commit().await?;
        // Of the batch, not of the script: a connection opened by now would not have the results in its transaction.
        let target = batch.target()?;
        let page = self.page.take().expect("look comes before store");
        page.set_tick(target, batch.info()).await?;
        target.commit().await
    }

    async fn forget(&mut self, script: &mut Script, who: &Subscription) -> Result<()> {
        let target = script.db(self.target).await?;
        let page = Page::open(script.config(), who, &target).await?;
        page.forget_tick(&target).await?;
        target.commit().await
    }

    async fn tick(&mut self, script: &mut Script, who: &Subscription) -> Result<Option<i64>> {
        let target = script.db(self.target).await?;
        let tick = Page::open(script.config(), who, &target).await?.tick(&target).await?;
        target.commit().await?;
        Ok(tick)
    }
}
