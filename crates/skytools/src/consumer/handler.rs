//! What you write: what happens to an event.

use std::time::Duration;

use crate::Result;
use crate::consumer::{Batch, Event};
use crate::script::Script;

/// What is to become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was said: done, unless the consumer is strict.
    Untagged,
    /// It is done.
    Done,
    /// It comes again, to this consumer only, in a later batch, not before that time is over.
    Retry(Duration),
}

impl From<()> for Verdict {
    fn from((): ()) -> Self {
        Self::Untagged
    }
}

/// Handles events, one by one or a batch at a time: write one of the two.
#[allow(async_fn_in_trait)] // a consumer has one thread; parallel handlers say Send where they need it
pub trait Handler {
    /// Before the events of a batch: the place to get connections from. They do not outlive a failed round.
    async fn prepare(&mut self, _script: &mut Script, _batch: &mut Batch) -> Result<()> {
        Ok(())
    }

    /// Handles one event. An error ends the batch: all is rolled back, and it comes again as a whole.
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict>;

    /// Handles a batch: takes event after event, and tags them.
    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        while let Some(event) = batch.next().await? {
            let verdict = self.event(&event, batch).await?;
            batch.tag(&event, verdict)?;
        }
        Ok(())
    }
}
