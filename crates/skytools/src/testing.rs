//! A queue without a server, for testing your handlers.
//!
//! ```
//! # use skytools::consumer::{Batch, Event, Handler, Verdict};
//! # use skytools::testing::Queue;
//! struct Mailer;
//!
//! impl Handler for Mailer {
//!     async fn event(&mut self, event: &Event, _batch: &mut Batch) -> skytools::Result<Verdict> {
//!         Ok(if event.data().is_some() { Verdict::Done } else { Verdict::Park("no address".into()) })
//!     }
//! }
//!
//! # async fn test() -> skytools::Result<()> {
//! let mut queue = Queue::new("mails");
//! let good = queue.insert("mail", "somebody@example.com");
//! let delivery = queue.deliver(&mut Mailer).await?;
//! assert_eq!(delivery.done, [good]);
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::Result;
use crate::consumer::{Batch, BatchInfo, Cause, Event, Handler, Policy, Subscription};

/// A queue with one consumer, and a clock that stands still until it is told to go on.
///
/// Everything is as with a server, but for what takes one: [`Handler::prepare`] is not called, as it gets connections,
/// and a batch has neither source nor target, unless the test gives it one in a handler of its own.
#[derive(Debug)]
pub struct Queue {
    subscription: Subscription,
    now: Timestamp,
    inserted: i64,
    delivered: i64,
    waiting: Vec<Event>,
    retries: Vec<(Timestamp, Event)>,
}

/// What became of the events of a batch, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Done, in the order of the batch.
    pub done: Vec<i64>,
    /// To come again, after so long.
    pub retried: BTreeMap<i64, Duration>,
    /// Put aside.
    pub parked: BTreeMap<i64, Cause>,
}

