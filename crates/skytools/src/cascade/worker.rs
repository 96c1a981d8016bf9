//! The one consumer that keeps a node up.

use clap::ArgMatches;

use crate::cascade::consumer::{PROVIDER, require_plain};
use crate::cascade::follower::{Follower, Whose};
use crate::cascade::passage::{Destination, Passage};
use crate::cascade::role::{Role, Work};
use crate::cascade::system_events::SystemEvents;
use crate::cascade::watermarks::Watermarks;
use crate::consumer::{Batch, BatchInfo, Consumer, Handler, Look, Position, Subscription};
use crate::db::Connection;
use crate::db::types::ToSql;
use crate::script::{Key, Kind, Next, Script};
use crate::{Error, Result};

/// Keys of a worker, besides those of every consumer.
pub const WORKER_KEYS: &[Key] = &[
    Key::with_default(
        "global_wm_publish_period",
        Kind::Float,
        "300",
        "On a root: seconds after which all nodes are told what they may forget.",
    ),
    Key::with_default(
        "local_wm_publish_period",
        Kind::Float,
        "300",
        "On any other node: seconds after which the provider is told what is still needed here and below.",
    ),
];

/// In a node of the queue, which its worker keeps up: copies events and ticks, heeds the events of the cascade, tells
/// watermarks. What of this it does depends on what the node is, and changes when the node does.
#[derive(Debug)]
pub struct Upkeep {
    follower: Follower,
    own_events: Option<&'static str>,
    watermarks: Watermarks,
    role: Role,
    work: Work,
}

/// The worker of a node. Its handler gets the data on branches and leaves; on a merge leaf behind a combined branch, only
/// its own system events.
pub type CascadedWorker<H> = Consumer<H, Upkeep>;

impl<H: Handler> CascadedWorker<H> {
    /// `node` is the key of the database with the node; the handler finds it at [`Batch::target`]. Keys are
    /// [`WORKER_KEYS`], those of every consumer, and `remote_extra_connstr`. `consumer_name` must be the worker's name
    /// that the node was made with. Of `table_filter` only the handler hears: the copy is whole.
    pub fn on_node(script: &Script, node: &'static str, handler: H) -> Result<Self> {
        require_plain(script)?;
        let upkeep = Upkeep {
            follower: Follower::new(node, Whose::Worker),
            own_events: None,
            watermarks: Watermarks::default(),
            role: Role::Root,
            work: Work::None,
        };
        let mut worker = Self::with_position(script, PROVIDER, handler, upkeep)?;
        worker.subscription().read_all();
        Ok(worker)
    }

    /// Events whose type begins like this are system events of the handler's: it gets them on every node but a root,
    /// and they are not merged into combined queues.
    #[must_use]
    pub const fn system_events(mut self, prefix: &'static str) -> Self {
        self.position().own_events = Some(prefix);
        self
    }
}

impl Upkeep {
    fn passage(&self, who: &Subscription, node: &Connection, batch: &BatchInfo) -> Result<Passage> {
        let upkeep = self.follower.state()?.upkeep.as_ref();
        let group = upkeep.filter(|node| !node.group.is_empty());
        let is_whole = self.work == Work::All;
        let destination = match self.role.feeds() {
            _ if !is_whole => Destination::Nowhere,
            _ if self.role.keeps_copy() => {
                Destination::Copy { watermark: group.and_then(|node| node.global_watermark) }
            }
            Some(queue) => Destination::Combined(queue.to_owned()),
            None => Destination::Nowhere,
        };
        Ok(Passage {
            queue: who.queue().into(),
            tick: batch.tick_id,
            node: node.clone(),
            destination,
            applies: is_whole && self.role.applies(),
            tables: who.selected().tables.clone(),
            own_events: self.own_events,
            heeds_root: group.is_none(),
            heard: self.watermarks.heard.clone(),
            system_events: SystemEvents::default(),
            block: Vec::new(),
        })
    }

    /// A batch that was done before: its tick may be missing.
    async fn catch_up(&self, who: &Subscription, node: &Connection, batch: &BatchInfo) -> Result<()> {
        let top = self.follower.state()?.upkeep.as_ref().and_then(|node| node.top);
        let (start, end) = (batch.prev_tick_id, batch.tick_id);
        match top {
            Some(tick) if tick == end => Ok(()),
            Some(tick) if tick == start => copy_tick(who, node, batch).await,
            other => {
                let other = other.map_or_else(|| "none".to_owned(), |tick| tick.to_string());
                Err(Error::bad(format!(
                    "is_batch_done: last branch tick = {other}, expected {start} or {end}"
                )))
            }
        }
    }
}

