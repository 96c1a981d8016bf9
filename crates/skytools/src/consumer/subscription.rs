//! A consumer of a queue, as the queue knows it.

use std::sync::Arc;

use crate::consumer::{Batch, BatchInfo, Member, Policy, Selection};
use crate::db::{Connection, Options};
use crate::script::{Config, Stop};
use crate::{Error, Result};

/// See the module.
#[derive(Clone, Debug)]
pub struct Subscription {
    queue: Arc<str>,
    consumer: String,
    pub(super) member: Option<Member>,
    selection: Selection,
    /// The key whose value is the selection's condition.
    pub(super) filter_key: Option<&'static str>,
    /// Whether all events are read, and those of other tables left out later.
    reads_all: bool,
    /// Whether events can come again, or be parked.
    sends_back: bool,
    policy: Policy,
    stop: Stop,
}

impl Subscription {
    /// A consumer of a queue. It is asked for nothing yet; see [`register`](Self::register).
    #[must_use]
    pub fn new(queue: &str, consumer: &str) -> Self {
        Self {
            queue: queue.into(),
            consumer: consumer.to_owned(),
            member: None,
            selection: Selection { lazy_fetch: 300, ..Selection::default() },
            filter_key: None,
            reads_all: false,
            sends_back: true,
            policy: Policy::default(),
            stop: Stop::default(),
        }
    }

    /// What the keys say, [those of every consumer](crate::consumer::CONSUMER_KEYS) and
    /// [of failed events](crate::consumer::FAILED_EVENT_KEYS).
    pub fn from_config(config: &Config, stop: Stop) -> Result<Self> {
        Self::from_keys(config, stop, true)
    }

    /// The same for a consumer of which it is known whether it [sends back](crate::consumer::Position::SENDS_BACK).
    pub(super) fn from_keys(config: &Config, stop: Stop, sends_back: bool) -> Result<Self> {
        let mut subscription = Self { stop, sends_back, ..Self::new("", "") };
        subscription.configure(config)?;
        Ok(subscription)
    }

    /// Follows the keys as they are now. A condition that no key says stays.
    pub(super) fn configure(&mut self, config: &Config) -> Result<()> {
        let condition = self.selection.condition.clone();
        let mut selection = Selection { condition, ..Selection::from_config(config)? };
        if let Some(key) = self.filter_key {
            selection.condition = config.optional(key).map(str::to_owned);
            if selection.condition.is_some() {
                selection.tables.clear();
            }
        }
        let policy = if self.sends_back { Policy::from_config(config) } else { Policy::blocking(config) }?;
        if selection.autocommit && policy.savepoint {
            return Err(Error::usage("pgq_autocommit = 1 needs event_policy = block and no event_savepoint"));
        }
        let member = self.member.as_ref().map(|_| Member::from_config(config)).transpose()?;
        let (queue, consumer) = (config.text("queue_name")?, config.text("consumer_name")?);
        (self.queue, self.consumer, self.member) = (queue.into(), consumer.to_owned(), member);
        (self.selection, self.policy) = (selection, policy);
        Ok(())
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    pub(super) fn queue_name(&self) -> Arc<str> {
        Arc::clone(&self.queue)
    }

    /// The consumer.
    #[must_use]
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// Which events come.
    #[must_use]
    pub const fn selected(&self) -> &Selection {
        &self.selection
    }

    /// Which events come, to be changed. What keys say holds again after a reload.
    pub const fn selection(&mut self) -> &mut Selection {
        &mut self.selection
    }

    /// Reads all events, whatever is selected: who passes them on leaves them out himself.
    pub(crate) const fn read_all(&mut self) {
        self.reads_all = true;
    }

    /// The condition that the database shall judge events by.
    pub(super) fn filter(&self) -> Option<String> {
        if self.reads_all { None } else { self.selection.filter() }
    }

    /// How events and their failures are met.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How events and their failures are met, to be changed. What keys say holds again after a reload.
    pub const fn policy_mut(&mut self) -> &mut Policy {
        &mut self.policy
    }

    pub(super) const fn sends_back(&self) -> bool {
        self.sends_back
    }

    pub(super) const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// How the connection to the queue's database has to be.
    #[must_use]
    pub fn source_options(&self) -> Options {
        Options { autocommit: self.selection.autocommit, ..Options::default() }
    }

    /// Registers the consumer at the newest tick: what was inserted before is not seen. False: it was registered.
    pub async fn register(&self, source: &Connection) -> Result<bool> {
        let is_new = self.enrol(source).await?;
        source.commit().await?;
        Ok(is_new)
    }

    /// The same, for the caller to commit: who registers the consumer at the same time waits for that.
    pub(super) async fn enrol(&self, source: &Connection) -> Result<bool> {
        let names: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&&*self.queue, &self.consumer];
        let row = source.query_one("select pgq.register_consumer($1, $2)", &names).await?;
        let is_new = row.get::<_, i32>(0) == 1;
        let joins = match &self.member {
            Some(member) => member.register(self, source).await?,
            None => false,
        };
        Ok(is_new || joins)
    }

    /// Takes the registration back; of a member of a group: its own. False: there was none.
    pub async fn unregister(&self, source: &Connection) -> Result<bool> {
        let left = match &self.member {
            Some(member) => member.unregister(self, source).await?,
            None => {
                let names: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&&*self.queue, &self.consumer];
                source.query_one("select pgq.unregister_consumer($1, $2)", &names).await?.get::<_, i32>(0) > 0
            }
        };
        source.commit().await?;
        Ok(left)
    }

    /// The channel on which the server tells of ticks; `None`: of those of PgQ 3 it tells nothing.
    pub(super) async fn channel(&self, source: &Connection) -> Result<Option<String>> {
        let look = "select pg_catalog.to_regprocedure('pgq.queue_channel(text)') is not null";
        let channel = if source.query_one(look, &[]).await?.get(0) {
            Some(source.query_one("select pgq.queue_channel($1)", &[&&*self.queue]).await?.get(0))
        } else {
            None
        };
        source.commit().await?;
        Ok(channel)
    }

    /// The next batch, or the open one again; `None`: there is nothing new.
    pub async fn next_batch(&self, source: &Connection) -> Result<Option<Batch>> {
        let info = match &self.member {
            None => self.next_info(source).await?,
            Some(member) => member.next_info(self, source).await?,
        };
        source.commit().await?;
        Ok(info.map(|info| Batch::new(info, source.clone(), self)))
    }

    /// What ends a batch, given its number.
    pub(super) const fn finish_statement(&self) -> &'static str {
        match self.member {
            None => "select pgq.finish_batch($1)",
            Some(_) => "select pgq_coop.finish_batch($1)",
        }
    }

    async fn next_info(&self, source: &Connection) -> Result<Option<BatchInfo>> {
        let Selection { min_lag, min_count, min_interval, .. } = &self.selection;
        let row = source
            .query_one(
                "select batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time, \
                        cur_tick_event_seq, prev_tick_event_seq \
                 from pgq.next_batch_custom($1, $2, $3::text::interval, $4, $5::text::interval)",
                &[&&*self.queue, &self.consumer, min_lag, min_count, min_interval],
            )
            .await?;
        let Some(batch_id) = row.get(0) else { return Ok(None) };
        Ok(Some(BatchInfo {
            batch_id,
            tick_id: row.get(1),
            prev_tick_id: row.get(2),
            batch_end: row.get(3),
            batch_start: row.get(4),
            seq_end: row.get(5),
            seq_start: row.get(6),
        }))
    }
}
