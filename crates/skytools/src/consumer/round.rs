//! A round of a consumer: one batch.

use std::time::{Duration, Instant};

use clap::ArgMatches;
use tokio_postgres::error::SqlState;
use tracing::info;

use crate::consumer::{DeadLetters, Errand, Finished, Handler, InQueue, Look, Position, Subscription};
use crate::db::Connection;
use crate::script::{Job, Next, Script};
use crate::{Error, Result};

/// A job that consumes a queue.
#[derive(Debug)]
pub struct Consumer<H, P = InQueue> {
    source: &'static str,
    subscription: Subscription,
    handler: H,
    position: P,
    errand: Option<Errand>,
    /// Whether the queue and what is written down may differ: at the start, and after a failure.
    unsettled: bool,
    /// When the last batch with events was done.
    busy: Instant,
    /// When a line of statistics was written last.
    told: Instant,
}

impl<H: Handler> Consumer<H> {
    /// A consumer whose position is kept in the queue alone. `source` is the key of the queue's database.
    pub fn new(script: &Script, source: &'static str, handler: H) -> Result<Self> {
        Self::with_position(script, source, handler, InQueue)
    }
}

impl<H: Handler, P: Position> Consumer<H, P> {
    /// A consumer whose position is kept as `position` does it.
    pub fn with_position(script: &Script, source: &'static str, handler: H, position: P) -> Result<Self> {
        let subscription = Subscription::from_keys(script.config(), script.stop(), P::SENDS_BACK)?;
        let now = Instant::now();
        Ok(Self {
            source,
            subscription,
            handler,
            position,
            errand: None,
            unsettled: true,
            busy: now,
            told: now,
        })
    }

    /// Does what the switches of [`Program::consumer`](crate::script::Program::consumer) ask for, if anything, instead
    /// of consuming.
    #[must_use]
    pub fn asked(mut self, matches: &ArgMatches) -> Self {
        self.errand = Errand::of(matches);
        self.position.asked(matches);
        self
    }

    /// Lets only those events come that meet the condition which is the value of this key, if it is set. Then the tables
    /// of `table_filter` do not count.
    pub fn filtered_by(mut self, script: &Script, key: &'static str) -> Result<Self> {
        self.subscription.filter_key = Some(key);
        self.subscription.configure(script.config())?;
        Ok(self)
    }

    /// What the queue knows it as.
    pub const fn subscription(&mut self) -> &mut Subscription {
        &mut self.subscription
    }

    pub(crate) const fn position(&mut self) -> &mut P {
        &mut self.position
    }

    async fn source(&mut self, script: &mut Script) -> Result<Connection> {
        self.position.source(script, &self.subscription, self.source).await
    }

    /// At the start, and after a failure: everything that has to be there before the first batch.
    async fn settle(&mut self, script: &mut Script) -> Result<()> {
        let source = &self.source(script).await?;
        let who = &self.subscription;
        if script.config().flag("auto_register")? && self.position.register(script, who, source).await? {
            info!("{} is registered on {}", who.consumer(), who.queue());
        }
        if who.policy().parks() {
            // Now, and not when the first event fails at night: it takes rights.
            DeadLetters::new(source.clone(), who.queue(), who.consumer()).create().await?;
            source.commit().await?;
        }
        self.position.reconcile(script, who, source).await?;
        script.connections().unlisten(self.source, None);
        if let Some(channel) = who.channel(source).await? {
            // Connections are made to listen when they are asked for: before the next look for a batch.
            script.connections().listen(self.source, &channel);
        }
        self.unsettled = false;
        Ok(())
    }

    /// Does what a switch has asked for, and ends the loop. There is no second try.
    async fn run(&mut self, errand: Errand, script: &mut Script) -> Result<Next> {
        let done = async {
            let source = self.source(script).await?;
            errand.run(script, &self.subscription, &source, &mut self.position).await
        };
        done.await.map_err(|failure| Error::Errand(Box::new(failure)))?;
        script.stop().after_round();
        Ok(Next::Idle)
    }

    /// That the queue does not know the consumer, as one says it who has a switch for that; any other error as it is.
    async fn told_in_switches(&self, error: Error, source: &Connection) -> Error {
        let who = &self.subscription;
        let was_raised = error.sqlstate() == Some(&SqlState::RAISE_EXCEPTION);
        if !was_raised || source.rollback().await.is_err() || !matches!(who.tick(source).await, Ok(None)) {
            return error;
        }
        Error::bad(format!("{}\nHINT: --register registers it, if there is such a queue", error.brief()))
    }

    /// The numbers of a batch.
    fn tell(&mut self, script: &mut Script, began: Instant, finished: &Finished) {
        script.stats.increase("count", finished.count.cast_signed());
        script.stats.measure("duration", began.elapsed().as_secs_f64());
        self.told = Instant::now();
        if finished.count > 0 {
            script.stats.measure("idle", began.saturating_duration_since(self.busy).as_secs_f64());
            self.busy = self.told;
        }
        for (name, count) in [("retry-events", finished.retried), ("parked-events", finished.parked)] {
            if count > 0 {
                script.stats.increase(name, count.cast_signed());
            }
        }
    }

    /// Now and then, that there is no batch.
    fn tell_idle(&mut self, script: &mut Script) -> Result<()> {
        let period = Duration::try_from_secs_f64(script.config().float("keepalive_stats")?);
        let period = period.map_err(|_| Error::usage("config parameter keepalive_stats is no time span"))?;
        if !period.is_zero() && self.told.elapsed() >= period {
            script.stats.measure("idle", self.busy.elapsed().as_secs_f64());
            self.told = Instant::now();
        }
        Ok(())
    }
}

impl<H: Handler, P: Position> Job for Consumer<H, P> {
    fn is_errand(&self) -> bool {
        self.errand.is_some()
    }

    async fn work(&mut self, script: &mut Script) -> Result<Next> {
        let began = Instant::now();
        if let Some(errand) = self.errand {
            return self.run(errand, script).await;
        }
        if let Some(next) = self.position.begin(script, &mut self.subscription).await? {
            if next == Next::Standby {
                self.handler.standby(script).await?;
                script.stats.set("standby", 1);
            }
            return Ok(next);
        }
        if self.unsettled {
            self.settle(script).await?;
        }
        let source = self.source(script).await?;
        let next = match self.subscription.next_batch(&source).await {
            Err(error) => return Err(self.told_in_switches(error, &source).await),
            Ok(next) => next,
        };
        let Some(mut batch) = next else {
            self.tell_idle(script)?;
            return Ok(Next::Idle);
        };
        match self.position.look(script, &self.subscription, &mut batch).await? {
            Look::Handle => {
                self.handler.prepare(script, &mut batch).await?;
                self.handler.batch(&mut batch).await?;
                batch.close().await?;
                self.position.store(script, &self.subscription, &mut batch).await?;
            }
            Look::AlreadyDone => {}
            Look::NotYet => {
                self.tell_idle(script)?;
                return Ok(Next::Idle);
            }
        }
        let end = batch.info().batch_end;
        let finished = batch.finish().await?;
        script.figures.batch(end);
        self.tell(script, began, &finished);
        Ok(Next::More)
    }

    async fn reload(&mut self, script: &mut Script) -> Result<()> {
        let before = self.subscription.source_options();
        self.subscription.configure(script.config())?;
        if self.subscription.source_options() != before {
            script.connections().close(self.source);
        }
        self.unsettled = true;
        Ok(())
    }

    async fn failed(&mut self, script: &mut Script, error: &Error, _times: u32) {
        self.unsettled = true;
        self.position.failed(script, &self.subscription, error).await;
    }
}
