//! A consumer that writes into a node, and reads where the node's state says.

use clap::{Arg, ArgMatches};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::cascade::follower::{Follower, Whose};
use crate::consumer::{Batch, Consumer, Event, Handler, Look, Position, Sieve, Subscription};
use crate::db::Connection;
use crate::script::{Next, Program, Script};
use crate::{Error, Result};

/// The name of the connection to whatever provider there is.
pub const PROVIDER: &str = "provider";

/// In a node of the queue, as its completed tick: each batch is handled once, whoever provides it. Events of the cascade
/// itself (`pgq.*`) do not come to the handler, and none can be sent back for a retry.
#[derive(Debug)]
pub struct ByNode(Follower);

/// A consumer that keeps its position [in a node](ByNode), beside the worker. On a root it only stands by.
pub type CascadedConsumer<H> = Consumer<H, ByNode>;

impl<H: Handler> CascadedConsumer<H> {
    /// `node` is the key of the database with the node; the handler finds it at [`Batch::target`]. Keys are those of
    /// every consumer, and `remote_extra_connstr`, which is merged into the locations of other nodes.
    pub fn on_node(script: &Script, node: &'static str, handler: H) -> Result<Self> {
        require_plain(script)?;
        Self::with_position(script, PROVIDER, handler, ByNode(Follower::new(node, Whose::Consumer)))
    }
}

/// What the keys of other consumers may say and those of a cascade may not.
pub fn require_plain(script: &Script) -> Result<()> {
    if script.config().flag("auto_register")? {
        return Err(Error::usage(
            "auto_register: a cascaded consumer is registered with --register --provider",
        ));
    }
    Ok(())
}

impl Program {
    /// Gives the program the keys and switches of a cascaded consumer.
    #[must_use]
    pub fn cascaded(self) -> Self {
        let provider = Arg::new("provider").long("provider").value_name("CONNSTR").requires("register");
        self.consumer().moves().switch(provider.help("With --register: the node to read from"))
    }
}

impl Position for ByNode {
    const SENDS_BACK: bool = false;

    fn asked(&mut self, matches: &ArgMatches) {
        self.0.asked(matches);
    }

    async fn begin(&mut self, script: &mut Script, who: &mut Subscription) -> Result<Option<Next>> {
        let state = self.0.refresh(script, who).await?;
        Ok(if state.is_paused { Some(Next::Idle) } else { state.is_root().then_some(Next::Standby) })
    }

    async fn source(&mut self, script: &mut Script, who: &Subscription, key: &str) -> Result<Connection> {
        self.0.provider(script, who, key).await
    }

    async fn register(
        &mut self,
        script: &mut Script,
        who: &Subscription,
        source: &Connection,
    ) -> Result<bool> {
        self.0.register(script, who, source).await
    }

    async fn unregister(
        &mut self,
        script: &mut Script,
        who: &Subscription,
        source: &Connection,
    ) -> Result<bool> {
        self.0.unregister(script, who, source).await
    }

    async fn look(&mut self, script: &mut Script, _who: &Subscription, batch: &mut Batch) -> Result<Look> {
        let look = Follower::look(self.0.state()?.completed, batch.info())?;
        if look == Look::Handle {
            batch.set_target(self.0.node(script).await?);
            batch.set_sieve(Box::new(DataOnly));
        }
        Ok(look)
    }

    async fn store(&mut self, _script: &mut Script, who: &Subscription, batch: &mut Batch) -> Result<()> {
        let node = batch.target()?;
        self.0.complete(node, who, batch.info()).await?;
        node.commit().await
    }

    async fn tick(&mut self, script: &mut Script, who: &Subscription) -> Result<Option<i64>> {
        self.0.tick(script, who).await
    }

    async fn forget(&mut self, script: &mut Script, who: &Subscription) -> Result<()> {
        self.0.forget(script, who, PROVIDER).await
    }

    async fn failed(&mut self, script: &mut Script, who: &Subscription, error: &Error) {
        self.0.failed(script, who, error).await;
    }
}

/// Whether an event is one by which the cascade keeps itself.
pub fn is_of_cascade(event: &Event) -> bool {
    event.kind().is_some_and(|kind| kind.starts_with("pgq."))
}

/// An error for an event that somebody has sent back: its order is lost, and other nodes do not have it.
pub fn require_first_time(event: &Event) -> Result<()> {
    match event.retry() {
        None => Ok(()),
        Some(_) => {
            Err(Error::bad(format!("event {} comes again, which no event of a cascade may", event.id())))
        }
    }
}

/// Keeps the events of the cascade from the handler.
#[derive(Debug)]
struct DataOnly;

impl Sieve for DataOnly {
    fn take<'a>(&'a mut self, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        ready(require_first_time(event)).boxed()
    }

    fn lets_through(&self, event: &Event) -> bool {
        !is_of_cascade(event)
    }

    fn end(&mut self) -> BoxFuture<'_, Result<()>> {
        ready(Ok(())).boxed()
    }
}
