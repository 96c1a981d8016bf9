//! What a job has done since its process began, offered to Prometheus at `metrics_listen`.
//!
//! ```text
//! round ──► Stats, outcome, time ──► Figures ──► GET /metrics
//!           in the job's thread      atomics     Endpoint, in a thread of its own
//! ```

mod endpoint;
mod figures;

use std::sync::Arc;

use crate::Result;
use crate::script::rounds::is_single_pass;
use crate::script::{Script, value};

pub use endpoint::Endpoint;
pub use figures::Figures;

impl Script {
    /// Offers the figures where the configuration says, and no longer where an earlier one said. A single pass is
    /// over before anybody asks.
    pub(super) fn offer_figures(&mut self) -> Result<()> {
        let once = is_single_pass(&self.config, self.single_pass)?;
        let wanted = self.config.optional("metrics_listen").filter(|_| !once);
        let wanted = wanted.and_then(|text| value::address(text).ok());
        if self.endpoint.as_ref().map(Endpoint::address) != wanted.as_deref() {
            // The old one goes first: the new address may be another name of the same port.
            self.endpoint = None;
            self.endpoint =
                wanted.map(|address| Endpoint::open(address, Arc::clone(&self.figures))).transpose()?;
        }
        Ok(())
    }
}
