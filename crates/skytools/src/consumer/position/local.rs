//! Kept in a file.

use tracing::{info, warn};

use super::tracking_file::TrackingFile;
use crate::consumer::{Batch, Consumer, Handler, Look, Position, Subscription};
use crate::db::Connection;
use crate::script::{Key, Kind, Script};
use crate::{Error, Result};

/// Keys of consumers that keep their position in a file.
pub const LOCAL_KEYS: &[Key] = &[Key::required(
    "local_tracking_file",
    Kind::File,
    "The file that remembers the last batch that is done. Its folder must exist.",
)
.sample("~/state/%(job_name)s.tick")];

/// In a file, by tick: batches that are done are not handled again, also when the queue was restored. Where the two
/// differ, the queue is moved to the file. Events cannot be sent back for a retry.
#[derive(Clone, Copy, Debug)]
pub struct InFile;

/// A consumer that keeps its position [in a file](InFile). It registers itself.
pub type LocalConsumer<H> = Consumer<H, InFile>;

impl<H: Handler> LocalConsumer<H> {
    /// `source` is the key of the queue's database. The file is told by [`LOCAL_KEYS`], besides the keys of every
    /// consumer.
    pub fn with_file(script: &Script, source: &'static str, handler: H) -> Result<Self> {
        Self::with_position(script, source, handler, InFile)
    }
}

impl Position for InFile {
    const SENDS_BACK: bool = false;

    /// At the tick in the file, if there is one.
    async fn register(
        &mut self,
        script: &mut Script,
        who: &Subscription,
        source: &Connection,
    ) -> Result<bool> {
        let is_new = who.tick(source).await?.is_none();
        self.reconcile(script, who, source).await?;
        Ok(is_new)
    }

    async fn reconcile(
        &mut self,
        script: &mut Script,
        who: &Subscription,
        source: &Connection,
    ) -> Result<()> {
        let file = TrackingFile::from_config(script.config(), who)?;
        let tick = match (who.tick(source).await?, file.read()?) {
            (None, None) => {
                who.register(source).await?;
                let newest = who.tick(source).await?.ok_or_else(|| {
                    Error::bad(format!("{} does not stay registered on {}", who.consumer(), who.queue()))
                })?;
                info!("{file}: registered at the newest tick, {newest}");
                newest
            }
            (None, Some(written)) => {
                info!("{file}: registering at tick {written}");
                who.move_to(source, written).await?;
                written
            }
            (Some(in_queue), None) => in_queue,
            (Some(in_queue), Some(written)) => {
                if in_queue == written {
                    info!("{file} and the queue are both at tick {written}");
                } else {
                    warn!("{file} is at tick {written}, the queue at tick {in_queue}: moving the queue");
                    who.move_to(source, written).await?;
                }
                written
            }
        };
        // Also when nothing changes: a file that cannot be written is to be noticed before events are handled.
        file.write(tick)
    }

    async fn look(&mut self, script: &mut Script, who: &Subscription, batch: &mut Batch) -> Result<Look> {
        let file = TrackingFile::from_config(script.config(), who)?;
        Look::at(file.read()?, batch.info(), &file.to_string())
    }

    async fn store(&mut self, script: &mut Script, who: &Subscription, batch: &mut Batch) -> Result<()> {
        // All results before the file: after that a crash would skip the batch.
        batch.source()?.commit().await?;
        if let Ok(target) = batch.target() {
            target.commit().await?;
        }
        TrackingFile::from_config(script.config(), who)?.write(batch.info().tick_id)
    }

    async fn forget(&mut self, script: &mut Script, who: &Subscription) -> Result<()> {
        TrackingFile::from_config(script.config(), who)?.delete()
    }

    async fn tick(&mut self, script: &mut Script, who: &Subscription) -> Result<Option<i64>> {
        TrackingFile::from_config(script.config(), who)?.read()
    }
}
