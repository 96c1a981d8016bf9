//! What you write: what happens to an event.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

use crate::consumer::{Batch, Event};
use crate::script::Script;
use crate::{Error, Result};

/// What is to become of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was said: done, unless the consumer is strict.
    Untagged,
    /// It is done.
    Done,
    /// It comes again, to this consumer only, in a later batch, not before that time is over.
    Retry(Duration),
    /// It is put aside, among the [dead letters](crate::consumer::DeadLetters), for somebody to look at.
    Park(Cause),
}

impl From<()> for Verdict {
    fn from((): ()) -> Self {
        Self::Untagged
    }
}

/// Why an event could not be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// In words.
    pub message: String,
    /// As a server said it.
    pub sqlstate: Option<String>,
}

impl From<&str> for Cause {
    fn from(message: &str) -> Self {
        Self { message: message.to_owned(), sqlstate: None }
    }
}

impl From<&Error> for Cause {
    fn from(error: &Error) -> Self {
        Self {
            message: error.to_string(),
            sqlstate: error.sqlstate().map(|sqlstate| sqlstate.code().to_owned()),
        }
    }
}

/// Handles events, one by one or a batch at a time: write one of the two.
#[allow(async_fn_in_trait)] // a consumer has one thread; parallel handlers say Send where they need it
pub trait Handler {
    /// Before the events of a batch: the place to get connections from. They do not outlive a failed round.
    async fn prepare(&mut self, _script: &mut Script, _batch: &mut Batch) -> Result<()> {
        Ok(())
    }

    /// Instead of a batch, now and then, while this database is where the queue begins: a root of a
    /// [cascade](crate::cascade), from which others read. Only cascaded consumers get here.
    async fn standby(&mut self, _script: &mut Script) -> Result<()> {
        Ok(())
    }

    /// Handles one event. An error is met as the [policy](crate::consumer::Policy) says: by default it ends the batch,
    /// all is rolled back, and the batch comes again as a whole.
    async fn event(&mut self, event: &Event, _batch: &mut Batch) -> Result<Verdict> {
        Err(Error::bad(format!("Unhandled event type in queue: {}", event.kind().unwrap_or("NULL"))))
    }

    /// Handles a batch: takes event after event, and says of each what is to become of it.
    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        while let Some(event) = batch.next().await? {
            batch.protect().await?;
            let outcome = caught(self.event(&event, batch)).await;
            batch.settle(&event, outcome).await?;
        }
        Ok(())
    }
}

/// Handles nothing: any event is an error. For queues that must have none but those of a cascade itself.
impl Handler for () {}

/// A panic as an error: a handler's mistake does not end the program.
pub(super) async fn caught<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
        let told = panic.downcast_ref::<&str>().copied();
        let told = told.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(Error::bad(format!("the handler panicked: {}", told.unwrap_or("without a message"))))
    })
}
