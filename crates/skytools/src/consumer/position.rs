//! Where it is written down how far a consumer has come.

use crate::Result;
use crate::consumer::{Batch, BatchInfo};
use crate::script::Script;

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Its events are to be handled.
    Handle,
    /// It was done before a crash: only the queue has to be told.
    AlreadyDone,
}

/// Keeps the position of a consumer: in the queue only, or together with the results.
#[allow(async_fn_in_trait)] // the loop of a consumer has one thread
pub trait Position {
    /// At the start, and after each failure: brings what the queue says and what is written down together.
    async fn reconcile(&mut self, _script: &mut Script) -> Result<()> {
        Ok(())
    }

    /// Before the events of a batch: whether it is new, and where its results go.
    async fn look(&mut self, script: &mut Script, batch: &mut Batch) -> Result<Look>;

    /// After its events: the results and the position become one fact.
    async fn store(&mut self, script: &mut Script, batch: &BatchInfo) -> Result<()>;
}

/// In the queue: each event is handled at least once, exactly once where results go into the queue's own database.
#[derive(Clone, Copy, Debug, Default)]
pub struct InQueue;

impl Position for InQueue {
    async fn look(&mut self, _script: &mut Script, _batch: &mut Batch) -> Result<Look> {
        Ok(Look::Handle)
    }

    async fn store(&mut self, _script: &mut Script, _batch: &BatchInfo) -> Result<()> {
        Ok(())
    }
}
