//! What to do when an event cannot be handled.
//!
//! ```text
//! the handler fails ─┬─ not the event's fault (a server is gone, …) ──► the batch comes again
//!                    └─ its own ─┬─ block ────────────────────────────► the batch comes again
//!                                ├─ retry ─┬─ not yet too often ──────► the event comes again
//!                                │         └─ retry_limit is reached ─► dead letter
//!                                └─ park ─────────────────────────────► dead letter
//! ```

use std::time::Duration;

use crate::consumer::{Event, Verdict};
use crate::script::Config;
use crate::{Error, Result};

/// How events and their failures are met.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// When an event cannot be handled.
    pub failed: FailedEvents,
    /// Whether what a handler has written for an event can be taken back alone.
    pub savepoint: bool,
    /// Whether untagged events are refused.
    pub strict: bool,
}

/// What to do with events that cannot be handled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum FailedEvents {
    /// The batch is tried again, until it succeeds.
    #[default]
    Block,
    /// The event comes again.
    Retry {
        /// After so long; each time twice as long.
        delay: Duration,
        /// But no longer than this.
        delay_max: Duration,
        /// So often, then it is parked; 0: without end.
        limit: u32,
    },
    /// The event is put among the dead letters.
    Park,
}

impl Policy {
    /// What the [keys](crate::consumer::FAILED_EVENT_KEYS) say, and `strict_tags`.
    pub fn from_config(config: &Config) -> Result<Self> {
        let seconds = |key| {
            Duration::try_from_secs_f64(config.float(key)?)
                .map_err(|_| Error::usage(format!("config parameter {key} is no time span")))
        };
        let failed = match config.text("event_policy")? {
            "block" => FailedEvents::Block,
            "retry" => FailedEvents::Retry {
                delay: seconds("retry_delay")?,
                delay_max: seconds("retry_delay_max")?,
                limit: u32::try_from(config.integer("retry_limit")?)
                    .map_err(|_| Error::usage("config parameter retry_limit is below zero"))?,
            },
            "park" => FailedEvents::Park,
            other => {
                return Err(Error::usage(format!(
                    "config parameter event_policy: {other:?} is none of block, retry, park"
                )));
            }
        };
        let savepoint = failed != FailedEvents::Block || config.flag("event_savepoint")?;
        Ok(Self { failed, savepoint, strict: config.flag("strict_tags")? })
    }

    /// What they can say of a consumer that sends nothing back.
    pub(super) fn blocking(config: &Config) -> Result<Self> {
        match config.written("event_policy") {
            None | Some("block") => Ok(Self { strict: config.flag("strict_tags")?, ..Self::default() }),
            Some(other) => Err(Error::usage(format!(
                "config parameter event_policy: {other} is not for this consumer: it keeps its position in ticks, so \
                 events can neither come again nor be parked"
            ))),
        }
    }

    /// Whether events may be put among the dead letters.
    #[must_use]
    pub fn parks(&self) -> bool {
        match self.failed {
            FailedEvents::Block => false,
            FailedEvents::Retry { limit, .. } => limit > 0,
            FailedEvents::Park => true,
        }
    }

    /// What becomes of an event whose handling has failed; `None`: the whole batch comes again.
    #[must_use]
    pub fn verdict(&self, event: &Event, error: &Error) -> Option<Verdict> {
        if !is_the_events_fault(error) {
            return None;
        }
        match self.failed {
            FailedEvents::Block => None,
            FailedEvents::Retry { delay, delay_max, limit } => {
                let retried = u32::try_from(event.retry().unwrap_or(0)).unwrap_or(0);
                if limit > 0 && retried >= limit {
                    return Some(Verdict::Park(error.into()));
                }
                let delay = delay.saturating_mul(2_u32.saturating_pow(retried));
                Some(Verdict::Retry(delay.min(delay_max)))
            }
            FailedEvents::Park => Some(Verdict::Park(error.into())),
        }
    }
}

/// Whether another event might have done better: not when a connection is lost, the server is short of something or
/// shuts down, transactions were in each other's way, or the program is to stop.
fn is_the_events_fault(error: &Error) -> bool {
    if matches!(error, Error::Usage(_) | Error::Stopped) || error.is_lost_connection() {
        return false;
    }
    let Some(sqlstate) = error.sqlstate() else { return true };
    match sqlstate.code() {
        // A statement that takes too long may well be this event's.
        "57014" => true,
        // A server that does not write: a standby.
        "25006" | "55P03" => false,
        code => !["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::Timestamp;

    use super::*;

    fn delivered(retry: Option<i32>) -> Event {
        Event::new("q".into(), 1, Timestamp::UNIX_EPOCH, 1, retry, [None; 6])
    }

    fn retrying(limit: u32) -> Policy {
        let (delay, delay_max) = (Duration::from_secs(60), Duration::from_secs(300));
        Policy { failed: FailedEvents::Retry { delay, delay_max, limit }, ..Policy::default() }
    }

    #[test]
    fn retries_come_at_growing_distances_and_end_among_the_dead_letters() {
        let error = Error::bad("no such customer");
        let verdicts: Vec<_> = [None, Some(1), Some(2), Some(3), Some(4)]
            .iter()
            .map(|retry| retrying(4).verdict(&delivered(*retry), &error).unwrap())
            .collect();
        let after = |seconds| Verdict::Retry(Duration::from_secs(seconds));
        let parked = Verdict::Park("no such customer".into());
        assert_eq!(verdicts, [after(60), after(120), after(240), after(300), parked]);
    }

    #[test]
    fn without_a_limit_an_event_comes_again_for_ever() {
        let policy = retrying(0);
        assert!(!policy.parks());
        let verdict = policy.verdict(&delivered(Some(i32::MAX)), &Error::bad("x"));
        assert_eq!(verdict, Some(Verdict::Retry(Duration::from_secs(300))));
    }

    #[test]
    fn an_event_is_not_blamed_for_a_stop_or_a_bad_setting() {
        let policy = Policy { failed: FailedEvents::Park, ..Policy::default() };
        assert_eq!(policy.verdict(&delivered(None), &Error::Stopped), None);
        assert_eq!(policy.verdict(&delivered(None), &Error::usage("not set")), None);
        assert!(policy.verdict(&delivered(None), &Error::bad("x")).is_some());
    }
}
