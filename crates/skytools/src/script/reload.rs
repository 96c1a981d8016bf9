//! A wish for the configuration to be read again.

use tokio::sync::watch;

/// A handle to ask for it and to learn of it; clones are one and the same.
#[derive(Clone, Debug)]
pub struct Reload {
    asked: watch::Sender<bool>,
}

impl Default for Reload {
    fn default() -> Self {
        Self { asked: watch::Sender::new(false) }
    }
}

impl Reload {
    /// Asks for it before the next round, which comes at once when there is a sleep.
    pub fn ask(&self) {
        self.asked.send_replace(true);
    }

    /// Whether it was asked for since the last call.
    pub(super) fn take(&self) -> bool {
        self.asked.send_replace(false)
    }

    /// Returns when it is asked for: what interrupts sleep.
    pub(super) async fn wanted(&self) {
        // The sender is ours, so the channel cannot be closed.
        let _ = self.asked.subscribe().wait_for(|asked| *asked).await;
    }
}
