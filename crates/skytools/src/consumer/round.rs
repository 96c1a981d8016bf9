//! A round of a consumer: one batch.

use std::time::Instant;

use crate::consumer::{Handler, InQueue, Look, Position, Subscription};
use crate::script::{Job, Next, Script};
use crate::{Error, Result};

/// A job that consumes a queue.
#[derive(Debug)]
pub struct Consumer<H, P = InQueue> {
    source: &'static str,
    subscription: Subscription,
    handler: H,
    position: P,
    /// Whether the queue and what is written down may differ: at the start, and after a failure.
    unsettled: bool,
}

impl<H: Handler> Consumer<H> {
    /// A consumer whose position is kept in the queue alone. `source` is the key of the queue's database.
    pub fn new(script: &Script, source: &'static str, handler: H) -> Result<Self> {
        Self::with_position(script, source, handler, InQueue)
    }
}

impl<H: Handler, P: Position> Consumer<H, P> {
    /// A consumer whose position is kept as `position` does it.
    pub fn with_position(script: &Script, source: &'static str, handler: H, position: P) -> Result<Self> {
        let subscription = Subscription::from_config(script.config(), script.stop())?;
        Ok(Self { source, subscription, handler, position, unsettled: true })
    }

    /// What the queue knows it as.
    pub const fn subscription(&mut self) -> &mut Subscription {
        &mut self.subscription
    }
}

impl<H: Handler, P: Position> Job for Consumer<H, P> {
    async fn work(&mut self, script: &mut Script) -> Result<Next> {
        let began = Instant::now();
        let source = script.db(self.source).await?;
        if self.unsettled {
            self.position.reconcile(script, &self.subscription, &source).await?;
            self.unsettled = false;
        }
        let Some(mut batch) = self.subscription.next_batch(&source).await? else {
            return Ok(Next::Idle);
        };
        if self.position.look(script, &self.subscription, &mut batch).await? == Look::Handle {
            self.handler.prepare(script, &mut batch).await?;
            self.handler.batch(&mut batch).await?;
            self.position.store(script, &self.subscription, &batch).await?;
        }
        let finished = batch.finish().await?;
        if finished.count > 0 {
            script.stats.increase("count", finished.count.cast_signed());
            script.stats.measure("duration", began.elapsed().as_secs_f64());
        }
        if finished.retried > 0 {
            script.stats.increase("retry-events", finished.retried.cast_signed());
        }
        Ok(Next::More)
    }

    async fn failed(&mut self, _script: &mut Script, _error: &Error, _times: u32) {
        self.unsettled = true;
    }
}
