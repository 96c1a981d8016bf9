//! What lies between two ticks: events, and what is to become of each.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, warn};

use crate::consumer::reading::{Reading, Request};
use crate::consumer::sieve::Sieve;
use crate::consumer::tags::Tags;
use crate::consumer::{DeadLetters, Event, Policy, Subscription, Verdict};
use crate::db::Connection;
use crate::script::Stop;
use crate::testing::Delivery;
use crate::{Error, Result};

/// Parked events are written when there are so many, that memory stays constant.
const PARKED_AT_A_TIME: usize = 300;

/// And so are events to retry.
const RETRIED_AT_A_TIME: usize = 1000;

/// The bounds of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// Its number.
    pub batch_id: i64,
    /// The tick that ends it.
    pub tick_id: i64,
    /// The tick that it begins behind.
    pub prev_tick_id: i64,
    /// When the tick before it was taken.
    pub batch_start: Timestamp,
    /// When the tick at its end was taken.
    pub batch_end: Timestamp,
    /// The event numbers at its begin. Not a count: do not judge by it whether the batch is empty.
    pub seq_start: i64,
    /// The event numbers at its end.
    pub seq_end: i64,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// How many events were handed out.
    pub count: u64,
    /// How many of them come again.
    pub retried: u64,
    /// How many of them were put among the dead letters.
    pub parked: u64,
}

/// What of the transactions could be taken back without the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Savepoint {
    /// There was none yet.
    None,
    /// What was written for an event whose fate is open.
    Open,
    /// Nothing: that event is settled.
    Settled,
}

/// An open batch. Events come one at a time, in constant memory.
///
/// With a cursor (the default) they come through the source's transaction: whoever handles them must neither commit
/// nor roll back there before the end, and can go through them once.
#[derive(Debug)]
pub struct Batch {
    info: BatchInfo,
    queue: Arc<str>,
    consumer: String,
    source: Option<Connection>,
    target: Option<Connection>,
    /// The statement that ends it.
    finish: &'static str,
    sieve: Option<Box<dyn Sieve>>,
    policy: Policy,
    sends_back: bool,
    stop: Stop,
    reading: Reading,
    is_counted: bool,
    savepoint: Savepoint,
    tags: Tags,
    finished: Finished,
}

impl Batch {
    pub(super) fn new(info: BatchInfo, source: Connection, subscription: &Subscription) -> Self {
        let selection = subscription.selected();
        let request = Request {
            source: source.clone(),
            queue: subscription.queue_name(),
            batch_id: info.batch_id,
            lazy_fetch: selection.lazy_fetch,
            condition: subscription.filter(),
        };
        let reading = Reading::NotBegun(request);
        let mut batch = Self::reading(info, reading, subscription);
        batch.source = Some(source);
        batch
    }

    /// Without a server: what a test gives to a handler.
    pub(crate) fn in_memory(info: BatchInfo, events: Vec<Event>, subscription: &Subscription) -> Self {
        Self::reading(info, Reading::of(events), subscription)
    }

    /// Ends a batch without a server: tells which events come again, and which were parked.
    pub(crate) fn close_in_memory(mut self) -> Result<Delivery> {
        self.complete()?;
        let parked = self.tags.take_parked().into_iter().map(|(event, cause)| (event.id(), cause));
        Ok(Delivery { done: Vec::new(), parked: parked.collect(), retried: self.tags.take_retries() })
    }

    fn reading(info: BatchInfo, reading: Reading, subscription: &Subscription) -> Self {
        Self {
            info,
            queue: subscription.queue_name(),
            consumer: subscription.consumer().to_owned(),
            source: None,
            target: None,
            finish: subscription.finish_statement(),
            sieve: None,
            policy: subscription.policy().clone(),
            sends_back: subscription.sends_back(),
            stop: subscription.stop().clone(),
            reading,
            is_counted: false,
            savepoint: Savepoint::None,
            tags: Tags::new(subscription.policy().strict),
            finished: Finished::default(),
        }
    }

    /// Its bounds.
    #[must_use]
    pub const fn info(&self) -> &BatchInfo {
        &self.info
    }

