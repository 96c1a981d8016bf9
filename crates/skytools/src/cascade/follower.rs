//! Following a provider: what consumer and worker of a node have in common.

use clap::ArgMatches;
use tokio::sync::OnceCell;
use tracing::{info, warn};

use crate::cascade::ask;
use crate::cascade::state::State;
use crate::consumer::{BatchInfo, Look, Subscription};
use crate::db::types::ToSql;
use crate::db::{Connection, Conninfo, Options};
use crate::script::{Config, Script};
use crate::{Error, Result};

/// Whose state it is that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Consumer,
    Worker,
}

/// See the module.
#[derive(Debug)]
pub struct Follower {
    /// The key of the node's database.
    db: &'static str,
    whose: Whose,
    /// Asked to register: the provider that the switch names, in place of the one that the node names.
    registers: Option<Option<String>>,
    /// As of the begin of this round.
    state: Option<State>,
    has_failed: bool,
    compares: OnceCell<bool>,
}

impl Follower {
    pub const fn new(db: &'static str, whose: Whose) -> Self {
        Self { db, whose, registers: None, state: None, has_failed: false, compares: OnceCell::const_new() }
    }

    pub fn asked(&mut self, matches: &ArgMatches) {
        // Not every program has `Program::cascaded`.
        let asks = matches.try_get_one("register").is_ok_and(|asked| asked == Some(&true));
        self.registers = asks.then(|| matches.try_get_one("provider").ok().flatten().cloned());
    }

    /// The state as this round has found it.
    pub fn state(&self) -> Result<&State> {
        self.state.as_ref().ok_or_else(|| Error::bad("the state of the node has not been read"))
    }

    pub async fn node(&self, script: &mut Script) -> Result<Connection> {
        script.db(self.db).await
    }

    async fn read(&self, node: &Connection, who: &Subscription) -> Result<State> {
        match self.whose {
            Whose::Consumer => State::of_consumer(node, who).await,
            Whose::Worker => State::of_worker(node, who).await,
        }
    }

    /// Reads the state, and confirms it; clears an error that is over.
    pub async fn refresh(&mut self, script: &mut Script, who: &Subscription) -> Result<&State> {
        self.state = None;
        let has_failed = std::mem::take(&mut self.has_failed);
        let node = self.node(script).await?;
        let mut state = self.read(&node, who).await?;
        // A missing tick is made first: who waits for the confirmation may be about to change the provider. He may have
        // to, if this one cannot tell the tick.
        if !state.is_uptodate && (has_failed || !state.lacks_tick()) {
            ask(&node, "set_consumer_uptodate($1, $2, true)", &[&who.queue(), &who.consumer()]).await?;
            // Behind the lock that this has taken: what another change has made of it meanwhile is confirmed, too.
            state = self.read(&node, who).await?;
        }
        if !has_failed && state.error.is_some() {
            self.write_error(&node, who, None).await?;
        }
        node.commit().await?;
        Ok(self.state.insert(state))
    }

    async fn write_error(&self, node: &Connection, who: &Subscription, error: Option<String>) -> Result<()> {
        let arguments: [&(dyn ToSql + Sync); 3] = [&who.queue(), &who.consumer(), &error];
        ask(node, "set_consumer_error($1, $2, $3)", &arguments).await.map(drop)
    }

    /// Writes down why a round has failed.
    pub async fn failed(&mut self, script: &mut Script, who: &Subscription, error: &Error) {
        (self.has_failed, self.state) = (true, None);
        let written = async {
            let node = self.node(script).await?;
            self.write_error(&node, who, Some(error.to_string())).await?;
            node.commit().await
        };
        if let Err(failure) = written.await {
            warn!("the node could not be told of the failure: {failure}");
        }
    }

    /// The connection to the provider, under this name.
    pub async fn provider(
        &mut self,
        script: &mut Script,
        who: &Subscription,
        name: &str,
    ) -> Result<Connection> {
        let location = match (&self.registers, &self.state) {
            (Some(Some(given)), _) => given.clone(),
            (Some(None), _) => {
                return Err(Error::usage("--register needs --provider=CONNSTR: where to read"));
            }
            (None, Some(state)) => state.provider_location.clone(),
            (None, None) => self.look_up(script, who).await?.provider_location,
        };
        let conninfo = remote(script.config(), &location)?;
        script.connections().get_with(name, &conninfo, who.source_options()).await
    }

    async fn look_up(&self, script: &mut Script, who: &Subscription) -> Result<State> {
        let node = self.node(script).await?;
        let state = self.read(&node, who).await?;
        node.commit().await?;
        Ok(state)
    }

    /// What the completed tick says of a batch.
    pub fn look(completed: i64, batch: &BatchInfo) -> Result<Look> {
        let (start, end) = (batch.prev_tick_id, batch.tick_id);
        match completed {
            tick if tick == start => Ok(Look::Handle),
            tick if tick == end => Ok(Look::AlreadyDone),
            tick => Err(Error::bad(format!("Lost position: batch {start}..{end}, dst has {tick}"))),
        }
    }

