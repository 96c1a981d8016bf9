//! Where it is written down how far a consumer has come.
//!
//! ```text
//! [in_queue]   Consumer         the queue alone
//! [remote]     RemoteConsumer   and the target, by batch     pgq_ext, in the transaction of the results
//! [serial]     SerialConsumer   and the target, by tick      pgq_ext, in the transaction of the results
//! [local]      LocalConsumer    and a file, by tick          after the results
//! ```

mod in_queue;
mod local;
mod pgq_ext;
mod remote;
mod serial;
mod tracking_file;

pub use in_queue::InQueue;
pub use local::{InFile, LOCAL_KEYS, LocalConsumer};
pub use pgq_ext::TARGET_KEYS;
pub use remote::{ByBatch, RemoteConsumer};
pub use serial::{ByTick, SerialConsumer};

use clap::ArgMatches;

use crate::consumer::{Batch, BatchInfo, Subscription};
use crate::db::Connection;
use crate::script::{Next, Script};
use crate::{Error, Result};

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Its events are to be handled.
    Handle,
    /// It was done before a crash: only the queue has to be told.
    AlreadyDone,
    /// Its time has not come: it stays open, as if there were none.
    NotYet,
}

impl Look {
    /// What a tick that was written down with the results says of a batch. `place` is where it is written down.
    fn at(written: Option<i64>, batch: &BatchInfo, place: &str) -> Result<Self> {
        let (previous, current) = (batch.prev_tick_id, batch.tick_id);
        match written {
            None => Ok(Self::Handle),
            Some(tick) if tick == previous => Ok(Self::Handle),
            Some(tick) if tick == current => Ok(Self::AlreadyDone),
            Some(tick) => Err(Error::bad(format!(
                "lost position: the batch goes from tick {previous} to tick {current}, but {place} says that tick \
                 {tick} was the last (--rewind moves the queue to it, --reset forgets it)"
            ))),
        }
    }
}

/// Keeps the position of a consumer: in the queue only, or together with the results.
#[allow(async_fn_in_trait)] // the loop of a consumer has one thread
pub trait Position {
    /// Whether events can come again, or be parked: not where batches are known by the ticks that bound them, and what
    /// comes later is none of theirs.
    const SENDS_BACK: bool = true;

    /// Learns of the switches of the command line.
    fn asked(&mut self, _matches: &ArgMatches) {}

    /// Before each round: what follows it, if there is nothing to be read now.
    async fn begin(&mut self, _script: &mut Script, _who: &Subscription) -> Result<Option<Next>> {
        Ok(None)
    }

    /// The connection to the queue's database. `key` names it, and mostly is the key of its connect string.
    async fn source(&mut self, script: &mut Script, who: &Subscription, key: &str) -> Result<Connection> {
        script.db_with(key, who.source_options()).await
    }

    /// Makes the consumer known to the queue. False: it was. What is written down of an earlier life is forgotten.
    async fn register(
        &mut self,
        script: &mut Script,
        who: &Subscription,
        source: &Connection,
    ) -> Result<bool> {
        // Who registers it at the same time waits for the commit, and leaves alone what is written down from then on. And
        // should this fail in between, it is not registered: the next try forgets again.
        let autocommit = source.options().autocommit;
        if autocommit {
            source.batch("begin").await?;
        }
        let is_new = who.enrol(source).await?;
        if is_new {
            self.forget(script, who).await?;
        }
        if autocommit {
            source.batch("commit").await?
        } else {
            source.commit().await?
        }
        Ok(is_new)
    }

    /// Takes the registration back. False: there was none.
    async fn unregister(
        &mut self,
        _script: &mut Script,
        who: &Subscription,
        source: &Connection,
    ) -> Result<bool> {
        who.unregister(source).await
    }

    /// At the start, and after each failure: brings what the queue says and what is written down together.
    async fn reconcile(
        &mut self,
        _script: &mut Script,
        _who: &Subscription,
        _source: &Connection,
    ) -> Result<()> {
        Ok(())
    }

    /// Before the events of a batch: whether it is new, and where its results go.
    async fn look(&mut self, script: &mut Script, who: &Subscription, batch: &mut Batch) -> Result<Look>;

    /// After its events: the results and the position become one fact.
    async fn store(&mut self, script: &mut Script, who: &Subscription, batch: &mut Batch) -> Result<()>;

    /// The last tick that is done; `None` if none is written down.
    async fn tick(&mut self, _script: &mut Script, _who: &Subscription) -> Result<Option<i64>> {
        Ok(None)
    }

    /// Forgets what is written down: the next batch is handled, whatever it is.
    async fn forget(&mut self, _script: &mut Script, _who: &Subscription) -> Result<()> {
        Ok(())
    }

    /// After a round has failed, and all connections were closed.
    async fn failed(&mut self, _script: &mut Script, _who: &Subscription, _error: &Error) {}
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_batch_is_next_or_done_and_anything_else_is_a_lost_position() {
        let time = Timestamp::UNIX_EPOCH;
        let batch = BatchInfo {
            batch_id: 5,
            tick_id: 30,
            prev_tick_id: 20,
            batch_start: time,
            batch_end: time,
            seq_start: 1,
            seq_end: 1,
        };
        let look = |written| Look::at(written, &batch, "the target").map_err(|error| error.to_string());
        assert_eq!(look(None), Ok(Look::Handle));
        assert_eq!(look(Some(20)), Ok(Look::Handle));
        assert_eq!(look(Some(30)), Ok(Look::AlreadyDone));
        for lost in [10, 25, 40] {
            let message = look(Some(lost)).expect_err("a lost position");
            assert!(message.starts_with("lost position"), "{message}");
            for tick in [20, 30, lost] {
                assert!(
                    message.contains(&format!("tick {tick} ")) || message.contains(&format!("tick {tick},"))
                );
            }
        }
    }
}