    /// How many events it has; known when they have all been handed out.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        self.is_counted.then_some(self.finished.count)
    }

    /// The connection it comes through. What is written here is committed with the batch, exactly once; where the
    /// position is not the queue's own, before the position, at least once. Tests without a server have none.
    pub fn source(&self) -> Result<&Connection> {
        self.source.as_ref().ok_or_else(|| Error::bad("this batch comes from no database"))
    }

    /// The connection to write results to, for consumers that have one.
    pub fn target(&self) -> Result<&Connection> {
        self.target.as_ref().ok_or_else(|| Error::bad("this consumer has no target database"))
    }

    /// Gives the batch a place for its results. What is open there is committed before the queue moves on.
    pub fn set_target(&mut self, target: Connection) {
        self.target = Some(target);
    }

    /// Lets each event go through this before it comes to the handler.
    pub(crate) fn set_sieve(&mut self, sieve: Box<dyn Sieve>) {
        self.sieve = Some(sieve);
    }

    pub(super) const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The next event, or `None` at the end. A batch that was fetched at once (`pgq_lazy_fetch = 0`) can then be gone
    /// through again; another one gives an error.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        // Not while it might be taken back.
        let may_write = self.source.is_some() && self.savepoint != Savepoint::Open;
        loop {
            self.stop.check_between_events()?;
            if self.tags.parked() >= PARKED_AT_A_TIME && may_write {
                self.write_parked().await?;
            }
            let Some(event) = self.reading.next().await? else {
                self.is_counted = true;
                return Ok(None);
            };
            let is_new = !self.is_counted;
            if is_new {
                self.finished.count += 1;
            }
            if let Some(sieve) = &mut self.sieve {
                if is_new {
                    sieve.take(&event).await?;
                }
                if !sieve.lets_through(&event) {
                    continue;
                }
            }
            if is_new {
                self.tags.handed_out(&event);
            }
            return Ok(Some(event));
        }
    }

    /// From here on, what the handler writes through [`source`](Self::source) and [`target`](Self::target) can be taken
    /// back without the rest of the batch, if the [policy](Policy) wants that. See [`settle`](Self::settle).
    pub async fn protect(&mut self) -> Result<()> {
        if self.policy.savepoint {
            let is_first = self.savepoint == Savepoint::None;
            let renew = if is_first { "" } else { "release savepoint event; " };
            self.in_transactions(&format!("{renew}savepoint event")).await?;
            self.savepoint = Savepoint::Open;
        }
        Ok(())
    }

    /// Tags an event with what its handling came to. A failure is met by the [policy](Policy), or returned. What was
    /// written since [`protect`](Self::protect) is taken back unless the event is done. Of very many events that come
    /// again, some are written down at once: nothing that is [said](Self::tag) later changes that.
    pub async fn settle(&mut self, event: &Event, outcome: Result<Verdict>) -> Result<()> {
        let verdict = match outcome {
            Ok(verdict) => verdict,
            Err(error) => {
                debug!("{event} with data {:?} failed: {error}", event.data().unwrap_or("NULL"));
                let verdict = self.policy.verdict(event, &error).filter(|_| self.sends_back);
                let Some(verdict) = verdict else { return Err(error.at(event)) };
                let fate = if matches!(verdict, Verdict::Park(_)) { "is parked" } else { "will come again" };
                warn!("{event} {fate}: {}", error.brief());
                verdict
            }
        };
        if self.savepoint == Savepoint::Open {
            if matches!(verdict, Verdict::Retry(_) | Verdict::Park(_)) {
                self.in_transactions("rollback to savepoint event").await?;
            }
            self.savepoint = Savepoint::Settled;
        }
        self.tag(event, verdict)?;
        if self.tags.retries() >= RETRIED_AT_A_TIME && self.source.is_some() {
            self.write_retries().await?;
        }
        Ok(())
    }

    /// Says what is to become of an event; what is said last holds. (A parked event may have been written down already;
    /// then it stays parked.)
    pub fn tag(&mut self, event: &Event, verdict: Verdict) -> Result<()> {
        if !self.sends_back && matches!(verdict, Verdict::Retry(_) | Verdict::Park(_)) {
            return Err(Error::bad(format!(
                "event {} cannot be sent back or parked: this consumer keeps its position in ticks",
                event.id()
            )));
        }
        let autocommit = self.source.as_ref().is_some_and(|source| source.options().autocommit);
        if autocommit && matches!(verdict, Verdict::Park(_)) {
            return Err(Error::bad(format!("event {} cannot be parked with pgq_autocommit", event.id())));
        }
        self.tags.set(event, verdict);
        Ok(())
    }

    /// Ends the batch: events to retry go back, the queue moves on, and the source's transaction is committed.
    pub async fn finish(mut self) -> Result<Finished> {
        self.close().await?;
        let source = self.source()?;
        let row = source.query_one(self.finish, &[&self.info.batch_id]).await?;
        if row.get::<_, i32>(0) == 0 {
            source.rollback().await?;
            return Err(Error::bad(format!(
                "batch {} was finished by somebody else: is consumer {} of queue {} at work twice?",
                self.info.batch_id, self.consumer, self.queue
            )));
        }
        source.commit().await?;
        Ok(self.finished)
    }

    /// Writes down what was said of the events, once.
    pub(super) async fn close(&mut self) -> Result<()> {
        if self.sieve.is_some() {
            // Also those that the handler has left.
            while !self.is_counted {
                self.next().await?;
            }
            if let Some(mut sieve) = self.sieve.take() {
                sieve.end().await?;
            }
        }
        self.complete()?;
        self.write_parked().await?;
        self.write_retries().await
    }

    /// An error if there are events of which something had to be said, and nothing was.
    fn complete(&self) -> Result<()> {
        if self.policy.strict && !self.is_counted && self.reading.has_begun() {
            return Err(Error::bad("not all events were asked for: with strict_tags each has to be tagged"));
        }
        self.tags.complete()
    }

    async fn write_retries(&mut self) -> Result<()> {
        let retries = self.tags.take_retries();
        if retries.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = retries.keys().copied().collect();
        let seconds: Vec<i32> = retries.values().map(|after| whole_seconds(*after)).collect();
        let retry = "select pgq.event_retry($1, id, seconds) \
                     from unnest($2::bigint[], $3::integer[]) as retry (id, seconds)";
        self.source()?.query(retry, &[&self.info.batch_id, &ids, &seconds]).await?;
        self.finished.retried += ids.len() as u64;
        Ok(())
    }

    async fn write_parked(&mut self) -> Result<()> {
        let parked = self.tags.take_parked();
        if parked.is_empty() {
            return Ok(());
        }
        let letters = DeadLetters::new(self.source()?.clone(), &self.queue, &self.consumer);
        letters.create().await?;
        for (event, cause) in &parked {
            letters.park(event, cause).await?;
        }
        self.finished.parked += parked.len() as u64;
        Ok(())
    }

    /// Runs a statement in the transactions whose work belongs to the batch.
    async fn in_transactions(&self, sql: &str) -> Result<()> {
        for connection in [&self.source, &self.target].into_iter().flatten() {
            if !connection.options().autocommit {
                connection.batch(sql).await?;
            }
        }
        Ok(())
    }
}

/// At least so long, in seconds.
fn whole_seconds(after: Duration) -> i32 {
    i32::try_from(after.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_sent_back_no_event_can_be_told_to_come_again_or_to_be_parked() {
        let time = Timestamp::UNIX_EPOCH;
        let info = BatchInfo {
            batch_id: 1,
            tick_id: 2,
            prev_tick_id: 1,
            batch_start: time,
            batch_end: time,
            seq_start: 0,
            seq_end: 1,
        };
        let event = Event::new("q".into(), 7, time, 1, None, [None; 6]);
        for sends_back in [true, false] {
            let mut batch = Batch::in_memory(info.clone(), Vec::new(), &Subscription::new("q", "test"));
            batch.sends_back = sends_back;
            for verdict in [Verdict::Retry(Duration::ZERO), Verdict::Park("odd".into())] {
                let refusal = batch.tag(&event, verdict).map_err(|refusal| refusal.to_string());
                assert_eq!(refusal.is_ok(), sends_back);
                assert!(
                    refusal.err().is_none_or(|refusal| refusal.starts_with("event 7 cannot be sent back"))
                );
            }
            assert!(batch.tag(&event, Verdict::Done).is_ok());
        }
    }
}