/// The batch's end, as it is at the root, in a transaction of its own: before, its events were not committed.
async fn copy_tick(who: &Subscription, node: &Connection, batch: &BatchInfo) -> Result<()> {
    let arguments: [&(dyn ToSql + Sync); 4] =
        [&who.queue(), &batch.tick_id, &batch.batch_end, &batch.seq_end];
    node.query_one("select pgq.ticker($1, $2, $3, $4)", &arguments).await?;
    node.commit().await
}

impl Position for Upkeep {
    const SENDS_BACK: bool = false;

    fn asked(&mut self, matches: &ArgMatches) {
        self.follower.asked(matches);
    }

    async fn begin(&mut self, script: &mut Script, who: &Subscription) -> Result<Option<Next>> {
        if who.selected().condition.is_some() {
            return Err(Error::usage("the worker of a node reads all events: it takes no condition"));
        }
        let state = self.follower.refresh(script, who).await?.clone();
        self.role = Role::of(&state)?;
        if state.is_paused && !state.lacks_tick() {
            return Ok(Some(Next::Idle));
        }
        let Some(upkeep) = &state.upkeep else { return Ok(None) };
        if !self.role.reads() {
            let node = self.follower.node(script).await?;
            self.watermarks.publish(script.config(), who, &node, upkeep).await?;
            return Ok(Some(Next::Standby));
        }
        if !state.is_paused && self.watermarks.is_report_due(script.config())? {
            let provider = self.follower.provider(script, who, PROVIDER).await?;
            self.watermarks.report(who, &provider, &state, upkeep).await?;
            if !upkeep.group.is_empty() {
                let node = self.follower.node(script).await?;
                self.watermarks.share(script, who, &node, upkeep).await?;
            }
        }
        Ok(None)
    }

    async fn source(&mut self, script: &mut Script, who: &Subscription, key: &str) -> Result<Connection> {
        self.follower.provider(script, who, key).await
    }

    async fn register(&mut self, _: &mut Script, _: &Subscription, _: &Connection) -> Result<bool> {
        Err(Error::usage("the worker of a node is registered when the node is made"))
    }

    async fn unregister(&mut self, _: &mut Script, _: &Subscription, _: &Connection) -> Result<bool> {
        Err(Error::usage("the worker of a node is unregistered when the node is dropped"))
    }

    async fn look(&mut self, script: &mut Script, who: &Subscription, batch: &mut Batch) -> Result<Look> {
        let (state, info) = (self.follower.state()?.clone(), batch.info().clone());
        self.work = self.role.work(state.completed, &info)?;
        let node = self.follower.node(script).await?;
        match self.work {
            Work::Later => Ok(Look::NotYet),
            Work::None => {
                if self.role.keeps_copy() {
                    self.catch_up(who, &node, &info).await?;
                }
                Ok(Look::AlreadyDone)
            }
            Work::All | Work::SystemEvents if state.is_paused => {
                // It was not the batch whose tick is missing.
                self.follower.confirm_late(script, who).await?;
                Ok(Look::NotYet)
            }
            Work::All | Work::SystemEvents => {
                batch.set_sieve(Box::new(self.passage(who, &node, &info)?));
                batch.set_target(node);
                Ok(Look::Handle)
            }
        }
    }

    async fn store(&mut self, _script: &mut Script, who: &Subscription, batch: &mut Batch) -> Result<()> {
        let node = batch.target()?;
        if self.work == Work::All {
            self.follower.complete(node, who, batch.info()).await?;
        }
        node.commit().await?;
        if self.role.keeps_copy() {
            copy_tick(who, node, batch.info()).await?;
        }
        Ok(())
    }

    async fn tick(&mut self, script: &mut Script, who: &Subscription) -> Result<Option<i64>> {
        self.follower.tick(script, who).await
    }

    async fn forget(&mut self, script: &mut Script, who: &Subscription) -> Result<()> {
        self.follower.forget(script, who, PROVIDER).await
    }

    async fn failed(&mut self, script: &mut Script, who: &Subscription, error: &Error) {
        self.follower.failed(script, who, error).await;
    }
}