    /// Stores, in the transaction of the results, that a batch is done. Where the node can tell, another process of
    /// the same consumer is noticed.
    pub async fn complete(&self, node: &Connection, who: &Subscription, batch: &BatchInfo) -> Result<()> {
        let (queue, consumer) = (who.queue(), who.consumer());
        let (start, end) = (batch.prev_tick_id, batch.tick_id);
        if self.node_compares(node).await? {
            let arguments: [&(dyn ToSql + Sync); 4] = [&queue, &consumer, &end, &start];
            ask(node, "set_consumer_completed($1, $2, $3, $4)", &arguments).await?;
        } else {
            ask(node, "set_consumer_completed($1, $2, $3)", &[&queue, &consumer, &end]).await?;
        }
        // Behind the lock that this has taken: a branch that was promoted meanwhile has events of its own now.
        let now = ask(node, "get_consumer_state($1, $2)", &[&queue, &consumer]).await?;
        let (before, now): (&str, &str) = (&self.state()?.node_type, now.get("node_type"));
        if now != before {
            return Err(Error::bad(format!(
                "this node of queue {queue} was a {before} and became a {now} while batch {start}..{end} was at work: \
                 nothing of it is kept"
            )));
        }
        Ok(())
    }

    /// Whether the node heeds where a batch begins. That of PgQ 3.5 does not.
    async fn node_compares(&self, node: &Connection) -> Result<bool> {
        let known = self.compares.get_or_try_init(async || {
            let asked = "select to_regprocedure('pgq_node.set_consumer_completed(text, text, bigint, bigint)') \
                         is not null";
            Ok::<bool, Error>(node.query_one(asked, &[]).await?.get(0))
        });
        known.await.copied()
    }

    /// Registers at the provider that the switch names, and enters that position in the node.
    pub async fn register(
        &self,
        script: &mut Script,
        who: &Subscription,
        provider: &Connection,
    ) -> Result<bool> {
        let info = ask(provider, "get_node_info($1)", &[&who.queue()]).await?;
        let (name, node_type): (&str, &str) = (info.get("node_name"), info.get("node_type"));
        if node_type == "leaf" {
            return Err(Error::usage(format!(
                "node {name} is a leaf of queue {}: nobody can read from it",
                who.queue()
            )));
        }
        let node = self.node(script).await?;
        let is_new = who.register(provider).await?;
        let tick = who.tick(provider).await?;
        let arguments: [&(dyn ToSql + Sync); 4] = [&who.queue(), &who.consumer(), &name, &tick];
        if let Err(refusal) = ask(&node, "register_consumer($1, $2, $3, $4)", &arguments).await {
            // What nobody reads would hold rotation back.
            if is_new {
                who.unregister(provider).await?;
            }
            return Err(refusal);
        }
        node.commit().await?;
        Ok(is_new)
    }

    /// Takes both registrations back.
    pub async fn unregister(
        &mut self,
        script: &mut Script,
        who: &Subscription,
        provider: &Connection,
    ) -> Result<bool> {
        let was_there = who.unregister(provider).await?;
        let node = self.node(script).await?;
        ask(&node, "unregister_consumer($1, $2)", &[&who.queue(), &who.consumer()]).await?;
        node.commit().await?;
        Ok(was_there)
    }

    /// The completed tick; a root has none that a provider could be moved to.
    pub async fn tick(&self, script: &mut Script, who: &Subscription) -> Result<Option<i64>> {
        let state = self.look_up(script, who).await?;
        Ok((!state.is_root()).then_some(state.completed))
    }

    /// Writes down where the provider has this consumer.
    pub async fn forget(&mut self, script: &mut Script, who: &Subscription, name: &str) -> Result<()> {
        if self.look_up(script, who).await?.is_root() {
            info!("this node is the root of {}: there is no position to forget", who.queue());
            return Ok(());
        }
        let provider = self.provider(script, who, name).await?;
        let tick = who.tick(&provider).await?.ok_or_else(|| {
            Error::usage(format!("{} is not registered on {} at its provider", who.consumer(), who.queue()))
        })?;
        let node = self.node(script).await?;
        ask(&node, "set_consumer_completed($1, $2, $3)", &[&who.queue(), &who.consumer(), &tick]).await?;
        node.commit().await
    }
}

/// The connect string of another node, with what is to be appended to all of them.
fn remote(config: &Config, location: &str) -> Result<String> {
    let bad = |error: Error| Error::bad(format!("connect string of another node: {error}"));
    let mut conninfo = Conninfo::parse(location).map_err(bad)?;
    if let Some(extra) = config.optional("remote_extra_connstr") {
        conninfo.merge(&Conninfo::parse(extra)?);
    }
    Ok(conninfo.to_conninfo())
}

/// A connection to any other node of the queue.
pub async fn visit(script: &mut Script, name: &str, location: &str) -> Result<Connection> {
    let conninfo = remote(script.config(), location)?;
    script.connections().get_with(name, &conninfo, Options::default()).await
}
