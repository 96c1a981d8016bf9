//! A wish to stop, and how much of the work may still be done.

use tokio::sync::watch;

use crate::{Error, Result};

/// How soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    /// Go on.
    None,
    /// When the round is done.
    AfterRound,
    /// Before the next event: the batch is given up and will be handed out again.
    BetweenEvents,
    /// Now, in the middle of whatever is being done.
    AtOnce,
}

/// A handle to ask for the end and to learn of it; clones are one and the same.
#[derive(Clone, Debug)]
pub struct Stop {
    wish: watch::Sender<Wish>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { wish: watch::Sender::new(Wish::None) }
    }
}

impl Stop {
    /// Asks for the end of the loop once the round is done.
    pub fn after_round(&self) {
        self.ask(Wish::AfterRound);
    }

    /// Asks for the end before the next event. What is open is rolled back; the batch will be handed out again.
    pub fn between_events(&self) {
        self.ask(Wish::BetweenEvents);
    }

    /// Drops the work where it is. For the process that is about to end: who embeds a job drops its future.
    pub(super) fn at_once(&self) {
        self.ask(Wish::AtOnce);
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        *self.wish.borrow() > Wish::None
    }

    /// For loops over events: [`Error::Stopped`] when not even the batch shall be done.
    pub fn check_between_events(&self) -> Result<()> {
        if *self.wish.borrow() >= Wish::BetweenEvents { Err(Error::Stopped) } else { Ok(()) }
    }

    /// Returns when the end is asked for: what interrupts sleep.
    pub async fn wanted(&self) {
        self.reached(Wish::AfterRound).await;
    }

    /// Returns when the work is to be dropped.
    pub(super) async fn wanted_at_once(&self) {
        self.reached(Wish::AtOnce).await;
    }

    async fn reached(&self, least: Wish) {
        // The sender is ours, so the channel cannot be closed.
        let _ = self.wish.subscribe().wait_for(|wish| *wish >= least).await;
    }

    fn ask(&self, wish: Wish) {
        self.wish.send_modify(|now| *now = (*now).max(wish));
    }
}