impl Queue {
    /// An empty queue of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            subscription: Subscription::new(name, "test"),
            now: Timestamp::UNIX_EPOCH,
            inserted: 0,
            delivered: 0,
            waiting: Vec::new(),
            retries: Vec::new(),
        }
    }

    /// The policy of its consumer, to be changed.
    pub const fn policy(&mut self) -> &mut Policy {
        self.subscription.policy_mut()
    }

    /// Inserts an event; its id.
    pub fn insert(&mut self, kind: &str, data: &str) -> i64 {
        self.insert_texts([Some(kind), Some(data), None, None, None, None])
    }

    /// Inserts an event with these texts: type, data, extra1 to extra4.
    pub fn insert_texts(&mut self, texts: [Option<&str>; 6]) -> i64 {
        self.inserted += 1;
        let queue = self.subscription.queue().into();
        self.waiting.push(Event::new(queue, self.inserted, self.now, self.inserted, None, texts));
        self.inserted
    }

    /// Lets time pass: events that wait for a retry come back when theirs is over.
    ///
    /// # Panics
    /// If time passes beyond the year 9999.
    pub fn pass(&mut self, time: Duration) {
        let time = SignedDuration::try_from(time).expect("a time span of this world");
        self.now = self.now.checked_add(time).expect("a time before the year 9999");
    }

    /// Hands out all that is there, as a batch.
    ///
    /// # Errors
    /// Those of the handler: then the same events come again.
    pub async fn deliver(&mut self, handler: &mut impl Handler) -> Result<Delivery> {
        let now = self.now;
        for (_, event) in self.retries.extract_if(.., |(due, _)| *due <= now) {
            self.waiting.push(event);
        }
        self.waiting.sort_by_key(Event::id);
        let info = BatchInfo {
            batch_id: self.delivered + 1,
            tick_id: self.delivered + 1,
            prev_tick_id: self.delivered,
            batch_start: now,
            batch_end: now,
            seq_start: 0,
            seq_end: self.inserted,
        };
        let mut batch = Batch::in_memory(info, self.waiting.clone(), &self.subscription);
        handler.batch(&mut batch).await?;
        let (retried, parked) = batch.close_in_memory()?;
        self.delivered += 1;
        let mut delivery = Delivery {
            parked: parked.into_iter().map(|(event, cause)| (event.id(), cause)).collect(),
            ..Delivery::default()
        };
        for event in std::mem::take(&mut self.waiting) {
            if let Some(after) = retried.get(&event.id()) {
                let due = now.saturating_add(SignedDuration::try_from(*after).unwrap_or(SignedDuration::MAX));
                self.retries.push((due.unwrap_or(Timestamp::MAX), event.again()));
            } else if !delivery.parked.contains_key(&event.id()) {
                delivery.done.push(event.id());
            }
        }
        delivery.retried = retried;
        Ok(delivery)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Error;
    use crate::consumer::{FailedEvents, Verdict};

    /// Does what the event's type says.
    #[derive(Default)]
    struct Obeys {
        seen: Vec<(i64, Option<i32>)>,
    }

    impl Handler for Obeys {
        async fn event(&mut self, event: &Event, _batch: &mut Batch) -> Result<Verdict> {
            self.seen.push((event.id(), event.retry()));
            match event.kind() {
                Some("retry") => Ok(Verdict::Retry(Duration::from_secs(10))),
                Some("park") => Ok(Verdict::Park("as it says".into())),
                Some("fail") => Err(Error::bad("as it says")),
                Some("panic") => panic!("as it says"),
                Some("silent") => Ok(Verdict::Untagged),
                _ => Ok(Verdict::Done),
            }
        }
    }

    fn deliver(queue: &mut Queue, handler: &mut impl Handler) -> Result<Delivery> {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(queue.deliver(handler))
    }

    #[test]
    fn events_end_as_they_are_tagged() {
        let mut queue = Queue::new("q");
        for kind in ["ok", "retry", "park", "silent"] {
            queue.insert(kind, "");
        }
        let delivery = deliver(&mut queue, &mut Obeys::default()).unwrap();
        assert_eq!(delivery.done, [1, 4]);
        assert_eq!(delivery.retried, BTreeMap::from([(2, Duration::from_secs(10))]));
        assert_eq!(delivery.parked, BTreeMap::from([(3, "as it says".into())]));
    }

    #[test]
    fn a_retried_event_comes_again_when_its_time_is_over() {
        let (mut queue, mut handler) = (Queue::new("q"), Obeys::default());
        queue.insert("retry", "");
        deliver(&mut queue, &mut handler).unwrap();
        queue.pass(Duration::from_secs(9));
        deliver(&mut queue, &mut handler).unwrap();
        queue.pass(Duration::from_secs(1));
        deliver(&mut queue, &mut handler).unwrap();
        assert_eq!(handler.seen, [(1, None), (1, Some(1))]);
    }

    #[test]
    fn a_batch_that_fails_comes_again_as_a_whole() {
        let mut queue = Queue::new("q");
        queue.insert("ok", "");
        for kind in ["fail", "panic"] {
            queue.insert(kind, "");
            for _ in 0..2 {
                let mut handler = Obeys::default();
                let error = deliver(&mut queue, &mut handler).unwrap_err();
                assert!(error.to_string().ends_with("as it says"), "{error}");
                assert_eq!(handler.seen, [(1, None), (2, None)]);
            }
            queue.waiting.pop();
            queue.inserted -= 1;
        }
    }

    #[test]
    fn a_policy_saves_the_others() {
        let mut queue = Queue::new("q");
        *queue.policy() = Policy { failed: FailedEvents::Park, savepoint: true, strict: true };
        for kind in ["ok", "panic", "fail", "ok"] {
            queue.insert(kind, "");
        }
        let delivery = deliver(&mut queue, &mut Obeys::default()).unwrap();
        assert_eq!(delivery.done, [1, 4]);
        assert_eq!(delivery.parked.keys().collect::<Vec<_>>(), [&2, &3]);
    }

    #[test]
    fn a_strict_consumer_refuses_what_was_left_untagged() {
        let mut queue = Queue::new("q");
        queue.policy().strict = true;
        queue.insert("ok", "");
        queue.insert("silent", "");
        let error = deliver(&mut queue, &mut Obeys::default()).unwrap_err().to_string();
        assert!(error.contains("event 2"), "{error}");
    }

    /// Goes through a batch twice, and tags it afterwards.
    struct Twice;

    impl Handler for Twice {
        async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
            let mut events = Vec::new();
            for _ in 0..2 {
                assert_eq!(batch.count().is_some(), !events.is_empty());
                while let Some(event) = batch.next().await? {
                    events.push(event);
                }
            }
            assert_eq!((events.len(), batch.count()), (6, Some(3)));
            for event in &events {
                batch.tag(event, Verdict::Retry(Duration::ZERO))?;
            }
            batch.tag(&events[1], Verdict::Done)
        }
    }

    #[test]
    fn tags_may_come_late_and_the_last_one_holds() {
        let mut queue = Queue::new("q");
        queue.policy().strict = true;
        (0..3).for_each(|_| _ = queue.insert("any", ""));
        let delivery = deliver(&mut queue, &mut Twice).unwrap();
        assert_eq!(delivery.done, [2]);
        assert_eq!(delivery.retried.into_keys().collect::<Vec<_>>(), [1, 3]);
    }
}
