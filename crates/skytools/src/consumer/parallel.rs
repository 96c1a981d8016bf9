//! Several events at a time, in order for each key.
//!
//! ```text
//!              ┌─ bounded queue ─► lane 0 ─┐
//! batch ─ key ─┼─ bounded queue ─► lane 1 ─┼─ outcomes ─► tags, policy ─► finish
//!              └─ bounded queue ─► lane 2 ─┘
//! ```
//!
//! Events with the same key go through the same lane, one after the other. The batch is finished when all lanes are
//! done with it; the first error, if the policy does not meet it, ends them all, and the batch comes again.

use std::hash::{BuildHasher, Hash, RandomState};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use crate::consumer::handler::caught;
use crate::consumer::{Batch, Event, Handler, Verdict};
use crate::script::{Script, Stop};
use crate::{Error, Result};

/// Events that wait before a lane, and outcomes that wait behind all.
const WAITING: usize = 64;

/// What makes the lanes of a [`Parallel`] handler, and says which event goes where.
#[allow(async_fn_in_trait)] // called from the consumer's loop, which has one thread
pub trait ParallelHandler {
    /// What handles the events of one lane.
    type Lane: Lane + 'static;

    /// Makes a lane, with connections of its own. It lives for a batch, as connections may be closed after it; those that
    /// are open are had again from [`Script::connections`].
    async fn lane(&mut self, script: &mut Script, number: usize) -> Result<Self::Lane>;

    /// Events with the same key are handled in their order: the customer, the row.
    fn key(&self, event: &Event) -> impl Hash;
}

/// Handles events beside others. It does not see the batch, and writes through connections of its own: an event may
/// be handled again after a crash.
pub trait Lane: Send {
    /// Handles one event. Errors are met as everywhere, but what it has written stays its own business.
    fn event(&mut self, event: &Event) -> impl Future<Output = Result<Verdict>> + Send;

    /// After the last event of a batch, before the batch is finished: the place to commit.
    fn batch_done(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// A [`Handler`] that lets several lanes work at a time.
#[derive(Debug)]
pub struct Parallel<H: ParallelHandler> {
    handler: H,
    count: usize,
    lanes: Vec<H::Lane>,
    hasher: RandomState,
}

/// What a lane has to tell.
type Outcome = (Event, Result<Verdict>);

impl<H: ParallelHandler> Parallel<H> {
    /// With so many lanes, at least one.
    #[must_use]
    pub fn new(handler: H, lanes: usize) -> Self {
        Self { handler, count: lanes.max(1), lanes: Vec::new(), hasher: RandomState::new() }
    }
}

impl<H: ParallelHandler> Handler for Parallel<H> {
    async fn prepare(&mut self, script: &mut Script, _batch: &mut Batch) -> Result<()> {
        self.lanes.clear();
        for number in 0..self.count {
            let lane = self.handler.lane(script, number).await?;
            self.lanes.push(lane);
        }
        Ok(())
    }

    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        if self.lanes.is_empty() {
            return Err(Error::bad("a parallel handler needs to be prepared"));
        }
        let mut tasks = JoinSet::new();
        let (told, mut outcomes) = channel(WAITING);
        let queues: Vec<Sender<Event>> = std::mem::take(&mut self.lanes)
            .into_iter()
            .map(|lane| {
                let (queue, events) = channel(WAITING);
                tasks.spawn(run(lane, events, told.clone(), batch.stop().clone()));
                queue
            })
            .collect();
        drop(told);
        while let Some(event) = batch.next().await? {
            let number = self.hasher.hash_one(self.handler.key(&event)) as usize % queues.len();
            loop {
                tokio::select! {
                    room = queues[number].reserve() => {
                        // A lane is gone when all is to stop, which the batch says, too.
                        if let Ok(room) = room {
                            room.send(event);
                        }
                        break;
                    }
                    Some((event, outcome)) = outcomes.recv() => batch.settle(&event, outcome).await?,
                }
            }
        }
        drop(queues);
        while let Some((event, outcome)) = outcomes.recv().await {
            batch.settle(&event, outcome).await?;
        }
        while let Some(lane) = tasks.join_next().await {
            lane.map_err(Error::other)??;
        }
        Ok(())
    }
}

/// The work of a lane in one batch.
async fn run<L: Lane>(
    mut lane: L,
    mut events: Receiver<Event>,
    told: Sender<Outcome>,
    stop: Stop,
) -> Result<()> {
    while let Some(event) = events.recv().await {
        stop.check_between_events()?;
        let outcome = caught(lane.event(&event)).await;
        if told.send((event, outcome)).await.is_err() {
            return Err(Error::Stopped);
        }
    }
    drop(told);
    caught(lane.batch_done()).await
}
