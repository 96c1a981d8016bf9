//! What was said of the events of a batch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::consumer::{Cause, Event, Verdict};
use crate::{Error, Result};

/// Only what is not simply done is remembered.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// Whether each event has to be tagged.
    strict: bool,
    untagged: BTreeSet<i64>,
    retries: BTreeMap<i64, Duration>,
    /// To be parked, and not yet written.
    parked: BTreeMap<i64, (Event, Cause)>,
}

impl Tags {
    pub(super) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    pub(super) fn handed_out(&mut self, event: &Event) {
        if self.strict {
            self.untagged.insert(event.id());
        }
    }

    pub(super) fn set(&mut self, event: &Event, verdict: Verdict) {
        let id = event.id();
        self.retries.remove(&id);
        self.parked.remove(&id);
        if self.strict && verdict != Verdict::Untagged {
            self.untagged.remove(&id);
        }
        match verdict {
            Verdict::Untagged | Verdict::Done => {}
            Verdict::Retry(after) => {
                self.retries.insert(id, after);
            }
            Verdict::Park(cause) => {
                self.parked.insert(id, (event.clone(), cause));
            }
        }
    }

    /// An error if there are events of which something had to be said, and nothing was.
    pub(super) fn complete(&self) -> Result<()> {
        match self.untagged.first() {
            None => Ok(()),
            Some(id) => Err(Error::bad(format!(
                "{} events were left untagged, the first is event {id}: with strict_tags each has to be tagged",
                self.untagged.len()
            ))),
        }
    }

    pub(super) fn take_retries(&mut self) -> BTreeMap<i64, Duration> {
        std::mem::take(&mut self.retries)
    }

    pub(super) fn retries(&self) -> usize {
        self.retries.len()
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(super) fn take_parked(&mut self) -> Vec<(Event, Cause)> {
        std::mem::take(&mut self.parked).into_values().collect()
    }
}
